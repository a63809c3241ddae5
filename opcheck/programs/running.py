"""Running error analysis: arrays with how far they may be from the exact ones when they are computed in a format.

Each operation adds to what its arguments bring the rounding of its own (Wilkinson, Rounding Errors in Algebraic
Processes, 1963, chapter 1; Higham, Accuracy and Stability, section 3.3). Sums may be taken in any order: a sum of sums
is one flat sum, which keeps the sum of the absolute values of its terms and how many there are, and is rounded by
gamma_(n-1) times that. Where all terms are whole multiples of one power of two and the format holds every partial
sum, nothing is rounded at all: so exact inputs demand equality without a rule of their own.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Format(Protocol):
    """What a bound needs to know about the number format."""

    @property
    def u(self) -> float: ...
    @property
    def accumulate(self) -> float: ...
    @property
    def eta(self) -> float: ...
    @property
    def tiny(self) -> float: ...
    @property
    def largest(self) -> float: ...
    @property
    def exact_up_to(self) -> float: ...
    def gamma(self, n: Any) -> Any: ...
    def relative(self, stored: Any, summed: Any = 0) -> Any: ...
    def round(self, x: Any, truncate: bool = False) -> Array: ...


class Running(NamedTuple):
    """An array as a format computes it.

    base: how far the terms of the sum that it is were off, together. absolute: the sum of the absolute values of these
    terms, `summands` of them, in `stored` sums that each store their result; None where it is no sum. unit: a power of
    two of which every element is a whole multiple; 0 where none is known. For a mask, `base` is 1 where rounding may
    decide otherwise.
    """

    value: Array
    base: Any = 0.0
    absolute: Any = None
    summands: int = 1
    stored: int = 1
    unit: float = 0.0

    @property
    def terms(self) -> Any:
        """The sum of the absolute values of what is summed, errors included."""
        return np.abs(self.value) + self.base if self.absolute is None else self.absolute

    def exact(self, f: Format) -> Any:
        """Where the sum is taken without rounding, in any order."""
        if not f.eta <= self.unit < np.inf:
            return False
        return self.terms <= self.unit * f.exact_up_to

    def error(self, f: Format) -> Any:
        """How far each element may be from the exact one."""
        if self.absolute is None:
            return self.base
        rate = f.relative(self.stored, self.summands - 1) if f.u > f.accumulate else f.gamma(self.summands - 1)
        local = rate * self.absolute
        return self.base + np.where(self.exact(f), 0.0, local)

    def over_all(self, function: Any) -> "Running":
        """The same after elements were moved or repeated by `function`."""
        return self._replace(
            value=function(self.value),
            base=function(self.base) if np.ndim(self.base) else self.base,
            absolute=None if self.absolute is None else function(self.absolute),
        )


def given(f: Format, value: Any, constant: bool = False) -> Running:
    """An input, which the format holds; a constant of a program is rounded to it."""
    value = np.asarray(value)
    if value.dtype.kind == "b":
        return Running(value, unit=1.0)
    real = np.asarray(value, dtype=np.float64)
    base: Any = 0.0
    if constant:
        base = np.where(f.round(real) == real, 0.0, f.u * np.abs(real))
        base = base if base.any() else 0.0
    return Running(value, base, unit=unit_of(real))


def unit_of(x: Array) -> float:
    """The largest power of two of which all elements are whole multiples; infinite for zeros only."""
    finite = x[np.isfinite(x) & (x != 0)] if x.ndim else np.atleast_1d(x)[np.isfinite(x) & (x != 0)]
    if not finite.size:
        return float(np.inf)
    mantissa, exponent = np.frexp(finite)
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = (whole & -whole).astype(np.float64)  # the last binary digit that is set
    return float(np.ldexp(lowest, exponent - 53).min())


def computed(f: Format, value: Array, inherited: Any, local: Any, unit: float = 0.0, partial: Any = None) -> Running:
    """A result that is rounded by `local` unless its unit makes it exact; anything may come out where a number on the
    way (`partial`, or the result) is beyond the format, or where the inherited error is no number."""
    size = np.abs(value) + inherited if partial is None else partial
    if f.eta <= unit < np.inf:
        local = np.where(size <= unit * f.exact_up_to, 0.0, local)
    elif unit == np.inf:
        local = 0.0
    return settled(f, Running(value, inherited + local, unit=unit), size)


def summed(f: Format, value: Array, base: Any, absolute: Any, count: int, unit: float, stored: int = 1) -> Running:
    """A flat sum of `count` terms."""
    return settled(f, Running(value, base, absolute, count, stored, unit), absolute)


def settled(f: Format, result: Running, size: Any) -> Running:
    """Without an error where the result is no finite number, and with an infinite one where anything may come out."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(result.value)
        base = result.base
        over = np.any(size > f.largest) or not np.all(np.isfinite(base))
        if finite.all() and not over:
            return result
        anything = np.isinf(base)  # also an infinity that should have been a number
        base = np.where((size > f.largest) | np.isnan(base), np.inf, base)
        base = np.where(finite | anything, base, 0.0)
        absolute = None if result.absolute is None else np.where(finite, result.absolute, 0.0)
        return result._replace(base=base, absolute=absolute)


def times(a: Any, error: Any) -> Any:
    """a * error, and nothing where there is no error, however large `a` is."""
    if np.ndim(error) == 0 and error == 0:
        return 0.0
    return np.where(error == 0, 0.0, a * error)
