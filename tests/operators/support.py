"""What the operator tests share: cases from hypothesis, and the definition read exactly and with its error bound.

`Recorded` runs an operator's definition for every output element on one tape. From that one graph come the exact
outputs, the exact gradients (reverse mode) and tangents (forward mode), and the error bound of each of them; what an
implementation computes is held against these with `holds`: equality where no rounding happens, else the bound.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from opcheck import tracing
from opcheck.operators.choosers import ExactValues, Values
from opcheck.operators.program import Derived
from opcheck.operators.spec import Array, Case, Op, Shape, widened
from opcheck.tracing import Graph, Tape, Tracer, View
from opcheck.verification.truth.formats import format_of


class HypothesisChooser:
    """Sizes and options drawn one by one, so that a failure shrinks to the first options; arrays from a drawn seed."""

    def __init__(self, draw: Callable[[Any], Any], values: Callable[[np.random.Generator], Values]) -> None:
        self.draw = draw
        filled = values(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
        self.array, self.unit = filled.array, filled.unit
        self.positive, self.classes = filled.positive, filled.classes

    def whole(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.draw(st.integers(0, len(options) - 1))]


@st.composite
def cases(draw: Callable[[Any], Any], op: Op, values: Callable[[np.random.Generator], Values] = ExactValues) -> Case:
    """Any case of the operator's sampler."""
    return op.completed(op.sample(HypothesisChooser(draw, values)))


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def whole_numbers(rng: np.random.Generator, shape: Shape) -> Array:
    """Small whole numbers without zeros, for cotangents and tangents: they lose nothing in a product."""
    return ExactValues(rng).array(*shape)


def differentiable(op: Op, case: Case) -> list[str]:
    """The names of the inputs of this case that have a gradient."""
    return [each.name for each in op.inputs if each.differentiable and is_real(case.arrays.get(each.name))]


def cotangents_of(op: Op, shapes: Mapping[str, Any], seed: int) -> dict[str, Array]:
    """A random cotangent for each differentiable output; where there are several, some of them are missing."""
    rng = np.random.default_rng(seed)
    names = [each.name for each in op.outputs if each.differentiable and each.name in shapes]
    given = [name for name in names if len(names) == 1 or rng.random() < 0.7] or names[:1]
    return {name: whole_numbers(rng, shapes[name]) for name in given}


def tangents_of(op: Op, case: Case, seed: int) -> dict[str, Array]:
    """A random tangent for some of the differentiable inputs, and at least for one."""
    rng = np.random.default_rng(seed)
    names = differentiable(op, case)
    given = [name for name in names if rng.random() < 0.7] or names[:1]
    return {name: whole_numbers(rng, case.arrays[name].shape) for name in given}


def one_or_all(op: Op, cotangents: dict[str, Array]) -> Any:
    """One array for an operator with one differentiable output, else a dict by name."""
    if sum(each.differentiable for each in op.outputs) == 1:
        (cotangent,) = cotangents.values()
        return cotangent
    return cotangents


def is_real(array: Array | None) -> bool:
    return array is not None and array.dtype.kind == "f"


class Numbers:
    """The exact values of some nodes of one graph, laid out as arrays, and their error bounds on demand."""

    def __init__(
        self,
        graph: Graph,
        exact: Sequence[Any],
        places: Mapping[str, tuple[Shape, list[int | None]]],
        derived: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.graph, self.exact, self.places, self.derived = graph, exact, places, derived
        ids = [id for _, nodes in places.values() for id in nodes if id is not None]
        self.without_rounding = tracing.is_rational(needed(graph, ids)) and all(
            representable(exact[id]) for id in reachable(graph, ids)
        )

    def __getitem__(self, name: str) -> Array:
        """The numbers of that name, as an array of Fractions, mpmath numbers and (NaN, infinite) floats."""
        shape, ids = self.places[name]
        array = np.empty(len(ids), dtype=object)
        array[:] = [Fraction(0) if id is None else self.exact[id] for id in ids]
        return array.reshape(shape)

    def bound(self, name: str, at: Shape) -> float:
        """How far a number may be from its exact value when it is computed in float64."""
        shape, ids = self.places[name]
        id = ids[int(np.ravel_multi_index(at, shape))] if shape else ids[0]
        found = 0.0 if id is None else error_bound(self.graph, id)
        # a program may be arranged otherwise than the definition, as torch's kernels are
        derived = self._derived.get(name)
        return found if derived is None else float(np.maximum(found, np.broadcast_to(derived.error, shape)[at]))

    @cached_property
    def _derived(self) -> Mapping[str, Any]:
        return self.derived()


class Recorded:
    """The definition of a case, recorded for every output element."""

    def __init__(self, op: Op, case: Case) -> None:
        self.op, self.case = op, case
        self.p, self.shapes = op.checked(case)
        self.arrays = widened(case.arrays)
        self.tape = Tape()
        self.views = {name: self._view(name) for name in self.arrays}
        self.elements = self._elements()
        self.graph = Graph(tuple(self.tape.nodes), [id for ids in self.elements.values() for id in ids])
        self.exact = tracing.exact(self.graph)
        self.kinks = [float(number) for number in self.exact]

    def _view(self, name: str) -> Any:
        array = self.arrays[name]
        return View(self.tape, name, array) if is_real(array) else array

    def _elements(self) -> dict[str, list[int]]:
        """The node of each element of each output that the definition gives, in C order."""
        nodes: dict[str, list[int]] = {name: [] for name in self.shapes}
        for shape in dict.fromkeys(self.shapes.values()):
            names = [name for name in self.shapes if self.shapes[name] == shape]
            for at in np.ndindex(shape):
                result = self.op.by_name(self.op.element(self.p, at, **self.views), self.shapes)
                for name in names:
                    if name in result:
                        number = result[name]
                        nodes[name].append(number.id if isinstance(number, Tracer) else self.tape.constant(number).id)
        return {name: ids for name, ids in nodes.items() if len(ids) == math.prod(self.shapes[name])}

    def outputs(self) -> Numbers:
        places = {name: (self.shapes[name], ids) for name, ids in self.elements.items()}
        return Numbers(self.graph, self.exact, places, self._derived("forward"))

    def _derived(self, reading: str, *directions: Any) -> Callable[[], Mapping[str, Any]]:
        """The bounds that follow from the operator's program, in float64, where it has one."""
        if not isinstance(self.op.rounding, Derived):
            return dict
        read = getattr(self.op.rounding, reading)
        return lambda: read(self.op, self.p, format_of("float64"), *directions, **self.arrays)

    def vjp(self, cotangents: Mapping[str, Array]) -> Numbers:
        """Reverse mode: the cotangent of each differentiable input."""
        seeds: dict[int, Any] = {}
        for name, cotangent in cotangents.items():
            for at, id in zip(np.ndindex(cotangent.shape), self.elements[name], strict=True):
                seed = self.tape.input(f"d{name}", float(cotangent[at]), at)
                seeds[id] = seeds[id] + seed if id in seeds else seed
        adjoints = tracing.reverse(self.graph, seeds, self.tape.tracers(), tracing.TRACED, self.kinks)
        places = {name: self._leaves(name, adjoints) for name in differentiable(self.op, self.case)}
        return self._numbers(places, self._derived("vjp", one_or_all(self.op, dict(cotangents))))

    def jvp(self, tangents: Mapping[str, Array]) -> Numbers:
        """Forward mode: the tangent of each differentiable output."""
        seeds = {
            leaf.id: self.tape.input(f"d{name}", float(tangents[name][at]), at)
            for name in tangents
            for at, leaf in self._read(name)
        }
        tracers = tracing.forward(self.graph, seeds, self.tape.tracers(), tracing.TRACED, self.kinks)
        places = {}
        for output in self.op.outputs:
            if output.differentiable and output.name in self.shapes:
                ids = [self._id(tracers[id]) for id in self.elements[output.name]]
                places[output.name] = (self.shapes[output.name], ids)
        return self._numbers(places, self._derived("jvp", dict(tangents)))

    def _read(self, name: str) -> Iterator[tuple[Shape, Tracer]]:
        """The places of an input that the definition read, and their leaves."""
        for at, leaf in self.views[name]._leaves.items():
            if self.tape.nodes[leaf.id].op == "input":
                yield at, leaf

    def _leaves(self, name: str, adjoints: Sequence[Any]) -> tuple[Shape, list[int | None]]:
        shape = self.arrays[name].shape
        leaves = dict(self._read(name))
        return shape, [self._id(adjoints[leaves[at].id]) if at in leaves else None for at in np.ndindex(shape)]

    def _id(self, number: Any) -> int | None:
        if number is None:
            return None
        return number.id if isinstance(number, Tracer) else self.tape.constant(number).id

    def _numbers(
        self, places: Mapping[str, tuple[Shape, list[int | None]]], derived: Callable[[], Mapping[str, Any]]
    ) -> Numbers:
        graph = Graph(tuple(self.tape.nodes), ())
        return Numbers(graph, tracing.exact(graph), places, derived)


def representable(number: Any) -> bool:
    """Whether a float64 holds the number, with bits to spare for partial sums in any other order."""
    if isinstance(number, Fraction):
        power_of_two = number.denominator & (number.denominator - 1) == 0
        return power_of_two and number.numerator.bit_length() <= 48 and number.denominator.bit_length() <= 48
    return isinstance(number, (int, float))  # an mpmath number was rounded


def reachable(graph: Graph, ids: Sequence[int]) -> list[int]:
    """The nodes that these need, themselves included, in order of execution."""
    seen, waiting = set(ids), list(ids)
    while waiting:
        for arg in graph.nodes[waiting.pop()].args:
            if arg not in seen:
                seen.add(arg)
                waiting.append(arg)
    return sorted(seen)


def needed(graph: Graph, ids: Sequence[int]) -> Graph:
    """The graph of these nodes alone: its size, and so the work on it, is theirs."""
    kept = reachable(graph, ids)
    place = {id: k for k, id in enumerate(kept)}
    nodes = [graph.nodes[id]._replace(args=tuple(place[arg] for arg in graph.nodes[id].args)) for id in kept]
    return Graph(tuple(nodes), [place[id] for id in ids])


def error_bound(graph: Graph, id: int) -> float:
    alone = needed(graph, [id])
    return tracing.bound(alone, alone.outputs[0], "float64")


def differences(numbers: Numbers, name: str, computed: Any, singular: bool = False) -> list[str]:
    """Where `computed` is not what the definition gives: unequal, or where rounding happens, beyond the bound.

    A bound that is NaN (infinity times 0 on the way: the first order says nothing) is an error, unless the case is
    known to be `singular`.
    """
    exact = numbers[name]
    computed = np.asarray(computed)
    if computed.shape != exact.shape:
        return [f"{name} has shape {computed.shape}, but should have {exact.shape}"]
    wrong = [at for at in np.ndindex(exact.shape) if not same(exact[at], computed[at])]
    if not wrong:
        return []
    found = []
    for at in wrong:
        bound = 0.0 if numbers.without_rounding else numbers.bound(name, at)
        bound = math.inf if singular and math.isnan(bound) else bound
        if not within(exact[at], computed[at], bound):
            place = ",".join(map(str, at))
            found.append(
                f"{name}[{place}] = {float(computed[at])!r}, but should be {float(exact[at])!r} within {bound!r}"
            )
    return found


def same(exact: Any, computed: Any) -> bool:
    number = float(computed)
    if math.isfinite(number) and isinstance(exact, Fraction):
        return exact == Fraction(number)
    return bool(exact == number) or (exact != exact and number != number)


def within(exact: Any, computed: Any, bound: float) -> bool:
    number = float(computed)
    if not (math.isfinite(number) and math.isfinite(float(exact))):
        return same(exact, computed)
    difference = exact - (Fraction(number) if isinstance(exact, Fraction) else number)
    return bool(abs(difference) <= bound)


def found(numbers: Numbers, computed: Mapping[str, Any], singular: bool = False) -> list[str]:
    """One line for each number of the computed arrays that is not what the definition gives."""
    lines = (differences(numbers, name, computed[name], singular) for name in numbers.places)
    return list(itertools.chain.from_iterable(lines))


def agree(numbers: Numbers, computed: Mapping[str, Any], singular: bool = False) -> None:
    wrong = found(numbers, computed, singular)
    assert not wrong, "\n".join(wrong[:10])
