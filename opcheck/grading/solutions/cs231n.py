"""The cs231n convention: pairs of functions with a cache."""

from typing import Any

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.operators.spec import Array

Cache = tuple[Any, ...]
Config = dict[str, Any]


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    return forward("linear", x.reshape(len(x), -1), w.T, b), (x, w, b)


def affine_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    x, w, b = cache
    d = vjp("linear", dout, x.reshape(len(x), -1), w.T, b)
    return d["input"].reshape(x.shape), d["weight"].T, d["bias"]


def relu_forward(x: Array) -> tuple[Array, Array]:
    return forward("relu", x), x


def relu_backward(dout: Array, cache: Array) -> Array:
    return vjp("relu", dout, cache)["input"]


def conv_forward_naive(x: Array, w: Array, b: Array, conv_param: Config) -> tuple[Array, Cache]:
    out = forward("conv2d", x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    x, w, b, conv_param = cache
    d = vjp("conv2d", dout, x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])
    return d["input"], d["weight"], d["bias"]


def max_pool_forward_naive(x: Array, pool_param: Config) -> tuple[Array, Cache]:
    return forward("max_pool2d", x, **_pool(pool_param)), (x, pool_param)


def max_pool_backward_naive(dout: Array, cache: Cache) -> Array:
    x, pool_param = cache
    return vjp("max_pool2d", dout, x, **_pool(pool_param))["input"]


def _pool(pool_param: Config) -> Config:
    return {"kernel_size": (pool_param["pool_height"], pool_param["pool_width"]), "stride": pool_param["stride"]}


def softmax_loss(x: Array, y: Array) -> tuple[Array, Array]:
    loss = forward("cross_entropy", x, y)
    return loss, vjp("cross_entropy", loss.dtype.type(1), x, y)["input"]


def sgd(w: Array, dw: Array, config: Config) -> tuple[Array, Config]:
    return forward("sgd", w, dw, lr=config["learning_rate"]), config


def sgd_momentum(w: Array, dw: Array, config: Config) -> tuple[Array, Config]:
    rate = config["learning_rate"]
    options = {"momentum_buffer": config["velocity"] / -rate, "lr": rate, "momentum": config["momentum"]}
    w, buffer = forward("sgd", w, dw, **options)
    return w, {**config, "velocity": buffer * -rate}


def rmsprop(w: Array, dw: Array, config: Config) -> tuple[Array, Config]:
    options = {"square_avg": config["cache"], "lr": config["learning_rate"], "alpha": config["decay_rate"]}
    w, squares = forward("rmsprop", w, dw, **options, eps=config["epsilon"])
    return w, {**config, "cache": squares}


def adam(w: Array, dw: Array, config: Config) -> tuple[Array, Config]:
    t = config["t"] + 1
    options = {"exp_avg": config["m"], "exp_avg_sq": config["v"], "step": t, "lr": config["learning_rate"]}
    w, m, v = forward("adam", w, dw, **options, betas=(config["beta1"], config["beta2"]), eps=config["epsilon"])
    return w, {**config, "m": m, "v": v, "t": t}
