"""The cmu convention until 2022."""

import numpy as np

from opcheck.grading.solutions import cmu
from opcheck.grading.solutions.cmu import (
    Conv1d as Conv1d,
)
from opcheck.grading.solutions.cmu import (
    Conv1d_stride1 as Conv1d_stride1,
)
from opcheck.grading.solutions.cmu import (
    Conv2d as Conv2d,
)
from opcheck.grading.solutions.cmu import (
    Conv2d_stride1 as Conv2d_stride1,
)
from opcheck.grading.solutions.cmu import (
    MaxPool2d as MaxPool2d,
)
from opcheck.grading.solutions.cmu import (
    MeanPool2d as MeanPool2d,
)
from opcheck.grading.solutions.cmu import (
    Softmax as Softmax,
)
from opcheck.spec import Array


class Linear(cmu.Linear):
    def backward(self, dLdZ: Array) -> Array:  # noqa: N803
        dLdA = super().backward(dLdZ)  # noqa: N806
        self.dLdW, self.dLdb = self.dLdW / len(self.A), self.dLdb / len(self.A)
        return dLdA


class _Slope:
    """backward() without arguments: the slope."""

    layer: type[cmu.Plain]

    def __init__(self) -> None:
        self._layer = self.layer()

    def forward(self, Z: Array) -> Array:  # noqa: N803
        self.A = self._layer.forward(Z)
        return self.A

    def backward(self) -> Array:
        return self._layer.backward(np.ones_like(self.A))


class ReLU(_Slope):
    layer = cmu.ReLU


class Sigmoid(_Slope):
    layer = cmu.Sigmoid


class Tanh(_Slope):
    layer = cmu.Tanh


class MSELoss(cmu.MSELoss):
    def forward(self, A: Array, Y: Array) -> Array:  # noqa: N803
        return super().forward(A, Y) / 2

    def backward(self) -> Array:
        return super().backward() * (self.A.size / 2)


class CrossEntropyLoss(cmu.CrossEntropyLoss):
    def backward(self) -> Array:
        return super().backward() * len(self.A)
