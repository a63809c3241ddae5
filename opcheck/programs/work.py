"""How much work a recorded program is, in numbers that are made: what its readings take grows with it."""

import math
from collections.abc import Sequence
from typing import Any

from opcheck.programs.arrays import ArrayNode

EACH_LINE = 500  # numbers that are made in the time that one more line takes, however small its array
PRODUCTS = 16  # products of matrices that are summed in the time that one number takes elsewhere


def work_of(nodes: Sequence[ArrayNode]) -> int:
    """The numbers that these lines make, and the time that products of matrices take, in numbers."""
    return sum(_work(node, nodes) for node in nodes if node.rule is not None)


def _work(node: ArrayNode, nodes: Sequence[ArrayNode]) -> int:
    found = node.value.values() if isinstance(node.value, dict) else (node.value,)
    made = sum(int(each.size) for each in found)
    return EACH_LINE + made + _products(node, [nodes[id].value.shape for id in node.args], made) // PRODUCTS


def _products(node: ArrayNode, shapes: list[Any], made: int) -> int:
    """How many products are summed."""
    name = node.rule.name if node.rule else ""
    if name == "matmul":
        return int(made) * int(shapes[0][-1])
    if name == "einsum":
        letters = zip("".join(node.params["spec"].partition("->")[0].split(",")), [n for s in shapes for n in s],
                      strict=True)  # fmt: skip
        return math.prod(dict(letters).values())
    return 0
