"""How fast submissions are graded: a four-question numpy assignment, forward and backward, with isolation.

    python tests/benchmarks/grading.py [--submissions 20]

One process grades one after the other. Beside it, what starting `python -c "import numpy"` costs on this machine.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from opcheck.grading.assignment import parse
from opcheck.grading.judge import grade_source
from opcheck.grading.scaffold import scaffold
from opcheck.grading.submission import Submission
from opcheck.sandbox import Source, choose

SOLUTION = Path(__file__).parents[1] / "grading" / "submissions" / "cs231n.py"
OPS = ("linear", "conv2d", "max_pool2d", "cross_entropy")
BUG = ("dx[n, c, i * s + a, j * s + b] += ", "dx[n, c, i * s + a, j * s + b] = ")


def measure(text: str, count: int) -> tuple[float, float, float]:
    """Seconds for each submission, by the clock and of this process's and its children's processor time; the score."""
    assignment = parse(scaffold(OPS, "cs231n"))
    wall, before = time.perf_counter(), os.times()
    score = 0.0
    for k in range(count):
        score = grade_source(Submission(f"student {k}", Path("hw.py"), Source(text)), assignment).score
    after = os.times()
    processor = sum(after[:4]) - sum(before[:4])
    return (time.perf_counter() - wall) / count, processor / count, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=20)
    count = parser.parse_args().submissions
    right = SOLUTION.read_text(encoding="utf-8")
    print(f"isolation: {choose()}")
    measure(right, 1)
    for name, text in (("right", right), ("one bug", right.replace(*BUG))):
        wall, processor, score = measure(text, count)
        print(f"{name:8} {1 / wall:6.2f} a second, {processor:.3f} s of processor time each, score {score:g}")
    began = time.perf_counter()
    for _ in range(5):
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    print(f'python -c "import numpy": {(time.perf_counter() - began) / 5:.3f} s')


if __name__ == "__main__":
    main()
