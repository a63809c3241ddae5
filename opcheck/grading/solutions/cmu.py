"""The cmu convention: classes; gradients of parameters are attributes."""

from typing import Any

import numpy as np

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.spec import Array


class Linear:
    def __init__(self, in_features: int, out_features: int) -> None:
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))

    def forward(self, A: Array) -> Array:  # noqa: N803  # the course's names
        self.A = A
        out: Array = forward("linear", A, self.W, self.b[:, 0])
        return out

    def backward(self, dLdZ: Array) -> Array:  # noqa: N803
        d = vjp("linear", dLdZ, self.A, self.W, self.b[:, 0])
        self.dLdW, self.dLdb = d["weight"], d["bias"] if d["bias"].ndim == 2 else d["bias"][:, None]
        return d["input"]


class Stride1:
    """Holds the parameters of a convolution, and can be called with a stride all the same."""

    op = "conv2d"

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        self.W, self.b = np.zeros((out_channels, in_channels, kernel_size)), np.zeros(out_channels)
        self.options: dict[str, Any] = {}

    def forward(self, A: Array) -> Array:  # noqa: N803
        self.A = A
        out: Array = forward(self.op, A, self.W, self.b, **self.options)
        return out

    def backward(self, dLdZ: Array) -> Array:  # noqa: N803
        d = vjp(self.op, dLdZ, self.A, self.W, self.b, **self.options)
        self.dLdW, self.dLdb = d["weight"], d["bias"]
        return d["input"]


class Conv2d_stride1(Stride1):  # noqa: N801
    op = "conv2d"


class Conv1d_stride1(Stride1):  # noqa: N801
    op = "conv1d"


class Conv2d:
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int = 0) -> None:
        self.conv2d_stride1 = Conv2d_stride1(in_channels, out_channels, kernel_size)
        self.conv2d_stride1.options = {"stride": stride, "padding": padding}
        self.forward, self.backward = self.conv2d_stride1.forward, self.conv2d_stride1.backward


class Conv1d:
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int = 0) -> None:
        self.conv1d_stride1 = Conv1d_stride1(in_channels, out_channels, kernel_size)
        self.conv1d_stride1.options = {"stride": stride, "padding": padding}
        self.forward, self.backward = self.conv1d_stride1.forward, self.conv1d_stride1.backward


class Plain:
    """A layer without parameters."""

    op = "relu"
    options: dict[str, Any] = {}

    def forward(self, A: Array) -> Array:  # noqa: N803
        self.A = A
        out: Array = forward(self.op, A, **self.options)
        return out

    def backward(self, dLdA: Array) -> Array:  # noqa: N803
        return vjp(self.op, dLdA, self.A, **self.options)["input"]


class ReLU(Plain):
    op = "relu"


class Sigmoid(Plain):
    op = "sigmoid"


class Tanh(Plain):
    op = "tanh"


class Softmax(Plain):
    op = "softmax"
    options = {"dim": 1}


class MaxPool2d(Plain):
    op = "max_pool2d"

    def __init__(self, kernel: int, stride: int) -> None:
        self.options = {"kernel_size": kernel, "stride": stride}


class MeanPool2d(MaxPool2d):
    op = "avg_pool2d"


class MSELoss:
    def forward(self, A: Array, Y: Array) -> Array:  # noqa: N803
        self.A, self.Y = A, Y
        loss: Array = forward("mse_loss", A, Y)
        return loss

    def backward(self) -> Array:
        return vjp("mse_loss", self.A.dtype.type(1), self.A, self.Y)["input"]


class CrossEntropyLoss:
    def forward(self, A: Array, Y: Array) -> Array:  # noqa: N803
        self.A, self.target = A, Y.argmax(axis=1)
        loss: Array = forward("cross_entropy", A, self.target)
        return loss

    def backward(self) -> Array:
        return vjp("cross_entropy", self.A.dtype.type(1), self.A, self.target)["input"]
