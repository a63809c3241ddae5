"""Submissions a second beside otter-grader without Docker: one machine, one homework, the same right submission.

    nice -n 10 python -m tests.benchmarks.otter [--submissions 5] [--venv FOLDER]

Four questions in cs231n's convention (linear, conv2d, max_pool2d, cross_entropy; forward and backward). opcheck draws
its cases afresh for each submission and runs it isolated; otter compares three fixed cases a question, as a teacher
writes them, in a Jupyter kernel that is not isolated. Otter grades twice: by its command (`otter run`), and through
its API in a process that stays, which is the fastest that it can. All three take turns, so that what else the machine
does slows all of them. Needs a package registry: otter-grader goes into an environment of its own, with what it needs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from opcheck import reference
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.judging.judge import grade_source
from opcheck.grading.submissions.submission import Submission
from opcheck.sandbox import File, choose
from tests.benchmarks.grading import BUG, OPS, SOLUTION

CASES = 3
PACKAGES = ("otter-grader", "ipykernel", f"numpy=={np.__version__}")
TEST = """OK_FORMAT = True

test = {{"name": {name!r}, "points": 9, "suites": [{{
    "cases": [{{"code": {code!r}, "hidden": False, "locked": False}}],
    "scored": True, "setup": "", "teardown": "", "type": "doctest",
}}]}}
"""
DRIVER = """
import sys
from otter.api import grade_submission
for line in sys.stdin:
    found = grade_submission(line.strip(), ag_path="autograder.zip", quiet=True)
    print("GRADED", found.total, found.possible, flush=True)
"""


def linear(rng: np.random.Generator) -> Iterator[str]:
    x, w, b, dy = (rng.normal(size=shape) for shape in ((3, 4), (4, 2), 2, (3, 2)))
    right = reference.linear.vjp(dy, x, w.T, b)
    yield f"out, cache = affine_forward({_text(x)}, {_text(w)}, {_text(b)})"
    yield f"near(out, {_text(reference.linear(x, w.T, b))})"
    yield f"near(affine_backward({_text(dy)}, cache), {_text([right['input'], right['weight'].T, right['bias']])})"


def conv2d(rng: np.random.Generator) -> Iterator[str]:
    x, w, b, dy = (rng.normal(size=shape) for shape in ((2, 3, 5, 6), (2, 3, 3, 2), 2, (2, 2, 3, 4)))
    right = reference.conv2d.vjp(dy, x, w, b, stride=2, padding=1)
    config = "{'stride': 2, 'pad': 1}"
    yield f"out, cache = conv_forward_naive({_text(x)}, {_text(w)}, {_text(b)}, {config})"
    yield f"near(out, {_text(reference.conv2d(x, w, b, stride=2, padding=1))})"
    yield f"near(conv_backward_naive({_text(dy)}, cache), {_text([*right.values()])})"


def max_pool2d(rng: np.random.Generator) -> Iterator[str]:
    x, dy = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(2, 3, 4, 4))
    right = reference.max_pool2d.vjp(dy, x, (2, 3), 1)["input"]
    config = "{'pool_height': 2, 'pool_width': 3, 'stride': 1}"
    yield f"out, cache = max_pool_forward_naive({_text(x)}, {config})"
    yield f"near(out, {_text(reference.max_pool2d(x, (2, 3), 1))})"
    yield f"near(max_pool_backward_naive({_text(dy)}, cache), {_text(right)})"


def cross_entropy(rng: np.random.Generator) -> Iterator[str]:
    x, y = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    right = reference.cross_entropy.vjp(np.ones(()), x, y)["input"]
    yield f"loss, dx = softmax_loss({_text(x)}, {_text(y)})"
    yield f"near([loss, dx], {_text([reference.cross_entropy(x, y), right])})"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return f"np.array({np.asarray(value).tolist()})"


def written(op: Callable[[np.random.Generator], Iterator[str]], rng: np.random.Generator) -> str:
    """One question's tests as otter runs them: doctests, with what a teacher takes for near enough."""
    lines = [
        ">>> import numpy as np",
        ">>> def near(a, b):",
        "...     pairs = zip(a, b) if isinstance(b, list) else [(a, b)]",
        "...     return all(np.allclose(*pair) for pair in pairs)",
    ]
    for _ in range(CASES):
        for line in op(rng):
            lines += [f">>> {line}"] + ["True"] * line.startswith("near")
    return TEST.format(name=op.__name__, code="\n".join(lines))


def prepare(folder: Path, environment: Path) -> None:
    """The environment, and the homework as otter's autograder.zip."""
    if not (environment / "bin" / "otter").exists():
        venv.create(environment, with_pip=True)
        subprocess.run([environment / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
    (folder / "tests").mkdir()
    for op in (linear, conv2d, max_pool2d, cross_entropy):
        (folder / "tests" / f"{op.__name__}.py").write_text(written(op, np.random.default_rng(0)))
    (folder / "driver.py").write_text(DRIVER)
    right = SOLUTION.read_text(encoding="utf-8")
    assert BUG[0] in right
    (folder / "right.py").write_text(right)
    (folder / "wrong.py").write_text(right.replace(*BUG))
    _otter(folder, environment, "generate", "-t", "tests", "-o", "autograder.zip", "--no-environment")


def _otter(folder: Path, environment: Path, *words: str) -> None:
    done = subprocess.run(
        [environment / "bin" / "otter", *words], cwd=folder, capture_output=True, text=True, check=False,
        env=_variables(environment),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"otter {' '.join(words)} fails:\n{done.stdout}\n{done.stderr}")


def _variables(environment: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))}
    return {**kept, "PATH": f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', '')}"}


class Graders:
    """The three of them; each grades a file of the folder and says the share of the points that it gets."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder, self.environment = folder, environment
        self.asked = parse(scaffold(OPS, "cs231n"))
        self.driver = subprocess.Popen(
            [environment / "bin" / "python", "driver.py"], cwd=folder, env=_variables(environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def opcheck(self, name: str) -> float:
        found = grade_source(Submission("Ann", Path(name), File(self.folder / name)), self.asked)
        return found.score / found.points

    def command(self, name: str) -> float:
        _otter(self.folder, self.environment, "run", name, "-a", "autograder.zip", "-o", ".", "--no-logo")
        tests = json.loads((self.folder / "results.json").read_text())["tests"]
        return sum(each.get("score", 0) for each in tests) / sum(each.get("max_score", 0) for each in tests)

    def api(self, name: str) -> float:
        assert self.driver.stdin is not None and self.driver.stdout is not None
        self.driver.stdin.write(f"{name}\n")
        self.driver.stdin.flush()
        for line in self.driver.stdout:
            if line.startswith("GRADED"):
                _, total, possible = line.split()
                return float(total) / float(possible)
        raise SystemExit("otter's API ended without a result")

    def close(self) -> None:
        self.driver.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=5)
    parser.add_argument("--venv", type=Path, help="otter's environment; made there if it is missing, and kept")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    environment = (options.venv or folder / "venv").absolute()
    try:
        prepare(folder, environment)
        graders = Graders(folder, environment)
        runs = {"opcheck": graders.opcheck, "otter, API": graders.api, "otter run": graders.command}
        for name, run in runs.items():  # the first one pays for imports
            right, wrong = run("right.py"), run("wrong.py")
            assert right == 1 and wrong < 1, (
                f"{name} gives {right} of the points to the right one, {wrong} to the wrong"
            )
        seconds = dict.fromkeys(runs, 0.0)
        for _ in range(options.submissions):
            for name, run in runs.items():
                began = time.perf_counter()
                run("right.py")
                seconds[name] += time.perf_counter() - began
        graders.close()
    finally:
        shutil.rmtree(folder)
    print(
        f"isolation of opcheck: {choose()}; Python {sys.version.partition(' ')[0]}; {options.submissions} submissions"
    )
    for name, spent in seconds.items():
        each = spent / options.submissions
        ratio = spent / seconds["opcheck"]
        print(f"{name:10}  {1 / each:6.2f} a second  {each:6.3f} s each  {ratio:5.1f} times as long as opcheck")


if __name__ == "__main__":
    main()
