"""Forward and reverse mode: two loops over one graph, driven by the same local rule.

None means "does not depend on it" (and is never written as 0). Partials that are the whole numbers 1, 0, -1 cost no
multiplication, and a zero partial passes nothing on, not even a NaN: a window's cotangent reaches its maximum only.

Second derivatives are the two modes at once: the reverse loop over dual numbers (`forward_over_reverse`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from opcheck.tracing.graph import Graph
from opcheck.tracing.primitives import FLOATS, PRIMITIVES, Arithmetic, Primitive


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
    blended: bool = False,
) -> list[Any]:
    """Each node's tangent, given those of some leaves (by node id); None where no tangent reaches.

    `blended`: where both arguments of a maximum move, it moves by b' + (a > b)*(a' - b'), as torch has it: the same
    number, which is rounded."""
    results: list[Any] = []
    for id, node in enumerate(graph.nodes):
        args = node[1]
        incoming = [results[i] for i in args]
        if all(tangent is None for tangent in incoming):
            results.append(tangents.get(id))
            continue
        row = PRIMITIVES[node[0]]
        at = numbers if row.piecewise and numbers is not None else values
        found = _tangent(row, k, incoming, at[id], [at[i] for i in args])
        if blended and node[0] in ("max", "min") and found is not None:
            for other in incoming:
                found = found if other is None or other is found else k.sum(other, k.sub(found, other))
        results.append(found)
    return results


def _tangent(row: Primitive, k: Arithmetic, tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    """The sum of partial * tangent over the arguments that move; None if nothing is passed on."""
    shares = []
    for tangent, partial in zip(tangents, row.partials(k, out, *args), strict=True):
        if tangent is None:
            continue
        if type(partial) is not int or abs(partial) > 1:  # a 2 that stands in a formula is a number like any other
            shares.append(k.mul(partial, tangent))
        elif partial:
            shares.append(tangent if partial == 1 else k.neg(tangent))
    return k.sum(*shares) if len(shares) > 1 else shares[0] if shares else None


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


# --- both at once -----------------------------------------------------------------------------------------------------


class Dual(NamedTuple):
    """A number and its tangent; a tangent of None means that the number is constant."""

    value: Any
    tangent: Any = None

    @property
    def known(self) -> Any:
        """The number itself where it is a constant of a trace."""
        return getattr(self.value, "known", None)


def dual(k: Arithmetic) -> Arithmetic:
    """The arithmetic of dual numbers over `k`: each function propagates the tangents of its arguments."""

    def moving(row: Primitive, function: Callable[..., Any]) -> Callable[..., Dual]:
        def evaluate(*args: Any) -> Dual:
            pairs = [x if type(x) is Dual else Dual(x) for x in args]
            numbers, tangents = [x.value for x in pairs], [x.tangent for x in pairs]
            out = function(*numbers)
            still = all(tangent is None for tangent in tangents)
            return Dual(out, None if still else _tangent(row, k, tangents, out, numbers))

        return evaluate

    return Arithmetic({op: moving(PRIMITIVES[op], function) for op, function in k.functions.items()})


def forward_over_reverse(
    graph: Graph,
    cotangents: Mapping[int, Any],
    tangents: Mapping[int, Any],
    values: Sequence[Any],
    k: Arithmetic = FLOATS,
    numbers: Sequence[Any] | None = None,
) -> list[Dual | None]:
    """Each node's adjoint, and how it moves when the leaves move by `tangents`: a Hessian times a direction.

    One forward sweep, then one reverse sweep over dual numbers (Pearlmutter, Fast exact multiplication by the Hessian,
    Neural Computation 6, 1994). No matrix is formed and nothing is recorded.

    >>> from opcheck.tracing import Tape, values
    >>> tape = Tape()
    >>> x, y = tape.input("x", 3.0), tape.input("y", 5.0)
    >>> graph = tape.graph(x * x * y)
    >>> forward_over_reverse(graph, {3: 1.0}, {0: 1.0}, values(graph))[:2]
    [Dual(value=30.0, tangent=10.0), Dual(value=9.0, tangent=6.0)]
    """
    moved = forward(graph, tangents, values, k, numbers)
    seeds = {id: Dual(cotangent) for id, cotangent in cotangents.items()}
    at = values if numbers is None else numbers
    return reverse(graph, seeds, [Dual(*pair) for pair in zip(values, moved, strict=True)], dual(k), at)
