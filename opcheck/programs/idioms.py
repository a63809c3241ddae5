"""What a program says in other words: x/(1 + exp(−x)) is x·σ(x), exp(x)/Σ exp(x) a softmax, ln Σ exp(x) a log-sum-exp.

A tape that is not literal records these by their names: their own rules do not overflow where an exponential does, and
their bounds hold for every usual way to compute them and their gradients.
"""

from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode, ArrayTape, TracedArray
from opcheck.programs.elementwise import sigmoid
from opcheck.programs.rule import axes_of, kept
from opcheck.programs.rules import RULES

FULL = (slice(None), None, Ellipsis)  # parts of an index that leave nothing out


def quotient(tape: ArrayTape, a: Any, b: Any) -> Any:
    """a/b."""
    if isinstance(b, TracedArray):
        if (y := _one_more(tape, b)) is not None:
            return sigmoid(-y) if _is(a, 1) else a * sigmoid(-y)
        if (found := _sum_of_exponentials(tape, b)) is not None:
            y, axis = found
            if _exponent(tape, a) == y.id and b.shape == kept(y.shape, axis):
                return tape.record(RULES["softmax_along"], (y,), axis=axis)
    return tape.record(RULES["div"], (a, b))


def power(tape: ArrayTape, a: Any, b: Any) -> Any:
    """a to the power of b."""
    return quotient(tape, 1.0, a) if _is(b, -1) else tape.record(RULES["power"], (a, b))


def logarithm(tape: ArrayTape, x: TracedArray) -> Any:
    """ln x; that of a mean of exponentials is that of their sum less ln n."""
    for kind in ("total", "mean"):
        found = _sum_of_exponentials(tape, x, kind)
        if found is not None:
            y, axis = found
            whole = tape.record(RULES["log_sum_exp"], (y,), axis=axis).reshape(x.shape)
            return whole if kind == "total" else whole - np.log(y.shape[axis])
    return tape.record(RULES["log"], (x,))


def _is(x: Any, number: int) -> bool:
    """Whether an argument is this number, written in the program."""
    return not isinstance(x, TracedArray) and np.ndim(x) == 0 and bool(x == number)


def _exponent(tape: ArrayTape, x: Any) -> int | None:
    """The node y of exp(y)."""
    node = tape.nodes[x.id] if isinstance(x, TracedArray) else None
    return node.args[0] if node is not None and node.rule is RULES["exp"] else None


def _one_more(tape: ArrayTape, x: TracedArray) -> TracedArray | None:
    """The array y of 1 + exp(y)."""
    node = tape.nodes[x.id]
    if node.rule is RULES["sum"]:
        for one, other in (node.args, node.args[::-1]):
            y = _exponent(tape, TracedArray(tape, other))
            given = tape.nodes[one]
            if y is not None and given.rule is None and not given.label and _is(given.value, 1):
                return TracedArray(tape, y)
    return None


def _sum_of_exponentials(tape: ArrayTape, x: TracedArray, kind: str = "total") -> tuple[TracedArray, int] | None:
    """The array y and the axis of a sum or mean of exp(y) along one axis, whatever axes of size 1 it has got since."""
    node = tape.nodes[x.id]
    while _only_shapes(node):
        node = tape.nodes[node.args[0]]
    if node.rule is not RULES[kind]:
        return None
    y = _exponent(tape, TracedArray(tape, node.args[0]))
    if y is None:
        return None
    found = TracedArray(tape, y)
    axes = axes_of(found.shape, node.params["axis"])
    if len(axes) != 1 or np.isinf(np.max(found.value, axis=axes[0], initial=-np.inf)).any():
        return None
    return found, axes[0]


def _only_shapes(node: ArrayNode) -> bool:
    """Whether an operation keeps every element in its order."""
    if node.rule is RULES["getitem"]:
        index = node.params["index"]
        return all(any(part is each or part == each for each in FULL) if not hasattr(part, "shape") else False
                   for part in (index if isinstance(index, tuple) else (index,)))  # fmt: skip
    return node.rule is RULES["reshape"]
