"""What fills an input that was not given (`Input.default`), in a worked calculation and in a problem for a pen; and the
upstream gradient that was not given (`Output.upstream`)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from opcheck.operators.spec import Array, Output, Shape


class Fill(NamedTuple):
    """worked(ramp): the numbers of a worked calculation, from 1, 2, 3, ...; drawn(distinct, signs): those of a problem,
    from different numbers above zero and signs."""

    worked: Callable[[Array], Array]
    drawn: Callable[[Array, Array], Array]


def _signed(ramp: Array) -> Array:
    """Without 0, the smaller half negative."""
    found: Array = ramp - len(ramp) // 2
    found[found <= 0] -= 1
    return found


def parts(count: float) -> float:
    """The smallest denominator that gives this many fractions below 1 with terminating decimals."""
    return next(n * 10.0**k for k in range(20) for n in ((2, 4, 5) if k == 0 else (1, 2, 5)) if n * 10**k > count)


def _mixed(ramp: Array) -> Array:
    """The same numbers in another order, so that the largest of a window is not always the last."""
    n = len(ramp) + 1
    step = next((k for k in range(max(2, round(0.41 * n)), n) if math.gcd(k, n) == 1), 1)
    found: Array = ramp[0] - 1 + (np.arange(1, n) * step % n) if len(ramp) else ramp
    return found


def _as_drawn(distinct: Array, signs: Array) -> Array:
    return distinct * signs


FILLS = {
    "ramp": Fill(lambda ramp: ramp, _as_drawn),
    "mixed": Fill(_mixed, _as_drawn),
    "squares": Fill(lambda ramp: ramp**2 * (-1) ** (ramp - 1), _as_drawn),  # no three at equal distances are on a line
    "negative": Fill(lambda ramp: -ramp, lambda distinct, signs: -distinct),
    "binary": Fill(lambda ramp: ramp % 2, lambda distinct, signs: np.arange(len(distinct)) % 2.0),
    "unit": Fill(
        lambda ramp: ramp / parts(len(ramp)), lambda distinct, signs: distinct / parts(distinct.max(initial=1))
    ),
    "signed": Fill(_signed, lambda distinct, signs: np.where(np.arange(len(signs)) == 0, -1, signs) * distinct),
    "half": Fill(lambda ramp: ramp / 2, lambda distinct, signs: distinct * signs / 2),
    "zeros": Fill(np.zeros_like, _as_drawn),
    "ones": Fill(np.ones_like, _as_drawn),
}
PLAIN = ("ramp", "mixed", "zeros", "ones")  # what is above zero in the first problems


def upstream(output: Output, shape: Shape) -> Array:
    """The default upstream gradient of a worked calculation: all of its elements differ."""
    return FILLS[output.upstream].worked(np.arange(1.0, np.prod(shape, dtype=int) + 1)).reshape(shape)
