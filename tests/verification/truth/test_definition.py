"""Where IEEE 754 does not say what comes out: it depends on the way."""

import numpy as np

from opcheck.operators import catalog
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
