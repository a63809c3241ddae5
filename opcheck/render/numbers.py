"""How a number is printed: exactly where that is short, else rounded once, and never so that a nonzero shows as 0."""

import math
from fractions import Fraction
from typing import NamedTuple

LARGEST_PLAIN = 10**12
MANY_BITS = 10_000


class Style(NamedTuple):
    """Digits after the point, fractions instead of decimals, and which minus sign there is."""

    precision: int = 4
    fractions: bool = False
    ascii: bool = False


DEFAULT_STYLE = Style()


def is_rounded(value: Fraction | float, style: Style, inexact: bool = False) -> bool:
    """Whether printing `value` rounds it."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if inexact:
        return True
    exact = value if isinstance(value, Fraction) else Fraction(value)
    if _is_plain(exact):
        return False
    if style.fractions:
        return not _short(exact)
    size = abs(exact)
    if size == 0:
        return False
    if size >= LARGEST_PLAIN or size < Fraction(10, 10**style.precision):
        exact = size / Fraction(10) ** _exponent(size)
    return bool((exact * 10**style.precision).denominator != 1)


def digits(value: Fraction | float, style: Style = DEFAULT_STYLE, inexact: bool = False) -> str:
    """The number as a person writes it.

    >>> digits(Fraction(1, 3)), digits(Fraction(1, 3), Style(fractions=True)), digits(Fraction(5, 2))
    ('0.3333', '1/3', '2.5')
    >>> digits(Fraction(1, 30000)), digits(-0.0), digits(float("-inf"))
    ('3.3333e−05', '−0', '−∞')
    >>> digits(Fraction(1, 10**8)), digits(Fraction(1, 4000))
    ('1e−08', '2.5e−04')
    >>> digits(Fraction(1), inexact=True)
    '1.0000'
    """
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return _signed(value < 0, "inf" if style.ascii else "∞", style)
        if value == 0 and not inexact:
            return _signed(math.copysign(1, value) < 0, "0", style)
    exact = value if isinstance(value, Fraction) else Fraction(value)
    if _is_plain(exact) and not inexact:  # most numbers of most pages, and no arithmetic with fractions
        return _signed(exact.numerator < 0, str(abs(exact.numerator)), style)
    if style.fractions and _short(exact) and not inexact:
        return _signed(exact < 0, str(abs(exact)), style)
    return _signed(exact < 0, _decimal(abs(exact), style, inexact), style)


def _is_plain(value: Fraction) -> bool:
    """Whether it is a whole number that is written with all of its digits."""
    return value.denominator == 1 and -LARGEST_PLAIN < value.numerator < LARGEST_PLAIN


def _short(value: Fraction) -> bool:
    """Whether a fraction is one that a person would write."""
    return value.denominator < 10**9 and abs(value.numerator) < LARGEST_PLAIN


def _signed(negative: bool, text: str, style: Style) -> str:
    return ("-" if style.ascii else "−") + text if negative else text


def _decimal(value: Fraction, style: Style, inexact: bool) -> str:
    scaled = value * 10**style.precision
    if scaled.denominator == 1 and value < LARGEST_PLAIN and not inexact:  # no zeros at the end
        return _without_zeros(_pointed(int(scaled), style.precision))
    if (value and round(scaled) < 10) or value >= LARGEST_PLAIN:  # one digit would be left, or too many
        return _scientific(value, style, inexact)
    return _pointed(round(scaled), style.precision)


def _scientific(value: Fraction, style: Style, inexact: bool) -> str:
    if value.denominator.bit_length() > MANY_BITS or value.numerator.bit_length() > MANY_BITS:
        near, shift = _leading_digits(value)
    else:
        near, shift = value, 0
    exponent = _exponent(near)
    scaled = near / Fraction(10) ** (exponent - style.precision)
    exponent += shift
    mantissa = round(scaled)
    if mantissa >= 10 ** (style.precision + 1):
        mantissa, exponent = mantissa // 10, exponent + 1
    point = _pointed(mantissa, style.precision)
    point = _without_zeros(point) if scaled == mantissa and not inexact else point
    return f"{point}e{_signed(exponent < 0, f'{abs(exponent):02d}', style)}"


def _leading_digits(value: Fraction) -> tuple[Fraction, int]:
    """A number from 1 to 10 and a power of ten whose product agrees with `value` to 50 digits.

    exp(−1000000) as a fraction has a denominator of 434295 digits, which nobody wants to divide by.
    """
    import decimal

    context = decimal.Context(prec=60, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
    above, below = (max(0, each.bit_length() - 256) for each in (value.numerator, value.denominator))
    quotient = context.divide(decimal.Decimal(value.numerator >> above), decimal.Decimal(value.denominator >> below))
    near = context.multiply(quotient, context.power(decimal.Decimal(2), above - below))
    return Fraction(near.scaleb(-near.adjusted(), context)), near.adjusted()


def _exponent(value: Fraction) -> int:
    """The power of ten with 10^n <= value < 10^(n+1)."""
    exponent = math.floor((value.numerator.bit_length() - value.denominator.bit_length()) * math.log10(2)) - 1
    while value >= Fraction(10) ** (exponent + 1):
        exponent += 1
    return exponent


def _pointed(scaled: int, places: int) -> str:
    """A whole number with the point set before its last `places` digits."""
    whole, part = divmod(scaled, 10**places)
    return f"{whole}.{part:0{places}d}" if places else str(whole)


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
