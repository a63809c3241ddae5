"""Kernels as engineers write them: at 100 cases the wrong ones are refused and the right ones agree, by any seed."""

import secrets

import numpy as np
import pytest

from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification.directed import count
from opcheck.verification.report import sentence
from opcheck.verification.run import Shard, run_shard
from tests.verification.kernels import RIGHT, WRONG
from tests.verification.refusal import refusal

CASES = 100  # the default of the fixtures
SEEDS = 20  # at night


def reports(op, function, arrays, seeds):
    """A run from each of some seeds that nobody knows before; nothing is made smaller."""
    spec = catalog.get(op)
    for _ in range(seeds):
        with np.errstate(all="ignore"):
            shard = Shard(op, "float32", secrets.randbelow(2**31), -count(spec), CASES)
            yield run_shard(spec, shard, load(function, arrays))


@pytest.mark.nightly
@pytest.mark.share(3)
@pytest.mark.parametrize("kernel", WRONG)
def test_a_wrong_kernel_is_refused(kernel, nightly):
    op, function, arrays = WRONG[kernel]
    for _ in range(SEEDS if nightly else 1):
        failure, seed = refusal(catalog.get(op), load(function, arrays), CASES, apart_from=("refuses", "own"))
        assert failure, seed


@pytest.mark.nightly
@pytest.mark.share(3)
@pytest.mark.parametrize("kernel", RIGHT)
def test_a_right_kernel_agrees(kernel, nightly):
    for report in reports(*RIGHT[kernel], SEEDS if nightly else 1):
        assert report.agrees, (report.seed, sentence(report.failures[0]))
