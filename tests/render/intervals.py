"""Interval arithmetic over whatever a worked calculation prints: all the numbers that a printed one stands for."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath

END = Fraction(1, 10**40)  # mpmath computes with 60 digits, so this covers its rounding


@dataclass(frozen=True)
class Interval:
    """All numbers from low to high; `known` is False where terms were left out without their value."""

    low: Any
    high: Any
    known: bool = True

    def meets(self, other: "Interval") -> bool:
        if self.is_nan or other.is_nan:
            return self.is_nan and other.is_nan
        return not (self.known and other.known) or (self.low <= other.high and other.low <= self.high)

    @property
    def is_nan(self) -> bool:
        return self.low != self.low

    def __str__(self) -> str:
        return f"{float(self.low)!r}" if self.low == self.high else f"[{float(self.low)!r}, {float(self.high)!r}]"


def point(x: Any) -> Interval:
    return Interval(x, x)


UNKNOWN = Interval(-math.inf, math.inf, known=False)


def over(function: Any, *args: Interval) -> Interval:
    """The interval of a function that takes its extremes at corners: +, −, · and whatever is monotonic."""
    corners = [function(*corner) for corner in _corners([(each.low, each.high) for each in args])]
    known = all(each.known for each in args)
    if any(each != each for each in corners):
        return Interval(math.nan, math.nan, known) if all(a.low == a.high for a in args) else UNKNOWN
    return Interval(min(corners), max(corners), known)


def _corners(ends: list[tuple[Any, Any]]) -> list[tuple[Any, ...]]:
    corners: list[tuple[Any, ...]] = [()]
    for low, high in ends:
        corners = [(*corner, end) for corner in corners for end in ((low,) if low == high else (low, high))]
    return corners


def add(*args: Interval) -> Interval:
    return Interval(sum(a.low for a in args), sum(a.high for a in args), all(a.known for a in args))


def divide(a: Interval, b: Interval) -> Interval:
    if b.low <= 0 <= b.high:
        return UNKNOWN
    return over(lambda x, y: x / y, a, b)


def exactly(name: str) -> Any:
    """A monotonic function of mpmath's on Fractions, as an interval that surely holds the value."""

    def function(x: Interval) -> Interval:
        if x.is_nan:
            return x
        ends = [_value(name, end) for end in (x.low, x.high)]
        if any(end is None for end in ends):
            return UNKNOWN
        low, high = sorted(ends)
        if math.isinf(low) or math.isinf(high):
            return Interval(low, high, x.known)
        slack = END * (1 + abs(low) + abs(high))
        known_exactly = x.low == x.high and (name, x.low) in (("exp", 0), ("log", 1), ("tanh", 0))
        return Interval(low, high, x.known) if known_exactly else Interval(low - slack, high + slack, x.known)

    return function


def _value(name: str, x: Any) -> Any:
    with mpmath.workdps(60):
        if isinstance(x, float):
            if name == "exp":
                return math.inf if x > 0 else Fraction(0)
            if name in ("sigmoid", "tanh", "erf"):
                return Fraction(1) if x > 0 else Fraction(0 if name == "sigmoid" else -1)
            return math.inf if x > 0 else None
        number = mpmath.mpf(x.numerator) / x.denominator
        if (name == "sqrt" and x < 0) or (name in ("log", "log1p") and x < (name == "log1p") * -1):
            return None
        functions = {"sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}
        result = functions.get(name, getattr(mpmath, name, None))(number)
        if not mpmath.isfinite(result):
            return float(result)
        if result and mpmath.mag(result) < -7000:
            return Fraction(0)  # END covers it, and a fraction of a million digits would take minutes
        return Fraction(*mpmath.libmp.to_rational(result._mpf_))


def power(a: Interval, b: Interval) -> Interval:
    if b.low == b.high and isinstance(b.low, Fraction) and b.low.denominator == 1 and abs(b.low) < 10_000:
        if b.low < 0 and a.low <= 0 <= a.high:
            return UNKNOWN
        result = over(lambda x, n: x ** int(n), a, b)
        crosses = a.low < 0 < a.high and b.low % 2 == 0
        return Interval(Fraction(0), result.high, result.known) if crosses else result
    if a.low <= 0:
        return UNKNOWN
    return exactly("exp")(over(lambda x, y: x * y, b, exactly("log")(a)))


def absolute(a: Interval) -> Interval:
    return Interval(Fraction(0) if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high)),
                    max(abs(a.low), abs(a.high)), a.known)  # fmt: skip


def less(a: Interval, b: Interval) -> Interval:
    if a.high < b.low:
        return point(Fraction(1))
    return point(Fraction(0)) if a.low >= b.high else Interval(Fraction(0), Fraction(1), a.known and b.known)


def select(condition: Interval, chosen: Interval, otherwise: Interval) -> Interval:
    if condition.low == condition.high:
        return chosen if condition.low else otherwise
    return Interval(min(chosen.low, otherwise.low), max(chosen.high, otherwise.high))


def whole(round_: Any) -> Any:
    return lambda a: over(lambda x: Fraction(round_(x)), a)


def extreme(choose: Any, args: tuple[Interval, ...]) -> Interval:
    return Interval(choose(a.low for a in args), choose(a.high for a in args), all(a.known for a in args))


FUNCTIONS = {
    "exp": exactly("exp"), "ln": exactly("log"), "log1p": exactly("log1p"), "√": exactly("sqrt"),
    "sqrt": exactly("sqrt"), "tanh": exactly("tanh"), "erf": exactly("erf"),
    "sigmoid": exactly("sigmoid"), "σ": exactly("sigmoid"),
    "abs": absolute, "max": lambda *args: extreme(max, args), "min": lambda *args: extreme(min, args),
    "floor": whole(math.floor), "ceil": whole(math.ceil), "select": select,
}  # fmt: skip
