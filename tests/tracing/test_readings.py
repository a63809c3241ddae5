"""Readings of one graph: floats, exact numbers, formulas; and which graphs are rational."""

import math
from fractions import Fraction

import mpmath
import sympy

from opcheck.tracing import Tape, exact, exp, is_rational, log, maximum, sqrt, symbolic, values


def test_a_float_leaf_stands_for_itself_or_for_the_decimal_that_it_prints_as():
    tape = Tape()
    out = tape.input("x", 0.1) * 3
    graph = tape.graph(out)
    assert values(graph)[out.id] == 0.30000000000000004
    assert exact(graph)[out.id] == 3 * Fraction(0.1)
    assert exact(graph, decimal=True)[out.id] == Fraction(3, 10)


def test_roots_and_powers_stay_fractions_where_they_are():
    tape = Tape()
    x = tape.input("x", 2.25)
    out = sqrt(x) + x**2 + x**0.5 + exp(x - 2.25) + log(x / 2.25)
    assert exact(tape.graph(out))[out.id] == Fraction(3, 2) + Fraction(81, 16) + Fraction(3, 2) + 1


def test_what_is_not_rational_has_fifty_digits():
    tape = Tape()
    out = exp(tape.input("x", 1.0)) * Fraction(1, 3)
    with mpmath.workdps(50):
        assert abs(exact(tape.graph(out))[out.id] - mpmath.e / 3) < mpmath.mpf(10) ** -48


def test_special_values_follow_ieee_754_in_the_exact_reading():
    tape = Tape()
    x = tape.input("x", math.inf)
    out = x - x
    assert math.isnan(exact(tape.graph(out))[out.id])
    zero = tape.input("z", 0.0)
    pole = 1 / zero
    assert exact(tape.graph(pole))[pole.id] == math.inf


def test_the_symbolic_reading_is_over_labelled_leaves():
    tape = Tape()
    x = tape.input("x", 2.0, (0, 1))
    out = x * x + maximum(x, 0.5)
    symbol = sympy.Symbol("x[0,1]", real=True)
    assert symbolic(tape.graph(out))[out.id] == symbol**2 + sympy.Max(symbol, sympy.Rational(1, 2))


def test_is_rational():
    tape = Tape()
    x = tape.input("x", 2.0)
    assert is_rational(tape.graph(x * x / (x + 1) - abs(x)))
    assert is_rational(tape.graph(x**3))
    tape.graph(x**0.5)
    assert not is_rational(tape.graph(x**0.5))
    assert not is_rational(tape.graph(exp(x)))


def test_an_exact_reading_has_as_many_digits_as_a_sum_cancels():
    """exp(-400) is lost in 50 digits where it stands beside 3."""
    tape = Tape()
    small, large = exp(tape.input("x", -400.0)), exp(tape.input("y", 1.0))
    for out in ((1 + small) - 1, (small + large) - exp(tape.input("z", 1.0))):
        assert math.isclose(float(exact(tape.graph(out))[out.id]), math.exp(-400), rel_tol=1e-12)


def test_what_is_zero_is_zero_in_as_many_digits_as_there_are():
    tape = Tape()
    x, y = exp(tape.input("x", 1.0)), exp(tape.input("y", -1.0))
    out = x - maximum(x, y)
    assert exact(tape.graph(out))[out.id] == 0
