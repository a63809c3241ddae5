"""A candidate that takes subnormal numbers for zero is named, runs so, and leaves the judge as it was."""

import shutil

import numpy as np
import pytest

from opcheck import check, verify
from opcheck.app import findings
from opcheck.backends import environment, load
from opcheck.operators import catalog

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor does not take subnormal numbers for zero"
)
SMALL = 2.0**-140  # subnormal in float32


@pytest.fixture(autouse=True)
def usual():
    yield
    torch.set_flush_denormal(False)
    environment.settle()


def flushing(input):
    torch.set_flush_denormal(True)
    return np.maximum(input, 0) * np.float32(1)


def called(function):
    op = catalog.get("relu")
    session = load(function, "numpy").open(op, op.case(np.array([SMALL, 1.0])), "float32")
    return session.outputs()["output"], session.changed


def test_a_call_that_switches_the_process_leaves_the_judge_as_it_was():
    with environment.judging():
        got, changed = called(flushing)
        assert not environment.flushes() and environment.candidate_flushes()
        assert got.tolist() == [0, 1] and changed == ()
        got, _ = called(lambda input: input * np.float32(1))  # the next call of the process runs as it would there
        assert got.tolist() == [0, 1]


def test_the_process_of_who_asks_is_as_it_was():
    torch.set_flush_denormal(True)
    x = np.array([SMALL, 1.0], np.float32)
    assert check(x, "relu", x) == ""
    assert environment.flushes()


def test_it_is_named_and_may_be_allowed():
    claims = ["special", "pure"]
    report = verify("relu", flushing, arrays="numpy", claims=claims, cases=30, seed=1)
    assert not report.agrees and report.flushes and not environment.flushes()
    assert {each.details["precision"] for each in report.failures} == {("subnormal numbers treated as zero",)}
    assert any("its whole process treat subnormal numbers as zero" in line for line in findings.notes(report))
    assert report.to_json()["flushes_subnormal_numbers"] is True
    fine = verify("relu", flushing, arrays="numpy", claims=claims, cases=30, seed=1, allow="flush-to-zero")
    assert fine.agrees and fine.precision_counts()["relu", "float32"].total() > 0


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_a_library_of_fast_mathematics_is_found_once_it_is_loaded(tmp_path):
    source = tmp_path / "fast.c"
    source.write_text(
        "#include <xmmintrin.h>\n"
        "__attribute__((constructor)) static void fast(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }\n"
        "void solve(const float *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : 0; }\n"
    )
    with environment.judging():
        load(f"{source}:solve")
        assert environment.candidate_flushes() and not environment.flushes()
