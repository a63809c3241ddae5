"""How far the nodes of a traced definition may be from exact: each local error weighed by its adjoint.

The elements of an elementwise operator are made in the same way from different numbers. Such graphs are bounded at
once: one sweep over arrays in place of one sweep an element.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from opcheck.operators.spec import Array
from opcheck.programs.elementwise import ARRAYS
from opcheck.tracing import (
    FLOATS,
    PRIMITIVES,
    SMALLEST,
    UNIT_ROUNDOFF,
    Arithmetic,
    Graph,
    Node,
    Tracer,
    bound,
    reverse,
    values,
)
from opcheck.tracing.rounding import flat_sums
from opcheck.verification.truth.formats import Format

FEW = 4  # graphs of one kind that are no quicker as arrays
STACKED = Arithmetic({**ARRAYS.functions, "power": np.float_power})


def graph_bounds(graph: Graph, row: Sequence[Any], f: Format) -> Array:
    """The bound of each node computed in `f`; of None, which depends on nothing, and of a plain number it is 0."""
    found = np.zeros(len(row))
    alike: dict[Any, list[tuple[int, Graph]]] = {}
    for k, node in enumerate(row):
        if isinstance(node, Tracer):
            part = _folded(_below(graph, node.id))
            alike.setdefault(tuple(map(_kind, part.nodes)), []).append((k, part))
    with np.errstate(all="ignore"):
        for group in alike.values():
            places, parts = [k for k, _ in group], [part for _, part in group]
            smooth = all(node.op in STACKED.functions for node in parts[0].nodes if node.args)
            if smooth and len(parts) >= FEW:
                found[places] = _stacked_bound(parts, f)
            else:
                found[places] = [_part_bound(part, f) for part in parts]
    return found


def graph_bound(graph: Graph, node: Any, f: Format) -> float:
    """The bound of one node computed in `f`: sums in f's accumulator are no worse than in its storage format.

    Infinite where an intermediate result is beyond the format's largest number, and where a root, a logarithm or a
    division has an argument that rounding may bring near 0: first order says nothing there, and anything may come out.
    """
    return float(graph_bounds(graph, [node], f)[0])


def _part_bound(part: Graph, f: Format) -> float:
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
    rounds = [id for id, node in enumerate(graph.nodes) if node.op == "constant" and not _is_of(f, numbers[id])]
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


@lru_cache(maxsize=4096)
def _is_of(f: Format, number: float) -> bool:
    """Whether the format has that number."""
    return float(f.round(number)) == number


# --- many at once -----------------------------------------------------------------------------------------------------


def _kind(node: Node) -> tuple[Any, ...]:
    """What two nodes of graphs that are alike have in common."""
    return node.op, node.args, repr(node.value) if node.op == "constant" else ""


def _stacked_bound(parts: Sequence[Graph], f: Format) -> Array:
    """The bounds of graphs that are alike, over arrays of their numbers: what `_part_bound` says of each."""
    first, dtype = parts[0], f.compute or f.name
    output = first.outputs[0]
    numbers = _stacked_values(parts)
    adjoints = reverse(first, {output: np.ones(len(parts))}, numbers, STACKED)
    constants = sum(
        np.abs(adjoints[id]) * f.u * abs(node.value)
        for id, node in enumerate(first.nodes)
        if node.op == "constant" and adjoints[id] is not None and not _is_of(f, float(node.value))
    )
    error = _weighed(first, numbers, adjoints, dtype) + constants
    for node in first.nodes:
        place = SINGULAR_AT_ZERO.get(node.op)
        if place is not None and first.nodes[node.args[place]].args:
            error = error * _stacked_growth(first, node.args[place], numbers, dtype)
    error = np.where(np.isnan(error), np.inf, error)
    error = np.where(np.isfinite(numbers[output]), error, 0.0)
    beyond = [(f.largest < np.abs(each)) & (np.abs(each) < np.inf) for each in numbers]
    return np.where(np.any(np.broadcast_arrays(*beyond, error)[:-1], axis=0), np.inf, error)


def _stacked_values(parts: Sequence[Graph]) -> list[Array]:
    found: list[Array] = []
    for id, node in enumerate(parts[0].nodes):
        if node.args:
            found.append(STACKED.functions[node.op](*(found[arg] for arg in node.args)))
        elif node.op == "constant":
            found.append(np.asarray(node.value, dtype=np.float64))
        else:
            found.append(np.array([part.nodes[id].value for part in parts], dtype=np.float64))
    return found


def _stacked_growth(graph: Graph, argument: int, numbers: Sequence[Array], dtype: str) -> Array:
    """The factor of `_growth` for one argument."""
    before = Graph(graph.nodes[: argument + 1], [argument])
    adjoints = reverse(before, {argument: np.float64(1)}, numbers, STACKED)
    number = np.abs(numbers[argument])
    relative = _weighed(before, numbers[: argument + 1], adjoints, dtype) / number
    factor = np.where(relative < 1, 1 / (1 - relative) ** 2, np.inf)
    return np.where((number != 0) & np.isfinite(number), factor, 1.0)


def _weighed(graph: Graph, numbers: Sequence[Array], adjoints: Sequence[Any], dtype: str) -> Array:
    """`opcheck.tracing.bound` over arrays."""
    u, smallest = UNIT_ROUNDOFF[dtype], SMALLEST[dtype]
    first_order, underflow, operations = np.zeros(3)[..., None]
    flat = flat_sums(graph, numbers)
    for id, (node, number, adjoint) in enumerate(zip(graph.nodes, numbers, adjoints, strict=True)):
        if adjoint is None or not node.args:
            continue
        if id in flat:
            count, absolute = flat[id]
            local = (count - 1) * absolute
        else:
            local = PRIMITIVES[node.op].error(number, *[numbers[i] for i in node.args])
        reaches = (adjoint != 0) & ((local != 0) | (number == 0))
        first_order = first_order + np.where(reaches & (local != 0), np.abs(adjoint) * local, 0.0)
        underflow = underflow + np.where(reaches, np.abs(adjoint) * smallest, 0.0)
        operations = operations + np.where(reaches, len(node.args), 0)
    return np.asarray(u * first_order / (1 - np.minimum(operations * u, 0.5)) + underflow)
