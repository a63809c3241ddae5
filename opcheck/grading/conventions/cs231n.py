"""cs231n (Stanford): functions in pairs with a cache, NCHW, weights of affine layers as (In, Out), numpy.

    out, cache = affine_forward(x, w, b)                       dx, dw, db = affine_backward(dout, cache)
    out, cache = conv_forward_naive(x, w, b, conv_param)       conv_param = {"stride": 2, "pad": 1}
    out, cache = max_pool_forward_naive(x, pool_param)         pool_param = {"pool_height", "pool_width", "stride"}
    loss, dx = softmax_loss(x, y)
    w, config = adam(w, dw, config)                            sgd, sgd_momentum, rmsprop

x of an affine layer may have more than two dimensions; the layer flattens them. EECS498 has the same as static methods,
Conv.forward and Conv.backward.
"""

from dataclasses import replace
from typing import Any

from opcheck.grading.conventions import cs231n_layers, programs, sentences
from opcheck.grading.conventions.base import (
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    only,
    power_of_two,
    whole,
)
from opcheck.grading.conventions.layouts import FLATTENED, SAME, TRANSPOSED, scaled
from opcheck.sandbox import Call, Place

_LOSSES = ("cross_entropy",)
_OPTIMISERS = ("sgd", "rmsprop", "adam")


def call(r: Request) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.pair(r)
    if r.op.name in cs231n_layers.NAMES:
        return cs231n_layers.call(r)
    if r.op.name in _OPTIMISERS:
        return _step(r)
    args = [r.array("input", FLATTENED if r.op.name == "linear" else SAME)]
    if r.op.name in _LOSSES:
        return Plan([Call(r.forward, [*args, r.array("target")], keep="out")], {"output": Reading("out[0]")})
    if r.op.name == "linear":
        args += [r.array("weight", TRANSPOSED), r.array("bias")]
    elif r.op.name == "conv2d":
        args += [r.array("weight"), r.array("bias"), {"stride": r.one("stride"), "pad": r.one("padding")}]
    elif r.op.name == "max_pool2d":
        height, width = r.p.kernel_size
        args.append({"pool_height": height, "pool_width": width, "stride": r.one("stride")})
    return Plan([Call(r.forward, args, keep="out")], {"output": Reading("out[0]")})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.pair_gradients(r, cotangent)
    if r.op.name in cs231n_layers.NAMES:
        return cs231n_layers.gradients(r, cotangent)
    if r.op.name in _LOSSES:  # softmax_loss has returned it already
        return Plan([], {"input": Reading("out[1]")})
    steps = [Call(r.backward, [r.sent(cotangent["output"]), Place("out[1]")], keep="gradients")]
    if r.op.name == "linear":
        return Plan(
            steps,
            {
                "input": Reading("gradients[0]", FLATTENED),
                "weight": Reading("gradients[1]", TRANSPOSED),
                "bias": Reading("gradients[2]"),
            },
        )
    if r.op.name == "conv2d":
        return Plan(steps, {name: Reading(f"gradients[{k}]") for k, name in enumerate(("input", "weight", "bias"))})
    return Plan(steps, {"input": Reading("gradients")})


def _step(r: Request) -> Plan:
    """One step of an optimiser; velocity is minus the learning rate times torch's momentum buffer."""
    config: dict[str, Any] = {"learning_rate": float(r.p.lr)}
    readings = {"param": Reading("out[0]")}
    if r.op.name == "sgd" and r.p.momentum:
        velocity = scaled(-float(r.p.lr))
        config |= {"momentum": float(r.p.momentum), "velocity": r.array("momentum_buffer", velocity)}
        readings["momentum_buffer"] = Reading("out[1]['velocity']", velocity)
    elif r.op.name == "rmsprop":
        config |= {"decay_rate": float(r.p.alpha), "epsilon": float(r.p.eps), "cache": r.array("square_avg")}
        readings["square_avg"] = Reading("out[1]['cache']")
    elif r.op.name == "adam":
        first, second = r.p.betas
        config |= {"beta1": first, "beta2": second, "epsilon": float(r.p.eps), "t": int(r.p.step) - 1}
        config |= {"m": r.array("exp_avg"), "v": r.array("exp_avg_sq")}
        readings |= {"exp_avg": Reading("out[1]['m']"), "exp_avg_sq": Reading("out[1]['v']")}
    return Plan([Call(r.forward, [r.array("param"), r.array(_gradient(r)), config], keep="out")], readings)


def _gradient(r: Request) -> str:
    """What the optimisers call the gradient of the parameter."""
    return r.op.inputs[1].name


_PLAIN = {
    "weight_decay": lambda x: not x,
    "maximize": only(False),
    "dampening": lambda x: not x,
    "nesterov": only(False),
}
CONVENTION = Convention(
    "cs231n",
    "Stanford CS231n and Michigan EECS498: pairs of functions with a cache, NCHW",
    {
        **cs231n_layers.ENTRIES,
        "linear": Entry(
            ("affine_forward", "Linear.forward"), ("affine_backward", "Linear.backward"), {"bias": only(True)}
        ),
        "relu": Entry(("relu_forward", "ReLU.forward"), ("relu_backward", "ReLU.backward")),
        "conv2d": Entry(
            ("conv_forward_naive", "conv_forward_fast", "conv_forward", "Conv.forward"),
            ("conv_backward_naive", "conv_backward_fast", "conv_backward", "Conv.backward"),
            {"stride": whole, "padding": whole, "dilation": only(1), "groups": only(1), "bias": only(True)},
        ),
        "max_pool2d": Entry(
            ("max_pool_forward_naive", "max_pool_forward_fast", "max_pool_forward", "MaxPool.forward"),
            ("max_pool_backward_naive", "max_pool_backward_fast", "max_pool_backward", "MaxPool.backward"),
            {
                "stride": whole,
                "padding": only(0),
                "dilation": only(1),
                "ceil_mode": only(False),
                "return_indices": only(False),
            },
        ),
        "cross_entropy": Entry(
            ("softmax_loss",),
            allows={
                "reduction": only("mean"),
                "weight": only(False),
                "label_smoothing": only(0.0),
                "ignore_index": only(-100),
                "probabilities": only(False),
            },
            upstream=False,
        ),
        "sgd": (
            Entry(
                ("sgd",), allows={**_PLAIN, "momentum": lambda x: not x, "momentum_buffer": only(False)}, in_place=True
            ),
            Entry(
                ("sgd_momentum",),
                allows={**_PLAIN, "momentum": bool, "momentum_buffer": only(True), "lr": power_of_two},
                in_place=True,
                title="with momentum",
            ),
        ),
        "rmsprop": Entry(
            ("rmsprop",),
            allows={
                **_PLAIN,
                "momentum": lambda x: not x,
                "centered": only(False),
                "square_avg": only(True),
                "momentum_buffer": only(False),
                "grad_avg": only(False),
            },
            in_place=True,
        ),
        "adam": Entry(
            ("adam",),
            allows={
                **_PLAIN,
                "amsgrad": only(False),
                "exp_avg": only(True),
                "exp_avg_sq": only(True),
                "max_exp_avg_sq": only(False),
            },
            in_place=True,
        ),
    },
    call,
    gradients,
    names=programs.pair_names,
    repeats=True,
    sentences=sentences.IN_OUT,
)
_STATIC = {"linear": "Linear", "relu": "ReLU", "conv2d": "Conv", "max_pool2d": "MaxPool"}
EECS498 = replace(
    CONVENTION,
    name="eecs498",
    summary="Michigan EECS498: as cs231n, with torch's tensors and static methods, Conv.forward and Conv.backward",
    entries={
        op: (CONVENTION.entry(op) if op not in _STATIC else CONVENTION.entry(op)._replace(
            forward=(f"{_STATIC[op]}.forward", *CONVENTION.entry(op).forward),
            backward=(f"{_STATIC[op]}.backward", *CONVENTION.entry(op).backward),
        ))
        for op in CONVENTION.entries if op not in cs231n_layers.NAMES
    },
    arrays="torch",
)  # fmt: skip
