"""A constant factor between what came and the right answer, said by what it is: the number of rows, of classes, of all.

A 3 that is 3 in every case because there are 3 classes in every case is not "3 times the right answer".
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from opcheck.grading.drawing.conditions import windows
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op


class Quantity(NamedTuple):
    """A number that a case has, and what it is in words."""

    words: str
    of: Callable[[Op, Case], int]


class Pair(NamedTuple):
    """What came and what is right, of one case."""

    case: Case
    got: Array
    right: Array


def _first(case: Case) -> Array:
    return next(iter(case.arrays.values()))


def _channels(op: Op, case: Case) -> int:
    x = _first(case)
    return x.shape[1] if x.ndim > 1 else 1


def _places(op: Op, case: Case) -> int:
    """Of one channel of one image in the output."""
    return int(np.prod(next(iter(op.checked(case)[1].values()))[2:], dtype=int))


def _quantities() -> Iterator[Quantity]:
    yield Quantity(say("N, the size of the batch"), lambda op, case: len(_first(case)) if _first(case).ndim > 1 else 1)
    yield Quantity(say("C, the size of the second dimension"), _channels)
    yield Quantity(say("the number of all elements of {name}", name="input"), lambda op, case: _first(case).size)
    yield Quantity(
        say("the number of elements of a window"), lambda op, case: int(np.prod(windows(op, case)[0], dtype=int))
    )
    yield Quantity(say("the number of positions in an output image"), _places)


FACTORS = (1.0, 2.0, 0.5, -1.0, -2.0, -0.5)


def factor_of(pair: Pair, u: float) -> float | None:
    """The one number by which all of the right answer was multiplied; None if there is none, or nothing to tell."""
    right, got = np.asarray(pair.right, dtype=np.float64), np.asarray(pair.got, dtype=np.float64)
    if right.shape != got.shape or not np.isfinite(right).all() or not np.any(right):
        return None
    at = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    factor = float(got[at] / right[at])
    if not np.isfinite(factor) or factor == 0:
        return None
    room = 64 * u * float(np.max(np.abs(right * factor)))
    return factor if np.all(np.abs(got - right * factor) <= room) else None


def in_words(op: Op, wrong: Sequence[Pair], fine: Sequence[Case], u: float) -> str:
    """What the factor of all wrong cases is, in terms of sizes that make it 1 in the cases that came out right: what
    follows "your result is"; empty where there is no such thing."""
    factors = [factor_of(pair, u) for pair in wrong]
    if any(factor is None for factor in factors):
        return ""
    if len({round(factor or 0, 9) for factor in factors}) == 1 and len(wrong) > 1:
        sizes = [[q.of(op, pair.case) for pair in wrong] for q in _quantities()]
        if not any(len(set(each)) == 1 and each[0] > 1 for each in sizes):
            return ""  # one number whatever the sizes are
    for constant in FACTORS:
        for quantity in _quantities():
            for power in (1, -1):
                if _fits(op, quantity, power, constant, wrong, factors, fine, u):
                    return _said(quantity.words, power, constant)
    return ""


def _fits(
    op: Op, quantity: Quantity, power: int, constant: float, wrong: Sequence[Pair],
    factors: Sequence[float | None], fine: Sequence[Case], u: float,
) -> bool:  # fmt: skip
    numbers = [quantity.of(op, pair.case) for pair in wrong]
    if max(numbers) < 2 or (len(set(numbers)) == 1 and len(numbers) > 1):
        return False
    predicted = [constant * float(n) ** power for n in numbers]
    near = all(abs(a - (b or 0)) <= 1024 * u * abs(a) for a, b in zip(predicted, factors, strict=True))
    return near and all(constant * float(quantity.of(op, case)) ** power == 1 for case in fine)


def _said(words: str, power: int, constant: float) -> str:
    if constant == 1:
        if power == 1:
            return say("the right one times {quantity}: a sum where the mean belongs?", quantity=words)
        return say("the right one divided by {quantity}: a mean where the sum belongs?", quantity=words)
    if power == 1:
        return say("the right one times {constant:g} and times {quantity}", constant=constant, quantity=words)
    return say("the right one times {constant:g}, divided by {quantity}", constant=constant, quantity=words)
