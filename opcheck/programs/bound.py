"""The bound reading: how far each element of each array may be from the exact one when a program runs in a format."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode
from opcheck.programs.running import Format, Running, given
from opcheck.programs.shifts import peaked

LARGEST = float(np.finfo(np.float64).max)
SINGULAR = ("div", "log", "log1p", "power", "tan", "atanh")  # infinite at some finite numbers


def overflowed(node: ArrayNode, result: Any, args: Sequence[Any], largest: float = LARGEST) -> Any:
    """The result with anything allowed where finite numbers became larger than the largest."""
    assert node.rule is not None
    if not isinstance(result, Running) or node.rule.name in SINGULAR or (np.abs(result.value) <= largest).all():
        return result
    if not all(isinstance(arg, Running) and np.isfinite(arg.value).all() for arg in args):
        return result
    return result._replace(base=np.where(np.abs(result.value) <= largest, result.base, np.inf))


def running(
    nodes: Sequence[ArrayNode],
    f: Format,
    inputs: Mapping[int, Running] | None = None,
    only: Iterable[int] | None = None,
    largest: float = LARGEST,
) -> dict[int, Any]:
    """Every node as `f` computes it, or those of `only`; `inputs` that come with errors of their own by node. Anything
    may come of a number beyond the `largest`.

    >>> import numpy as np
    >>> from opcheck.programs.arrays import ArrayTape
    >>> from opcheck.verification.truth.formats import FORMATS
    >>> tape = ArrayTape()
    >>> x = tape.input("x", np.array([1.0, 3.0]))
    >>> y = np.exp(x) / 3
    >>> float32 = FORMATS["float32"]
    >>> error = running(tape.nodes, float32)[y.id].error(float32)
    >>> (error / y.value / float32.u).round(3)  # exp has 5 units, a division 2
    array([7., 7.])
    """
    asked = range(len(nodes)) if only is None else set(only)
    last = last_uses(nodes, asked)
    found: dict[int, Any] = {}
    twins = dict[int, int]()
    first = dict[Any, int]()
    with np.errstate(all="ignore"):
        for id in sorted(last):
            node = nodes[id]
            if inputs is not None and id in inputs:
                found[id] = inputs[id]
            elif node.rule is None:
                found[id] = given(f, node.value, constant=not node.label)
            elif (twin := _twin(node, id, twins, first)) in found:
                found[id] = found[twin]
            else:
                args = [found[arg] for arg in node.args]
                result = overflowed(node, node.rule.running(f, node.value, *args, **node.params), args, largest)
                found[id] = peaked(nodes, node, result) if node.rule.name == "sub" else result
            if node.rule is not None:
                for arg in node.args:
                    if last[arg] == id and arg not in asked:
                        found.pop(arg, None)  # large arrays are let go as soon as nothing needs them
    return found


def _twin(node: ArrayNode, id: int, twins: dict[int, int], first: dict[Any, int]) -> int:
    """The first node that makes the same of the same: (x - m)·(x - m) is a square as well as d·d."""
    assert node.rule is not None
    if all(value is None or isinstance(value, (bool, int, float, str)) for value in node.params.values()):
        made_of = (node.rule.name, *node.params.values(), *(twins.get(arg, arg) for arg in node.args))
        twins[id] = first.setdefault(made_of, id)
    return twins.get(id, id)


def last_uses(nodes: Sequence[ArrayNode], asked: Container[int]) -> dict[int, int]:
    """The nodes that those asked for are made of, and where each is used for the last time."""
    last: dict[int, int] = {}
    for id in range(len(nodes) - 1, -1, -1):
        if id in asked or id in last:
            last.setdefault(id, id)
            for arg in nodes[id].args:
                last.setdefault(arg, id)
    return last
