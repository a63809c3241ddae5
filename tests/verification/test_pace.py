"""A slow implementation gets smaller cases, which is told; a fast one, or one that compiles first, gets all of them."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.app.omissions import omissions
from opcheck.verification import check, pace


class Clock:
    """A clock that goes on only while a kernel sleeps: how busy the machine is does not count."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


time = Clock()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(pace, "time", time)
    monkeypatch.setattr(check, "time", time)


def calls_of(kernel):
    """The report, and the largest input that the kernel was called with."""
    most = 0

    def relu(x):
        nonlocal most
        most = max(most, x.size)
        return kernel(x)

    return verify("relu", relu, arrays="numpy", cases=1, seed=1, claims=["values"]), most


def test_a_slow_kernel_gets_smaller_cases():
    def slow(x):
        time.sleep(2e-4 * x.size)
        return np.maximum(x, 0)

    report, most = calls_of(slow)
    assert report.agrees and report.slow["relu"].cases > 1 and most < 8192
    assert any("made smaller: a call of input 65537 would take about" in line for line in omissions(report))


def test_a_slow_kernel_that_is_wrong_beyond_a_block_is_found():
    def slow(x):
        time.sleep(2e-4 * x.size)
        return (
            np.where(np.arange(x.shape[-1] if x.ndim else 1) < 64, np.maximum(x, 0), 0) if x.ndim else np.maximum(x, 0)
        )

    assert not calls_of(slow)[0].agrees


def test_a_kernel_that_compiles_at_first_gets_every_case():
    known = set()

    def compiled(x):
        time.sleep(0 if x.shape in known else 1.0 * (x.size > 5000))
        known.add(x.shape)
        return np.maximum(x, 0)

    report, most = calls_of(compiled)
    assert report.agrees and report.slow == {} and most > 65_536


def test_a_kernel_that_takes_its_time_for_each_row_gets_few_rows():
    rows = []

    def one_row_at_a_time(x):
        rows.append(x.size // max(1, x.shape[-1] if x.ndim else 1))
        time.sleep(4e-3 * rows[-1])
        return np.maximum(x, 0)

    report, most = calls_of(one_row_at_a_time)
    assert report.agrees and report.slow and most > 4096  # a long row is no work
    assert max(rows) * 4e-3 < 8 * pace.MOST


def test_a_kernel_that_always_raises_is_judged_for_that():
    def broken(x):
        raise ValueError("no")

    assert not calls_of(broken)[0].agrees
