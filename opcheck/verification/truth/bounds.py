"""How far each number may be from the exact one: the operator's own bound, or its graph's.

An operator's `rounding` (`opcheck.operators.shared.roundoff`) is vectorised and fast. Where it says nothing, the
definition is traced and each node's local error weighed by its adjoint (opcheck.tracing.bound): slower, and always
there.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.operators.shared.roundoff import Bound, Rounding
from opcheck.operators.spec import Array, Op, Params, Shape
from opcheck.tracing import FLOATS, TRACED, Graph, Node, Tracer, bound, forward, reverse, values
from opcheck.verification.truth.definition import Definition, places
from opcheck.verification.truth.formats import Format

_NONE = Rounding()


class Bounds:
    """The bounds of one case, for any format and tier."""

    def __init__(self, op: Op, p: Params, shapes: Mapping[str, Shape], arrays: dict[str, Array], case: Any) -> None:
        self.op, self.p, self.shapes, self.arrays, self.case = op, p, shapes, arrays, case
        self.rounding = op.rounding or _NONE
        self._definition: Definition | None = None

    def outputs(self, f: Format) -> dict[str, Bound]:
        """A bound on each element of each differentiable output."""
        with np.errstate(all="ignore"):
            fast = self.rounding.forward(self.op, self.p, f, **self.arrays)
        if fast is not None:
            return self.op.by_name(fast, self.shapes)
        nodes = self._output_nodes()
        return self._from_graph(nodes, {name: self.shapes[name] for name in nodes}, f)

    def gradients(self, f: Format, cotangent: Mapping[str, Array]) -> dict[str, Bound]:
        """A bound on each element of each gradient."""
        with np.errstate(all="ignore"):
            fast = self.rounding.vjp(self.op, self.p, f, one_or_dict(self.op, cotangent), **self.arrays)
        if fast is not None:
            return fast
        definition, _ = self._traced()
        tape = definition.tape
        # the cotangent is data, not a constant of the program: its products are rounded like all others
        seeds: dict[int, Any] = {}
        for name, each in cotangent.items():
            for at in places(each.shape):
                node = definition.node(name, at)
                share = tape.input(f"cotangent of {name}", float(each[at]), at)
                seeds[node.id] = share if node.id not in seeds else seeds[node.id] + share
        leaves = {name: [definition.views[name][at].id for at in places(a.shape)] for name, a in self._real().items()}
        adjoints = reverse(definition.graph(), seeds, tape.tracers(), TRACED, values(definition.graph()))
        return self._from_graph(
            {name: [adjoints[id] for id in ids] for name, ids in leaves.items()},
            {name: self.arrays[name].shape for name in leaves},
            f,
        )

    def tangents(self, f: Format, tangents: Mapping[str, Array]) -> dict[str, Bound]:
        """A bound on each element of each output's tangent."""
        with np.errstate(all="ignore"):
            fast = self.rounding.jvp(self.op, self.p, f, dict(tangents), **self.arrays)
        if fast is not None:
            return self.op.by_name(fast, self.shapes)
        definition, _ = self._traced()
        tape = definition.tape
        nodes = self._output_nodes()
        seeds = {
            id: tape.input(f"tangent of {leaf.label}", float(tangents[leaf.label][leaf.at]), leaf.at)
            for id, leaf in enumerate(list(tape.nodes))
            if leaf.op == "input" and leaf.label in tangents
        }
        traced = forward(definition.graph(), seeds, tape.tracers(), TRACED, values(definition.graph()))
        return self._from_graph(
            {name: [traced[node.id] for node in row] for name, row in nodes.items()},
            {name: self.shapes[name] for name in nodes},
            f,
        )

    # --- from the graph -------------------------------------------------------------------------------------------

    def _real(self) -> dict[str, Array]:
        return {
            each.name: self.arrays[each.name]
            for each in self.op.inputs
            if each.differentiable and each.name in self.arrays and self.arrays[each.name].dtype.kind == "f"
        }

    def _traced(self) -> tuple[Definition, list[float]]:
        definition = Definition(self.op, self.case)  # a fresh tape: the adjoints are written on it
        for name, shape in self.shapes.items():
            for at in places(shape) if self.op.output(name).differentiable else ():
                definition.node(name, at)
        self._definition = definition
        return definition, values(definition.graph())

    def _output_nodes(self) -> dict[str, list[Tracer]]:
        if self._definition is None:
            self._traced()
        definition = self._definition
        assert definition is not None
        return {
            each.name: [definition.node(each.name, at) for at in places(self.shapes[each.name])]
            for each in self.op.outputs
            if each.differentiable and each.name in self.shapes
        }

    def _from_graph(self, nodes: Mapping[str, list[Any]], shapes: Mapping[str, Shape], f: Format) -> dict[str, Bound]:
        definition = self._definition
        assert definition is not None
        graph = definition.graph()
        found = {}
        for name, row in nodes.items():
            each = [0.0 if node is None else graph_bound(graph, node, f) for node in row]
            found[name] = Bound(np.array(each, dtype=np.float64).reshape(shapes[name]))
        return found


def graph_bound(graph: Graph, node: Any, f: Format) -> float:
    """The bound of one node computed in `f`: sums in f's accumulator are no worse than in its storage format.

    Infinite where an intermediate result is beyond the format's largest number, and where a root, a logarithm or a
    division has an argument that rounding may bring near 0: first order says nothing there, and anything may come out.
    """
    if not isinstance(node, Tracer):
        return 0.0
    part = _folded(_below(graph, node.id))
    numbers = values(part)
    if any(f.largest < abs(number) < math.inf for number in numbers):
        return float("inf")
    if not math.isfinite(numbers[part.outputs[0]]):
        return 0.0
    growth = _growth(part, numbers, f)
    error = growth * (bound(part, part.outputs[0], f.compute or f.name, numbers) + _constants(part, numbers, f))
    return error if error == error else float("inf")


SINGULAR_AT_ZERO = {"sqrt": 0, "log": 0, "div": 1}  # operation: which argument


def _growth(graph: Graph, numbers: list[float], f: Format) -> float:
    """By how much slopes like 1/x and 1/x² can exceed those at the computed x: what first order leaves out.

    An argument with the relative error δ may be x·(1 − δ); infinite where rounding may bring it to 0.
    """
    growth = 1.0
    for node in graph.nodes:
        place = SINGULAR_AT_ZERO.get(node.op)
        if place is None:
            continue
        argument = node.args[place]
        if graph.nodes[argument].args and numbers[argument] != 0 and math.isfinite(numbers[argument]):
            relative = bound(graph, argument, f.compute or f.name, numbers) / abs(numbers[argument])
            if not relative < 1:
                return math.inf
            growth /= (1 - relative) ** 2
    return growth


def _constants(graph: Graph, numbers: list[float], f: Format) -> float:
    """The cost of rounding constants such as a learning rate of 0.1: sum of abs(adjoint) * u * abs(constant)."""
    rounds = [
        id
        for id, node in enumerate(graph.nodes)
        if node.op == "constant" and float(f.round(numbers[id])) != numbers[id]
    ]
    if not rounds:
        return 0.0
    adjoints = reverse(graph, {graph.outputs[0]: 1.0}, numbers)
    cost: float = sum(abs(adjoints[id] or 0.0) * f.u * abs(numbers[id]) for id in rounds)
    return cost


def _below(graph: Graph, output: int) -> Graph:
    """What one node is made of; the work is proportional to that, and not to the whole tape."""
    needed, waiting = {output}, [output]
    while waiting:
        for arg in graph.nodes[waiting.pop()].args:
            if arg not in needed:
                needed.add(arg)
                waiting.append(arg)
    order = sorted(needed)
    place = {id: k for k, id in enumerate(order)}
    nodes = [graph.nodes[id]._replace(args=tuple(place[arg] for arg in graph.nodes[id].args)) for id in order]
    return Graph(tuple(nodes), [place[output]])


def _folded(graph: Graph) -> Graph:
    """The graph with whole-number arithmetic of constants done: an exponent 2 - 1 is 1 and rounds nothing."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.args and node.op in ("sum", "sub", "mul", "neg"):
            numbers = [nodes[i].value for i in node.args if nodes[i].op == "constant"]
            if len(numbers) == len(node.args) and all(float(x).is_integer() for x in numbers):
                node = Node("constant", value=FLOATS.functions[node.op](*map(float, numbers)))
        nodes.append(node)
    return Graph(tuple(nodes), graph.outputs)


def one_or_dict(op: Op, cotangent: Mapping[str, Array]) -> Any:
    """A cotangent as `Op.vjp` takes it: an array for one differentiable output, else a dict by name."""
    names = [each.name for each in op.outputs if each.differentiable]
    return cotangent[names[0]] if len(names) == 1 else dict(cotangent)
