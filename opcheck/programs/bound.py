"""The bound reading: how far each element of each array may be from the exact one when a program runs in a format."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode
from opcheck.programs.running import Format, Running, given


def running(nodes: Sequence[ArrayNode], f: Format, inputs: Mapping[int, Running] | None = None) -> list[Any]:
    """Every node as `f` computes it; `inputs` that come with errors of their own by node.

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
    found: list[Any] = []
    with np.errstate(all="ignore"):
        for id, node in enumerate(nodes):
            if node.rule is not None:
                found.append(node.rule.running(f, node.value, *[found[arg] for arg in node.args], **node.params))
            elif inputs is not None and id in inputs:
                found.append(inputs[id])
            else:
                found.append(given(f, node.value, constant=not node.label))
    return found
