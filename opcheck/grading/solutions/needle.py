"""The needle convention: a Tensor that remembers how it was made."""

from typing import Any

import numpy as np

from opcheck.grading.solutions import engine
from opcheck.operators.spec import Array


class Tensor:
    def __init__(self, array: Array, op: str = "", inputs: "dict[str, Tensor] | None" = None, **options: Any) -> None:
        self.array, self.op, self.inputs, self.options = np.array(array), op, inputs or {}, options
        self.grad: Tensor | None = None

    def numpy(self) -> Array:
        return self.array

    def backward(self, out_grad: "Tensor") -> None:
        arrays, options = _arguments({name: each.array for name, each in self.inputs.items()}, self.options)
        gradients = engine.vjp(self.op, out_grad.array, *arrays, **options)
        for name, each in self.inputs.items():
            found = gradients.get(name)
            each.grad = None if found is None else Tensor(found)


def _arguments(arrays: dict[str, Array], options: dict[str, Any]) -> tuple[list[Array], dict[str, Any]]:
    """By position; behind the input, those of a layer that normalises go by name."""
    if "normalized_shape" not in options:
        return [*arrays.values()], options
    first, *_ = arrays
    return [arrays[first]], {**options, **{name: array for name, array in arrays.items() if name != first}}


def _made(op: str, inputs: dict[str, Tensor], **options: Any) -> Tensor:
    arrays, named = _arguments({name: each.array for name, each in inputs.items()}, options)
    return Tensor(engine.forward(op, *arrays, **named), op, inputs, **options)


def relu(a: Tensor) -> Tensor:
    return _made("relu", {"input": a})


def tanh(a: Tensor) -> Tensor:
    return _made("tanh", {"input": a})


def matmul(a: Tensor, b: Tensor) -> Tensor:
    return _made("matmul", {"input": a, "other": b})


class Linear:
    def __init__(self, in_features: int, out_features: int) -> None:
        self.weight = Tensor(np.zeros((in_features, out_features)))
        self.bias = Tensor(np.zeros((1, out_features)))

    def forward(self, X: Tensor) -> Tensor:
        return _Linear(X, self.weight, self.bias)


class _Linear(Tensor):
    """With a weight (In, Out) and a bias (1, Out)."""

    def __init__(self, X: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.arrays = X.array, weight.array.T, bias.array[0]
        super().__init__(engine.forward("linear", *self.arrays), inputs={"input": X, "weight": weight, "bias": bias})

    def backward(self, out_grad: Tensor) -> None:
        d = engine.vjp("linear", out_grad.array, *self.arrays)
        bias = d["bias"] if d["bias"].ndim == 2 else d["bias"][None]
        for name, found in (("input", d["input"]), ("weight", d["weight"].T), ("bias", bias)):
            self.inputs[name].grad = Tensor(found)


class SoftmaxLoss:
    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        return _made("cross_entropy", {"input": logits, "target": y})


class LayerNorm1d:
    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        self.dim, self.eps = dim, eps
        self.weight, self.bias = Tensor(np.ones(dim)), Tensor(np.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        inputs = {"input": x, "weight": self.weight, "bias": self.bias}
        return _made("layer_norm", inputs, normalized_shape=(self.dim,), eps=self.eps)
