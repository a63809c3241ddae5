"""The cs231n convention: pairs of functions with a cache."""

from typing import Any

import numpy as np

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


def layernorm_forward(x: Array, gamma: Array, beta: Array, ln_param: Config) -> tuple[Array, Cache]:
    cache = x, {"normalized_shape": x.shape[1:], "weight": gamma, "bias": beta, "eps": ln_param["eps"]}
    return forward("layer_norm", x, **cache[1]), cache


def layernorm_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    return _of_rows("layer_norm", dout, cache)


def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: Config) -> tuple[Array, Cache]:
    options = {"weight": gamma, "bias": beta, "training": bn_param["mode"] == "train", "eps": bn_param["eps"]}
    means, variances = bn_param.get("running_mean"), bn_param.get("running_var")
    cache = x, {**options, "running_mean": None, "running_var": None}
    moved = {"momentum": 1 - bn_param["momentum"], "running_mean": means, "running_var": variances}
    found = forward("batch_norm", x, **options, **moved)
    if not isinstance(found, tuple):
        return found, cache
    old, n = bn_param["momentum"] * variances, len(x)
    bn_param["running_mean"], bn_param["running_var"] = found[1], old + (found[2] - old) * (n - 1) / n
    return found[0], cache


def batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    return _of_rows("batch_norm", dout, cache)


def spatial_batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: Config) -> tuple[Array, Cache]:
    out, cache = batchnorm_forward(_in_rows(x), gamma, beta, bn_param)
    return _in_images(out, x.shape), cache


def spatial_batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    dx, dgamma, dbeta = batchnorm_backward(_in_rows(dout), cache)
    return _in_images(dx, dout.shape), dgamma, dbeta


def _in_rows(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def _in_images(rows: Array, shape: tuple[int, ...]) -> Array:
    n, c, h, w = shape
    return rows.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def dropout_forward(x: Array, dropout_param: Config) -> tuple[Array, Cache]:
    p, training = dropout_param["p"], dropout_param["mode"] == "train"
    out = forward("dropout", x, p, training=training)
    return out, (np.where(x == 0, 1.0, out != 0), p, training)


def dropout_backward(dout: Array, cache: Cache) -> Array:
    mask, p, training = cache
    return vjp("dropout", dout, np.ones(dout.shape), p, training=training, mask=mask)["input"]


def _of_rows(op: str, dout: Array, cache: Cache) -> tuple[Array, ...]:
    x, options = cache
    d = vjp(op, dout, x, **options)
    return d["input"], d["weight"], d["bias"]


def spatial_groupnorm_forward(
    x: Array, gamma: Array, beta: Array, groups: int, gn_param: Config
) -> tuple[Array, Cache]:
    options = {"num_groups": groups, "weight": gamma.ravel(), "bias": beta.ravel(), "eps": gn_param["eps"]}
    return forward("group_norm", x, **options), (x, options)


def spatial_groupnorm_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    dx, dgamma, dbeta = _of_rows("group_norm", dout, cache)
    return dx, dgamma.reshape(1, -1, 1, 1), dbeta.reshape(1, -1, 1, 1)


def word_embedding_forward(x: Array, W: Array) -> tuple[Array, Cache]:
    return forward("embedding", x, W), (x, W)


def word_embedding_backward(dout: Array, cache: Cache) -> Array:
    return vjp("embedding", dout, *cache)["weight"]


def lstm_step_forward(
    x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, Array, Cache]:
    cache = x, (prev_h, prev_c), _gates(Wx.T), _gates(Wh.T), _gates(b)
    next_h, next_c = forward("lstm_cell", *cache)
    return next_h, next_c, cache


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Cache) -> tuple[Array, ...]:
    d = vjp("lstm_cell", {"h_1": dnext_h, "c_1": dnext_c}, *cache)
    return d["input"], d["h_0"], d["c_0"], _gates(d["w_ih"]).T, _gates(d["w_hh"]).T, _gates(d["b_ih"])


def _gates(a: Array) -> Array:
    """The gates i f g o as i f o g, or back."""
    return np.concatenate([np.split(a, 4)[k] for k in (0, 1, 3, 2)])
