"""What a primitive computes: on floats as IEEE 754 says, and on exact numbers.

Python's `math` raises where IEEE 754 answers (1/0, log 0, exp 1000); these never raise: a NaN or an infinity is a
result like any other, and the reader is shown where it was born.
"""

import math
import operator
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

from opcheck.tracing.magnitude import MOST_BITS, bits, high_precision, is_beyond, limited, working

Function = Callable[..., Any]
LONG, SIMPLE = 16, 1000  # characters of a decimal that was cut off; the largest denominator of a simple fraction


def ieee(function: Function, overflow: float = math.inf) -> Function:
    """`function` of one float, with NaN where it is not defined and `overflow` where it is too large."""

    def evaluate(x: Any) -> Any:
        try:
            return function(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return overflow

    return evaluate


def add(*terms: Any) -> Any:
    return reduce(operator.add, terms)


def divide(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)


def power(a: Any, b: Any) -> Any:
    try:
        return math.pow(a, b)
    except ValueError:  # 0 to a negative power, or a negative number to a fraction
        return math.inf if a == 0 else math.nan
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf


def logarithm(x: Any) -> Any:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def logarithm_of_one_plus(x: Any) -> Any:
    if x > -1:
        return math.log1p(x)
    return -math.inf if x == -1 else math.nan


def exponential_minus_one(x: Any) -> Any:
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def slope_of_erf(x: Any) -> Any:
    """2/√π·exp(−x²), the derivative of the error function."""
    return 2 / math.sqrt(math.pi) * math.exp(-x * x)


def hyperbolic_sine(x: Any) -> Any:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(math.inf, x)


def inverse_hyperbolic_tangent(x: Any) -> Any:
    return math.copysign(math.inf, x) if abs(x) == 1 else ieee(math.atanh)(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow on either side."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    small = ieee(math.exp)(x)
    return small / (1 + small)


def first_maximum(*args: Any) -> int:
    """Where the maximum stands: the first of equals; a NaN wins, of several the last, as in torch's pooling."""
    return _first(operator.gt, args)


def first_minimum(*args: Any) -> int:
    """Where the minimum stands: the first of equals; a NaN wins, of several the last, as in torch's pooling."""
    return _first(operator.lt, args)


def _first(beats: Function, args: Any) -> int:
    best = 0
    try:
        for i, x in enumerate(args):
            if beats(x, args[best]) or x != x:
                best = i
    except TypeError:
        if not any(isinstance(x, Fraction) for x in args):
            raise
        # a Fraction and an mpmath number do not compare
        return _first(beats, [high_precision(x) for x in args])
    return best


def maximum(*args: Any) -> Any:
    return args[first_maximum(*args)]


def minimum(*args: Any) -> Any:
    return args[first_minimum(*args)]


def select(condition: Any, chosen: Any, otherwise: Any) -> Any:
    return chosen if condition else otherwise


def less(a: Any, b: Any) -> int:
    return 1 if a < b else 0


def whole(function: Function) -> Function:
    """`function` (floor or ceil) as a float; NaN and infinities stay themselves."""

    def evaluate(x: Any) -> Any:
        return float(function(x)) if math.isfinite(x) else x

    return evaluate


def first(x: Any, *others: Any) -> Any:
    return x


def is_exact(x: Any) -> bool:
    """Whether x is exact or of high precision; exact readings keep floats for NaN and ±inf only."""
    return not isinstance(x, float)


def exactly(x: Any, decimal: bool = False) -> Any:
    """`x` as a Fraction; NaN and the infinities stay floats, mpmath numbers stay what they are.

    With `decimal`, a float stands for the decimal that it prints as: 0.1 is 1/10 and not 3602879701896397/2**55; the
    nearest float to a simple fraction, whose decimal does not end, for that fraction: 0.3333333333333333 is 1/3.
    """
    if isinstance(x, float):
        if not math.isfinite(x):
            return x
        return as_written(x) if decimal else Fraction(x)
    return Fraction(x) if isinstance(x, int) else x


def as_written(x: float) -> Fraction:
    """The number that somebody wrote who got this float."""
    text = repr(x)
    if len(text) >= LONG:
        simple = Fraction(x).limit_denominator(SIMPLE)
        if float(simple) == x:
            return simple
    return Fraction(text)


def as_float(x: Any) -> float:
    """`x` as a float; beyond its range the largest one, because it is finite beside an infinity."""
    try:
        return float(x)
    except OverflowError:
        return -sys.float_info.max if x < 0 else sys.float_info.max


def rational(function: Function, on_floats: Function) -> Function:
    """`function` of fractions, which answers as IEEE 754 does where an argument or the result is not finite."""

    def evaluate(*args: Any) -> Any:
        if all(map(is_exact, args)):
            try:
                return exactly(limited(function(*_alike(args))))
            except (ZeroDivisionError, TypeError):
                pass
        return exactly(on_floats(*map(as_float, args)))

    return evaluate


def comparing(function: Function) -> Function:
    """`function` of exact numbers that it only compares, so that one of them is the result; an infinity is no harm."""

    def evaluate(*args: Any) -> Any:
        if all(isinstance(x, (Fraction, float)) for x in args):
            return function(*args)
        return function(*[high_precision(x) if is_exact(x) else x for x in args])

    return evaluate


def transcendental(name: str, on_floats: Function, known: dict[int, int] | None = None) -> Function:
    """mpmath's function of that name to EXACT_DIGITS digits; `known` lists where the value is a whole number."""
    table = {Fraction(x): Fraction(y) for x, y in (known or {}).items()}

    def evaluate(*args: Any) -> Any:
        import mpmath

        if len(args) == 1 and isinstance(args[0], Fraction) and args[0] in table:
            return table[args[0]]
        if not all(map(is_exact, args)) or any(map(is_beyond, args)):
            return exactly(on_floats(*map(as_float, args)))
        with working():
            try:
                result = getattr(mpmath, name)(*map(high_precision, args))
            except (ZeroDivisionError, ValueError):
                return on_floats(*map(as_float, args))
            if isinstance(result, mpmath.mpc):
                return math.nan
            return result if mpmath.isfinite(result) else float(result)

    return evaluate


def square_root(x: Any) -> Any:
    """The square root, a Fraction where it is one."""
    if isinstance(x, Fraction) and x >= 0:
        above, below = math.isqrt(x.numerator), math.isqrt(x.denominator)
        if above * above == x.numerator and below * below == x.denominator:
            return Fraction(above, below)
    return _MPMATH_SQRT(x)


def exact_sigmoid(x: Any) -> Any:
    """The sigmoid, one half at 0."""
    if x == 0:
        return Fraction(1, 2)
    with working():
        small = _MPMATH_EXP(-abs(x))
        return 1 / (1 + small) if x > 0 else small / (1 + small)


def exact_slope_of_erf(x: Any) -> Any:
    if not is_exact(x):
        return slope_of_erf(as_float(x))
    import mpmath

    with working():
        return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(high_precision(x) ** 2))


def exact_angle(y: Any, x: Any) -> Any:
    """atan2(y, x), exactly 0 to the right of 0."""
    return Fraction(0) if is_zero(y) and is_exact(x) and x >= 0 else _MPMATH_ANGLE(y, x)


def exact_power(a: Any, b: Any) -> Any:
    """a to the b: a Fraction for whole b, and for b one half where the root is a Fraction."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        if b.denominator == 1 and abs(b) < 10_000 and abs(b) * bits(a) < MOST_BITS and not (a == 0 and b < 0):
            return a**b.numerator
        if b == Fraction(1, 2):
            return square_root(a)
    return _MPMATH_POWER(a, b)


def is_zero(x: Any) -> bool:
    """Whether x is exactly 0, and not a number of high precision that came out as 0."""
    return isinstance(x, (Fraction, int)) and x == 0


def exact_product(a: Any, b: Any) -> Any:
    """a·b, exactly 0 where one factor is, however inexact the other one: what is no float is finite."""
    return Fraction(0) if (is_zero(a) or is_zero(b)) and is_exact(a) and is_exact(b) else _PRODUCT(a, b)


def exact_quotient(a: Any, b: Any) -> Any:
    """a/b, exactly 0 where a is, however inexact b is."""
    return Fraction(0) if is_zero(a) and is_exact(b) and b != 0 else _QUOTIENT(a, b)


def as_fraction(x: Any) -> Any:
    """An exact reading's number as a Fraction (an mpmath number is a binary one); NaN, ±inf and -0.0 stay floats."""
    if isinstance(x, float):
        return x if not math.isfinite(x) or (x == 0 and math.copysign(1.0, x) < 0) else Fraction(x)
    if isinstance(x, (int, Fraction)):
        return Fraction(x)
    import mpmath

    if abs(x._mpf_[2]) > 2**20:  # exp(-1e308): no fraction holds it, and it is 0 in any format
        return as_fraction(float(x))
    return Fraction(*mpmath.libmp.to_rational(x._mpf_))


def _alike(args: tuple[Any, ...]) -> list[Any]:
    """All Fractions, or all mpmath numbers if one of them is."""
    if all(isinstance(x, (Fraction, int)) for x in args):
        return [x if isinstance(x, Fraction) else Fraction(x) for x in args]
    return [high_precision(x) for x in args]


def at_high_precision(function: Function) -> Function:
    """`function` in a context of EXACT_DIGITS, so that mixed Fractions and mpmath numbers keep them."""

    def evaluate(*args: Any) -> Any:
        if all(isinstance(x, (Fraction, float)) for x in args):
            return function(*args)
        with working():
            return function(*args)

    return evaluate


_PRODUCT = rational(operator.mul, operator.mul)
_QUOTIENT = rational(operator.truediv, divide)
_MPMATH_EXP = transcendental("exp", ieee(math.exp))
_MPMATH_SQRT = transcendental("sqrt", ieee(math.sqrt))
_MPMATH_POWER = transcendental("power", power)
_MPMATH_ANGLE = transcendental("atan2", math.atan2)
