"""layer: objects that hold their parameters and remember their input ("Deep Learning from Scratch" and many others).

    layer = Affine(W, b)  with W (In, Out);  y = layer.forward(x);  dx = layer.backward(dy);  layer.dW, layer.db
    Convolution(W, b, stride, pad), Pooling(pool_h, pool_w, stride, pad), Relu(), Sigmoid(), Tanh()
    loss = SoftmaxWithLoss().forward(x, t); dx = layer.backward()

Variants are found by looking: backward returns (dx, dW, db); gradients in layer.W["grad"], or in layer.grads; and
backward(dy, lr) that updates W itself, from which the gradient follows.
"""

from dataclasses import replace

from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request, only, whole
from opcheck.grading.conventions.layouts import SAME, TRANSPOSED, Layout
from opcheck.grading.conventions.sentences import IN_OUT
from opcheck.operators.spec import Array
from opcheck.sandbox import Call

_RATE = 2.0**20  # so large that rounding the updated weight does not hide the gradient in it
_LEARNING_RATES = ("lr", "learning_rate", "eta", "alpha")


def call(r: Request) -> Plan:
    """A new object and its forward pass."""
    r = _precise(r)
    if "weight" in r.case.arrays:
        args = [r.array("weight", _weight(r)), r.array("bias")]
        args += [r.one("stride"), r.one("padding")] if "stride" in r.p else []
    elif "kernel_size" in r.p:
        args = [*r.p.kernel_size, r.one("stride"), r.one("padding")]
    else:
        args = []
    given = [r.array("input"), *([r.array("target")] if r.op.name == "cross_entropy" else [])]
    steps = [Call(r.forward, args, keep="layer"), Call("layer.forward", given, keep="out")]
    return Plan(steps, {"output": Reading("out")})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    r = _precise(r)
    args = [] if r.op.name == "cross_entropy" else [r.sent(cotangent["output"])]
    if "weight" not in r.case.arrays:
        return Plan([Call("layer.backward", args, keep="back")], {"input": Reading(("back", "back[0]"))})
    if _learns(r):
        readings = {name: Reading(f"layer.{attribute}", _update(r.case.arrays[name], layout))
                    for name, attribute, layout in (("weight", "W", _weight(r)), ("bias", "b", SAME))}  # fmt: skip
        return Plan([Call("layer.backward", [*args, _RATE], keep="back")], {"input": Reading("back"), **readings})
    return Plan([Call("layer.backward", args, keep="back")], {
        "input": Reading(("back", "back[0]")),
        "weight": Reading(("layer.dW", "layer.W['grad']", "layer.grads['W']", "layer.grads[0]", "back[1]"), _weight(r)),
        "bias": Reading(("layer.db", "layer.b['grad']", "layer.grads['b']", "layer.grads[1]", "back[2]")),
    })  # fmt: skip


def _precise(r: Request) -> Request:
    """In float64 where the gradient is read from an updated parameter, beside which it must not be rounded away."""
    return replace(r, number="float64") if _learns(r) else r


def _learns(r: Request) -> bool:
    """Whether backward takes a learning rate."""
    methods = {method.name: method for method in r.found.methods} if r.found else {}
    return "backward" in methods and any(each.name in _LEARNING_RATES for each in methods["backward"].parameters)


def _update(before: Array, layout: Layout) -> Layout:
    """The gradient that made an updated parameter of `before`."""
    return Layout(lambda a: layout.give(before - _RATE * a), lambda a: (before - layout.take(a)) / _RATE)


def _weight(r: Request) -> Layout:
    return TRANSPOSED if r.op.name == "linear" else SAME


CONVENTION = Convention(
    "layer",
    "objects with forward and backward that hold W, b, dW and db; weights of affine layers are (In, Out)",
    {
        "linear": Entry(("Affine", "Linear", "Dense", "FullyConnected"), allows={"bias": only(True)}),
        "relu": Entry(("Relu", "ReLU")),
        "sigmoid": Entry(("Sigmoid",)),
        "tanh": Entry(("Tanh",)),
        "conv2d": Entry(
            ("Convolution", "Conv2d", "Conv2D", "Conv"),
            allows={"stride": whole, "padding": whole, "dilation": only(1), "groups": only(1), "bias": only(True)},
        ),
        "max_pool2d": Entry(
            ("Pooling", "MaxPooling", "MaxPool2d", "MaxPool"),
            allows={"stride": whole, "padding": whole, "dilation": only(1), "ceil_mode": only(False),
                    "return_indices": only(False)},
        ),
        "cross_entropy": Entry(
            ("SoftmaxWithLoss", "SoftmaxCrossEntropy", "CrossEntropyLoss"),
            allows={"reduction": only("mean"), "weight": only(False), "label_smoothing": only(0.0),
                    "ignore_index": only(-100), "probabilities": only(False)},
            upstream=False,
        ),
    },
    call,
    gradients,
    sentences=IN_OUT,
)  # fmt: skip
