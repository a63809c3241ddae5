"""Cases of specs from outside beyond a block."""

import numpy as np
import pytest

import opcheck
from opcheck.specs.function import Function
from opcheck.verification.blocks import OUTLIER, SIZES
from opcheck.verification.streams import BLOCKED, POLICIES, trial
from opcheck.verification.widening import Sized
from tests.specs.fused import specs
from tests.specs.fused.wrong import matmul_logsumexp_mish

FUSED = [specs.attention, specs.lstm_step, specs.layer_norm_residual, specs.two_layer_cross_entropy]


@pytest.mark.parametrize("function", FUSED, ids=lambda function: function.__name__)
def test_every_letter_goes_beyond_a_block_of_exact_and_of_real_numbers(function):
    op, seen = Function(function), {"exact": set(), "real": set()}
    for index in range(64):
        if index % len(POLICIES) in BLOCKED:
            made = trial(op, "float32", 5, index)
            sizes = Sized(op, made.case).sizes
            seen[made.policy] |= {letter for letter, n in sizes.items() if n in SIZES}
    letters = set(Sized(op, trial(op, "float32", 5, 0).case).sizes) - {"", "d0", "d1"}
    assert letters <= seen["exact"] and letters <= seen["real"]


def test_a_real_number_stands_out_in_the_last_block():
    op, found = Function(specs.layer_norm_residual), 0
    for index in range(64):
        if index % len(POLICIES) == BLOCKED[1]:
            x = trial(op, "float32", 5, index).case.arrays["x"]
            found += x.shape[-1] in SIZES and np.abs(x[..., -1]).max() > OUTLIER / 100 * np.median(np.abs(x))
    assert found


def test_a_dropped_block_is_found_soon():
    report = opcheck.verify(
        specs.matmul_logsumexp_mish, matmul_logsumexp_mish.last_128_inputs_dropped, cases=48, seed=3, claims=["exact"]
    )
    assert not report.agrees
