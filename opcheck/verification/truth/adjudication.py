"""The exact value of one element, for a verdict: by the reading that can afford it, with what may be left of an error.

The definition is traced through scalars while that is short. Above, the program is, sweeps included, through what the
element is made of; and where that is long as well, its arrays are computed in higher precision
(`opcheck.programs.wide`). What is too large for both is the float64 reference with its own proven bound.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from opcheck.language import say
from opcheck.operators.program import Recording
from opcheck.operators.spec import Array, Op
from opcheck.programs import wide
from opcheck.programs.arrays import ArrayNode
from opcheck.programs.elements import Elements
from opcheck.tracing import Node, Tape, Tracer
from opcheck.tracing import exact as exactly
from opcheck.verification.casefile import Trial
from opcheck.verification.truth.definition import DIGITS, Definition, as_float

MOST_LINES = 200_000  # of a definition that is traced for one element
SOON_SWEPT = (
    2_000  # of one that is swept back for one gradient as well, in some 30 ms: the program is sooner read above
)
MOST_SWEPT = 60_000  # and of one that has no program: about a second
MOST_NUMBERS = 400_000  # that are computed in higher precision: a few seconds


class TooLong(Exception):
    """The definition takes more lines than one element is worth."""


class Vanished(Exception):
    """No number came of a difference that has more digits in common than an exact reading keeps: ln(1 − σ(5000))."""


class Short(Tape):
    """A tape of at most so many lines, MOST_LINES if nothing is said."""

    __slots__ = ("most",)

    def __init__(self, most: int | None = None) -> None:
        super().__init__(literal=False)
        self.most = MOST_LINES if most is None else most

    def _append(self, node: Node) -> Tracer:
        if len(self.nodes) >= self.most:
            raise TooLong
        return super()._append(node)


class Exact(NamedTuple):
    """A value rounded to float64, how far it may be from the exact one, and the reading that it is from."""

    value: float
    error: float
    reading: str


def exact(op: Op, trial: Trial, kind: str, name: str, at: tuple[int, ...]) -> Exact | None:
    """One element of an "output", "gradient" or "tangent"; None where it is too large for exact numbers."""
    found = by_definition(op, trial, kind, name, at, SOON_SWEPT)
    if found is not None:
        return found
    found = by_program(op, trial, kind, name, at)
    if found is None:
        return by_definition(op, trial, kind, name, at) if kind == "gradient" else None
    given = (trial.case.arrays, trial.cotangent, trial.tangents)
    finite = all(np.isfinite(array).all() for arrays in given for array in arrays.values())
    if finite and not op.elsewhere and not np.isfinite(found.value):
        raise Vanished  # such a reading keeps so many digits and no more
    return found


def by_definition(
    op: Op, trial: Trial, kind: str, name: str, at: tuple[int, ...], most_swept: int = MOST_SWEPT
) -> Exact | None:
    """By the definition, traced through scalars; None where it is too long for that."""
    definition = Definition(op, trial.case, Short())
    try:
        if kind == "output":
            found = as_float(definition.output(name, at))
        elif kind == "tangent":
            found = as_float(definition.tangent(name, at, trial.tangents))
        elif definition.size() > most_swept:
            return None
        else:
            found = as_float(definition.gradient(name, at, trial.cotangent))
    except TooLong:
        return None
    if definition.vanished and not np.isfinite(found):
        raise Vanished
    return Exact(found, 0.0, say("the definition, exactly"))


def by_program(op: Op, trial: Trial, kind: str, name: str, at: tuple[int, ...]) -> Exact | None:
    """By the operator's program, whose sweeps are recorded too: of a gradient, just what the element is made of.

    Where that is too long, over arrays of numbers with more digits; None where that is too much as well.
    """
    p, _ = op.checked(trial.case)
    with np.errstate(all="ignore"):
        try:
            made = Recording(op, p, trial.case.arrays, expanded=True)
        except NotImplementedError:  # it is not declared as a program
            return None
        result = _traced(made, kind, trial.cotangent, trial.tangents)[name]
        if result is None:
            return Exact(0.0, 0.0, say("the program, exactly"))
        try:
            return Exact(as_float(_element(made.tape.nodes, result.id, at)), 0.0, say("the program, exactly"))
        except TooLong:
            return in_higher_precision(made.tape.nodes, result.id, at)


def in_higher_precision(nodes: Sequence[ArrayNode], id: int, at: tuple[int, ...]) -> Exact | None:
    """One element of a node, over arrays of numbers with more digits; None where these are too many."""
    if sum(np.size(node.value) for node in nodes) > MOST_NUMBERS:
        return None
    found, error = wide.value(nodes, [id])[id]
    return Exact(as_float(found[at]), float(error[at]), say("arrays of {n} bits", n=wide.BITS))


def _element(nodes: Sequence[ArrayNode], id: int, at: tuple[int, ...]) -> Any:
    """The exact value of one element of a node."""
    tape = Short()

    def leaf(array: Array) -> Callable[[tuple[int, ...]], Tracer]:
        return lambda place: tape.constant(array[place].item())

    leaves = {k: leaf(node.value) for k, node in enumerate(nodes) if node.rule is None and node.value.dtype.kind == "f"}
    found = Elements(nodes, leaves, {}, tape.constant, lambda place: tape.padding("", 0.0, place)).read(id, at)
    return exactly(tape.graph(found).pruned(), most=DIGITS)[-1] if isinstance(found, Tracer) else found


def _traced(
    made: Recording, kind: str, cotangent: Mapping[str, Array], tangents: Mapping[str, Array]
) -> Mapping[str, Any]:
    if kind == "output":
        return made.outputs
    return made.traced_gradients(cotangent) if kind == "gradient" else made.traced_tangents(tangents)


__all__ = ["Exact", "exact"]
