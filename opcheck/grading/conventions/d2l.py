"""d2l (Dive into Deep Learning): plain functions, of torch's tensors or of numpy's arrays; autograd gives gradients.

corr2d(X, K)               X (H, W), K (kH, kW)         corr2d_multi_in_out(X, K)   X (Cin, H, W), K (Cout, Cin, kH, kW)
pool2d(X, (2, 3), mode="max" or "avg"), stride 1        linreg(X, w, b)             w (In, Out)
softmax(X), relu(X), dropout_layer(X, dropout)          squared_loss(y_hat, y)      (y_hat - y)²/2, one for each number
cross_entropy(y_hat, y)    y_hat are probabilities; one loss for each row, or their mean
batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum)  -> Y, moving_mean, moving_var
                           evaluation is where torch keeps no gradients, or is_training says so
sgd(params, lr, batch_size)  gradients are summed over the batch

A function of one image is called for each image, and for each of its channels where it knows no channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from opcheck.grading.conventions import classes, tensors
from opcheck.grading.conventions.base import (
    Allowed,
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    is_function,
    only,
)
from opcheck.grading.conventions.layouts import SAME, TRANSPOSED, UNBATCHED, Layout, scaled
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place, Set

BATCH = 2.0  # the batch size that an optimiser is told
_IMAGES = ("max_pool2d", "avg_pool2d")
# What its batch_norm calls its arguments.
_ARGUMENTS = {
    "input": ("X", "x", "inputs"),
    "weight": ("gamma", "weight"),
    "bias": ("beta", "bias"),
    "running_mean": ("moving_mean", "running_mean"),
    "running_var": ("moving_var", "running_var"),
    "eps": ("eps", "epsilon"),
    "momentum": ("momentum",),
    "training": ("is_training", "training", "train", "is_train"),
}
BOOK = ("X", "gamma", "beta", "moving_mean", "moving_var", "eps", "momentum")
PROBABILITIES = ("y_hat", "yhat", "y_pred", "pred", "p", "probs", "prob", "probabilities", "predictions")


def call(r: Request) -> Plan:
    if r.op.name == "sgd":
        return _step(r)
    steps: list[Call | Set] = []
    for name in r.case.arrays:
        array = r.array(name, _layout(r, name))
        made = Call("torch.tensor", (array,), keep=name) if r.arrays == "torch" else Set(name, array)
        steps.append(made)
    if r.arrays == "torch":
        steps += [Call(f"{name}.requires_grad_") for name in tensors.smooth(r)]
    if r.op.name == "batch_norm":
        return _normalised(r, steps)
    if r.op.name in _IMAGES or r.forward.endswith(".corr2d"):
        return _by_channel(r, steps)
    return Plan([*steps, *_called(r)], {"output": Reading("out", _layout(r, "output"))})


def _called(r: Request) -> list[Call | Set]:
    """One call with all arrays in torch's order."""
    args: list[Any] = [Place(name) for name in r.case.arrays]
    before: list[Call | Set] = []
    if r.op.name == "cross_entropy":  # the course's loss takes what softmax gives
        if r.arrays == "torch":
            before.append(Call("torch.softmax", (Place("input"), 1), keep="y_hat"))
        else:
            before.append(Set("y_hat", r.sent(_softmax(r.case.arrays["input"]))))
        args[0] = Place("y_hat")
    if r.op.name == "dropout":
        args.append(float(r.p.p))
    return [*before, Call(r.forward, args, keep="out")]


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _by_channel(r: Request, steps: list[Call | Set]) -> Plan:
    """A function of one matrix for each channel of each image; of a convolution, the sum over the channels."""
    library = "torch" if r.arrays == "torch" else "numpy"

    def part(of: str, *places: int) -> str:
        """One entry along the first dimensions of an array."""
        name = of
        for k in places:
            one = Call("torch.select", (Place(name), 0, k)) if library == "torch" else Call(
                "numpy.take", (Place(name), k), {"axis": 0})  # fmt: skip
            name = f"{name}_{k}"
            steps.append(replace(one, keep=name))
        return name

    def together(name: str, parts: Sequence[str]) -> str:
        steps.append(Call(f"{library}.stack", ([*map(Place, parts)],), keep=name))
        return name

    x, rows = r.case.arrays["input"], []
    if r.op.name == "conv2d":
        for o in range(len(r.case.arrays["weight"])):
            parts = [f"y{o}_{c}" for c in range(x.shape[1])]
            for c, each in enumerate(parts):
                given = Place(part("input", c)), Place(part("weight", o, c))
                steps.append(Call(r.forward, given, keep=each))
            steps.append(Call(f"{library}.sum", (Place(together(f"all{o}", parts)), 0), keep=f"y{o}"))
            rows.append(f"y{o}")
        together("out", rows)
        return Plan(steps, {"output": Reading("out", UNBATCHED)})
    mode = {"mode": "max" if r.op.name == "max_pool2d" else "avg"}
    for n in range(len(x)):
        parts = [f"y{n}_{c}" for c in range(x.shape[1])]
        for c, each in enumerate(parts):
            steps.append(Call(r.forward, (Place(part("input", n, c)), r.p.kernel_size), mode, keep=each))
        rows.append(together(f"y{n}", parts))
    together("out", rows)
    return Plan(steps, {"output": Reading("out")})


def _normalised(r: Request, steps: list[Call | Set]) -> Plan:
    values: dict[str, Any] = {name: Place(name) for name in r.case.arrays}
    values |= {name: r.p[name] for name in ("eps", "momentum", "training")}
    known = {own: value for name, value in values.items() for own in _ARGUMENTS[name]}
    names = [each.name for each in r.found.parameters] if r.found else BOOK
    args = [known[name] for name in names if name in known]
    torch = r.arrays == "torch"
    kept = torch and not r.p.training  # where torch keeps no gradients, the book evaluates
    called = Call(r.forward, args, keep="found")
    steps += tensors.without_gradients(called) if kept else [called]
    steps += [Call("torch.clone" if torch else "numpy.array", (Place("found[0]"),), keep="out")]
    readings = {"output": Reading("out")}
    for place, name in enumerate(("running_mean", "running_var"), start=1):
        if r.p.training:
            squeeze = "torch.squeeze" if torch else "numpy.squeeze"
            steps.append(Call(squeeze, (Place(f"found[{place}]"),), keep=f"new_{name}"))
            readings[name] = Reading(f"new_{name}", classes.running(r, name))
    return Plan(steps, readings)


def _step(r: Request) -> Plan:
    steps: list[Call | Set] = [
        Call("torch.tensor", (r.array("param"),), keep="param"),
        Call("torch.tensor", (r.array("gradient") * r.sent(np.array(BATCH)),), keep="gradient"),
        Call("param.requires_grad_"),
        Set("param.grad", Place("gradient")),
        Call(r.forward, ([Place("param")], float(r.p.lr), BATCH)),
        Call("param.detach", keep="new"),
    ]
    return Plan(steps, {"param": Reading("new")})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    by = 2.0 if r.op.name == "mse_loss" else 1.0  # of the squared loss, which is half
    upstream = {name: by * (each if by != 1 else _layout(r, name).give(each)) for name, each in cotangent.items()}
    if r.op.name == "batch_norm" and not r.p.training:
        return Plan([], {})
    if r.arrays == "torch":
        plan = tensors.differentiated(r, upstream, {name: Place(name) for name in tensors.smooth(r)})
        readings = {name: each._replace(layout=_layout(r, name)) for name, each in plan.readings.items()}
        return plan._replace(readings=readings)
    names = tensors.smooth(r)
    args: list[Any] = [*map(r.sent, upstream.values()), *(Place(name) for name in r.case.arrays)]
    places = [f"gradients[{k}]" if len(names) > 1 else "gradients" for k in range(len(names))]
    readings = {name: Reading(place, _layout(r, name)) for name, place in zip(names, places, strict=True)}
    return Plan([Call(r.backward, args, keep="gradients")], readings)


def _layout(r: Request, name: str) -> Layout:
    if r.op.name == "linear":
        return TRANSPOSED if name == "weight" else SAME
    if r.op.name == "mse_loss" and name == "output":
        return scaled(0.5)
    if r.op.name == "batch_norm" and name not in ("input", "output"):
        return _along_channels(r.case.arrays["input"].ndim)
    return UNBATCHED if r.op.name == "conv2d" and name != "weight" else SAME


def _along_channels(dims: int) -> Layout:
    """(C,) as the arrays of a layer for images are: (1, C, 1, 1)."""
    shape = (1, -1, *[1] * (dims - 2)) if dims > 2 else (-1,)
    return Layout(lambda a: a.reshape(shape), lambda a: a.reshape(-1))


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """Code that asks neither torch nor an argument whether it trains does nothing else."""
    if op.name != "batch_norm" or "is_grad_enabled" in found[0].attributes:
        return {}
    own = {each.name for each in found[0].parameters}
    return {} if own & {*_ARGUMENTS["training"]} else {"training": only(True)}


def fits(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    names = [each.name for each in found.parameters]
    if op.name == "batch_norm":
        return is_function(op, found) and bool({*names} & {*_ARGUMENTS["running_mean"]})
    if op.name == "sgd":
        return is_function(op, found) and "grad" in found.attributes and len(names) == 3
    if op.name == "cross_entropy":
        return is_function(op, found) and names[:1] != [] and names[0] in PROBABILITIES
    return is_function(op, found)


def _entry(*names: str, allows: Mapping[str, Allowed] | None = None, **usual: tuple[Any, ...]) -> Entry:
    return Entry(names, tuple(f"{name}_backward" for name in names), allows or {}, usual=usual)


_CONVOLUTION = {"stride": only(1), "padding": only(0), "dilation": only(1), "groups": only(1), "bias": only(False),
                "batch": only(1)}  # fmt: skip
_POOL = {"stride": only(1), "padding": only(0), "dilation": only(1), "ceil_mode": only(False),
         "return_indices": only(False)}  # fmt: skip
_CLASSES = {"weight": only(False), "label_smoothing": only(0.0), "ignore_index": only(-100),
            "probabilities": only(False)}  # fmt: skip
_OWN = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), only(True))
_PLAIN = {"weight_decay": only(0.0), "momentum": only(0.0), "dampening": only(0.0), "nesterov": only(False),
          "maximize": only(False), "momentum_buffer": only(False)}  # fmt: skip
CONVENTION = Convention(
    "d2l",
    "Dive into Deep Learning: plain functions of tensors or arrays",
    {
        "conv2d": (_entry("corr2d_multi_in_out", allows=_CONVOLUTION, batch=(1,)),
                   _entry("corr2d", allows=_CONVOLUTION, batch=(1,))),
        "max_pool2d": _entry("pool2d", allows=_POOL, stride=(1,), padding=(0,)),
        "avg_pool2d": _entry("pool2d", allows=_POOL, stride=(1,), padding=(0,)),
        "linear": _entry("linreg", allows={"bias": only(True)}),
        "softmax": _entry("softmax", allows={"dim": only(1, -1)}),
        "relu": _entry("relu"),
        "cross_entropy": (
            _entry("cross_entropy", allows={**_CLASSES, "reduction": only("none")}, reduction=("none",)),
            _entry("cross_entropy", allows={**_CLASSES, "reduction": only("mean")}),
        ),
        "mse_loss": _entry("squared_loss", allows={"reduction": only("none"), "weight": only(False)},
                           reduction=("none",)),
        "dropout": _entry("dropout_layer", allows={"training": only(True), "mask": only(False)}),
        "batch_norm": _entry("batch_norm", allows={**_OWN, "momentum": only(0.5), "dims": only(2, 4)}, momentum=(0.5,)),
        "sgd": Entry(("sgd",), allows=_PLAIN, in_place=True),
    },
    call,
    gradients,
    arrays="torch",
    either=True,
    autograd=True,
    takes=takes,
    fits=fits,
)  # fmt: skip
