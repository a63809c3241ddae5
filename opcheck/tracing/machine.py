"""A graph evaluated in a floating-point type: every result is rounded, in the order of the formula."""

import math
import struct
from typing import Any

from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.primitives import FLOATS


def round_to(x: float, dtype: str) -> float:
    """`x` rounded to nearest, ties to even, in float64, float32, float16 or bfloat16; overflow gives an infinity.

    >>> round_to(0.1, "bfloat16"), round_to(1e39, "float32"), round_to(2049.0, "float16")
    (0.10009765625, inf, 2048.0)
    """
    if dtype == "float64" or not math.isfinite(x):
        return x
    if dtype == "bfloat16":
        return _bfloat16(x)
    try:
        format = "<f" if dtype == "float32" else "<e"
        return float(struct.unpack(format, struct.pack(format, x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def _bfloat16(x: float) -> float:
    """bfloat16 has float32's exponents and 8 significant bits."""
    if x == 0:
        return x
    exponent = max(math.frexp(x)[1], -125)  # below 2**-126 the spacing stays that of the smallest normal
    spacing = math.ldexp(1.0, exponent - 8)
    rounded = round(x / spacing) * spacing  # both steps are exact in float64; round() takes ties to even
    return math.copysign(math.inf, x) if abs(rounded) >= 2.0**128 else math.copysign(rounded, x)


def machine(graph: Graph, dtype: str) -> list[float]:
    """Every node as computed in `dtype`: leaves stored in it, each operation rounded, sums from left to right."""

    def leaf(node: Node) -> float:
        return round_to(float(node.value), dtype)

    def apply(node: Node, args: list[float]) -> float:
        if node.op != "sum":
            return round_to(float(FLOATS.functions[node.op](*args)), dtype)
        running: Any = args[0]
        for term in args[1:]:
            running = round_to(running + term, dtype)
        return float(running)

    return graph.fold(leaf, apply)
