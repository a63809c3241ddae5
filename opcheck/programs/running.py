"""Running error analysis: arrays with how far they may be from the exact ones when they are computed in a format.

Each operation adds to what its arguments bring the rounding of its own (Wilkinson, Rounding Errors in Algebraic
Processes, 1963, chapter 1; Higham, Accuracy and Stability, section 3.3). Sums may be taken in any order: a sum of sums
is one flat sum, which keeps the sum of the absolute values of its terms and how many there are, and is rounded by
gamma_(n-1) times that. Where all terms are whole multiples of one power of two and the format holds every partial
sum, nothing is rounded at all: so exact inputs demand equality without their own rule.
"""

import math
from functools import reduce
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
    def stored(self, y: Array, error: Array) -> Array: ...


class Factor(NamedTuple):
    """A factor of a product, or what a product is divided by; `moves`: what was done with the places of the product."""

    value: Array
    divides: bool = False
    moves: tuple[tuple[tuple[int, ...], Any], ...] = ()

    def sizes(self) -> Any:
        found = np.abs(self.value)
        found = 1 / found if self.divides else found
        for shape, function in self.moves:
            found = function(np.broadcast_to(found, shape))
        return found

    def largest(self) -> float:
        if not self.value.size:
            return 0.0
        if self.divides:
            smallest = float(np.min(np.abs(self.value)))
            return 1 / smallest if smallest else float(np.inf)
        return max(float(np.max(self.value)), -float(np.min(self.value)))


class _Parts(NamedTuple):
    value: Array
    base: Any = 0.0
    absolute: Any = None
    summands: Any = 1
    stored: int = 1
    unit: float = 0.0
    given: bool = False
    factors: tuple[Factor, ...] = ()
    least: Any = None
    peak: tuple[int, ...] = ()
    products: bool = False


class Running(_Parts):
    """An array as a format computes it.

    base: how far the terms of the sum that it is were off, together. absolute: the sum of the absolute values of these
    terms, `summands` of them (one number, or one for each element), in `stored` sums that each store their result; None
    where it is no sum, and a function that gives it where it is seldom asked for. unit: a power of two of which every
    element is a whole multiple; 0 where none is known. For a mask, `base` is 1 where rounding may decide otherwise.
    given: whether these are numbers of the inputs, not computed. factors: of what this is a product, if it is one.
    least: what each element is at least as it is computed, where that says more than its error: a square, a sum of
    exponentials. peak: axes along which the largest element is exactly 0 and comes out so, or the exponential of such.
    products: whether the terms are products of two arrays.
    """

    def as_factors(self, divides: bool = False) -> tuple[Factor, ...]:
        """What stands for this in a product, or below one."""
        found = self.factors or (Factor(self.value),)
        return tuple(each._replace(divides=each.divides != divides) for each in found)

    @property
    def terms(self) -> Any:
        """The sum of the absolute values of what is summed, errors included."""
        if self.absolute is None:
            return np.abs(self.value) + self.base
        if not callable(self.absolute):
            return self.absolute
        if "terms" not in self.__dict__:
            self.__dict__["terms"] = self.absolute()
        return self.__dict__["terms"]

    def exact(self, f: Format) -> Any:
        """Where the sum is taken without rounding, in any order."""
        if self.unit == np.inf:
            return True
        if self.unit < f.eta:
            return False
        return self.terms <= self.unit * f.exact_up_to

    def error(self, f: Format) -> Any:
        """How far each element may be from the exact one; asked once for each of those that use it."""
        known = self.__dict__.get("known")
        if known is None or known[0] is not f:
            self.__dict__["known"] = known = (f, self._error(f))
        return known[1]

    def _error(self, f: Format) -> Any:
        if self.absolute is None:
            return self.base
        exact = self.exact(f)
        if exact is True or (np.ndim(exact) and exact.all()):
            return self.base
        stored = f.u > f.accumulate
        rate = f.relative(self.stored, self.summands - 1) if stored else f.gamma(self.summands - 1)
        local = rate * self._partial(rate, stored)
        return plus(local if exact is False else np.where(exact, 0.0, local), self.base)

    def error_beside(self, f: Format, other: "Running", unit: float, product: Array) -> Any:
        """The same where this is multiplied or divided by `other`, which makes a multiple of `unit`. A sum of whole
        numbers rounds nothing, but it may be multiplied out, (a + b)/3 as a/3 + b/3, and then does; and products of
        matrices that are divided by 8 may be those of their factors by √8."""
        split = self.products and other.given and other.value.ndim == 0 and abs(other.value) != 1
        if self.absolute is None or not (split or 0 < self.unit < np.inf):
            return self.error(f)
        if not split and unit >= f.eta and np.max(np.abs(product), initial=0.0) <= unit * f.exact_up_to:
            return self.error(f)
        return self._replace(unit=0.0, summands=self.summands + (2 if split else 0)).error(f)

    def _partial(self, rate: Any, stored: bool) -> Any:
        """The size of what is rounded, on average over the additions.

        The last one rounds the whole. Each other rounds the sum of a part of the terms; that part and the rest add up
        to the whole, and their sizes to `absolute` at most, so that neither is above the mean of these two. How many
        results are stored is counted along one term only, which allows no such mean.
        """
        whole, terms = np.abs(self.value) + self.base, self.terms
        mean = terms if stored else (terms + whole) / 2 + rate * terms
        return np.fmin(np.where(np.equal(self.summands, 2), whole, mean), terms)

    def lowest(self, f: Format) -> Any:
        """What each element is at least as it is computed."""
        found = self.value - self.error(f)
        return found if self.least is None else np.fmax(found, self.least)

    def over_all(self, function: Any) -> "Running":
        """The same after elements were moved or repeated by `function`."""

        def moved(part: Any) -> Any:
            return function(np.broadcast_to(part, self.value.shape)) if np.ndim(part) else part

        absolute = None if self.absolute is None else moved(self.terms)
        shape = self.value.shape
        return self._replace(
            value=function(self.value), base=moved(self.base), absolute=absolute, summands=moved(self.summands),
            factors=tuple(each._replace(moves=(*each.moves, (shape, function))) for each in self.factors),
            least=moved(self.least), peak=(),
        )  # fmt: skip

    def counted(self, total: Any, meeting: Any) -> Any:
        """How many terms each sum has that `total` makes, where so many elements of this array meet: a term that is
        exactly zero rounds nothing."""
        terms = np.broadcast_to(self.terms, self.value.shape)
        if np.ndim(self.summands) == 0 and terms.all():
            return np.maximum(1, meeting * self.summands)
        return np.maximum(1, total(np.where(terms > 0, self.summands, 0)))


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
    return Running(value, base, unit=unit_of(real), given=True)


def unit_of(x: Array) -> float:
    """The largest power of two of which all elements are whole multiples; infinite for zeros only.

    0 (unknown) where a few elements already have so many digits that no sum of them would be exact.
    """
    flat = x.reshape(-1)
    few = _unit(flat[:: max(1, flat.size // FEW)])
    if flat.size <= FEW or few == 0.0:
        return few
    if few < np.inf and few * MOST_DIGITS < np.max(np.abs(flat[:FEW])):
        return 0.0
    return _unit(flat)


def product_unit(*units: float) -> float:
    """That of a product: nothing times anything is nothing."""
    found = 1.0
    for unit in units:
        found = float(np.inf) if np.inf in (found, unit) else found * unit
    return found


FAR = 0.125  # an exponent that may be off by so much: what it says less than its limits do
FEW, MOST_DIGITS = 64, 2.0**21

# In another order a partial product may become subnormal, and what is lost there grows with the factors that are left:
# g·σ(x)·x for g·x·σ(x). Where one vanishes like exp(x), the others are of the size of x.
REST = 2.0**8


def _unit(x: Array) -> float:
    finite = x[np.isfinite(x) & (x != 0)]
    if not finite.size:
        return float(np.inf)
    mantissa, exponent = np.frexp(finite)
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = (whole & -whole).astype(np.float64)  # the last binary digit that is set
    return float(np.ldexp(lowest, exponent - 53).min())


def computed(f: Format, value: Array, inherited: Any, units: Any, extra: Any = 0.0, unit: float = 0.0,
             partial: Any = None) -> Running:  # fmt: skip
    """A result that is rounded by `units` of its size and by `extra`, unless its unit makes it exact; anything may come
    out where a number on the way (`partial`, or the result) is beyond the format, or where the inherited error is no
    number."""
    size = plus(np.abs(value), inherited)
    return rounded(f, value, inherited, plus(size * units, extra), unit, size if partial is None else partial)


def rounded(f: Format, value: Array, inherited: Any, local: Any, unit: float, way: Any) -> Running:
    """The same with the rounding `local`; `way` is the largest number on the way."""
    if unit == np.inf:
        return settled(f, Running(value, inherited, unit=unit), way)
    if unit > 0 and unit >= f.eta:
        local = np.where(way <= unit * f.exact_up_to, 0.0, local)
    return settled(f, Running(value, plus(local, inherited), unit=unit), way)


MOST_FACTORS = 16


def multiplied(f: Format, result: Running, factors: tuple[Factor, ...]) -> Running:
    """A product, which may be computed in another order of its factors: anything may come out where those above 1
    together are beyond the format, and where those below 1 are subnormal together, the others enlarge what is lost."""
    if len(factors) > MOST_FACTORS:
        return result
    result = result._replace(factors=factors)
    if math.prod(size for each in factors if not (size := each.largest()) <= 1) <= REST:
        return result  # not if one is NaN
    sizes = [each.sizes() for each in factors]
    above = reduce(np.multiply, [np.maximum(each, 1.0) for each in sizes])
    below = reduce(np.multiply, [np.minimum(each, 1.0) for each in sizes])
    lost = np.where((below < f.tiny) & (above > REST) & (result.value != 0), f.eta * above, 0.0)
    if lost.any():
        result = result._replace(base=result.base + lost)
    return settled(f, result, above)


def summed(f: Format, value: Array, base: Any, absolute: Any, count: Any, unit: float, stored: int = 1) -> Running:
    """A flat sum of `count` terms."""
    return settled(f, Running(value, base, absolute, count, stored, unit), absolute)


def settled(f: Format, result: Running, size: Any) -> Running:
    """Without an error where the result is no finite number, and with an infinite one where anything may come out.

    size: what may be met on the way, at least as large as the result.
    """
    if np.max(size, initial=0.0) <= f.largest and np.max(result.base, initial=0.0) < np.inf:  # NaN is not
        return result
    with np.errstate(all="ignore"):
        finite = np.isfinite(result.value)
        free = ~(np.asarray(size) <= f.largest) | ~np.isfinite(result.base)
        anything = np.isinf(result.base)  # also an infinity that should have been a number
        base = np.where(finite, np.where(free, np.inf, result.base), np.where(anything, np.inf, 0.0))
        absolute = None
        if result.absolute is not None:
            absolute = result.terms
            absolute = np.where(finite & ~free, absolute, np.where(finite, np.abs(result.value), 0.0))
        return result._replace(base=base, absolute=absolute)


def plus(a: Any, b: Any) -> Any:
    """a + b in the memory of `a`, a result that nothing else uses."""
    if is_nothing(b):
        return a
    shape = np.shape(a)
    fits = shape and a.dtype == np.float64 and (not np.ndim(b) or np.broadcast_shapes(shape, np.shape(b)) == shape)
    return np.add(a, b, out=a) if fits else a + b


def is_nothing(error: Any) -> bool:
    """Whether nothing has an error."""
    return np.ndim(error) == 0 and bool(error == 0)


def times(a: Any, error: Any) -> Any:
    """a * error, both at least 0; nothing where there is no error, however large `a` is."""
    if is_nothing(error):
        return 0.0
    found = a * error
    return found if not np.isnan(np.max(found, initial=0.0)) else np.where(error == 0, 0.0, found)
