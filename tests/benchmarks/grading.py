"""How fast submissions are graded: a four-question numpy assignment, forward and backward, with isolation.

    python -m tests.benchmarks.grading [--submissions 20]

One process grades one after the other. Processor time is that of the grader and of the sandboxes together: on a machine
that does nothing else, one core grades as many a second as it says. Beside it, what `python -c "import numpy"` costs.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.judging.judge import grade_source
from opcheck.grading.submissions.submission import Submission
from opcheck.sandbox import Source, choose
from tests.benchmarks.processor import credit_sandboxes, used

SOLUTION = Path(__file__).parents[1] / "grading" / "student_code" / "cs231n.py"
OPS = ("linear", "conv2d", "max_pool2d", "cross_entropy")
BUG = ("dx[n, c, i * s + a, j * s + b] += ", "dx[n, c, i * s + a, j * s + b] = ")


def measure(text: str, count: int) -> tuple[float, float, float]:
    """Seconds for each submission by the clock and of processor time, and the score."""
    assignment = parse(scaffold(OPS, "cs231n"))
    before, began = used(), time.perf_counter()
    score = 0.0
    for k in range(count):
        score = grade_source(Submission(f"student {k}", Path("hw.py"), Source(text)), assignment).score
    wall = time.perf_counter() - began
    return wall / count, (used() - before) / count, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=20)
    count = parser.parse_args().submissions
    right = SOLUTION.read_text(encoding="utf-8")
    print(f"isolation: {choose()}")
    credit_sandboxes()
    measure(right, 1)
    print("            by the clock   of processor time")
    for name, text in (("right", right), ("one bug", right.replace(*BUG))):
        wall, processor, score = measure(text, count)
        print(f"{name:8} {1 / wall:6.2f} a second  {processor:.3f} s, {1 / processor:.2f} a second   score {score:g}")
    before = used()
    for _ in range(5):
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    print(f'python -c "import numpy": {(used() - before) / 5:.3f} s of processor time')


if __name__ == "__main__":
    main()
