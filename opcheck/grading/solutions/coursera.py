"""The coursera convention: pairs of functions with a cache, NHWC."""

from typing import Any

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.operators.spec import Array

Cache = tuple[Any, ...]
_POOLS = {"max": "max_pool2d", "average": "avg_pool2d"}


def _first(a: Array) -> Array:
    """NHWC as NCHW."""
    return a.transpose(0, 3, 1, 2)


def _last(a: Array) -> Array:
    """NCHW as NHWC; whatever has not four dimensions as it is."""
    return a.transpose(0, 2, 3, 1) if a.ndim == 4 else a


def linear_forward(A: Array, W: Array, b: Array) -> tuple[Array, Cache]:
    return forward("linear", A.T, W, b[:, 0]).T, (A, W, b)


def linear_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    A, W, b = cache
    d = vjp("linear", dZ.T, A.T, W, b[:, 0])
    m = A.shape[1]
    return d["input"].T, d["weight"] / m, (d["bias"].T if d["bias"].ndim == 2 else d["bias"][:, None]) / m


def relu(Z: Array) -> tuple[Array, Array]:
    return forward("relu", Z), Z


def relu_backward(dA: Array, cache: Array) -> Array:
    return vjp("relu", dA, cache)["input"]


def sigmoid(Z: Array) -> tuple[Array, Array]:
    return forward("sigmoid", Z), Z


def sigmoid_backward(dA: Array, cache: Array) -> Array:
    return vjp("sigmoid", dA, cache)["input"]


def conv_forward(A_prev: Array, W: Array, b: Array, hparameters: dict[str, int]) -> tuple[Array, Cache]:
    cache = (_first(A_prev), W.transpose(3, 2, 0, 1), b.ravel()), hparameters
    return _last(forward("conv2d", *cache[0], stride=hparameters["stride"], padding=hparameters["pad"])), cache


def conv_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    arrays, hparameters = cache
    d = vjp("conv2d", _first(dZ), *arrays, stride=hparameters["stride"], padding=hparameters["pad"])
    dW, db = d["weight"], d["bias"]
    return _last(d["input"]), dW.transpose(2, 3, 1, 0), db.reshape(1, 1, 1, -1)


def pool_forward(A_prev: Array, hparameters: dict[str, int], mode: str = "max") -> tuple[Array, Cache]:
    options = {"kernel_size": hparameters["f"], "stride": hparameters["stride"]}
    return _last(forward(_POOLS[mode], _first(A_prev), **options)), (_first(A_prev), options)


def pool_backward(dA: Array, cache: Cache, mode: str = "max") -> Array:
    x, options = cache
    return _last(vjp(_POOLS[mode], _first(dA), x, **options)["input"])
