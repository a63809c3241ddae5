"""cmu (Carnegie Mellon 11-785): classes with forward and backward; gradients of parameters are attributes.

    layer = Linear(in_features, out_features); layer.W (out, in); layer.b (out, 1)
    Z = layer.forward(A);  dLdA = layer.backward(dLdZ);  layer.dLdW;  layer.dLdb
    Conv2d(in_channels, out_channels, kernel_size, stride, padding)   holds a conv2d_stride1, Conv1d a conv1d_stride1
    MaxPool2d(kernel, stride), MeanPool2d(kernel, stride), ReLU, Sigmoid, Tanh, Softmax
    L = CrossEntropyLoss().forward(A, Y); dLdA = criterion.backward(), with Y one-hot; MSELoss
    SGD(model, lr, momentum), Adam(model, lr, beta1, beta2, eps), AdamW(..., weight_decay): step() moves W and b of each
    of model.layers by its dLdW and dLdb; the state is in v_W and v_b, or m_W, m_b, v_W, v_b and t

Until 2022 (`cmu2022`) activations' backward() takes nothing and returns the slope, a linear layer's dLdW and dLdb are
divided by the batch size, and the losses' gradients are A - Y and softmax(A) - Y, not divided by anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from opcheck.grading.conventions import programs, sentences
from opcheck.grading.conventions.base import (
    Allowed,
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    has,
    is_layer,
    only,
    power_of_two,
    whole,
)
from opcheck.grading.conventions.layouts import COLUMN, SAME, Layout, scaled
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place, Set

_LOSSES = ("cross_entropy", "mse_loss")
_ACTIVATIONS = ("relu", "sigmoid", "tanh")
_STATE = {"momentum_buffer": "v", "exp_avg": "m", "exp_avg_sq": "v"}


def call(r: Request) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.layer(r)
    if "lr" in r.p:
        return _step(r)
    layer: list[Call | Set] = [Call(r.forward, _constructor(r), keep="layer")]
    holder = _holder(r)
    if "weight" in r.case.arrays:
        layer.append(Set(f"{holder}.W", r.array("weight")))
        if "bias" in r.case.arrays:
            layer.append(Set(f"{holder}.b", r.array("bias", _bias(r))))
    args = [r.array("input")]
    if r.op.name in _LOSSES:
        args.append(_target(r))
    return Plan([*layer, Call("layer.forward", args, keep="out")], {"output": Reading("out", _loss(r))})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.layer_gradients(r, cotangent)
    takes_nothing = r.op.name in _LOSSES or (_old(r) and r.op.name in _ACTIVATIONS)
    args = [] if takes_nothing else [r.sent(cotangent["output"])]
    readings = {"input": Reading("back", _input_gradient(r))}
    if "weight" in r.case.arrays:
        holder = _holder(r)
        by = 1 / len(r.case.arrays["input"]) if _old(r) and r.op.name == "linear" else 1.0
        readings["weight"] = Reading(f"{holder}.dLdW", scaled(by))
        if "bias" in r.case.arrays:
            readings["bias"] = Reading(f"{holder}.dLdb", scaled(by, _bias(r)))
    return Plan([Call("layer.backward", args, keep="back")], readings)


def _step(r: Request) -> Plan:
    """One step for a model of one layer: a vector is its bias, a matrix its weight."""
    param, slope = r.case.arrays["param"], r.case.arrays[r.op.inputs[1].name]
    n = len(param)
    own, layout = ("b", COLUMN) if param.ndim == 1 else ("W", SAME)
    arrays = {"W": np.zeros((n, 2)), "b": np.zeros((n, 1)), "dLdW": np.zeros((n, 2)), "dLdb": np.zeros((n, 1))}
    arrays |= {own: layout.give(param), f"dLd{own}": layout.give(slope)}
    momenta = [r.p.momentum] if r.op.name == "sgd" else [*r.p.betas, r.p.eps]
    options = [float(each) for each in (r.p.lr, *momenta, *([r.p.weight_decay] if r.op.name == "adamw" else []))]
    steps: list[Call | Set] = [
        Call("types.SimpleNamespace", kwargs={name: r.sent(each) for name, each in arrays.items()}, keep="layer"),
        Call("types.SimpleNamespace", kwargs={"layers": [Place("layer")]}, keep="model"),
        Call(r.forward, [Place("model"), *options], keep="optimizer"),
    ]
    places = {name: f"optimizer.{_STATE[name]}_{own}[0]" for name in r.op.checked(r.case)[1] if name != "param"}
    steps += [Set(place, r.array(name, layout)) for name, place in places.items() if name in r.case.arrays]
    steps += [Set("optimizer.t", r.p.step - 1)] if "step" in r.p else []
    readings = {"param": Reading(f"layer.{own}", layout)}
    readings |= {name: Reading(place, layout) for name, place in places.items()}
    return Plan([*steps, Call("optimizer.step")], readings)


def _constructor(r: Request) -> list[int]:
    if r.op.name == "linear":
        return [*reversed(r.case.arrays["weight"].shape)]
    if "weight" in r.case.arrays:
        out, channels, kernel, *_ = r.case.arrays["weight"].shape
        options = [r.one("stride"), *([r.one("padding")] if _pads(r.found) else [])]
        return [channels, out, kernel, *([] if _is_stride1(r) else options)]
    if "kernel_size" not in r.p:
        return []
    return [r.one("kernel_size"), *([] if _is_stride1(r) else [r.one("stride")])]


def _pads(found: Definition | None) -> bool:
    """Whether a convolution's constructor has a padding: some years' have none, and weight_init_fn in that place."""
    return found is None or not found.parameters or bool(has(found, "padding", "pad"))


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """Without a padding in the constructor there is none."""
    is_convolution = any(each.name == "padding" for each in op.params) and len(op.inputs) > 1
    return {"padding": only(0)} if is_convolution and not all(map(_pads, found)) else {}


def fits(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """A class with a forward pass; of an optimiser, one for a model of layers."""
    is_optimiser = any(each.name == "lr" for each in op.params)
    return is_layer(op, found) and (not is_optimiser or not found.attributes or "layers" in found.attributes)


def _holder(r: Request) -> str:
    """The object that has W and b."""
    if r.op.name == "linear" or _is_stride1(r):
        return "layer"
    return f"layer.{r.op.name}_stride1"


def _is_stride1(r: Request) -> bool:
    return r.forward.endswith("stride1")


def _bias(r: Request) -> Layout:
    return COLUMN if r.op.name == "linear" else SAME


def _target(r: Request) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    target = r.array("target")
    if target.dtype.kind == "f":  # of mse_loss, or probabilities of classes
        return r.sent(target)
    return r.sent(np.eye(r.case.arrays["input"].shape[1])[target])


def _loss(r: Request) -> Layout:
    """The loss itself: the old MSE has a factor 1/2."""
    return scaled(0.5) if _old(r) and r.op.name == "mse_loss" else SAME


def _input_gradient(r: Request) -> Layout:
    if not _old(r) or r.op.name not in _LOSSES:
        return SAME
    x = r.case.arrays["input"]
    return scaled(x.size / 2 if r.op.name == "mse_loss" else len(x))


def _old(r: Request) -> bool:
    return r.convention == "cmu2022"


def _nothing(value: float) -> bool:
    return value == 0


_SIZES = {"stride": whole, "padding": whole, "dilation": only(1), "groups": only(1), "bias": only(True),
          "kernel_size": whole}  # fmt: skip
_STRIDE1 = {**_SIZES, "stride": only(1), "padding": only(0)}
_POOL = {"kernel_size": whole, "stride": whole, "padding": only(0), "dilation": only(1), "ceil_mode": only(False),
         "return_indices": only(False), "count_include_pad": only(True), "divisor_override": only(None)}  # fmt: skip
_POOL1 = {**_POOL, "stride": only(1)}
_PLAIN = {"weight_decay": _nothing, "maximize": only(False)}
_MEAN = {"reduction": only("mean"), "weight": only(False)}
_ROWS = {"dims": only(2)}  # N examples of C features
_ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "linear": Entry(("Linear",), usual={"bias": (True,)}),
    "relu": Entry(("ReLU",), allows=_ROWS),
    "sigmoid": Entry(("Sigmoid",), allows=_ROWS),
    "tanh": Entry(("Tanh",), allows=_ROWS),
    "softmax": Entry(("Softmax",), allows={"dim": only(1)}),
    "conv1d": (Entry(("Conv1d",), allows=_SIZES), Entry(("Conv1d_stride1",), allows=_STRIDE1, title="of stride 1")),
    "conv2d": (Entry(("Conv2d",), allows=_SIZES), Entry(("Conv2d_stride1",), allows=_STRIDE1, title="of stride 1")),
    "max_pool2d": (
        Entry(("MaxPool2d",), allows=_POOL),
        Entry(("MaxPool2d_stride1",), allows=_POOL1, usual={"stride": (1,)}, title="of stride 1"),
    ),
    "avg_pool2d": (
        Entry(("MeanPool2d",), allows=_POOL),
        Entry(("MeanPool2d_stride1",), allows=_POOL1, usual={"stride": (1,)}, title="of stride 1"),
    ),
    "mse_loss": Entry(("MSELoss",), allows=_MEAN, upstream=False),
    "cross_entropy": Entry(
        ("CrossEntropyLoss",),
        allows={**_MEAN, "label_smoothing": only(0.0), "ignore_index": only(-100)},
        upstream=False,
    ),
    "sgd": Entry(
        ("SGD",),  # whose velocity is there from the beginning, and zero
        allows={**_PLAIN, "dampening": _nothing, "nesterov": only(False), "momentum_buffer": only(True)},
        in_place=True,
    ),
    "adam": Entry(("Adam",), allows={**_PLAIN, "amsgrad": only(False)}, in_place=True),
    "adamw": Entry(("AdamW",), allows={"maximize": only(False), "amsgrad": only(False)}, in_place=True),
}
CONVENTION = Convention(
    "cmu",
    "CMU 11-785 since 2023: classes, gradients in .dLdW and .dLdb",
    _ENTRIES,
    call,
    gradients,
    names=programs.class_names,
    repeats=True,
    sentences=sentences.CMU,
    takes=takes,
    fits=fits,
)
_UNTIL_2022 = {
    **{op: entry for op, entry in _ENTRIES.items() if op != "softmax"},
    "linear": Entry(("Linear",), allows={"batch": power_of_two}, usual={"bias": (True,)}),
    "relu": Entry(("ReLU",), allows=_ROWS, upstream=False),
    "sigmoid": Entry(("Sigmoid",), allows=_ROWS, upstream=False),
    "tanh": Entry(("Tanh",), allows=_ROWS, upstream=False),
}
CMU2022 = replace(
    CONVENTION,
    name="cmu2022",
    summary="CMU 11-785 until 2022: backward() without arguments",
    entries=_UNTIL_2022,
    sentences=sentences.CMU2022,
)
