"""functional: called as torch.nn.functional is; with numpy arrays, gradients come from a second function.

    conv2d(x, weight, bias, stride=1, padding=0)                       -> y
    conv2d_backward(dy, x, weight, bias, stride=1, padding=0)          -> (dx, dweight, dbias)

The arrays come by position, parameters by torch's names, as far as the function has them. The backward function
gets the same arguments after the upstream gradient and returns the gradients in the order of the arrays. With
`arrays = "torch"` in the assignment the function gets tensors, and autograd gives the gradients.
A loss may have its target first, if its parameters say so. An activation may have its derivative instead of a backward
function, sigmoid_prime(x), or of its result, sigmoid_prime(y); a loss its gradient, mse_prime(y_true, y_pred).
`functional_in_out` is the same with weights of affine layers as (In, Out): x @ w + b.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opcheck.backends.base import arguments
from opcheck.grading.conventions import tensors
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
    is_function,
    last_dimension,
    only,
)
from opcheck.grading.conventions.classes import TARGETS
from opcheck.grading.conventions.layouts import SAME, TRANSPOSED, Layout
from opcheck.grading.conventions.sentences import IN_OUT as IN_OUT_SENTENCES
from opcheck.operators import catalog
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place, Set

# What students call torch's parameters.
_ALSO = {
    "dim": ("axis",),
    "padding": ("pad", "p"),
    "stride": ("strides", "s"),
    "kernel_size": ("kernel", "pool_size", "size", "ksize", "k", "window"),
    "normalized_shape": ("shape",),
    "eps": ("epsilon",),
    "lr": ("learning_rate", "eta"),
    "num_groups": ("groups", "G"),
    "weight": ("gamma", "scale"),
    "bias": ("beta", "shift"),
}
_LAST = {"softmax": -1, "log_softmax": -1}  # the dimension that is meant where none can be given


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """Parameters that a signature lacks keep their default."""
    lacking = [
        each for each in op.params if each.default is not REQUIRED and any(not _name(one, each.name) for one in found)
    ]
    allowed: dict[str, Allowed] = {}
    for place, each in enumerate(op.inputs):
        if each.optional and not all(_room(op, one, place) for one in found[:1]):
            allowed[each.name] = only(False)
        elif each.optional and any(_demands(one, each.name, place) for one in found[:1]):
            allowed[each.name] = only(True)
    if any(
        each.name == "normalized_shape" and _is_unsaid(op, one, each.name) for each in op.params for one in found[:1]
    ):
        allowed["normalized_shape"] = last_dimension
    if "training" in {each.name for each in lacking} and "running_mean" in allowed:
        lacking = [each for each in lacking if each.name != "training"]
        allowed["training"] = only(True)  # without statistics that are kept there are those of the batch alone
    if any(each.name == "eps" and each.default is None and _name(found[0], "eps") for each in op.params):
        allowed["eps"] = lambda value: value is not None  # the code has a default of its own, and None means torch's
    return allowed | {
        each.name: default_only(_LAST[op.name] if each.name == "dim" and op.name in _LAST else each.default)
        for each in lacking
    }


def _room(op: Op, found: Definition, place: int) -> bool:
    """Whether a function has a parameter for this array, at its place or by its name."""
    name = op.inputs[place].name
    if not found.parameters or has(found, name, *_ALSO.get(name, ())):
        return True
    if any(each.kind == "VAR_POSITIONAL" for each in found.parameters):
        return True
    others = [*(each.name for each in op.params), *(each.name for each in op.inputs if each.name != name)]
    taken = {known for each in others for known in (each, *_ALSO.get(each, ()))}
    return len(found.parameters) > place and found.parameters[place].name not in taken


def _demands(found: Definition, name: str, place: int) -> bool:
    """Whether a function cannot be called without this array."""
    known = {each.name: each for each in found.parameters}
    last = found.parameters[place] if len(found.parameters) > place else None
    parameter = next((known[each] for each in (name, *_ALSO.get(name, ())) if each in known), last)
    return parameter is not None and not parameter.has_default and not parameter.kind.startswith("VAR_")


def fits(op: Op, found: Definition, beside: Sequence[Definition]) -> bool:
    """A function that takes the arrays and demands no more than is always given."""
    if not is_function(op, found) or not found.parameters:
        return is_function(op, found)
    demanded = [each for each in found.parameters if not each.has_default and not each.kind.startswith("VAR_")]
    several = any(each.kind.startswith("VAR_") for each in found.parameters)
    arrays = [each for each in op.inputs if not each.optional]
    most = len(op.inputs) + sum(each.default is REQUIRED for each in op.params)
    return len(demanded) <= most + sum(bool(has(found, each.name)) for each in op.params) and (
        several or len(found.parameters) >= len(arrays)
    )


def _name(found: Definition, name: str) -> str:
    """What a function calls a parameter of torch's; "" if it has none, torch's name where no signature is known."""
    return has(found, name, *_ALSO.get(name, ())) if found.parameters else name


def _is_unsaid(op: Op, found: Definition, name: str) -> bool:
    """Whether a function has neither a name nor a place for a parameter: layer_norm(x, gamma, beta) for the shape."""
    if _name(found, name):
        return False
    if not any(each.name == name and each.default is REQUIRED for each in op.params):
        return True
    demanded = [each for each in found.parameters if not each.has_default]
    arrays = [each for each in op.inputs if not each.optional or has(found, each.name, *_ALSO.get(each.name, ()))]
    return len(demanded) <= len(arrays) and all(each.kind != "VAR_POSITIONAL" for each in demanded)


def _called(
    op: Op, found: Definition | None, tensors: Mapping[str, Any], params: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by the names that the function has for them; what it must get and has no name for, by position."""
    demanded = {} if found is None else _defaults(op, found, params)
    positional, keywords = arguments(op, tensors, {**demanded, **params})
    if found is None or not found.parameters:
        return positional, keywords
    keywords = {**_own(op, found), **demanded, **keywords}
    named: dict[str, Any] = {}
    for name, value in keywords.items():
        if known := _name(found, name):
            named[known] = value
        elif name in tensors or not _is_unsaid(op, found, name):
            positional.append(value)
    return positional, named


def _own(op: Op, found: Definition) -> dict[str, Any]:
    """torch's defaults of what a function has a name for: its own default may be another one."""
    named = {each.name for each in found.parameters}
    known = {each.name: _name(found, each.name) for each in op.params if each.default not in (REQUIRED, None)}
    return {each.name: each.default for each in op.params if known.get(each.name, "") in named}


def _defaults(op: Op, found: Definition, params: Mapping[str, Any]) -> dict[str, Any]:
    """torch's defaults of what a function demands: of conv2d(x, w, b, stride, padding) that are 1 and 0."""
    last = {each.name for each in found.parameters if not each.has_default and not each.kind.startswith("VAR_")}
    asked = [each for each in op.params if each.default is not REQUIRED and each.name not in params]
    known = {each.name: each.default for each in asked if _name(found, each.name) in last}
    if "stride" in known and known["stride"] is None:  # of a pool: that of its window
        known["stride"] = params["kernel_size"]
    return known


def call(r: Request) -> Plan:
    shapes = r.op.checked(r.case)[1]
    updated = r.op.updated(shapes)
    names = [name for name in shapes if name not in updated]
    readings = {name: Reading(f"out[{k}]" if len(names) > 1 else "out") for k, name in enumerate(names)}
    if r.arrays == "torch":
        steps, places = tensors.made(r)
        positional, keywords = _called(r.op, r.found, places, r.case.params)
        return Plan([*steps, Call(r.forward, positional, keywords, keep="out")], readings)
    written = [name for name in updated if name in r.case.arrays]  # in place, and not returned
    given: list[Call | Set] = [Set(name, r.array(name)) for name in written]
    places = {name: Place(name) if name in written else r.array(name, _layout(r, name)) for name in r.case.arrays}
    positional, keywords = _called(r.op, r.found, places, r.case.params)
    positional = _as_named(r.op, r.found, positional)
    readings |= {name: Reading(name) for name in written}
    return Plan([*given, Call(r.forward, positional, keywords, keep="out")], readings)


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.arrays == "torch":
        return tensors.differentiated(r, cotangent, {name: Place(name) for name in tensors.smooth(r)})
    arrays = {name: r.array(name, _layout(r, name)) for name in r.case.arrays}
    positional, keywords = _called(r.op, r.gradient, arrays, r.case.params)
    if r.variant:
        return _derivative(r, positional, cotangent)
    positional = _as_named(r.op, r.gradient, positional, behind=1)
    given = [r.sent(each) for each in cotangent.values()]
    upstream = given[0] if len(given) == 1 else tuple(given)
    names = tensors.smooth(r)
    readings = {name: Reading(f"gradients[{k}]" if len(names) > 1 else "gradients", _layout(r, name))
                for k, name in enumerate(names)}  # fmt: skip
    return Plan([Call(r.backward, [upstream, *positional], keywords, keep="gradients")], readings)


def _derivative(r: Request, arrays: list[Any], cotangent: Cotangent) -> Plan:
    """What has no upstream gradient: the derivative of an activation at each place, or the gradient of a loss."""
    if r.variant == LOSS:
        args = _as_named(r.op, r.gradient, arrays)
        return Plan([Call(r.backward, args, keep="gradients")], {"input": Reading("gradients")})
    (upstream,) = map(r.sent, cotangent.values())
    steps = [
        Call(r.backward, [arrays[0] if r.variant == OF_INPUT else Place("out")], keep="slope"),
        Call("numpy.multiply", (upstream, Place("slope")), keep="gradients"),
    ]
    return Plan(steps, {"input": Reading("gradients")})


def _as_named(op: Op, found: Definition | None, positional: list[Any], behind: int = 0) -> list[Any]:
    """Input and target in the order in which a loss has them: mse(y_true, y_pred)."""
    names = [each.name for each in found.parameters[behind : behind + 2]] if found else []
    is_loss = any(each.name == "target" for each in op.inputs)
    if is_loss and [name in TARGETS for name in names] == [True, False] and len(positional) >= 2:
        return [positional[1], positional[0], *positional[2:]]
    return positional


def _layout(r: Request, name: str) -> Layout:
    return TRANSPOSED if r.convention == "functional_in_out" and name == "weight" else SAME


# What else students call the functions.
_CALLED = {
    "scaled_dot_product_attention": ("attention", "sdpa"),
    "silu": ("swish",),
    "mse_loss": ("mse", "mean_squared_error"),
    "binary_cross_entropy": ("bce", "bce_loss"),
    "cross_entropy": ("cross_entropy_loss", "softmax_cross_entropy"),
}
_ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "silu")
_DERIVATIVES = ("{}_prime", "{}_derivative", "{}_deriv", "d_{}", "d{}", "{}_gradient", "{}_grad", "{}_der",
                "{}_backward", "grad_{}", "deriv_{}", "derivative_{}")  # fmt: skip
# What such a function is the derivative of, and of what it is one.
OF_INPUT, OF_OUTPUT, LOSS = "derivative of the input", "derivative by the output", "gradient of a loss"


def _entry(name: str) -> Entry:
    names = (name, *_CALLED.get(name, ()), f"{name}_forward", f"forward_{name}")
    return Entry(names, tuple(f"{each}_{word}" for word in ("backward", "grad", "vjp") for each in names))


def _of(op: Op) -> tuple[Entry, ...]:
    """An entry of the catalogue; an eps of which torch's default depends on the type is asked by a number, too."""
    by_type = any(each.name == "eps" and each.default is None for each in op.params)
    entry = _entry(op.name)._replace(usual={"eps": (None, 1e-5)} if by_type else {})
    derivatives = tuple(form.format(name) for name in entry.forward[:-2] for form in _DERIVATIVES)
    if op.name in _ACTIVATIONS:
        return (entry, *(entry._replace(backward=derivatives, variant=each) for each in (OF_INPUT, OF_OUTPUT)))
    if any(each.name == "target" for each in op.inputs):
        mean = {"reduction": only("mean")}
        return entry, entry._replace(backward=derivatives, variant=LOSS, upstream=False, allows=mean)
    return (entry,)


CONVENTION = Convention(
    "functional",
    "as torch.nn.functional, with numpy arrays; NAME_backward(dy, *the same arguments) gives the gradients",
    {op.name: _of(op) for op in catalog.every()},
    call,
    gradients,
    either=True,
    autograd=True,
    names=_entry,
    takes=takes,
    says_all=True,
    fits=fits,
)
IN_OUT = replace(
    CONVENTION,
    name="functional_in_out",
    summary="as functional, with weights of affine layers as (In, Out)",
    entries={"linear": Entry(("linear", "affine", "dense"), ("linear_backward", "affine_backward", "linear_grad"))},
    names=None,
    sentences=IN_OUT_SENTENCES,
)
