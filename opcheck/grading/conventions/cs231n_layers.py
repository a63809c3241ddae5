"""The later assignments of cs231n: normalisation, embeddings and the step of an LSTM, as pairs with a cache.

out, cache = layernorm_forward(x, gamma, beta, ln_param)       of rows
out, cache = batchnorm_forward(x, gamma, beta, bn_param)       of rows; keeps running statistics in bn_param
out, cache = spatial_batchnorm_forward(x, gamma, beta, bn_param)        x (N, C, H, W)
out, cache = dropout_forward(x, dropout_param)                 {"p", "mode"}; whether p drops or keeps is the year's
out, cache = spatial_groupnorm_forward(x, gamma, beta, G, gn_param)     x (N, C, H, W), gamma (1, C, 1, 1)
out, cache = word_embedding_forward(x, W)                      dW = word_embedding_backward(dout, cache)
next_h, next_c, cache = lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)      gates in the order i, f, o, g
"""

from typing import Any

import numpy as np

from opcheck.grading.conventions.base import Cotangent, Entry, Plan, Reading, Request, last_dimension, only
from opcheck.grading.conventions.layouts import SAME, Layout
from opcheck.operators.spec import Array
from opcheck.sandbox import Call, Place, Set

NAMES = ("layer_norm", "batch_norm", "group_norm", "embedding", "lstm_cell", "dropout")


def call(r: Request) -> Plan:
    args: list[Any] = [r.array(name, _layout(r, name)) for name in _arrays(r)]
    outputs = {"output": Reading("out[0]", _layout(r, "input"))}
    steps: list[Call | Set] = []
    match r.op.name:
        case "layer_norm":
            args.append({"eps": float(r.p.eps)})
        case "batch_norm":
            kept = {name: r.array(name) for name in _RUNNING if name in r.case.arrays}
            mode = "train" if r.p.training else "test"
            steps.append(Set("bn_param", {"mode": mode, "eps": float(r.p.eps), "momentum": 1 - r.p.momentum, **kept}))
            args.append(Place("bn_param"))
            if r.p.training:
                outputs |= {name: Reading(f"bn_param['{name}']", _running(r, name)) for name in kept}
        case "dropout":
            args.append({"p": float(r.p.p), "mode": "train" if r.p.training else "test"})
        case "group_norm":
            args += [int(r.p.num_groups), {"eps": float(r.p.eps)}]
        case "lstm_cell":
            outputs = {"h_1": Reading("out[0]"), "c_1": Reading("out[1]")}
        case "embedding":
            outputs = {"output": Reading("out[0]")}
    return Plan([*steps, Call(r.forward, args, keep="out")], outputs)


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.name == "batch_norm" and not r.p.training:
        return Plan([], {})  # the course differentiates what is trained
    upstream = [r.sent(each, _layout(r, "input") if name == "output" else SAME) for name, each in cotangent.items()]
    cache = Place("out[2]" if r.op.name == "lstm_cell" else "out[1]")
    steps = [Call(r.backward, [*upstream, cache], keep="gradients")]
    if r.op.name in _ALONE:
        return Plan(steps, {_ALONE[r.op.name]: Reading("gradients")})
    readings = {name: Reading(f"gradients[{k}]", _layout(r, name)) for k, name in enumerate(_arrays(r))}
    return Plan(steps, readings)


def _arrays(r: Request) -> list[str]:
    """In the order of the course."""
    return [each.name for each in r.op.inputs if each.name in r.case.arrays and not each.name.startswith("running")]


def _running(r: Request, name: str) -> Layout:
    """The course keeps the variance of the batch as it is, divided by n; torch the one divided by n - 1."""
    if name == "running_mean":
        return SAME
    n = r.case.arrays["input"].size // r.case.arrays["input"].shape[1]
    old = (1 - r.p.momentum) * r.case.arrays[name]
    return Layout(lambda a: old + (a - old) * (n - 1) / n, lambda a: old + (a - old) * n / (n - 1))


def _layout(r: Request, name: str) -> Layout:
    if r.op.name == "lstm_cell":
        return {"w_ih": _GATES_IN_COLUMNS, "w_hh": _GATES_IN_COLUMNS, "b_ih": _GATES}.get(name, SAME)
    if r.op.name in _ALONE or r.forward.endswith(_IMAGES):
        return SAME
    if name != "input":
        return _CHANNEL if r.op.name == "group_norm" else SAME
    shape = r.case.arrays["input"].shape
    if r.op.name == "group_norm":
        return _reshaped(shape, (*shape[:2], int(np.prod(shape[2:])), 1))
    return _rows(shape, axis=-1 if r.op.name == "layer_norm" else 1)


def _reshaped(shape: tuple[int, ...], other: tuple[int, ...]) -> Layout:
    return Layout(lambda a: a.reshape(other), lambda a: a.reshape(shape) if a.shape == other else a)


def _rows(shape: tuple[int, ...], axis: int) -> Layout:
    """What is normalised together, or for itself, as the rows of a matrix."""
    moved = np.moveaxis(np.empty(shape), axis, -1).shape
    rows = (int(np.prod(moved[:-1])), moved[-1])
    return Layout(
        lambda a: np.moveaxis(a, axis, -1).reshape(rows),
        lambda a: np.moveaxis(a.reshape(moved), -1, axis) if a.shape == rows else a,
    )


def _swapped(a: Array) -> Array:
    """The gates of torch, i f g o, in the order of the course, i f o g, or back."""
    first, second, third, fourth = np.split(a, 4) if len(a) % 4 == 0 and len(a) else (a, a[:0], a[:0], a[:0])
    return np.concatenate([first, second, fourth, third])


_GATES = Layout(_swapped, _swapped)
_GATES_IN_COLUMNS = Layout(lambda a: _swapped(a).T, lambda a: _swapped(a.T))
_CHANNEL = Layout(lambda a: a[None, :, None, None], lambda a: a.reshape(-1) if a.shape[2:] == (1, 1) else a)
_ALONE = {"embedding": "weight", "dropout": "input"}  # of which backward returns one gradient
_IMAGES = "spatial_batchnorm_forward"
_RUNNING = ("running_mean", "running_var")
_AFFINE = {"weight": only(True), "bias": only(True)}
_BOTH = {"weight": (True,), "bias": (True,)}
ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "layer_norm": Entry(
        ("layernorm_forward",), ("layernorm_backward",),
        {**_AFFINE, "normalized_shape": last_dimension, "dims": only(2)}, usual=_BOTH,
    ),
    "batch_norm": (
        Entry(("batchnorm_forward",), ("batchnorm_backward", "batchnorm_backward_alt"), _AFFINE, usual=_BOTH),
        Entry((_IMAGES,), ("spatial_batchnorm_backward",), {**_AFFINE, "dims": only(4)}, usual=_BOTH,
              title="of images"),
    ),
    "dropout": Entry(
        ("dropout_forward",), ("dropout_backward",), {"mask": only(False), "p": only(0.5)}, usual={"p": (0.5,)}
    ),
    "group_norm": Entry(
        ("spatial_groupnorm_forward",), ("spatial_groupnorm_backward",), _AFFINE, usual=_BOTH
    ),
    "embedding": Entry(
        ("word_embedding_forward",), ("word_embedding_backward",), {"padding_idx": only(None)}
    ),
    "lstm_cell": Entry(
        ("lstm_step_forward",),
        ("lstm_step_backward",),
        {"b_ih": only(True), "b_hh": only(False)},
        usual={"b_ih": (True,), "b_hh": (False,)},
    ),
}  # fmt: skip
