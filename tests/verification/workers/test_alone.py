"""Single trials in a process of their own: what ends it is told, and made smaller."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.errors import CouldNotRun
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.streams import with_directions
from opcheck.verification.verdict import Status
from opcheck.verification.workers.alone import Alone, smaller
from opcheck.verification.workers.worker import Target

KERNELS = """
import os
import numpy as np

def right(x):
    return np.where(x < 0, 0.0, x)

def ends_at_five(x):
    if x.shape[-1:] >= (5,):
        os.abort()
    return right(x)

def ends_in_its_gradient(x):
    return right(x)

ends_in_its_gradient.vjp = lambda g, x: os.abort()

def ends_of_transposed(x):
    if not x.flags.c_contiguous and x.flags.f_contiguous:
        os.abort()
    return right(x)
"""


@pytest.fixture
def kernels(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    return path


def trial(*shape):
    made = Trial(Case("relu", {"input": np.arange(np.prod(shape, dtype=float)).reshape(shape)}, {}))
    return with_directions(catalog.get("relu"), made, np.random.default_rng(0))


def test_a_process_that_dies_is_replaced_for_the_next_trial(kernels):
    with Alone(Target(f"{kernels}:ends_at_five"), 30) as process:
        statuses = [[each.status for each in process.check(trial(n)).failures] for n in (5, 4, 6, 1)]
    assert statuses == [[Status.CRASHED], [], [Status.CRASHED], []]


def test_a_file_that_cannot_be_loaded_is_no_crash_of_a_trial(tmp_path):
    path = tmp_path / "ends.py"
    path.write_text("import os\nos._exit(3)\n")
    with Alone(Target(f"{path}:relu"), 30) as process, pytest.raises(CouldNotRun, match="before its first case"):
        process.check(trial(3))


def test_the_case_of_a_crash_is_the_smallest_that_crashes(kernels):
    report = verify("relu", f"{kernels}:ends_at_five", cases=40, jobs=2, seed=3)
    crashed = [each for each in report.failures if each.status is Status.CRASHED]
    assert crashed[0].trial.case.arrays["input"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert crashed[0].message == "the process was killed by SIGABRT"


def test_what_crashes_in_another_way_is_not_the_same(kernels):
    with Alone(Target(f"{kernels}:ends_at_five"), 30) as process:
        (verdict,) = process.check(trial(2, 6)).failures
        assert smaller(verdict, process).trial.case.arrays["input"].shape == (1, 5)
        other = type(verdict)(verdict.status, verdict.claim, verdict.trial, message="the process was killed by SIGSEGV")
        assert smaller(other, process) is other


@pytest.mark.parametrize(
    ("name", "claim", "layout"),
    [("ends_in_its_gradient", "vjp", "contiguous"), ("ends_of_transposed", "layout", "transposed")],
)
def test_a_crash_tells_what_was_asked_and_in_which_memory(kernels, name, claim, layout):
    report = verify("relu", f"{kernels}:{name}", cases=16, jobs=1, seed=1, claims=["vjp", "layout"])
    (crashed, *_) = report.failures
    assert (crashed.status, crashed.claim, crashed.trial.layout) == (Status.CRASHED, claim, layout)
    where = f", for {layout} memory" if layout != "contiguous" else ""
    assert crashed.message == f"the process was killed by SIGABRT{where}"
    with Alone(Target(f"{kernels}:{name}"), 30) as process:
        assert not process.check(crashed.trial).agrees


def test_it_tells_what_was_loaded(kernels):
    with Alone(Target(f"{kernels}:ends_at_five"), 30) as process:
        crashed, right = process.check(trial(7)), process.check(trial(2))
    assert crashed.backend == right.backend[:63] and crashed.version == right.version
