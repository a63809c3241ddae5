"""The truth about one element: the operator's definition, read exactly.

The fast reference finds suspects; only what is computed here may be reported. Each function traces the definition on
the arrays of a case and reads one output, one gradient or one tangent from the graph, in fractions (or to 50 digits).
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.operators.spec import Array, Case, Op, Shape, widened
from opcheck.tracing import (
    EXACT,
    FLOATS,
    TRACED,
    Arithmetic,
    Graph,
    Node,
    Tape,
    Tracer,
    View,
    exact,
    forward,
    forward_over_reverse,
    reverse,
    values,
)
from opcheck.tracing.arithmetic import exactly

Element = tuple[int, ...]
CANCELLED = 64  # units of the terms within which a difference may be 0 as computed, its terms being rounded too
DIGITS = 200  # of an exact value: what more than these cancel in is 0 beside any bound


class Definition:
    """A case's definition, traced: the leaves of its inputs and a node for each output element that is asked for."""

    def __init__(self, op: Op, case: Case, tape: Tape | None = None) -> None:
        self.op, self.case = op, case
        self.p, self.shapes = op.checked(case)
        self.tape = Tape(literal=False) if tape is None else tape
        self.views: dict[str, Any] = {
            name: View(self.tape, name, array) if array.dtype.kind == "f" else array
            for name, array in widened(case.arrays).items()
        }
        self.vanished: set[str] = set()  # sums of which nothing was left when they were read exactly
        self._nodes: dict[Element, dict[str, Any]] = {}

    def node(self, name: str, at: Element) -> Tracer:
        """The node of one output element."""
        if at not in self._nodes:
            self._nodes[at] = self.op.by_name(self.op.element(self.p, at, **self.views), self.shapes)
        found = self._nodes[at][name]
        return found if isinstance(found, Tracer) else self.tape.constant(found)

    def size(self) -> int:
        """About how many nodes all output elements take: as many as the first one, each."""
        count = max(math.prod(shape) for shape in self.shapes.values())
        if count:
            name, shape = next(iter(self.shapes.items()))
            self.node(name, (0,) * len(shape))
        return count * len(self.tape.nodes)

    def graph(self) -> Graph:
        """What is recorded now (a sweep over tracers writes on the same tape)."""
        return Graph(tuple(self.tape.nodes), [])

    def output(self, name: str, at: Element) -> Any:
        """One output element, exactly."""
        node = self.node(name, at)
        graph = Graph(self.tape.nodes, [node.id]).pruned()
        return exact(graph, most=DIGITS, vanished=self.vanished)[-1] if self.tape.nodes else 0

    def gradient(self, name: str, at: Element, cotangent: Mapping[str, Array]) -> Any:
        """One element of an input's gradient, exactly."""
        leaf = self.views[name][at].id
        seeds = self._seeds(cotangent, EXACT, exactly)
        graph = self.graph()
        depends = graph.dependent(leaf)
        outputs = [id for id in seeds if depends[id]]
        if not outputs:
            return 0
        graph = Graph(graph.nodes, [*outputs, leaf]).pruned()
        *ends, leaf = graph.outputs
        numbers = exact(graph, most=DIGITS, vanished=self.vanished)
        depends = graph.dependent(leaf)
        path = Graph(
            [n if depends[k] else n._replace(op="constant", args=()) for k, n in enumerate(graph.nodes)], [leaf]
        )
        found = reverse(path, dict(zip(ends, (seeds[id] for id in outputs), strict=True)), numbers, EXACT, numbers)[
            leaf
        ]
        return 0 if found is None else found

    def tangent(self, name: str, at: Element, tangents: Mapping[str, Array]) -> Any:
        """One element of the output's tangent, exactly."""
        node = self.node(name, at)
        numbers = exact(self.graph(), most=DIGITS, vanished=self.vanished)
        seeds = {
            k: exactly(float(tangents[leaf.label][leaf.at]))
            for k, leaf in enumerate(self.tape.nodes)
            if leaf.op == "input" and leaf.label in tangents
        }
        found = forward(self.graph(), seeds, numbers, EXACT, numbers)[node.id]
        return 0 if found is None else found

    def outputs(self) -> dict[str, Array]:
        """Every element of every output, in floats: as IEEE 754 carries the definition out, special values included."""
        nodes = {
            name: [self.node(name, at) for at in places(shape)]
            for name, shape in self.shapes.items()
            if not self.op.output(name).whole
        }
        numbers = values(self.graph())
        return {
            name: np.array([numbers[node.id] for node in row], dtype=np.float64).reshape(self.shapes[name])
            for name, row in nodes.items()
        }

    def undecided(self, largest: float, tiny: float = 0.0, u: float = 0.0) -> dict[str, Array]:
        """Which output elements depend on the way they are computed: on finite numbers that became larger than
        `largest`, on padding times a number that is not finite, which one may compute (NaN) or leave out, or on a
        number below `tiny`, which may be flushed to 0, times an infinity; or on exp(−∞) = 0 times one, where a kernel
        skips what is masked, or on a difference that rounding, by `u`, may make 0 times one; or on NaN or ∞ beside
        the −∞ of a mask, which one may add (NaN) or write in its place."""
        nodes = {
            name: [self.node(name, at) for at in places(shape)]
            for name, shape in self.shapes.items()
            if not self.op.output(name).whole
        }
        found = self._undecided(self.graph(), largest, tiny, u)
        return {
            name: np.array([found[node.id] for node in row], dtype=bool).reshape(self.shapes[name])
            for name, row in nodes.items()
        }

    def read(self, name: str, at: Element, largest: float, tiny: float, u: float = 0.0) -> tuple[float, bool]:
        """One output element in floats, and whether it depends on the way it is computed."""
        graph = Graph(self.tape.nodes, [self.node(name, at).id]).pruned()
        return float(values(graph)[-1]), self._undecided(graph, largest, tiny, u)[-1]

    def _undecided(self, graph: Graph, largest: float, tiny: float, u: float) -> list[bool]:
        recorded = graph.nodes

        def leaf(node: Node) -> tuple[float, bool, bool]:
            return float(node.value), False, node.op == "constant" and node.value == 0  # exp(−∞) of a mask, folded

        def masks(id: int) -> bool:
            return recorded[id].op == "constant" and float(recorded[id].value) == -math.inf

        def apply(node: Node, args: list[tuple[float, bool, bool]]) -> tuple[float, bool, bool]:
            numbers = [number for number, *_ in args]
            value = float(FLOATS.functions[node.op](*numbers))
            finite = all(abs(number) <= largest for number in numbers)
            here = not abs(value) <= largest and finite
            here |= not finite and node.op == "mul" and any(recorded[id].op == "padding" for id in node.args)
            here |= not finite and node.op == "mul" and any(0 < abs(number) < tiny for number in numbers)
            here |= not finite and node.op == "mul" and any(none for *_, none in args)
            here |= node.op == "sum" and value != value and any(map(masks, node.args))
            none = value == 0 and node.op == "exp"
            terms = sum(map(abs, numbers)) if node.op in ("sum", "sub") and finite else 0.0
            none |= terms > 0 and abs(value) <= CANCELLED * u * terms
            none |= node.op == "mul" and finite and any(nothing for *_, nothing in args)
            none |= node.op == "div" and finite and args[0][2]
            return value, here or any(way for _, way, _ in args), none

        return [way for _, way, _ in graph.fold(leaf, apply)]

    def gradients(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        """Every gradient in floats."""
        leaves = {
            name: [self.views[name][at].id for at in places(self.views[name].shape)]
            for name in self.views
            if isinstance(self.views[name], View) and self.op.input(name).differentiable
        }
        seeds = self._seeds(cotangent, FLOATS, float)
        adjoints = reverse(self.graph(), seeds, values(self.graph()))
        return {
            name: np.array([adjoints[id] or 0.0 for id in ids]).reshape(self.views[name].shape)
            for name, ids in leaves.items()
        }

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, list[Tracer]]:
        """How each gradient for the cotangent moves with the inputs along these directions, as nodes.

        This is the gradient of sum of directions * gradient, as second derivatives are symmetric.
        """
        leaves = {name: [self.views[name][at].id for at in places(self.views[name].shape)] for name in directions}
        seeds = self._seeds(cotangent, TRACED, self.tape.constant)
        moved = {
            id: self.tape.constant(direction)
            for name, ids in leaves.items()
            for id, direction in zip(ids, directions[name].ravel().tolist(), strict=True)
        }
        graph = self.graph()
        duals = forward_over_reverse(graph, seeds, moved, self.tape.tracers(), TRACED, values(graph))
        return {
            name: [self._number(None if duals[id] is None else duals[id].tangent) for id in ids]
            for name, ids in leaves.items()
        }

    def _number(self, found: Any) -> Tracer:
        """A node, also for a plain number and for None: what does not move."""
        return found if isinstance(found, Tracer) else self.tape.constant(0.0 if found is None else found)

    def exactly(self, node: Tracer) -> Any:
        """The value of a node, in fractions or to 50 digits."""
        return exact(Graph(self.tape.nodes, [node.id]).pruned(), most=DIGITS, vanished=self.vanished)[-1]

    def _seeds(self, cotangent: Mapping[str, Array], k: Arithmetic, number: Any) -> dict[int, Any]:
        seeds: dict[int, Any] = {}
        for name, each in cotangent.items():
            for at in places(each.shape):
                node = self.node(name, at)
                share = number(float(each[at]))
                seeds[node.id] = share if node.id not in seeds else k.sum(seeds[node.id], share)
        return seeds


def places(shape: Shape) -> list[Element]:
    """Every index of an array of that shape, in row-major order."""
    return list(itertools.product(*map(range, shape)))


def as_float(x: Any) -> float:
    """An exact number as the nearest float64 (infinite where it is too large)."""
    try:
        return float(x)
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")
