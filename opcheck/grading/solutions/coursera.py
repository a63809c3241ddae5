"""The coursera convention: pairs of functions with a cache, NHWC."""

from typing import Any

import numpy as np

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


def softmax(Z: Array) -> tuple[Array, Array]:
    return forward("softmax", Z.T, dim=1).T, Z


def softmax_backward(dA: Array, cache: Array) -> Array:
    return vjp("softmax", dA.T, cache.T, dim=1)["input"].T


_GATES = ("i", "f", "c", "o")


def lstm_cell_forward(
    xt: Array, a_prev: Array, c_prev: Array, parameters: dict[str, Array]
) -> tuple[Array, Array, None, Cache]:
    both, b = (np.concatenate([parameters[f"{kind}{gate}"] for gate in _GATES]) for kind in "Wb")
    cache = xt.T, (a_prev.T, c_prev.T), both[:, len(a_prev) :], both[:, : len(a_prev)], b[:, 0]
    a_next, c_next = forward("lstm_cell", *cache)
    return a_next.T, c_next.T, None, cache


def lstm_cell_backward(da_next: Array, dc_next: Array, cache: Cache) -> dict[str, Array]:
    d = vjp("lstm_cell", {"h_1": da_next.T, "c_1": dc_next.T}, *cache)
    found = {"dxt": d["input"].T, "da_prev": d["h_0"].T, "dc_prev": d["c_0"].T}
    for k, gate in enumerate(_GATES):
        both, b = np.hstack([d["w_hh"], d["w_ih"]]), d["b_ih"].reshape(-1, 1)
        rows = slice(k * len(both) // 4, (k + 1) * len(both) // 4)
        found |= {f"dW{gate}": both[rows], f"db{gate}": b[rows]}
    return found


def update_parameters_with_gd(
    parameters: dict[str, Array], grads: dict[str, Array], learning_rate: float
) -> dict[str, Array]:
    return {name: forward("sgd", each, grads[f"d{name}"], lr=learning_rate) for name, each in parameters.items()}


def update_parameters_with_momentum(
    parameters: dict[str, Array], grads: dict[str, Array], v: dict[str, Array], beta: float, learning_rate: float
) -> tuple[dict[str, Array], dict[str, Array]]:
    options = {"lr": learning_rate, "momentum": beta, "dampening": beta}
    for name in parameters:
        found = forward("sgd", parameters[name], grads[f"d{name}"], v[f"d{name}"], **options)
        parameters[name], v[f"d{name}"] = found
    return parameters, v


def update_parameters_with_adam(
    parameters: dict[str, Array], grads: dict[str, Array], v: dict[str, Array], s: dict[str, Array], t: int,
    learning_rate: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:  # fmt: skip
    options = {"lr": learning_rate, "betas": (beta1, beta2), "eps": epsilon, "step": t}
    for name in parameters:
        key = f"d{name}"
        parameters[name], v[key], s[key] = forward("adam", parameters[name], grads[key], v[key], s[key], **options)
    return parameters, v, s
