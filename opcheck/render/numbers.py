"""How a number is printed: exactly where that is short, else rounded once, and never so that a nonzero shows as 0."""

import math
from dataclasses import dataclass
from fractions import Fraction

LARGEST_PLAIN = 10**12


@dataclass(frozen=True, slots=True)
class Style:
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
    exact = Fraction(value)
    if style.fractions:
        return not _short(exact)
    return abs(exact) >= LARGEST_PLAIN or (exact * 10**style.precision).denominator != 1


def digits(value: Fraction | float, style: Style = DEFAULT_STYLE, inexact: bool = False) -> str:
    """The number as a person writes it.

    >>> digits(Fraction(1, 3)), digits(Fraction(1, 3), Style(fractions=True)), digits(Fraction(5, 2))
    ('0.3333', '1/3', '2.5')
    >>> digits(Fraction(1, 30000)), digits(-0.0), digits(float("-inf"))
    ('3.3333e−05', '−0', '−∞')
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
    exact = Fraction(value)
    if style.fractions and _short(exact) and not inexact:
        return _signed(exact < 0, str(abs(exact)), style)
    return _signed(exact < 0, _decimal(abs(exact), style, inexact), style)


def _short(value: Fraction) -> bool:
    """Whether a fraction is one that a person would write."""
    return value.denominator < 10**9 and abs(value.numerator) < LARGEST_PLAIN


def _signed(negative: bool, text: str, style: Style) -> str:
    return ("-" if style.ascii else "−") + text if negative else text


def _decimal(value: Fraction, style: Style, inexact: bool) -> str:
    scaled = value * 10**style.precision
    if (
        scaled.denominator == 1 and value < LARGEST_PLAIN and not inexact
    ):  # exact with the digits that there are: no zeros at the end
        whole, part = divmod(int(scaled), 10**style.precision)
        return f"{whole}.{part:0{style.precision}d}".rstrip("0").rstrip(".") if part else str(whole)
    if 0 < value < Fraction(10, 10**style.precision) or value >= LARGEST_PLAIN:
        return _scientific(value, style)
    whole, part = divmod(round(scaled), 10**style.precision)
    return f"{whole}.{part:0{style.precision}d}" if style.precision else str(whole)


def _scientific(value: Fraction, style: Style) -> str:
    exponent = len(str(value.numerator)) - len(str(value.denominator))
    if value < Fraction(10) ** exponent:
        exponent -= 1
    mantissa = round(value / Fraction(10) ** exponent * 10**style.precision)
    if mantissa >= 10 ** (style.precision + 1):
        mantissa, exponent = mantissa // 10, exponent + 1
    whole, part = divmod(mantissa, 10**style.precision)
    point = f"{whole}.{part:0{style.precision}d}" if style.precision else str(whole)
    return f"{point}e{_signed(exponent < 0, f'{abs(exponent):02d}', style)}"
