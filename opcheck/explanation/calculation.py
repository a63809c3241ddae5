"""A case with what is shown of it: hidden leading dimensions, names, and the definition recorded on a tape."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.fills import FILLS
from opcheck.operators.spec import Array, Case, Op, Params, Refused, Shape
from opcheck.tracing import Node, Tape, Tracer, View
from opcheck.tracing.arithmetic import as_fraction, exactly

MOST_ELEMENTS = 30_000_000  # of an output
MOST_NODES = 1_000_000  # a calculation beyond this is refused rather than left to run for minutes
SMALL = 20_000  # nodes: up to here every output element is recorded, and every number comes from the definition


class Places(Sequence[Shape]):
    """The places of an array of that shape, in order; none of them is made before it is asked for."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.size = math.prod(shape)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[each] for each in range(*k.indices(self.size))]
        if not -self.size <= k < self.size:
            raise IndexError(k)
        return tuple(map(int, np.unravel_index(k % self.size, self.shape)))

    def __iter__(self) -> Iterator[Shape]:
        return iter(np.ndindex(*self.shape))

    def index(self, at: Any, start: int = 0, stop: int | None = None) -> int:
        return int(np.ravel_multi_index(at, self.shape)) if self.shape else 0


class Pages(Tape):
    """A tape of a length that somebody may read; raises Refused beyond it."""

    __slots__ = ()
    most = MOST_NODES

    def _append(self, node: Node) -> Tracer:
        if len(self.nodes) >= self.most:
            raise too_long()
        return super()._append(node)


def too_long() -> Refused:
    return Refused(
        say("this calculation has more than {n} lines: too many to write down", n=MOST_NODES),
        fix=say("explain it on a smaller input; the rule is the same"),
    )


class Calculation:
    """One call of an operator, ready to be recorded.

    `hidden` says for a symbol how many leading dimensions the user did not write.
    """

    def __init__(self, op: Op, case: Case, hidden: Mapping[str, int] | None = None) -> None:
        self.op, self.case, self.hidden = op, case, hidden or {}
        self.p: Params
        self.p, self.shapes = op.checked(case)
        for name, shape in self.shapes.items():
            if math.prod(shape) > MOST_ELEMENTS:
                raise Refused(
                    say("the output has more than {n} elements: too many to explain", n=MOST_ELEMENTS),
                    got=say("{name} of shape {shape}", name=name, shape=shape),
                    fix=say("explain it on a smaller input; the rule is the same"),
                )

    def views(self, tape: Tape) -> dict[str, Any]:
        """The arrays as labelled leaves; whole-number arrays (classes) are not traced."""
        return {
            name: View(tape, self.op.input(name).symbol, array) if array.dtype.kind == "f" else array
            for name, array in self.case.arrays.items()
        }

    def record(self, tape: Tape, cells: Iterable[Shape]) -> dict[tuple[str, Shape], Tracer]:
        """Records the definition of these output elements; tracers by (output name, place)."""
        views = self.views(tape)
        recorded: dict[tuple[str, Shape], Tracer] = {}
        for at in cells:
            results = self.op.by_name(self.op.element(self.p, at, **views), self.shapes)
            for name, result in results.items():
                if not self.op.output(name).whole:
                    recorded[name, at] = result if isinstance(result, Tracer) else tape.constant(result)
        return recorded

    def refuse_length(self, count: int) -> None:
        """Raises Refused where so many output elements are more lines than anybody may read. It is told from what the
        second one adds to the first, at once; what is near the limit is told by `Pages`."""
        tape = Pages()
        self.record(tape, self.cells[:1])
        first = len(tape.nodes)
        self.record(tape, self.cells[1:2])
        if sum(not node.is_leaf for node in tape.nodes[first:]) * (count - 1) > MOST_NODES:
            raise too_long()

    @property
    def main_output(self) -> str:
        return next(iter(self.shapes))

    @property
    def cells(self) -> "Places":
        """The places of the main output, in order."""
        return Places(self.shapes[self.main_output])

    @cached_property
    def is_small(self) -> bool:
        """Whether recording every output element stays within SMALL nodes."""
        cells = self.cells
        if not cells or len(cells) > SMALL:
            return not cells
        tape = Pages()
        self.record(tape, cells[:1])
        return len(tape.nodes) * len(cells) <= SMALL

    def shown_shape(self, symbol: str, shape: Shape) -> Shape:
        return shape[self.hidden.get(symbol, 0) :]


def default_array(op: Op, name: str, shape: Shape, choices: int, seed: int | None) -> Array:
    """What `explain` fills an array with: consecutive numbers without zeros, so that a wrong tap shows; whole numbers
    are 0, 1, 2, ... below `choices`."""
    spec, count = op.input(name), int(np.prod(shape))
    if spec.whole:
        return (np.arange(count) % max(choices, 1)).reshape(shape)
    if seed is not None and spec.default == "ramp":
        rng = np.random.default_rng([seed, *map(ord, name)])
        return np.asarray(rng.integers(1, 9, size=shape, endpoint=True) * rng.choice([-1.0, 1.0], size=shape))
    return np.asarray(FILLS[spec.default].worked(np.arange(1.0, count + 1)), dtype=float).reshape(shape)


def lifted(op: Op, name: str, array: Array) -> tuple[Array, int]:
    """The array with the leading dimensions of size 1 that the operator needs, and how many were added."""
    letters = op.input(name).letters.split()
    fewest = len(letters) - (1 if letters and letters[0] == "N" else 0)
    if "*" in op.input(name).letters or array.ndim >= fewest:
        return array, 0
    missing = len(letters) - array.ndim
    return array.reshape((1,) * missing + array.shape), missing


def reader(array: Array) -> Callable[[Shape], Fraction | float]:
    """Reads elements of an array as the decimals that they print as."""

    def read(at: Shape) -> Fraction | float:
        decimal: Fraction | float = as_fraction(exactly(array[at].item(), decimal=True))
        return decimal

    return read


def leaves(tape: Tape, roots: Iterable[int]) -> set[tuple[str, Shape]]:
    """The array elements, padding included, that these nodes are computed from."""
    nodes = (tape.nodes[id] for id in reached(tape, roots))
    return {(node.label, node.at) for node in nodes if node.op in ("input", "padding")}


def reached(tape: Tape, roots: Iterable[int]) -> set[int]:
    """These nodes and all that they are computed from."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting.extend(tape.nodes[id].args)
    return found
