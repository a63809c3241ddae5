"""module: a torch.nn.Module with torch's constructor and parameter names, or a torch.autograd.Function.

    layer = Conv2d(in_channels, out_channels, kernel_size, stride=..., padding=...);  layer.weight, layer.bias
    y = MyLinear.apply(x, weight, bias)        for a class whose forward takes ctx first

Gradients come from autograd.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opcheck.backends.base import given
from opcheck.grading.conventions import classes, gates, optimisers, programs, tensors
from opcheck.grading.conventions.base import (
    Allowed,
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    default_only,
    has,
    is_layer,
    method,
    only,
)
from opcheck.operators import catalog
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place


def call(r: Request) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.module(r)
    if r.op.name in optimisers.ENTRIES:
        return optimisers.call(r)
    if r.op.name in _OTHERS and not _is_function(r):
        return gates.module(r) if r.variant in gates.VARIANTS else classes.module(r)
    steps, places = tensors.made(r)
    if _is_function(r):
        return Plan(
            [*steps, Call(f"{r.forward}.apply", _positional(r, places), keep="out")], {"output": Reading("out")}
        )
    steps.append(Call(r.forward, _sizes(r), _options(r), keep="layer"))
    if r.number == "float64":
        steps.append(Call("layer.double"))
    for name in _parameters(r):
        steps.append(Call(f"layer.{name}.data.copy_", (places[name],)))
    rest = [places[name] for name in r.case.arrays if name not in _parameters(r)]
    return Plan([*steps, Call("layer", rest, keep="out")], {"output": Reading("out")})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.title and not r.op.elsewhere:
        return programs.module_gradients(r, cotangent)
    if r.op.name in _OTHERS and not _is_function(r):
        if r.variant in gates.VARIANTS:
            return gates.module_gradients(r, cotangent)
        return classes.module_gradients(r, cotangent)
    own = () if _is_function(r) else _parameters(r)
    leaves = {name: Place(f"layer.{name}" if name in own else name) for name in tensors.smooth(r)}
    return tensors.differentiated(r, cotangent, leaves)


def _is_function(r: Request) -> bool:
    """Whether it is an autograd.Function: its forward takes ctx, or setup_context does."""
    forward = method(r.found, "forward")
    first = [each.name for each in forward.parameters[:1]] if forward else []
    return method(r.found, "setup_context") is not None or first == ["ctx"]


def _positional(r: Request, places: dict[str, Any]) -> list[Any]:
    """Every argument in torch's order as far as the function's forward takes it."""
    forward = method(r.found, "forward")
    assert forward is not None
    values = {each.name: r.case.params.get(each.name, each.default) for each in r.op.params}
    ordered = [places.get(each.name) if each.name not in values else values[each.name] for each in r.op.arguments]
    return ordered[: len(forward.parameters) - (method(r.found, "setup_context") is None)]


def _parameters(r: Request) -> tuple[str, ...]:
    """The arrays that belong to the layer."""
    return tuple(name for name in ("weight", "bias") if name in r.case.arrays)


def _sizes(r: Request) -> list[Any]:
    if r.op.name == "linear":
        return [*reversed(r.case.arrays["weight"].shape)]
    if "weight" in r.case.arrays:
        out, channels, *kernel = r.case.arrays["weight"].shape
        return [channels * r.p.groups, out, tuple(kernel)]
    return []


def _options(r: Request) -> dict[str, Any]:
    bias = {"bias": "bias" in r.case.arrays} if "weight" in r.case.arrays and "bias" not in r.case.arrays else {}
    return {**given(r.op, r.case.params), **bias}


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """What the constructor of a module, or the forward of a function, has parameters for."""
    (layer,) = found
    if op.name in optimisers.ENTRIES:
        return optimisers.takes(op, found)
    if op.name in _OTHERS:
        return gates.takes(op, found[0]) if gates.is_gated(op, found[0]) else classes.takes(op, found)
    forward = method(layer, "forward")
    is_function = method(layer, "setup_context") is not None
    is_function = is_function or bool(forward and [each.name for each in forward.parameters[:1]] == ["ctx"])
    takes_it = forward if is_function and forward else layer
    if not takes_it.parameters and takes_it is not layer:
        return {}
    lacking = {each.name: each.default for each in op.params if each.default is not REQUIRED}
    allowed: dict[str, Allowed] = {
        name: default_only(-1 if name == "dim" else default)
        for name, default in lacking.items()
        if not has(takes_it, name)
    }
    if any(each.name == "bias" for each in op.inputs) and not has(takes_it, "bias"):
        allowed["bias"] = only("bias" in layer.attributes or "bias" not in _own(layer))
    return allowed


def fits(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """A class with a forward pass, or an optimiser with a step."""
    if op.name in optimisers.ENTRIES:
        return optimisers.fits(op, found)
    return is_layer(op, found) and (op.name not in _OTHERS or classes.fits(op, found))


def _own(layer: Definition) -> Sequence[str]:
    """What tells that a module holds parameters of its own; one that inherits torch's keeps torch's."""
    return ("bias",) if "weight" in layer.attributes else ()


_CLASSES = {
    "linear": ("Linear",), "conv1d": ("Conv1d",), "conv2d": ("Conv2d",), "max_pool1d": ("MaxPool1d",),
    "max_pool2d": ("MaxPool2d",), "avg_pool1d": ("AvgPool1d",), "avg_pool2d": ("AvgPool2d",), "relu": ("ReLU",),
    "sigmoid": ("Sigmoid",), "tanh": ("Tanh",), "softmax": ("Softmax",), "log_softmax": ("LogSoftmax",),
    "mse_loss": ("MSELoss",), "cross_entropy": ("CrossEntropyLoss",), "nll_loss": ("NLLLoss",),
    "binary_cross_entropy": ("BCELoss",), "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss",),
}  # fmt: skip
# Whose arrays and parameters are found by what they are called, as of any class.
_OTHERS = ("gelu", "silu", "dropout", "layer_norm", "rms_norm", "group_norm", "batch_norm", "embedding", "lstm_cell")
_WEIGHTLESS = {
    name: dict.fromkeys(("weight", "pos_weight"), only(False))
    for name in _CLASSES
    if "loss" in name or "entropy" in name
}
CONVENTION = Convention(
    "module",
    "torch.nn.Module with torch's names, or torch.autograd.Function",
    {
        name: Entry((*names, f"My{names[0]}", f"{names[0]}Function"),
                    allows={**_WEIGHTLESS.get(name, {}), "return_indices": only(False)})
        for name, names in _CLASSES.items() if catalog.get(name)
    } | {name: classes.ENTRIES[name] for name in _OTHERS} | gates.ENTRIES | optimisers.ENTRIES,
    call,
    gradients,
    names=programs.class_names,
    arrays="torch",
    autograd=True,
    takes=takes,
    says_all=True,
    fits=fits,
    knows=gates.knows,
)  # fmt: skip
