"""layer: objects that hold their parameters and remember their input ("Deep Learning from Scratch" and many others).

    layer = Affine(W, b)  with W (In, Out);  y = layer.forward(x);  dx = layer.backward(dy);  layer.dW, layer.db
    Convolution(W, b, stride, pad), Pooling(pool_h, pool_w, stride, pad), Relu(), Sigmoid(), Tanh()
    loss = SoftmaxWithLoss().forward(x, t); dx = layer.backward()

Variants are found by looking: backward returns (dx, dW, db); gradients in layer.W["grad"], or in layer.grads; and
backward(dy, lr) that updates W itself, from which the gradient follows. A constructor that takes sizes, Dense(n_in,
n_out), makes its own weights, whose numbers are then overwritten; results may be kept (layer.output, layer.dinputs).
`layer_out_in` is the same with weights of affine layers as (Out, In), `layer_columns` with one example, a column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opcheck.grading.conventions import classes, gates, optimisers, programs
from opcheck.grading.conventions.base import (
    Allowed,
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    has,
    method,
    only,
    whole,
)
from opcheck.grading.conventions.layouts import COLUMN, SAME, TRANSPOSED, Layout
from opcheck.grading.conventions.sentences import IN_OUT
from opcheck.operators.spec import Array, Op
from opcheck.sandbox import Call, Definition, Place, Set

_RATE = 2.0**20  # so large that rounding the updated weight does not hide the gradient in it
_ARRAYS = ("w", "weight", "weights", "filters", "kernel")  # the first parameter of a constructor that takes arrays
_OWN = {"weight": ("W", "weights", "weight", "w", "kernel", "kernels", "filters"),
        "bias": ("b", "biases", "bias", "B")}  # fmt: skip
_FORMS = ("d{}", "grad_{}", "{}_grad", "{}_gradient", "d_{}", "delta_{}", "grad{}", "g{}")  # dW, grad_weight, b_grad
_GRADIENTS = {name: tuple(form.format(each) for form in _FORMS for each in own) for name, own in _OWN.items()}
_PADDING, _STRIDE = ("pad", "padding", "p"), ("stride", "s", "strides")
_WINDOW = ("kernel_size", "pool_size", "size", "kernel", "filter_size", "ksize", "k")


def call(r: Request) -> Plan:
    """A new object and its forward pass. It gets copies of its parameters: it may change them in backward."""
    if r.op.title and not r.op.elsewhere:
        return programs.layer(r)
    if r.op.name in optimisers.ENTRIES:
        return optimisers.call(r)
    if r.op.name not in _WINDOWED:
        return gates.call(r) if r.variant in gates.VARIANTS else classes.call(r)
    r = _precise(r)
    forward = classes.first_method(r.found, classes.FORWARD) or "forward"
    steps = [*_made(r), Call(f"layer.{forward}", [r.array("input", _input(r))], keep="out")]
    return Plan(steps, {"output": Reading(("out", "layer.output", "layer.out"), _input(r))})


def _made(r: Request) -> list[Call | Set]:
    """The steps that construct the layer."""
    further, options = _options(r)
    if "weight" not in r.case.arrays:
        sizes: list[Any] = []
        if "kernel_size" in r.p:
            sizes = [r.one("kernel_size")] if _square(r.found) else [*r.p.kernel_size]
        return [Call(r.forward, [*sizes, *further], options, keep="layer")]
    arrays = {name: r.array(name, _layout(r, name)) for name in ("weight", "bias") if name in r.case.arrays}
    copies: list[Call | Set] = [Call("numpy.array", (each,), keep=name) for name, each in arrays.items()]
    if _takes_arrays(r.found):
        return [*copies, Call(r.forward, [*map(Place, arrays), *further], options, keep="layer")]
    out, channels, *kernel = r.case.arrays["weight"].shape
    made = Call(r.forward, [channels, out, *kernel[:1], *further], options, keep="layer")
    own = [Call("numpy.copyto", (Place(f"layer.{_own(r, name)}"), Place(name))) for name in arrays]
    return [*copies, made, *own]


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.layer_gradients(r, cotangent)
    if r.op.name not in _WINDOWED:
        return gates.gradients(r, cotangent) if r.variant in gates.VARIANTS else classes.gradients(r, cotangent)
    r = _precise(r)
    args: list[Any] = [r.sent(cotangent["output"], _input(r))]
    back = Reading(("back", "back[0]", "layer.dinputs", "layer.dx"), _input(r))
    if "weight" not in r.case.arrays:
        args += [_RATE] if _learns(r) else []
        return Plan([Call("layer.backward", args, keep="back")], {"input": back})
    if _learns(r) or _learns_by_itself(r.found):
        readings = {
            name: Reading(f"layer.{_own(r, name)}", _update(r.case.arrays[name], _layout(r, name)))
            for name in ("weight", "bias")
        }
        args += [_RATE] if _learns(r) else []
        return Plan([Call("layer.backward", args, keep="back")], {"input": back, **readings})
    steps: list[Call | Set] = [Call("layer.backward", args, keep="back")]
    readings = {"input": back, "weight": _gradient(r, "weight", 1), "bias": _gradient(r, "bias", 2)}
    if not _takes_arrays(r.found) and (place := _kept_gradient(r, "bias")):  # a row in some
        layout = _layout(r, "bias")
        shape = [*layout.give(r.case.arrays["bias"]).shape]
        steps.append(Call("numpy.reshape", (Place(f"layer.{place}"), shape), keep="bias_gradient"))
        readings["bias"] = Reading("bias_gradient", layout)
    return Plan(steps, readings)


def _gradient(r: Request, name: str, place: int) -> Reading:
    """Where the gradient of a parameter is: one of the places that are in use."""
    own, short = _own(r, name), "W" if name == "weight" else "b"
    kept = [f"layer.{each}" for each in _GRADIENTS[name]]
    first = [f"layer.{found}"] if (found := _kept_gradient(r, name)) else []
    others = [f"layer.{own}['grad']", f"layer.grads['{short}']", f"layer.grads[{place - 1}]", f"back[{place}]"]
    return Reading(tuple(dict.fromkeys([*first, *kept[:2], *others])), _layout(r, name))


def _kept_gradient(r: Request, name: str) -> str:
    return next((each for each in _GRADIENTS[name] if r.found and each in r.found.attributes), "")


def _own(r: Request, name: str) -> str:
    """What the layer calls its weight or its bias."""
    attributes = r.found.attributes if r.found else ()
    return next((each for each in _OWN[name] if each in attributes), _OWN[name][0])


def _takes_arrays(found: Definition | None) -> bool:
    return found is None or not found.parameters or found.parameters[0].name.lower() in _ARRAYS


def _square(found: Definition | None) -> bool:
    """Whether a pool's constructor has one size for its window."""
    return found is not None and bool(found.parameters) and found.parameters[0].name in _WINDOW


def _options(r: Request) -> tuple[list[int], dict[str, Any]]:
    """Stride and padding as the constructor takes them: behind the arrays or the window in this order, or by name."""
    asked = {name: r.one(name) for name in ("stride", "padding") if name in r.p}
    if r.found is None or _in_order(r.found):
        return [*asked.values()], {}
    options: dict[str, Any] = {}
    for name, value in asked.items():
        if own := has(r.found, *(_STRIDE if name == "stride" else _PADDING)):
            options[own] = value
    if _learns_by_itself(r.found):
        options[has(r.found, *classes.LEARNING_RATES)] = _RATE
    return [], options


def _in_order(found: Definition) -> bool:
    """Whether a constructor takes (W, b, stride, pad) or (pool_h, pool_w, stride, pad), whatever it calls the last."""
    if len(found.parameters) != 4:
        return False
    return _takes_arrays(found) or found.parameters[0].name.lower() in ("pool_h", "ph", "h", "pool_height", "kernel_h")


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """What a constructor has no parameter for keeps its default; windows are square where it has one size."""
    if op.title and not op.elsewhere:
        return {}
    if op.name in optimisers.ENTRIES:
        return optimisers.takes(op, found)
    if op.name not in _WINDOWED:
        return gates.takes(op, found[0]) if gates.is_gated(op, found[0]) else classes.takes(op, found)
    (layer,) = found[:1]
    allowed: dict[str, Allowed] = {}
    if not layer.parameters or _in_order(layer):
        return allowed
    names = [each.name for each in op.params]
    if "padding" in names and not has(layer, *_PADDING):
        allowed["padding"] = only(0)
    if "stride" in names and not has(layer, *_STRIDE):
        allowed["stride"] = only(1) if "weight" in [each.name for each in op.inputs] else only(None)
    if "kernel_size" in names and _square(layer):
        allowed["kernel_size"] = whole
    if "weight" in [each.name for each in op.inputs] and not _takes_arrays(layer) and "stride" in names:
        allowed["kernel_size"] = whole
    return allowed


def fits(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """A class that can be called as any layer, or an optimiser with a step."""
    return optimisers.fits(op, found) if op.name in optimisers.ENTRIES else classes.fits(op, found)


def _precise(r: Request) -> Request:
    """In float64 where the gradient is read from an updated parameter, beside which it must not be rounded away."""
    return replace(r, number="float64") if _learns(r) or _learns_by_itself(r.found) else r


def _learns(r: Request) -> bool:
    """Whether backward takes a learning rate."""
    backward = method(r.found, "backward")
    return backward is not None and any(each.name in classes.LEARNING_RATES for each in backward.parameters)


def _learns_by_itself(found: Definition | None) -> bool:
    """Whether a layer is given a learning rate when it is made, and keeps no gradient."""
    if found is None or not any(each.name in classes.LEARNING_RATES for each in found.parameters):
        return False
    return not any(each in found.attributes for each in _GRADIENTS["weight"])


def _update(before: Array, layout: Layout) -> Layout:
    """The gradient that made an updated parameter of `before`."""
    return Layout(lambda a: layout.give(before - _RATE * a), lambda a: (before - layout.take(a)) / _RATE)


def _layout(r: Request, name: str) -> Layout:
    if name == "weight":
        return TRANSPOSED if r.op.name == "linear" and r.convention == "layer" else SAME
    return COLUMN if r.convention == "layer_columns" else SAME


def _input(r: Request) -> Layout:
    return TRANSPOSED if r.convention == "layer_columns" else SAME


# Whose weights have a layout, or whose window has a size: the others are classes as any.
_WINDOWED = ("linear", "conv2d", "max_pool2d")
_SIZES = {"stride": whole, "padding": whole, "dilation": only(1), "groups": only(1), "bias": only(True)}
_AFFINE = ("Affine", "Linear", "Dense", "FullyConnected", "Layer_Dense", "DenseLayer", "LinearLayer", "FCLayer", "FC",
           "AffineLayer", "FullyConnectedLayer")  # fmt: skip
CONVENTION = Convention(
    "layer",
    "objects with forward and backward that hold W, b, dW and db; weights of affine layers are (In, Out)",
    {
        "linear": Entry(_AFFINE, allows={"bias": only(True)}),
        "conv2d": Entry(("Convolution", "Conv2d", "Conv2D", "Conv", "ConvLayer", "Conv2DLayer"), allows=_SIZES),
        "max_pool2d": Entry(
            ("Pooling", "MaxPooling", "MaxPool2d", "MaxPool", "MaxPool2D", "MaxPooling2D", "MaxPoolLayer"),
            allows={"stride": whole, "padding": whole, "dilation": only(1), "ceil_mode": only(False),
                    "return_indices": only(False)},
        ),
        **classes.ENTRIES,
        **gates.ENTRIES,
        **optimisers.ENTRIES,
    },
    call,
    gradients,
    names=programs.class_names,
    sentences=IN_OUT,
    takes=takes,
    fits=fits,
    knows=gates.knows,
)  # fmt: skip
OUT_IN = replace(
    CONVENTION,
    name="layer_out_in",
    summary="as layer, with weights of affine layers as (Out, In)",
    entries={"linear": Entry(_AFFINE, allows={"bias": only(True)})},
    sentences={},
)
COLUMNS = replace(
    OUT_IN,
    name="layer_columns",
    summary="as layer, for one example, a column: weights (Out, In), bias (Out, 1)",
    entries={"linear": Entry(_AFFINE, allows={"bias": only(True), "batch": only(1)})},
)
