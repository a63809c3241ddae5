"""The layer convention with weights as (Out, In)."""

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.operators.spec import Array


class Affine:
    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward("linear", x, self.W, self.b)
        return out

    def backward(self, dout: Array) -> Array:
        d = vjp("linear", dout, self.x, self.W, self.b)
        self.dW, self.db = d["weight"], d["bias"]
        return d["input"]
