"""Default numbers of a program of the user's: 1, 2, 3, ..., or smaller ones where these saturate it. A softmax of 0.000
and 1.000, or a tanh of 1.0000, shows nothing, and its gradient is 0."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

import numpy as np

from opcheck.errors import Refused
from opcheck.explanation.calculation import Calculation, Pages
from opcheck.operators.fills import parts
from opcheck.operators.spec import Array
from opcheck.tracing import values

# how far from 0 the argument of a function may be before nobody sees anything in four decimals
STRAIN = {"tanh": 3.0, "sigmoid": 5.0, "erf": 2.0, "exp": 5.0, "expm1": 5.0, "sinh": 5.0, "cosh": 5.0}
GOLDEN = (5**0.5 - 1) / 2
SKETCHED = 20_000  # lines of a calculation that are looked at


class Sketch(Pages):
    """A tape of a calculation's first lines."""

    __slots__ = ()
    most = SKETCHED


def readable(calculation: Calculation, ramps: Mapping[str, Array], own: Collection[str]) -> Calculation:
    """The calculation, with smaller numbers in those of its arrays that nobody gave if these strain it. How small they
    are does not depend on what was given: whoever changes one number sees all others stay."""
    case = calculation.case
    if calculation.op.elsewhere or not set(ramps) - set(own):
        return calculation

    def holding(arrays: Mapping[str, Array]) -> Calculation:
        put = {name: arrays[name].reshape(each.shape) if name in arrays else each for name, each in case.arrays.items()}
        return Calculation(calculation.op, case._replace(arrays=put), calculation.hidden)

    best, least = ramps, strained(holding(ramps))
    for smaller in _smaller(ramps):
        if least and (count := strained(holding(smaller))) < least:  # a mask of -inf stays, whatever the numbers are
            best, least = smaller, count
    return holding({name: array for name, array in best.items() if name not in own})


def strained(calculation: Calculation) -> int:
    """How many exponentials, sigmoids and tanhs are taken so far out that they are about 0 or 1, or enormous."""
    tape = Sketch()
    with suppress(Refused):  # beyond its end what is on the tape is enough to see
        calculation.record(tape, [*calculation.cells[:1], *calculation.cells[-1:]])
    numbers = values(tape.graph())
    strains = ((STRAIN[node.op], numbers[node.args[0]]) for node in tape.nodes if node.op in STRAIN)
    return sum(not abs(x) <= most for most, x in strains)


def _smaller(filled: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Halves, then tenths or the like, with both signs in the end: from those that are read most easily on."""
    yield {name: array / 2 for name, array in filled.items()}
    below_one = {name: array / parts(float(np.max(np.abs(array), initial=1.0))) for name, array in filled.items()}
    yield below_one
    signed = {name: array * _signs(array) for name, array in below_one.items()}
    yield signed
    for by in (2, 4, 10, 100):
        yield {name: array / by for name, array in signed.items()}


def _signs(array: Array) -> Array:
    """Both signs where all numbers are above 0, in an order that no width of a row repeats; those of a seed have their
    own."""
    if not (array > 0).all():
        return np.ones(array.shape)
    return np.where(np.arange(array.size) * GOLDEN % 1 < 0.5, 1.0, -1.0).reshape(array.shape)
