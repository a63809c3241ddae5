"""Where a NaN or an infinity was born, kinks, and inputs that are not used: said once, at the right line."""

from fractions import Fraction

import numpy as np
import pytest

import opcheck
from opcheck.traces.scalar.remarks import remarks


def said(text, **at):
    return remarks(opcheck.trace(text, at=at))


@pytest.mark.parametrize(
    ("text", "at", "sentence"),
    [
        ("tanh(x)", {"x": 20}, "v₁ is so near 1 that float64 cannot tell them apart; a derivative of 0 there is small, "
         "not 0"),
        ("ln(x)*2", {"x": -2}, "v₁ is NaN: the logarithm of a negative number is not real"),
        ("ln(x)*2", {"x": 0}, "v₁ is −∞: it is the logarithm of 0"),
        ("y/x + 1", {"x": 0, "y": 1}, "v₁ is infinite: it divides by 0"),
        ("x/x + 1", {"x": 0}, "v₁ is NaN: 0/0 is not defined"),
        ("asin(x)", {"x": 2}, "v₁ is NaN: arcsin is defined from −1 to 1 only"),
        ("acosh(x)", {"x": 0}, "v₁ is NaN: arcosh is defined from 1 on only"),
        ("atanh(x)", {"x": 2}, "v₁ is NaN: artanh is defined between −1 and 1 only"),
        ("atanh(x)", {"x": -1}, "v₁ is infinite: artanh is so at −1 and at 1"),
        ("acos(x)", {"x": -1}, "v₁ is arccos at an end of where it is defined: its derivative is infinite"),
        ("atan2(x, y)", {"x": 0, "y": 0}, "v₁ is the angle of the point 0, 0, which has none: it has no derivative"),
        ("sqrt(x)", {"x": -1}, "v₁ is NaN: the square root of a negative number is not real"),
        ("exp(x) + 1", {"x": 1000}, "v₁ overflows: it is larger than float64's largest number, 1.8e308"),
        ("x*x", {"x": 1e200}, "v₁ overflows: it is larger than float64's largest number, 1.8e308"),
        ("x^0.5", {"x": -1}, "v₁ is NaN: a negative number to a power that is not whole is not real"),
        ("x^(-2)", {"x": 0}, "v₁ is infinite: it divides by 0 (a negative power of 0)"),
        ("x + 1/0", {"x": 0}, "a constant is infinite: it divides by 0"),
        ("abs(x)", {"x": 0}, "v₁ is abs at 0, a kink: its derivative is taken as 0, as in torch"),
        ("sqrt(x)", {"x": 0}, "v₁ is a square root at 0: its derivative is infinite"),
        ("relu(x)", {"x": 0},
         "v₁ is a maximum of equal numbers, a kink: the first one gets the derivative (relu′(0) = 0)"),
        ("min(x, y)", {"x": 1, "y": 1},
         "v₁ is a minimum of equal numbers, a kink: the first one gets the derivative (relu′(0) = 0)"),
    ],
)  # fmt: skip
def test_the_line_where_it_was_born(text, at, sentence):
    assert said(text, **at) == [sentence]


def test_nothing_is_said_of_ordinary_lines():
    assert said("ln(x1) + x1*x2 - sin(x2)", x1=2, x2=5) == []
    assert said("abs(x) + max(x, y)", x=1, y=2) == []


def test_exact_numbers_do_not_overflow():
    assert remarks(opcheck.trace("x*x", at={"x": 1e200}, exact=True)) == []


@pytest.mark.parametrize("text", ["ln(x)", "1/x", "sqrt(-x-1)", "exp(1000+x)", "0/x"])
def test_a_page_with_a_nan_or_an_infinity_still_prints(text):
    trace = opcheck.trace(text, at={"x": 0})
    page = trace.page()
    assert not page.differs
    assert "cannot" not in str(page)
    assert any(mark in trace.render("text") for mark in ("NaN", "∞"))


@pytest.mark.parametrize("text", ["relu(tanh(x))", "max(sqrt(x), 1)", "min(exp(x), 2)", "max(x, sqrt(x)*sqrt(x))"])
def test_a_choice_between_a_fraction_and_an_inexact_number_has_remarks_too(text):
    assert isinstance(remarks(opcheck.trace(text, at={"x": Fraction(2)}, exact=True)), list)
    tie = remarks(opcheck.trace("max(sqrt(x), 2)", at={"x": Fraction(4)}, exact=True))
    assert "v₂ is a maximum of equal numbers" in tie[0]


def test_a_limit_that_is_not_reached_is_not_printed_as_an_exact_number():
    assert "1.0000" in str(opcheck.trace("tanh(x)", at={"x": 20}))
    assert not remarks(opcheck.trace("tanh(x) + exp(y)", at={"x": 0, "y": float("-inf")}))

    def settled(x, y):
        return (np.tanh(x) * y).sum()

    told = str(opcheck.trace(settled, at={"x": np.array([0.0, 20.0, -20.0]), "y": np.array([0.1, 2.0, 3.0])}))
    assert "2 of the numbers of v₁ are so near a limit of tanh" in " ".join(told.split())
    assert "0.1, 2, 3" in told
