"""The layer convention: objects that hold W, b, dW and db."""

from typing import Any

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.operators.spec import Array


class Affine:
    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward("linear", x, self.W.T, self.b)
        return out

    def backward(self, dout: Array) -> Array:
        d = vjp("linear", dout, self.x, self.W.T, self.b)
        self.dW, self.db = d["weight"].T, d["bias"]
        return d["input"]


class Convolution:
    def __init__(self, W: Array, b: Array, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.options = W, b, {"stride": stride, "padding": pad}

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward("conv2d", x, self.W, self.b, **self.options)
        return out

    def backward(self, dout: Array) -> Array:
        d = vjp("conv2d", dout, self.x, self.W, self.b, **self.options)
        self.dW, self.db = d["weight"], d["bias"]
        return d["input"]


class Plain:
    """A layer without parameters."""

    op = "relu"
    options: dict[str, Any] = {}

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward(self.op, x, **self.options)
        return out

    def backward(self, dout: Array) -> Array:
        return vjp(self.op, dout, self.x, **self.options)["input"]


class Relu(Plain):
    op = "relu"


class Sigmoid(Plain):
    op = "sigmoid"


class Tanh(Plain):
    op = "tanh"


class Softmax(Plain):
    op = "softmax"
    options = {"dim": 1}


class Pooling(Plain):
    op = "max_pool2d"

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.options = {"kernel_size": (pool_h, pool_w), "stride": stride, "padding": pad}


class SoftmaxWithLoss:
    def forward(self, x: Array, t: Array) -> Array:
        self.x, self.t = x, t
        loss: Array = forward("cross_entropy", x, t)
        return loss

    def backward(self, dout: float = 1) -> Array:
        return vjp("cross_entropy", self.x.dtype.type(dout), self.x, self.t)["input"]
