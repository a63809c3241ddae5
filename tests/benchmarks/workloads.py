"""What the benchmarks run: one call of an operator, in float64, as a user would meet it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from opcheck.spec import Array


class Workload(NamedTuple):
    """A call: the operator, its arrays and parameters, and the ratio to torch that it may have (forward, VJP)."""

    op: str
    arrays: dict[str, Array]
    params: dict[str, Any]
    forward_limit: float = 2.0
    vjp_limit: float = 2.0

    @property
    def label(self) -> str:
        shapes = " by ".join("x".join(map(str, array.shape)) for array in list(self.arrays.values())[:2])
        return " ".join([self.op, shapes, *(f"{name}={value}" for name, value in self.params.items())])


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def classes(count: int, options: int) -> Array:
    return np.random.default_rng(count).integers(0, options, size=count)


def convolution(x: tuple[int, ...], weight: tuple[int, ...], **params: Any) -> Workload:
    return Workload(f"conv{len(x) - 2}d", {"input": normal(*x), "weight": normal(*weight)}, params, 1.0, 1.5)


LARGE: tuple[Callable[[], Workload], ...] = (
    lambda: convolution((8, 16, 56, 56), (32, 16, 3, 3), padding=1),
    lambda: convolution((8, 16, 56, 56), (32, 16, 3, 3), padding=1, stride=2),
    lambda: convolution((8, 16, 56, 56), (16, 1, 3, 3), padding=1, groups=16)._replace(
        forward_limit=2.0, vjp_limit=2.0
    ),
    lambda: convolution((1, 3, 224, 224), (64, 3, 7, 7), padding=3, stride=2),
    lambda: convolution((8, 512, 7, 7), (512, 512, 3, 3), padding=1),
    lambda: convolution((8, 16, 4096), (32, 16, 9), padding=4),
    lambda: Workload("max_pool2d", {"input": normal(8, 16, 56, 56)}, {"kernel_size": 2}),
    lambda: Workload("max_pool2d", {"input": normal(8, 16, 56, 56)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    lambda: Workload("avg_pool2d", {"input": normal(8, 16, 56, 56)}, {"kernel_size": 2}),
    lambda: Workload("avg_pool2d", {"input": normal(8, 16, 56, 56)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    lambda: Workload("max_pool1d", {"input": normal(8, 16, 4096)}, {"kernel_size": 2}),
    lambda: Workload("avg_pool1d", {"input": normal(8, 16, 4096)}, {"kernel_size": 2}),
    lambda: Workload("linear", {"input": normal(256, 512), "weight": normal(512, 512), "bias": normal(512)}, {}),
    lambda: Workload("relu", {"input": normal(512, 1000)}, {}),
    lambda: Workload("sigmoid", {"input": normal(512, 1000)}, {}),
    lambda: Workload("tanh", {"input": normal(512, 1000)}, {}),
    lambda: Workload("softmax", {"input": normal(512, 1000)}, {"dim": -1}),
    lambda: Workload("log_softmax", {"input": normal(512, 1000)}, {"dim": -1}),
    lambda: Workload("mse_loss", {"input": normal(512, 1000), "target": normal(512, 1000)}, {}),
    lambda: Workload("cross_entropy", {"input": normal(512, 1000), "target": classes(512, 1000)}, {}),
    lambda: Workload("nll_loss", {"input": normal(512, 1000), "target": classes(512, 1000)}, {}),
    lambda: Workload(
        "binary_cross_entropy_with_logits", {"input": normal(512, 1000), "target": abs(normal(512, 1000)) % 1}, {}
    ),
    lambda: Workload(
        "binary_cross_entropy", {"input": abs(normal(512, 1000)) % 1, "target": abs(normal(512, 1000)) % 1}, {}
    ),
)

# Verification runs millions of these: no limit, but the microseconds count.
SMALL: tuple[Callable[[], Workload], ...] = (
    lambda: convolution((2, 2, 5, 5), (4, 2, 3, 3)),
    lambda: Workload("linear", {"input": normal(2, 3), "weight": normal(4, 3), "bias": normal(4)}, {}),
    lambda: Workload("max_pool2d", {"input": normal(2, 2, 5, 5)}, {"kernel_size": 2}),
    lambda: Workload("avg_pool2d", {"input": normal(2, 2, 5, 5)}, {"kernel_size": 2}),
    lambda: Workload("cross_entropy", {"input": normal(3, 4), "target": classes(3, 4)}, {}),
)
