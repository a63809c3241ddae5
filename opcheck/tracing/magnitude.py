"""Limits on the size of exact numbers: powers of powers would fill the memory and take hours."""

from fractions import Fraction
from typing import Any

EXACT_DIGITS = 50  # decimal digits of an exact reading where the function is not rational; more where they cancel
MOST_DIGITS = 800  # float64 spans 632: from 1.8e308 to the last bit of 4.9e-324
MOST_BITS = 2**20  # of a Fraction; what is longer is rounded to EXACT_DIGITS
MOST_EXPONENT = 2**16  # of a number that a function is taken of


def bits(x: Fraction) -> int:
    """The number of bits of the numerator or the denominator, whichever is longer."""
    return max(x.numerator.bit_length(), x.denominator.bit_length())


def working(digits: int = EXACT_DIGITS) -> Any:
    """A context with this many digits, or with those of an enclosing context that has more."""
    import mpmath

    return mpmath.workdps(max(digits, mpmath.mp.dps))


def limited(x: Any) -> Any:
    """`x`, or an mpmath number if it is a Fraction with too many digits (each square doubles them)."""
    if not isinstance(x, Fraction) or bits(x) <= MOST_BITS:
        return x
    with working():
        return high_precision(x)


def is_beyond(x: Any) -> bool:
    """Whether the exponent of x is so long (a power of a power) that evaluating a function of x would take hours."""
    if isinstance(x, (Fraction, int)):
        return False
    return bool(x._mpf_[2] + x._mpf_[3] > MOST_EXPONENT)


def high_precision(x: Any) -> Any:
    """A Fraction as an mpmath number of the current precision."""
    import mpmath

    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else mpmath.mpf(x)
