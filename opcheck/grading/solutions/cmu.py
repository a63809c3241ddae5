"""The cmu convention: classes; gradients of parameters are attributes."""

from typing import Any

import numpy as np

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.grading.solutions.plain import Plain, ReLU, Sigmoid, Softmax, Tanh
from opcheck.operators.spec import Array

__all__ = ["ReLU", "Sigmoid", "Softmax", "Tanh"]  # beside what is defined here


class Linear:
    def __init__(self, in_features: int, out_features: int) -> None:
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))

    def forward(self, A: Array) -> Array:
        self.A = A
        out: Array = forward("linear", A, self.W, self.b[:, 0])
        return out

    def backward(self, dLdZ: Array) -> Array:
        d = vjp("linear", dLdZ, self.A, self.W, self.b[:, 0])
        self.dLdW, self.dLdb = d["weight"], d["bias"] if d["bias"].ndim == 2 else d["bias"][:, None]
        return d["input"]


class Stride1:
    """Holds the parameters of a convolution, and can be called with a stride all the same."""

    op = "conv2d"

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        self.W, self.b = np.zeros((out_channels, in_channels, kernel_size)), np.zeros(out_channels)
        self.options: dict[str, Any] = {}

    def forward(self, A: Array) -> Array:
        self.A = A
        out: Array = forward(self.op, A, self.W, self.b, **self.options)
        return out

    def backward(self, dLdZ: Array) -> Array:
        d = vjp(self.op, dLdZ, self.A, self.W, self.b, **self.options)
        self.dLdW, self.dLdb = d["weight"], d["bias"]
        return d["input"]


class Conv2d_stride1(Stride1):
    op = "conv2d"


class Conv1d_stride1(Stride1):
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


class MaxPool2d(Plain):
    op = "max_pool2d"

    def __init__(self, kernel: int, stride: int) -> None:
        self.options = {"kernel_size": kernel, "stride": stride}


class MeanPool2d(MaxPool2d):
    op = "avg_pool2d"


class MaxPool2d_stride1(MaxPool2d):
    def __init__(self, kernel: int) -> None:
        super().__init__(kernel, 1)


class MeanPool2d_stride1(MaxPool2d_stride1):
    op = "avg_pool2d"


class MSELoss:
    def forward(self, A: Array, Y: Array) -> Array:
        self.A, self.Y = A, Y
        loss: Array = forward("mse_loss", A, Y)
        return loss

    def backward(self) -> Array:
        return vjp("mse_loss", self.A.dtype.type(1), self.A, self.Y)["input"]


class CrossEntropyLoss:
    def forward(self, A: Array, Y: Array) -> Array:
        one_hot = np.isin(Y, (0, 1)).all()
        self.A, self.target = A, Y.argmax(axis=1) if one_hot else Y
        loss: Array = forward("cross_entropy", A, self.target)
        return loss

    def backward(self) -> Array:
        return vjp("cross_entropy", self.A.dtype.type(1), self.A, self.target)["input"]


class SGD:
    def __init__(self, model: Any, lr: float = 0.1, momentum: float = 0) -> None:
        self.layers, self.lr, self.mu = model.layers, lr, momentum
        self.v_W, self.v_b = ([np.zeros_like(each) for each in found] for found in _parameters(model))

    def step(self) -> None:
        for k, layer in enumerate(self.layers):
            for name, v in (("W", self.v_W), ("b", self.v_b)):
                arrays = getattr(layer, name), getattr(layer, f"dLd{name}"), v[k]
                moved = forward("sgd", *arrays, lr=self.lr, momentum=self.mu)
                setattr(layer, name, moved[0] if self.mu else moved)
                v[k] = moved[1] if self.mu else v[k]


class Adam:
    op = "adam"

    def __init__(
        self, model: Any, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, **options: float
    ) -> None:
        self.layers, self.t = model.layers, 0
        self.options: dict[str, Any] = {"lr": lr, "betas": (beta1, beta2), "eps": eps, **options}
        self.m_W, self.m_b = ([np.zeros_like(each) for each in found] for found in _parameters(model))
        self.v_W, self.v_b = ([np.zeros_like(each) for each in found] for found in _parameters(model))

    def step(self) -> None:
        self.t += 1
        for k, layer in enumerate(self.layers):
            for name, m, v in (("W", self.m_W, self.v_W), ("b", self.m_b, self.v_b)):
                arrays = getattr(layer, name), getattr(layer, f"dLd{name}"), m[k], v[k]
                moved, m[k], v[k] = forward(self.op, *arrays, step=self.t, **self.options)
                setattr(layer, name, moved)


class AdamW(Adam):
    op = "adamw"

    def __init__(
        self, model: Any, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, beta1, beta2, eps, weight_decay=weight_decay)


def _parameters(model: Any) -> tuple[list[Array], list[Array]]:
    return [layer.W for layer in model.layers], [layer.b for layer in model.layers]
