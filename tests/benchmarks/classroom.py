"""How long a class takes to grade, and whether the grader's memory stays flat.

    nice -n 10 python -m tests.benchmarks.classroom [--submissions 1000] [--jobs 1 2]

Submissions answer four questions in cs231n's convention (linear, conv2d, max_pool2d, cross_entropy; forward and
backward), each by one of several right solutions, or with a mistake of the catalogue written out. It also checks the
scores: all points for right answers only. Isolation is on, as for a real class. Processor time is that of the graders
and of the sandboxes together. Memory is the most that the process which collects the results has had in use until so
many were there (with one job it is also the one that grades).
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opcheck.grading.assignments import assignment, scaffold
from opcheck.grading.classes import classroom
from opcheck.grading.classes.journal import Journal, Key
from opcheck.grading.results import Result
from tests.benchmarks.processor import credit_sandboxes, used

credit_sandboxes()  # in each of the processes, which import this module

OPS = ("linear", "conv2d", "max_pool2d", "cross_entropy")
RIGHT_SHARE = 0.85  # of the answers to each question
MARKS = (100, 500, 1000)  # submissions, at which memory is told

AFFINE = """
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""
AFFINE_LOOPS = """
def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], -1)
    out = np.zeros((len(rows), w.shape[1]), dtype=w.dtype)
    for n, row in enumerate(rows):
        for m in range(w.shape[1]):
            out[n, m] = (row * w[:, m]).sum() + b[m]
    return out, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    rows = x.reshape(x.shape[0], -1)
    dx = np.einsum("nm,dm->nd", dout, w).reshape(x.shape)
    return dx, np.einsum("nd,nm->dm", rows, dout), np.einsum("nm->m", dout)
"""
CONV = """
def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    n, c, h, width = x.shape
    f, _, hh, ww = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = np.zeros((n, f, (h + 2 * p - hh) // s + 1, (width + 2 * p - ww) // s + 1), dtype=w.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = padded[:, :, i * s:i * s + hh, j * s:j * s + ww]
            out[:, :, i, j] = np.tensordot(window, w, ([1, 2, 3], [1, 2, 3])) + b
    return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    hh, ww = w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dpadded, dw = np.zeros(padded.shape, w.dtype), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dw += np.tensordot(d, padded[:, :, i * s:i * s + hh, j * s:j * s + ww], ([0], [0]))
            dpadded[:, :, i * s:i * s + hh, j * s:j * s + ww] += np.tensordot(d, w, ([1], [0]))
    dx = dpadded[:, :, p:p + x.shape[2], p:p + x.shape[3]]
    return dx, dw, dout.sum(axis=(0, 2, 3))
"""
POOL = """
def max_pool_forward_naive(x, pool_param):
    k, l, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    out = np.zeros((*x.shape[:2], (x.shape[2] - k) // s + 1, (x.shape[3] - l) // s + 1), dtype=x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + l].max(axis=(2, 3))
    return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    k, l, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*dout.shape):
        window = x[n, c, i * s:i * s + k, j * s:j * s + l]
        u, v = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * s + u, j * s + v] += dout[n, c, i, j]
    return dx
"""
LOSS = """
def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    n = len(x)
    dx = np.exp(logp)
    dx[np.arange(n), y] -= 1
    return -logp[np.arange(n), y].mean(), dx / n
"""

# Right answers, and what turns one into a mistake: (what is replaced, by what).
RIGHT = {
    "linear": [AFFINE, AFFINE_LOOPS],
    "conv2d": [CONV, CONV.replace("np.tensordot(window, w, ([1, 2, 3], [1, 2, 3]))",
                                  "window.reshape(n, -1) @ w.reshape(f, -1).T")],
    "max_pool2d": [POOL, POOL.replace(".max(axis=(2, 3))", ".reshape(*x.shape[:2], -1).max(axis=-1)")],
    "cross_entropy": [LOSS, LOSS.replace(".mean(), dx", ".sum() / n, dx")],
}  # fmt: skip
MISTAKES = {
    "linear": [
        ("@ w + b", "@ w"),
        ("@ w + b", "@ w - b"),
        ("(dout @ w.T)", "(dout @ w.T / len(x))"),
        ("dout.sum(axis=0)", "dout.mean(axis=0)"),
    ],
    "conv2d": [
        ("+ b\n", "\n"),
        ("window, w,", "window, w[:, :, ::-1, ::-1],"),
        ("dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))"),
        ("dw += ", "dw = "),
        ("dpadded[:, :, p:p + x.shape[2], p:p + x.shape[3]]", "dpadded"),
    ],
    "max_pool2d": [
        (".max(axis=(2, 3))", ".mean(axis=(2, 3))"),
        ("+= dout", "= dout"),
        ("(x.shape[2] - k) // s + 1", "x.shape[2] // s"),
    ],
    "cross_entropy": [
        ("dx / n", "dx"),
        (".mean()", ".sum()"),
        ("-logp[", "logp["),
    ],
}


def submission(choose: random.Random) -> tuple[str, bool]:
    """A submission's text, and whether all of it is right."""
    text, all_right = "import numpy as np\n", True
    for op in OPS:
        if choose.random() < RIGHT_SHARE:
            text += choose.choice(RIGHT[op])
            continue
        old, new = choose.choice(MISTAKES[op])
        assert old in RIGHT[op][0]
        text += RIGHT[op][0].replace(old, new)
        all_right = False
    return f"{text}\n# {choose.random()}\n", all_right


def resident() -> float:
    """MiB of memory that this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Watched(Journal):
    """A journal that looks at the memory in use with each result."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        Watched.peaks: list[float] = []

    def record(self, key: Key, result: Result) -> int:
        Watched.peaks.append(resident())
        return super().record(key, result)


def measure(folder: Path, right: dict[str, bool], asked: assignment.Assignment, jobs: int) -> str:
    """One run over the class: a line for the table."""
    began, before = time.perf_counter(), used()
    with classroom.grade_class([folder], asked, jobs=jobs) as found:
        wall = time.perf_counter() - began
        wrong = [each.student for each in found.results if (each.score >= each.points) != right[each.student]]
        failed = found.failed
    if wrong or failed:
        print(f"scores that should be others: {len(wrong)} {wrong[:9]}; not graded: {failed[:3]}")
    each = (used() - before) / len(right)
    memory = "".join(f"{max(Watched.peaks[:n]):>10.1f}" for n in MARKS if n <= len(right))
    return f"{jobs:>4}  {wall:>8.1f}  {len(right) / wall:>9.2f}  {each:>9.3f}{memory}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    classroom.Journal = Watched  # type: ignore[misc]
    asked = assignment.parse(scaffold.scaffold(OPS, "cs231n"))
    choose = random.Random(options.seed)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    print(f"python -c 'import numpy': {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as name:
        right = {}
        for n in range(options.submissions):
            text, right[f"s{n}"] = submission(choose)
            (Path(name) / f"s{n}.py").write_text(text)
        print(f"{options.submissions} submissions, {sum(right.values())} all right")
        memory = "".join(f"{f'MiB, {n}':>10}" for n in MARKS if n <= len(right))
        print(f"jobs   seconds   a second  CPU s one{memory}")
        for jobs in options.jobs:
            print(measure(Path(name), right, asked, jobs), flush=True)


if __name__ == "__main__":
    main()
