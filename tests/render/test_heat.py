"""The map of errors over bounds."""

import math

import numpy as np

import opcheck
from opcheck.app import page
from opcheck.render.heat import Row, draw
from opcheck.verification.check import shares_of
from opcheck.verification.verdict import Status, Verdict


def test_what_is_beyond_its_bound_has_a_cross_and_the_opened_one_a_frame():
    rows = [Row("exact", (0.0, 0.5, 3.0), ("y[0]", "y[1]", "y[2]")), Row("vjp:x", (math.inf,), ("x[0]",))]
    shown = draw(rows, 2)
    assert shown.count('class="cross"') == shown.count('class="wrong"') == 2
    assert shown.count('class="right"') == 2
    assert "<title>y[2]: 3 bounds</title>" in shown and "<title>x[0]: beyond any bound</title>" in shown
    assert shown.count('class="worst"') == 1
    assert 'y="0"' not in shown and ">vjp:x</text>" in shown
    assert 'class="worst"' not in draw(rows, None)


def test_the_page_of_a_report_maps_every_case_of_a_cause_and_opens_the_worst_element():
    def negated(input):
        return -np.maximum(input, 0)  # of an infinity, too, whose bound is no number

    report = opcheck.verify("relu", negated, cases=20, seed=1)
    mapped = [each for each in report.failures if each.details.get("shares") is not None]
    assert all((each.details["shares"] > 1).sum() == each.wrong for each in mapped)
    shown = page.html(report, "kernels.py:negated", "", {})
    assert shown.count('<text x="0"') > 8 and 'class="worst"' in shown

    wrong = Verdict(Status.DIFFERS, "rounding", name="output", at=(1,), details={"shares": np.array([0.5, 2.0, 9.0])})
    assert page._worst(wrong) == (2,)
    assert page._row(wrong).places == ["output[0]", "output[1]", "output[2]"]


def test_shares_of_bounds():
    nan, inf = math.nan, math.inf
    got = np.array([1.0, 1.5, 2.0, nan, nan, inf, 5.0])
    expected = np.array([1.0, 1.0, 1.0, nan, 1.0, inf, 1.0])
    tolerance = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, inf])
    assert shares_of(got, expected, tolerance).tolist() == [0.0, 0.5, inf, 0.0, inf, 0.0, 0.0]
