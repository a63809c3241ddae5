"""Forward and reverse mode: two loops over one graph, driven by the same local rule.

None means "does not depend on it" (and is never written as 0). Partials that are the whole numbers 1, 0, -1 cost no
multiplication, and a zero partial passes nothing on, not even a NaN: a window's cotangent reaches its maximum only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opcheck.tracing.graph import Graph
from opcheck.tracing.primitives import FLOATS, PRIMITIVES, Arithmetic


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
    args = node[1]
    if not args:
        return []
    row = PRIMITIVES[node[0]]
    at = numbers if row.piecewise and numbers is not None else values
    shares = []
    for arg, partial in zip(args, row.partials(k, at[id], *[at[i] for i in args]), strict=True):
        if type(partial) is not int:
            shares.append((arg, k.mul(partial, cotangent)))
        elif partial:
            shares.append((arg, cotangent if partial == 1 else k.neg(cotangent)))
    return shares


def forward(
    graph: Graph,
    tangents: Mapping[int, Any],
    values: Sequence[Any],
    k: Arithmetic = FLOATS,
    numbers: Sequence[Any] | None = None,
) -> list[Any]:
    """Each node's tangent, given those of some leaves (by node id); None where no tangent reaches."""
    results: list[Any] = []
    for id, node in enumerate(graph.nodes):
        args = node[1]
        incoming = [results[i] for i in args]
        if all(tangent is None for tangent in incoming):
            results.append(tangents.get(id))
            continue
        row = PRIMITIVES[node[0]]
        at = numbers if row.piecewise and numbers is not None else values
        shares = []
        for tangent, partial in zip(incoming, row.partials(k, at[id], *[at[i] for i in args]), strict=True):
            if tangent is None:
                continue
            if type(partial) is not int:
                shares.append(k.mul(partial, tangent))
            elif partial:
                shares.append(tangent if partial == 1 else k.neg(tangent))
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
    arrived: list[list[Any] | None] = [None] * len(graph.nodes)
    for id, cotangent in cotangents.items():
        arrived[id] = [cotangent]
    results: list[Any] = [None] * len(arrived)
    for id in range(len(arrived) - 1, -1, -1):
        shares = arrived[id]
        if shares is None:
            continue
        arrived[id] = None  # the sweep holds only what it still needs
        adjoint = results[id] = k.sum(*shares) if len(shares) > 1 else shares[0]
        for arg, share in contributions(graph, id, adjoint, values, k, numbers):
            waiting = arrived[arg]
            if waiting is None:
                arrived[arg] = [share]
            else:
                waiting.append(share)
    return results
