"""Forward and reverse mode over a tensor program: two loops, as for numbers, with a rule for each node."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.programs.arrays import ArrayNode, ArrayTape, TracedArray
from opcheck.programs.rule import plus


def depends(nodes: Sequence[ArrayNode], on: Iterable[int]) -> list[bool]:
    """Which nodes are real numbers computed from the nodes `on`."""
    found = [False] * len(nodes)
    for id in on:
        found[id] = True
    for id, node in enumerate(nodes):
        if node.args and any(found[arg] for arg in node.args):
            found[id] = isinstance(node.value, dict) or node.value.dtype.kind == "f"
    return found


def forward(nodes: Sequence[ArrayNode], tangents: Mapping[int, Any], read: Callable[[int], Any]) -> list[Any]:
    """Each node's tangent, given those of some; None where none reaches. read(id): a node's value."""
    results: list[Any] = []
    with np.errstate(all="ignore"):
        for id, node in enumerate(nodes):
            incoming = [results[arg] for arg in node.args]
            if node.rule is None or all(tangent is None for tangent in incoming):
                results.append(tangents.get(id))
            else:
                results.append(node.rule.jvp(incoming, read(id), [read(arg) for arg in node.args], **node.params))
    return results


def reverse(
    nodes: Sequence[ArrayNode],
    cotangents: Mapping[int, Any],
    on: Iterable[int],
    read: Callable[[int], Any],
    note: Callable[[int, int, Any], None] | None = None,
) -> list[Any]:
    """Each node's adjoint; None where none reaches, or where nothing of `on` is needed.

    The sweep is in reverse order of execution and does not recurse. `note(from, place, share)` hears of every
    contribution, to the argument at that place. With traced cotangents and values, the adjoints are recorded.
    """
    wanted = depends(nodes, on)
    results: list[Any] = [None] * len(nodes)
    for id, cotangent in cotangents.items():
        results[id] = cotangent
    with np.errstate(all="ignore"):
        for id in range(len(nodes) - 1, -1, -1):
            node = nodes[id]
            if results[id] is None or node.rule is None or not wanted[id]:
                continue
            needed = [wanted[arg] for arg in node.args]
            args = [read(arg) for arg in node.args]
            shares = node.rule.vjp(results[id], read(id), args, needed, **node.params)
            for place, (arg, share, need) in enumerate(zip(node.args, shares, needed, strict=True)):
                if share is not None and need:
                    if note is not None:
                        note(id, place, share)
                    results[arg] = share if results[arg] is None else plus(results[arg], share)
    return results


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns function(*arrays) and its gradient by each of the arrays, as a tuple.

    The result of `function` must be one number. Called with plain arrays it computes; called with traced arrays (a
    training step under `opcheck trace`) the reverse sweep is recorded, operator by operator.

    >>> import numpy as np
    >>> value, (gradient,) = value_and_gradient(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """

    def run(*arrays: Any, **fixed: Any) -> Any:
        outer = next((x.tape for x in arrays if isinstance(x, TracedArray)), None)
        tape = ArrayTape() if outer is None else outer
        inputs = [x if isinstance(x, TracedArray) else tape.input("", np.asarray(x, dtype=float)) for x in arrays]
        out = tape.lifted(function(*inputs, **fixed))
        check_one_number(out)
        nodes = tuple(tape.nodes)
        ids = [x.id for x in inputs]
        if outer is None:
            adjoints = reverse(nodes, {out.id: np.ones(out.shape)}, ids, lambda id: nodes[id].value)
            found = [np.zeros(x.shape) if adjoints[x.id] is None else adjoints[x.id] for x in inputs]
            return out.value, tuple(found)
        adjoints = reverse(nodes, {out.id: tape.constant(np.ones(out.shape))}, ids, lambda id: TracedArray(tape, id))
        return out, tuple(
            tape.constant(np.zeros(x.shape)) if adjoints[x.id] is None else adjoints[x.id] for x in inputs
        )

    return run


def check_one_number(out: TracedArray) -> None:
    if out.size != 1:
        raise Refused(
            say("a gradient needs a single number"), got=say("an output of shape {shape}", shape=out.shape),
            fix=say("return a loss: .sum() or .mean() of it, or give reverse a seed of that shape"),
        )  # fmt: skip
