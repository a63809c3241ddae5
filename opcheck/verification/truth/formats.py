"""The number formats that an operator computes in, and rounding to them.

A format has two unit roundoffs: `u` for each result that is stored, `accumulate` for running sums. float32 has one
number for both; bfloat16 and float16 come in three tiers (numerics: T1 computes in float32 and rounds once at the end,
T2 stores every intermediate result, T3 accumulates in the storage type as well).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.spec import Array, Refused


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format: `digits` of precision, exponents from `lowest` to `highest` (of the leading bit).

    >>> FORMATS["bfloat16"].u, FORMATS["float32"].smallest == 2.0**-149
    (0.00390625, True)
    """

    name: str
    digits: int
    lowest: int
    highest: int
    tier: str = ""
    compute: str = ""  # the name of the format that intermediate results have, if it is another
    sums: str = ""  # and that of running sums

    @property
    def u(self) -> float:
        """Unit roundoff of a stored result."""
        return float(2.0 ** -FORMATS[self.compute or self.name].digits)

    @property
    def accumulate(self) -> float:
        """Unit roundoff of a running sum."""
        return float(2.0 ** -FORMATS[self.sums or self.name].digits)

    @property
    def eta(self) -> float:
        """The smallest step of intermediate results near zero: the smallest subnormal, or, where the hardware's dot
        products treat subnormal numbers as zero (bfloat16: Intel's and AMD's VDPBF16PS, tensor cores), 2**lowest."""
        if self.name == "bfloat16":
            return 2 * float(2.0**self.lowest)
        return FORMATS[self.compute or self.name].smallest

    @property
    def smallest(self) -> float:
        return float(2.0 ** (self.lowest - self.digits + 1))

    @property
    def exact_up_to(self) -> float:
        """Whole numbers up to this one are added without rounding."""
        return float(2.0**self.digits)

    @property
    def largest(self) -> float:
        return float((2.0 - 2.0 ** (1 - self.digits)) * 2.0**self.highest)

    def gamma(self, n: Any) -> Any:
        """n*u/(1 - n*u): the relative error of n roundings in a row (Higham, lemma 3.1); infinite where n*u >= 1."""
        nu = np.asarray(n, dtype=np.float64) * self.accumulate
        return np.where(nu < 1, nu / np.where(nu < 1, 1 - nu, 1), np.inf)

    def relative(self, stored: Any, summed: Any = 0) -> Any:
        """The relative error of `stored` results in a row and then of `summed` accumulated roundings."""
        one = stored * self.u / (1 - min(stored * self.u, 0.5))
        return (1 + one) * (1 + self.gamma(summed)) - 1

    @property
    def tiny(self) -> float:
        """The smallest normal number of what intermediate results are stored in."""
        return float(2.0 ** FORMATS[self.compute or self.name].lowest)

    def tiers(self) -> "tuple[Format, ...]":
        """The ways of computing that this storage format allows, from the tightest bound to the loosest."""
        if self.digits >= 24:
            return (self,)
        return (
            replace(self, tier="T1", compute="float32", sums="float32"),
            replace(self, tier="T2", sums="float32"),
            replace(self, tier="T3"),
        )

    def stored(self, y: Array, error: Array) -> Array:
        """The bound `error` and one more rounding of the result where it is computed in another format."""
        if not self.compute:
            return error
        return (
            error
            + 2.0**-self.digits * (np.abs(y) + error)
            + (self.eta if self.name == "bfloat16" else self.smallest) / 2
        )

    def round(self, x: Any, truncate: bool = False) -> Array:
        """`x` rounded to this format (nearest, ties to even; or towards zero), as float64."""
        return rounded(x, self.digits, self.lowest, self.largest, truncate)


def rounded(x: Any, digits: int, lowest: int = -1022, largest: float = np.inf, truncate: bool = False) -> Array:
    """`x` rounded to `digits` binary digits, subnormal below 2**lowest, infinite above `largest`."""
    x = np.asarray(x, dtype=np.float64)
    if digits >= 53:
        return np.asarray(x)
    _, exponent = np.frexp(x)  # abs(x) is in [2**(exponent-1), 2**exponent)
    shift = digits - np.maximum(exponent, lowest + 1)
    scaled = np.ldexp(x, shift)
    y = np.ldexp(np.trunc(scaled) if truncate else np.rint(scaled), -shift)
    y = np.where(np.isfinite(x), y, x)
    return np.asarray(np.where(np.abs(y) > largest, np.copysign(np.inf, x), y))


FORMATS = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "float16": Format("float16", 11, -14, 15),
    "bfloat16": Format("bfloat16", 8, -126, 127),
}


def format_of(dtype: str) -> Format:
    """The format of that name; raises Refused."""
    if dtype not in FORMATS:
        raise Refused(say("dtype must be one of {names}", names=", ".join(FORMATS)), got=repr(dtype))
    return FORMATS[dtype]
