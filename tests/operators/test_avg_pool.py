"""What is particular to avg_pool1d and avg_pool2d: what each window's sum is divided by."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.explanation import explain
from opcheck.operators import catalog
from tests.operators.support import Recorded, cases

NAMES = pytest.mark.parametrize("name", ["avg_pool1d", "avg_pool2d"])


def of_ones(*args: Any, **kwargs: Any) -> list[Fraction]:
    """The means of windows on 5 ones: places inside the input over places that count."""
    means = opcheck.reference.avg_pool1d(np.ones((1, 5)), *args, **kwargs)
    return [Fraction(mean).limit_denominator(20) for mean in means[0].tolist()]


def test_the_padding_is_counted() -> None:
    assert of_ones(3, 2, 1) == [Fraction(2, 3), 1, Fraction(2, 3)]


def test_the_padding_is_not_counted_on_demand() -> None:
    assert of_ones(3, 2, 1, count_include_pad=False) == [1, 1, 1]


def test_places_beyond_the_padding_are_never_counted() -> None:
    assert of_ones(4, 3, 1, ceil_mode=True) == [Fraction(3, 4), Fraction(3, 4)]
    assert of_ones(4, 4, 1, ceil_mode=True) == [Fraction(3, 4), Fraction(2, 3)]  # the last reads 3, 4 and one padding
    assert of_ones(4, 4, 1, ceil_mode=True, count_include_pad=False) == [1, 1]


@pytest.mark.parametrize("divisor", [1, 3, -2])
def test_divisor_override(divisor: int) -> None:
    x = np.arange(16.0).reshape(1, 4, 4)
    y = opcheck.reference.avg_pool2d(x, 2, divisor_override=divisor)
    assert y.tolist() == [[[10 / divisor, 18 / divisor], [42 / divisor, 50 / divisor]]]
    gradient = opcheck.reference.avg_pool2d.vjp(np.full((1, 2, 2), 6.0), x, 2, divisor_override=divisor)["input"]
    assert (gradient == 6 / divisor).all()


def test_avg_pool1d_has_no_divisor_override() -> None:
    with pytest.raises(opcheck.Refused, match="divisor_override"):
        opcheck.reference.avg_pool1d(np.ones((1, 4)), 2, divisor_override=3)


@NAMES
@given(data=st.data())
def test_means_of_whole_numbers_are_correctly_rounded(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op))
    exact = Recorded(op, case).outputs()["output"]
    assert op.run(case)["output"].tolist() == np.vectorize(float, otypes=[float])(exact).tolist()


@NAMES
@given(data=st.data())
def test_infinities_and_nan_stay_in_their_windows(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    case.arrays["input"] = rng.choice([1.0, 2.0, np.inf, -np.inf, np.nan], size=case.arrays["input"].shape)
    exact = Recorded(op, case).outputs()["output"]
    expected = np.vectorize(float, otypes=[float])(exact)
    assert np.array_equal(op.run(case)["output"], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("params", "note"),
    [
        ({}, "the divisor is the number of positions that the window covers"),
        ({"padding": 1}, "the padding is zeros, and the divisor counts it (count_include_pad)"),
        ({"padding": 1, "count_include_pad": False}, "the divisor counts only the positions inside the input"),
        ({"divisor_override": 3}, "the divisor is divisor_override, whatever the window covers"),
    ],
)
def test_the_divisor_is_explained(params: dict[str, Any], note: str) -> None:
    assert note in str(explain("avg_pool2d", np.ones((1, 4, 4)), 2, **params))
