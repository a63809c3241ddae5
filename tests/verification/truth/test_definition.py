"""Where IEEE 754 does not say what comes out: it depends on the way."""

import numpy as np

from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.specs.function import Function
from opcheck.verification.truth.definition import Definition

LARGEST = 3.0e38


def undecided(op, *arrays, **params):
    operator = catalog.get(op)
    return Definition(operator, operator.case(*arrays, **params)).undecided(LARGEST)["output"].ravel().tolist()


def test_padding_times_infinity_is_computed_by_some_and_left_out_by_others():
    x, weight = np.ones((1, 1, 3)), np.array([[[np.inf, 1.0]]])
    assert undecided("conv1d", x, weight, padding=1) == [True, False, False, False]
    assert undecided("conv1d", x, weight[..., ::-1], padding=1) == [False, False, False, True]
    assert undecided("conv1d", x, np.ones((1, 1, 2)), padding=1) == [False] * 4
    assert undecided("conv1d", np.full((1, 1, 3), np.inf), np.ones((1, 1, 2)), padding=1) == [False] * 4


def test_what_becomes_too_large_may_meet_an_infinity_on_one_way_and_not_on_another():
    assert undecided("linear", np.array([[2e38, 2e38]]), np.ones((1, 2))) == [True]
    assert undecided("linear", np.array([[1e38, 1e38]]), np.ones((1, 2))) == [False]
    assert undecided("linear", np.array([[np.inf, 1.0, 1.0]]), np.ones((1, 3))) == [False]


def smooth(x: "N", w: "3"):  # noqa: F821
    padded = np.pad(x, (1, 1))
    return np.stack([padded[k : k + len(x)] for k in range(3)], axis=1) @ w


def test_padding_times_a_number_that_is_not_finite_is_undecided_in_a_program_too():
    op = Function(smooth)
    for number in (np.nan, np.inf):
        case = Case(op.name, {"x": np.array([1.0, 2.0]), "w": np.array([number, 1.0, 2.0])}, {})
        assert Definition(op, case).undecided(1e38)["output"].tolist() == [True, False]


def test_a_difference_that_rounding_may_make_0_is_undecided_beside_an_infinity():
    """A right layer norm was accused: its weight is −∞, and x − mean rounds to 0 in float32."""
    op = catalog.get("layer_norm")
    x = np.array([[3.0, 3.0 + 2.0**-22, 3.0], [1.0, 2.0, 4.0]])
    definition = Definition(op, op.case(x, (3,), np.array([-np.inf] * 3)))
    found = definition.undecided(2.0**128, 2.0**-126, 2.0**-24)["output"]
    assert found.tolist() == [[True, True, True], [False, False, False]]


def test_what_stands_under_a_mask_may_be_added_to_it_or_overwritten():
    """∞ − ∞ is NaN by addition, and −∞ where the mask is written over the score."""
    op = catalog.get("scaled_dot_product_attention")
    case = Case(op.name, {"query": np.array([[-np.inf]]), "key": np.array([[1.0], [-1.0]]),
                          "value": np.array([[1.0], [2.0]])}, {"is_causal": True})  # fmt: skip
    assert np.isnan(Definition(op, case).outputs()["output"]).all()
    assert Definition(op, case).undecided(largest=3e38)["output"].all()
    seen = case._replace(params={})
    assert not Definition(op, seen).undecided(largest=3e38)["output"].any()
