"""What the benchmarks run: one call of an operator, in float64, as a user would meet it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from opcheck.operators import catalog
from opcheck.operators.spec import Array

LOSSES = ("mse_loss", "nll_loss", "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits")
STANDARD = {"forward": 2.0, "vjp": 2.0, "jvp": 2.0}
CONVOLUTION = {"forward": 1.0, "vjp": 1.5, "jvp": 2.0}


class Workload(NamedTuple):
    """A call: the operator, its arrays and parameters, and the ratios to torch that it may have."""

    op: str
    arrays: dict[str, Array]
    params: dict[str, Any]
    limits: dict[str, float] = STANDARD

    @property
    def label(self) -> str:
        shapes = " by ".join("x".join(map(str, array.shape)) for array in list(self.arrays.values())[:2])
        return " ".join([self.op, shapes, *(f"{name}={value}" for name, value in self.params.items())])


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def classes(count: int, options: int, *places: int) -> Array:
    return np.random.default_rng(count).integers(0, options, size=(count, *places))


def convolution(x: tuple[int, ...], weight: tuple[int, ...], **params: Any) -> Workload:
    limits = CONVOLUTION if params.get("groups", 1) == 1 else STANDARD
    return Workload(f"conv{len(x) - 2}d", {"input": normal(*x), "weight": normal(*weight)}, params, limits)


def optimiser(op: str, *shape: int, **params: Any) -> Workload:
    """A step in the middle of a training: every state that these parameters keep is there."""
    state = catalog.get(op).kept(catalog.get(op).parameters(params))[1:]
    arrays = {"param": normal(*shape), "gradient": normal(*shape), **{name: abs(normal(*shape)) for name in state}}
    return Workload(op, arrays, params)


def one_input(op: str, *shape: int, **params: Any) -> Workload:
    return Workload(op, {"input": normal(*shape)}, params)


def loss(op: str, *shape: int) -> Workload:
    """Input and target: numbers, probabilities, or for a loss of classes their numbers."""
    if op in ("cross_entropy", "nll_loss"):
        return Workload(op, {"input": normal(*shape), "target": classes(*shape)}, {})
    x, t = normal(*shape), normal(shape[0] + 1, *shape[1:])[1:]
    chances = {"binary_cross_entropy": (abs(x) % 1, abs(t) % 1), "binary_cross_entropy_with_logits": (x, abs(t) % 1)}
    return Workload(op, dict(zip(("input", "target"), chances.get(op, (x, t)), strict=True)), {})


LARGE: tuple[Callable[[], Workload], ...] = (
    lambda: convolution((8, 16, 4096), (32, 16, 9), padding=4),
    lambda: convolution((8, 16, 56, 56), (32, 16, 3, 3), padding=1),
    lambda: convolution((8, 16, 56, 56), (32, 16, 3, 3), padding=1, stride=2),
    lambda: convolution((8, 16, 56, 56), (16, 1, 3, 3), padding=1, groups=16),
    lambda: convolution((1, 3, 224, 224), (64, 3, 7, 7), padding=3, stride=2),
    lambda: convolution((8, 512, 7, 7), (512, 512, 3, 3), padding=1),
    lambda: one_input("max_pool1d", 8, 16, 4096, kernel_size=2),
    lambda: one_input("max_pool2d", 8, 16, 56, 56, kernel_size=2),
    lambda: one_input("max_pool2d", 8, 16, 56, 56, kernel_size=3, stride=2, padding=1),
    lambda: one_input("avg_pool1d", 8, 16, 4096, kernel_size=2),
    lambda: one_input("avg_pool2d", 8, 16, 56, 56, kernel_size=2),
    lambda: one_input("avg_pool2d", 8, 16, 56, 56, kernel_size=3, stride=2, padding=1),
    lambda: Workload("linear", {"input": normal(256, 512), "weight": normal(512, 512), "bias": normal(512)}, {}),
    *(partial(one_input, op, 512, 1000) for op in ("relu", "sigmoid", "tanh")),
    *(partial(one_input, op, 512, 1000, dim=-1) for op in ("softmax", "log_softmax")),
    lambda: one_input("softmax", 64, 100, 80, dim=1),
    *(partial(loss, op, 512, 1000) for op in LOSSES if op != "nll_loss"),
    *(partial(loss, op, 8, 21, 128, 128) for op in ("nll_loss", "cross_entropy")),  # a class for each pixel
    lambda: optimiser("sgd", 512, 1000, lr=0.1),
    lambda: optimiser("sgd", 512, 1000, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    *(partial(optimiser, op, 512, 1000, lr=0.1) for op in ("adam", "adamw", "rmsprop")),
)

# Verification runs millions of these: no limit, but the microseconds count.
SMALL: tuple[Callable[[], Workload], ...] = (
    lambda: convolution((2, 2, 5), (4, 2, 3)),
    lambda: convolution((2, 2, 5, 5), (4, 2, 3, 3)),
    *(partial(one_input, op, 2, 2, 5, kernel_size=2) for op in ("max_pool1d", "avg_pool1d")),
    *(partial(one_input, op, 2, 2, 5, 5, kernel_size=2) for op in ("max_pool2d", "avg_pool2d")),
    lambda: Workload("linear", {"input": normal(2, 3), "weight": normal(4, 3), "bias": normal(4)}, {}),
    *(partial(one_input, op, 3, 4) for op in ("relu", "sigmoid", "tanh")),
    *(partial(one_input, op, 3, 4, dim=-1) for op in ("softmax", "log_softmax")),
    *(partial(loss, op, 3, 4) for op in LOSSES),
    partial(loss, "nll_loss", 512, 1000),  # reads 512 numbers
    *(partial(optimiser, op, 3, 4, lr=0.1) for op in ("sgd", "adam", "adamw", "rmsprop")),
)
