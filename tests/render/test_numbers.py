"""How numbers are printed: within half a unit of the last digit, and never a nonzero one as 0."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from opcheck.render.numbers import Style, digits, is_rounded


@given(numerator=st.integers(-(10**30), 10**30), denominator=st.integers(1, 10**30), precision=st.integers(0, 12))
def test_a_printed_number_is_within_half_a_unit_of_its_last_digit(numerator, denominator, precision):
    value, style = Fraction(numerator, denominator), Style(precision, ascii=True)
    shown = digits(value, style)
    mantissa, _, exponent = shown.partition("e")
    places = len(mantissa.partition(".")[2])
    distance = abs(Fraction(mantissa) * Fraction(10) ** int(exponent or 0) - value)
    assert distance <= Fraction(10) ** (int(exponent or 0) - places) / 2
    assert is_rounded(value, style) == (distance != 0)
    assert value == 0 or Fraction(mantissa) != 0, "a number that is not zero shows as zero"


def test_a_number_that_rounds_up_to_two_digits_needs_no_power_of_ten():
    assert digits(Fraction(99_999_998, 10**11)) == "0.0010"  # not 1.0000e−03
    assert digits(Fraction(94_999, 10**8)) == "9.4999e−04"
    assert digits(Fraction(1, 1000)) == "0.001"


def test_the_leading_digits_of_a_very_long_fraction_are_right():
    for value in (Fraction(7, 2**20_000), Fraction(1, 3**9_000), Fraction(3**9_000), Fraction(3**9_000, 7**9_000)):
        mantissa, exponent = digits(value, Style(10, ascii=True)).split("e")
        unit = Fraction(10) ** (int(exponent) - 10)
        assert abs(Fraction(mantissa) * Fraction(10) ** int(exponent) - value) <= unit / 2
