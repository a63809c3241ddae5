"""The bound reading: how far each element of each array may be from the exact one when a program runs in a format."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode
from opcheck.programs.running import Format, Running, given

SINGULAR = ("div", "log", "log1p", "power", "tan")  # infinite at some finite numbers


def overflowed(node: ArrayNode, result: Any, args: Sequence[Any]) -> Any:
    """The result with anything allowed where finite numbers became larger than float64's largest."""
    assert node.rule is not None
    if not isinstance(result, Running) or node.rule.name in SINGULAR or np.isfinite(result.value).all():
        return result
    if not all(isinstance(arg, Running) and np.isfinite(arg.value).all() for arg in args):
        return result
    return result._replace(base=np.where(np.isfinite(result.value), result.base, np.inf))


def running(nodes: Sequence[ArrayNode], f: Format, inputs: Mapping[int, Running] | None = None) -> list[Any]:
    """Every node as `f` computes it; `inputs` that come with errors of their own by node.

    >>> import numpy as np
    >>> from opcheck.programs.arrays import ArrayTape
    >>> from opcheck.verification.truth.formats import FORMATS
    >>> tape = ArrayTape()
    >>> x = tape.input("x", np.array([1.0, 3.0]))
    >>> y = np.exp(x) / 3
    >>> float32 = FORMATS["float32"]
    >>> running(tape.nodes, float32)[y.id].error(float32) / y.value / float32.u  # exp 5 units, a division 2
    array([7.00000042, 7.00000042])
    """
    found: list[Any] = []
    with np.errstate(all="ignore"):
        for id, node in enumerate(nodes):
            if node.rule is not None:
                args = [found[arg] for arg in node.args]
                found.append(overflowed(node, node.rule.running(f, node.value, *args, **node.params), args))
            elif inputs is not None and id in inputs:
                found.append(inputs[id])
            else:
                found.append(given(f, node.value, constant=not node.label))
    return found
