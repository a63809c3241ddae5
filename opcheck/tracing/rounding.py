"""Error bounds from the graph: one reverse sweep weights each node's local error.

B = sum over nodes of abs(dy/dv_k) * L_k (Linnainmaa, BIT 16, 1976; Bauer, SIAM J. Numer. Anal. 11, 1974). First order:
the caller is told by `condition` when u times the number of operations is not small.
"""

from collections.abc import Callable, Sequence
from typing import Any

from opcheck.tracing.autodiff import reverse
from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.primitives import PRIMITIVES
from opcheck.tracing.readings import values as read_values

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}


def bound(graph: Graph, output: int, dtype: str, values: Sequence[float] | None = None) -> float:
    """A bound on abs(computed - exact) for node `output` computed in `dtype` in any order of summation.

    >>> from opcheck.tracing import Tape
    >>> tape = Tape()
    >>> x, y = tape.input("x", 3.0), tape.input("y", 5.0)
    >>> round(bound(tape.graph(x * y), 2, "float32") / 2**-24, 5)  # 15 u, and what is of second order
    15.0
    """
    u, smallest = UNIT_ROUNDOFF[dtype], SMALLEST[dtype]
    values = read_values(graph) if values is None else values
    adjoints = reverse(graph, {output: 1.0}, values)
    first_order = underflow = 0.0
    operations = 0
    flat = flat_sums(graph, values)
    for id, (node, value, adjoint) in enumerate(zip(graph.nodes, values, adjoints, strict=True)):
        if not adjoint or not node.args:  # 0: its error, even an infinite one, does not reach the output
            continue
        if id in flat:  # any order: that of the terms of the sums that it sums, too
            count, absolute = flat[id]
            local = (count - 1) * absolute
        else:
            local = PRIMITIVES[node.op].error(value, *[values[i] for i in node.args])
        if local or value == 0:  # what came out as 0 may have underflowed
            first_order += abs(adjoint) * local if local else 0.0  # nothing stays nothing where a slope is infinite
            underflow += abs(adjoint) * smallest
            operations += len(node.args)
    # second order: products of (1 + u) over at most `operations` operations (Higham, lemma 3.1)
    return u * first_order / (1 - min(operations * u, 0.5)) + underflow


def flat_sums(graph: Graph, values: Sequence[Any]) -> dict[int, tuple[int, Any]]:
    """For each sum, its number of terms and the sum of their absolute values; a sum of sums counts as one sum."""
    flat: dict[int, tuple[int, Any]] = {}
    for id, node in enumerate(graph.nodes):
        if node.op == "sum":
            parts = [flat.get(i) or (1, abs(values[i])) for i in node.args]
            flat[id] = sum(count for count, _ in parts), sum(absolute for _, absolute in parts)
    return flat


def reading_error(
    graph: Graph, output: int, half_width: Callable[[Node], float], values: Sequence[Any] | None = None
) -> float:
    """How far `output` can move when each leaf moves by at most half_width(leaf): sum of abs(adjoint) * half_width."""
    values = read_values(graph) if values is None else values
    adjoints = reverse(graph, {output: 1.0}, values)
    moved: float = sum(
        abs(adjoint) * half_width(node)
        for node, adjoint in zip(graph.nodes, adjoints, strict=True)
        if adjoint is not None and node.op == "input"
    )
    return moved
