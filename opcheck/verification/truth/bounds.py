"""How far each number may be from the exact one: the operator's own bound, or its graph's.

An operator's `rounding` (`opcheck.operators.shared.roundoff`) is vectorised and fast. Where it says nothing, the
definition is traced and each node's local error weighed by its adjoint (`graphs`): slower, and always there.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from opcheck.operators.shared.roundoff import Bound, Rounding
from opcheck.operators.spec import Array, Case, Op, Params, Shape, widened
from opcheck.tracing import TRACED, Tracer, forward, reverse, values
from opcheck.verification.truth.definition import Definition, places
from opcheck.verification.truth.formats import Format
from opcheck.verification.truth.graphs import graph_bounds

_NONE = Rounding()
MOST_CALLS = 16  # of which the bounds are kept: several claims, and all mutants of an operator, are asked the same


class Itself:
    """An object as the key of a cache: equal to itself only."""

    def __init__(self, object: Any) -> None:
        self.object = object

    def __hash__(self) -> int:
        return id(self.object)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.object is other.object


@lru_cache(maxsize=MOST_CALLS)
def _of_call(op: Itself, rounding: Itself, case: Itself) -> "Bounds":
    p, shapes = op.object.checked(case.object)
    return Bounds(op.object, p, shapes, widened(case.object.arrays), case.object)


class Bounds:
    """The bounds of one case, for any format and tier."""

    def __init__(self, op: Op, p: Params, shapes: Mapping[str, Shape], arrays: dict[str, Array], case: Case) -> None:
        self.op, self.p, self.shapes, self.arrays, self.case = op, p, shapes, arrays, case
        self.rounding = op.rounding or _NONE
        self._definition: Definition | None = None
        self._kept: dict[Any, dict[str, Bound]] = {}

    @staticmethod
    def of(op: Op, case: Case) -> "Bounds":
        """The bounds of a case; the same object as long as the same case is asked for."""
        return _of_call(Itself(op), Itself(op.rounding), Itself(case))

    def of_kind(self, kind: str, f: Format, along: Mapping[str, Array]) -> dict[str, Bound]:
        """The bound of each "output", of each "gradient" for the cotangent `along`, or of each "tangent" along it."""
        key = (kind, f, Itself(along))
        if key not in self._kept:
            made: dict[str, Callable[[], dict[str, Bound]]] = {
                "output": lambda: self.outputs(f),
                "gradient": lambda: self.gradients(f, along),
                "tangent": lambda: self.tangents(f, along),
            }
            self._kept[key] = made[kind]()
        return self._kept[key]

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
        traced = forward(definition.graph(), seeds, tape.tracers(), TRACED, values(definition.graph()), blended=True)
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
            found[name] = Bound(graph_bounds(graph, row, f).reshape(shapes[name]))
        return found


def one_or_dict(op: Op, cotangent: Mapping[str, Array]) -> Any:
    """A cotangent as `Op.vjp` takes it: an array for one differentiable output, else a dict by name."""
    names = [each.name for each in op.outputs if each.differentiable]
    return cotangent[names[0]] if len(names) == 1 else dict(cotangent)
