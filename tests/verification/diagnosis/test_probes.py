"""Questions to an implementation that fails in other ways when it is asked them."""

import numpy as np
import pytest

from opcheck import reference
from opcheck.backends.base import Malformed
from opcheck.backends.function import NumpyFunction
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from opcheck.verification.diagnosis import probes
from opcheck.verification.diagnosis.precision import explanation
from opcheck.verification.truth.formats import rounded
from tests.verification import coarse


def at_random(op, candidate, *shapes, seed=0):
    """A check of one call on normal numbers of float32."""
    rng = np.random.default_rng(seed)
    arrays = (rounded(rng.normal(size=shape), 24) for shape in shapes)
    operator = catalog.get(op)
    case = Case(op, dict(zip([each.name for each in operator.inputs], arrays, strict=False)), {})
    return Check(operator, Trial(case), NumpyFunction(candidate))


# --- digits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "ladder"),
    [
        (lambda a, b: a.astype(np.float32) @ b.astype(np.float32), (24, 24)),
        (coarse.with_factors(11), (11, 24)),
        (coarse.with_factors(8), (8, 24)),
        (coarse.with_sums("float16"), (11, 11)),
        (coarse.with_sums("bfloat16"), (8, 8)),
        (coarse.split(4, "bfloat16"), (8, 8)),
    ],
)
def test_the_ladder_counts_digits(product, ladder):
    found = probes.ladder(at_random("linear", coarse.linear(product), (3, 16), (4, 16)), "output", "output")
    assert (found.factors, found.sums) == ladder


def test_partial_sums_in_bfloat16_are_named():
    """Half of the terms in each part: what is inside of a part keeps its digits."""
    check = at_random("linear", coarse.linear(coarse.split(2, "bfloat16")), (3, 16), (4, 16))
    found = probes.ladder(check, "output", "output")
    assert found == probes.Ladder(8, 8, 24) and found.blocked


@pytest.mark.parametrize(
    ("product", "low", "high"),
    [
        (lambda a, b: a.astype(np.float32) @ b.astype(np.float32), -26, -21),
        (coarse.with_factors(11), -12, -11.5),
        (coarse.with_factors(11, truncate=True), -10.6, -10),
        (coarse.with_factors(8), -9, -8.4),
    ],
)
@pytest.mark.parametrize("terms", [64, 4096])
def test_the_statistic_tells_precisions_apart_whatever_the_number_of_terms(product, low, high, terms):
    check = at_random("linear", coarse.linear(product), (16, terms), (16, terms))
    assert low < probes.error_statistic(check, "output", "output") < high


@pytest.mark.parametrize(
    ("candidate", "local"),
    [
        (coarse.conv2d(coarse.full), True),
        (coarse.conv2d(coarse.with_factors(11)), True),
        (coarse.winograd(2), False),
        (coarse.winograd(4), False),
        (coarse.by_fft, False),
    ],
)
def test_a_transform_is_not_local(candidate, local):
    assert probes.is_local(at_random("conv2d", candidate, (2, 3, 7, 8), (4, 3, 3, 3))) is local


# --- answers of another shape -----------------------------------------------------------------------------------------


def square(x, weight):
    """Wrong numbers, and as many columns as rows: it takes the height for the width."""
    y = 1.5 * reference.conv2d(x, weight)
    return y[..., : y.shape[2]]


def test_an_answer_of_another_shape_tells_no_precision():
    """The failing case is square, the larger image that is asked about is not."""
    rng = np.random.default_rng(0)
    case = Case("conv2d", {"input": rng.normal(size=(1, 1, 4, 3)), "weight": rng.normal(size=(1, 1, 3, 2))}, {})
    check = Check(catalog.get("conv2d"), Trial(case, "float32", "real"), NumpyFunction(square))
    (verdict,) = [found.verdict for found in correctness.numbers(check)]
    with pytest.raises(Malformed, match="output has a different shape"):
        probes.is_local(check)
    assert explanation(check, verdict) is None


@pytest.mark.parametrize("k", [65, 1025, 4097])
def test_tiny_numbers_that_are_left_out_are_no_lower_precision(k):
    """A tail that holds subnormal numbers only: TF32, and numbers taken for zero, explained that it was dropped."""

    def without_the_tail(input, weight, bias=None):
        n = input.shape[-1] // 32 * 32
        return (input[..., :n] @ weight[..., :n].T).astype(input.dtype)

    def flushing(input, weight, bias=None):
        return (np.where(np.abs(input) < 2.0**-126, 0, input) @ weight.T).astype(input.dtype)

    rng = np.random.default_rng(k)
    x = np.zeros((2, k))
    x[:, k // 32 * 32 :] = 2.0**-130 * rng.integers(1, 9, size=(2, k % 32))
    arrays = {"input": x, "weight": np.abs(rng.normal(size=(3, k))).astype(np.float32).astype(float)}
    for candidate, is_bug in ((without_the_tail, True), (flushing, False)):
        check = Check(catalog.get("linear"), Trial(Case("linear", arrays, {})), NumpyFunction(candidate))
        verdict = next(correctness.numbers(check)).verdict
        assert verdict is not None and (explanation(check, verdict) is None) == is_bug
