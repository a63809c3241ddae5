"""The map of errors over bounds."""

import math

import numpy as np

from opcheck.render.heat import Row, draw
from opcheck.verification.check import shares_of


def test_what_is_beyond_its_bound_has_a_cross_and_the_opened_one_a_frame():
    rows = [Row("exact", (0.0, 0.5, 3.0), ("y[0]", "y[1]", "y[2]")), Row("vjp:x", (math.inf,), ("x[0]",))]
    shown = draw(rows, (0, 2))
    assert shown.count('class="cross"') == shown.count('class="wrong"') == 2
    assert shown.count('class="right"') == 2
    assert "<title>y[2]: 3 bounds</title>" in shown and "<title>x[0]: beyond any bound</title>" in shown
    assert shown.count('class="worst"') == 1
    assert 'y="0"' not in shown and ">vjp:x</text>" in shown


def test_shares_of_bounds():
    nan, inf = math.nan, math.inf
    got = np.array([1.0, 1.5, 2.0, nan, nan, inf, 5.0])
    expected = np.array([1.0, 1.0, 1.0, nan, 1.0, inf, 1.0])
    tolerance = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, inf])
    assert shares_of(got, expected, tolerance).tolist() == [0.0, 0.5, inf, 0.0, inf, 0.0, 0.0]
