"""Forward and reverse mode: two loops over one graph, driven by the same local rule.

None means "does not depend on it" (and is never written as 0). Partials that are the whole numbers 1, 0, -1 cost no
multiplication, and a zero partial passes nothing on, not even a NaN: a window's cotangent reaches its maximum only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opcheck.trace.graph import Graph, Node
from opcheck.trace.primitives import FLOATS, PRIMITIVES, Arithmetic


def _scaled(k: Arithmetic, partial: Any, x: Any) -> Any:
    """partial * x, or None where the partial is structurally zero."""
    if type(partial) is int:
        if partial == 1:
            return x
        if partial == 0:
            return None
        if partial == -1:
            return k.neg(x)
    return k.mul(partial, x)


def _partials(k: Arithmetic, node: Node, id: int, values: Sequence[Any], numbers: Sequence[Any]) -> tuple[Any, ...]:
    row = PRIMITIVES[node.op]
    at = numbers if row.piecewise else values
    return row.partials(k, at[id], *[at[i] for i in node.args])


def contributions(
    graph: Graph,
    id: int,
    cotangent: Any,
    values: Sequence[Any],
    k: Arithmetic = FLOATS,
    numbers: Sequence[Any] | None = None,
) -> list[tuple[int, Any]]:
    """What node `id` passes back: (argument, partial * cotangent) for each argument that it depends on."""
    node = graph.nodes[id]
    if not node.args:
        return []
    partials = _partials(k, node, id, values, values if numbers is None else numbers)
    pairs = ((arg, _scaled(k, partial, cotangent)) for arg, partial in zip(node.args, partials, strict=True))
    return [(arg, share) for arg, share in pairs if share is not None]


def forward(
    graph: Graph,
    tangents: Mapping[int, Any],
    values: Sequence[Any],
    k: Arithmetic = FLOATS,
    numbers: Sequence[Any] | None = None,
) -> list[Any]:
    """Each node's tangent, given those of some leaves (by node id); None where no tangent reaches."""
    numbers = values if numbers is None else numbers
    results: list[Any] = []
    for id, node in enumerate(graph.nodes):
        incoming = [(place, results[arg]) for place, arg in enumerate(node.args) if results[arg] is not None]
        if not incoming:
            results.append(tangents.get(id))
            continue
        partials = _partials(k, node, id, values, numbers)
        shares = [share for place, t in incoming if (share := _scaled(k, partials[place], t)) is not None]
        results.append(k.sum(*shares) if len(shares) > 1 else shares[0] if shares else None)
    return results


def reverse(
    graph: Graph,
    cotangents: Mapping[int, Any],
    values: Sequence[Any],
    k: Arithmetic = FLOATS,
    numbers: Sequence[Any] | None = None,
) -> list[Any]:
    """Each node's adjoint, given the cotangents of some nodes (by id); None where no cotangent reaches.

    One sweep in reverse order of execution, without recursion. A node that is used k times sums k contributions, in the
    order in which they arrive. With `k` = TRACED and `values` = tape.tracers() the adjoints are a graph on the same
    tape; `numbers` then says where the kinks are.
    """
    numbers = values if numbers is None else numbers
    arrived: list[list[Any] | None] = [None] * len(graph.nodes)
    for id, cotangent in cotangents.items():
        arrived[id] = [cotangent]
    results: list[Any] = [None] * len(graph.nodes)
    for id in range(len(graph.nodes) - 1, -1, -1):
        shares = arrived[id]
        if shares is None:
            continue
        adjoint = results[id] = k.sum(*shares) if len(shares) > 1 else shares[0]
        arrived[id] = None  # the sweep holds only what it still needs
        for arg, share in contributions(graph, id, adjoint, values, k, numbers):
            waiting = arrived[arg]
            if waiting is None:
                arrived[arg] = [share]
            else:
                waiting.append(share)
    return results
