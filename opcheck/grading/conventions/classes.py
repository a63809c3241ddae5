"""Classes of any operator, called by what their parameters and attributes are named: each is a row of a table.

    layer = LayerNorm(dim, eps=1e-5);  layer.gamma, layer.beta
    y = layer.forward(x), or layer(x);  dx = layer.backward(dy);  layer.dgamma, layer.dbeta
    layer = BatchNormalization(gamma, beta, momentum);  y = layer.forward(x, train_flg=True), or layer.eval() before
    layer = Embedding(vocab_size, dim);  layer.W;  layer = LSTMCell(input_size, hidden_size);  layer.Wx, layer.Wh
    loss = MSELoss();  loss.forward(y_pred, y_true);  dx = loss.backward()

A constructor gets sizes, parameters or the arrays themselves, as its parameters are called; arrays that it makes itself
are overwritten in the shape that it gave them, so that (1, D) is as good as (D,).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import (
    Allowed,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    default_only,
    last_dimension,
    method,
    only,
)
from opcheck.grading.conventions.layouts import SAME, Layout
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Array, Input, Op
from opcheck.sandbox import Call, Definition, Parameter, Place, Set

# What people call the arrays that belong to a layer, by torch's name.
OWN = {
    "weight": ("gamma", "weight", "weights", "W", "w", "scale", "g", "BW", "a_2", "embedding", "embeddings", "E",
               "table"),
    "bias": ("beta", "bias", "biases", "shift", "b", "B", "Bb", "b_2"),
    "running_mean": ("running_mean", "moving_mean", "running_mu", "run_mean", "mean_running", "running_M"),
    "running_var": ("running_var", "moving_var", "running_variance", "moving_variance", "run_var", "var_running",
                    "running_V"),
    "w_ih": ("W_ih", "w_ih", "weight_ih", "Wih", "Wx", "W_x", "wx", "W"),
    "w_hh": ("W_hh", "w_hh", "weight_hh", "Whh", "Wh", "W_h", "wh", "U"),
    "b_ih": ("b_ih", "bias_ih", "bih", "bx", "b", "bias"),
    "b_hh": ("b_hh", "bias_hh", "bhh", "bh"),
}  # fmt: skip
# The Linear layers in which a cell may keep them.
_LINEAR = {
    **dict.fromkeys(("w_ih", "b_ih"), ("x2h", "i2h", "xh", "ih", "x_to_h", "input_to_hidden", "linear_ih", "fc_x")),
    **dict.fromkeys(("w_hh", "b_hh"), ("h2h", "hh", "h_to_h", "hidden_to_hidden", "linear_hh", "fc_h")),
}  # fmt: skip
GATES = "ifgo"  # as torch has them
# Other orders in which people keep them, each in rows or in columns.
_ORDERS = ("", "ifgo columns", "ifog columns", "fgio columns", "figo columns", "figo", "ifog", "fiog columns", "fiog")
# What they call its parameters.
PARAMETERS = {
    "eps": ("eps", "epsilon", "e"),
    "momentum": ("momentum", "alpha", "decay"),
    "num_groups": ("num_groups", "n_groups", "groups", "G", "num_group"),
    "p": ("p", "rate", "dropout_ratio", "dropout_rate", "drop_rate", "drop_prob", "dropout_prob", "dropout", "prob",
          "p_drop", "ratio"),
    "dim": ("dim", "axis"),
    "is_causal": ("is_causal", "causal"),
    "approximate": ("approximate",),
    "normalized_shape": ("normalized_shape",),
}  # fmt: skip
KEPT = ("keep_prob", "p_keep", "keep", "keep_rate")  # the probability of staying
MODES = ("training", "train", "train_flg", "train_flag", "is_training", "is_train", "train_mode", "training_mode")
TESTING = ("eval", "test", "testing", "is_test")
TARGETS = ("y_true", "target", "targets", "labels", "label", "t", "y", "Y", "true", "ytrue", "truth", "actual")
FORWARD, BACKWARD = ("forward", "__call__"), ("backward", "bwd", "gradient", "backprop", "backward_pass", "grad")
GRADIENTS = ("d{}", "grad_{}", "{}_grad", "{}_gradient", "d_{}", "delta_{}", "grad{}", "g{}", "dLd{}", "dl_d{}")
_FLAGS = ("bias", "affine", "elementwise_affine", "use_bias")


def call(r: Request) -> Plan:
    """A new object in the mode of the case, its arrays, and its forward pass."""
    found = r.found
    given = [name for name in _own(r.op) if name in r.case.arrays and name != r.op.draws]
    steps: list[Call | Set] = [Call("numpy.array", (r.array(name, _kept_as(r, name)),), keep=name) for name in given]
    args, keywords = constructor(r)
    steps.append(Call(r.forward, args, keywords, keep="layer"))
    taken = {each.text for each in (*args, *keywords.values()) if isinstance(each, Place)}
    for name in given:
        if name not in taken and (place := attribute(found, name)):
            steps += _overwritten(r, name, f"layer.{place}")
    steps += [*_emptied(r, "numpy"), *_mode(r)]
    args, keywords = _arguments(r)
    steps.append(Call(f"layer.{_forward(r.op, found) or FORWARD[0]}", args, keywords, keep="out"))
    kept = [name for name in _outputs_kept(r) if attribute(found, name)]
    for name in kept:
        steps.append(Call("numpy.squeeze", (Place(f"layer.{attribute(found, name)}"),), keep=f"new_{name}"))
    return Plan(steps, outputs(r) | {name: Reading(f"new_{name}", running(r, name)) for name in kept})


def module(r: Request) -> Plan:
    """The same of a torch.nn.Module, whose arrays are its parameters and buffers."""
    steps, places = tensors.made(r)
    args, keywords = constructor(r)
    steps.append(Call(r.forward, args, keywords, keep="layer"))
    steps += [Call("layer.double")] if r.number == "float64" else []
    own = {name: parameter(r.found, name) for name in _own(r.op) if name in r.case.arrays}
    for name, place in own.items():
        if place:  # in the shape that it has there: (1, C, 1, 1) is as good as (C,)
            steps.append(Call("torch.tensor", (r.array(name, _kept_as(r, name)),), keep=f"as_{name}"))
            steps.append(
                Call("torch.reshape", (Place(f"as_{name}"), Place(f"layer.{place}.shape")), keep=f"own_{name}")
            )
            steps.append(Call(f"layer.{place}.data.copy_", (Place(f"own_{name}"),)))
    training = bool(r.p.get("training", True))
    steps += _emptied(r, "torch")
    steps += [] if training else [Call("layer.eval")]
    given = [places[name] for name in r.case.arrays if name not in own and name != r.op.draws]
    called = Call("layer", in_parts(r, given), keep="out")
    steps += tensors.without_gradients(called) if not training and _kept_apart(r) else [called]
    kept = [name for name in _outputs_kept(r) if own.get(name)]
    steps += [Call("torch.squeeze", (Place(f"layer.{own[name]}"),), keep=f"new_{name}") for name in kept]
    return Plan(steps, outputs(r) | {name: Reading(f"new_{name}", running(r, name)) for name in kept})


def _kept_apart(r: Request) -> bool:
    """Whether a module is called without gradients in evaluation, by which some know that they are in it."""
    return any(each.name in _STATE for each in r.op.inputs)


def module_gradients(r: Request, cotangent: Cotangent) -> Plan:
    if _kept_apart(r) and not r.p.training:
        return Plan([], {})
    own = {name: parameter(r.found, name) for name in _own(r.op)}
    leaves = {name: Place(f"layer.{own[name]}" if own.get(name) else name) for name in tensors.smooth(r)}
    plan = tensors.differentiated(r, cotangent, leaves)
    steps, readings = [*plan.steps], dict(plan.readings)
    for k, name in enumerate(leaves):
        if own.get(name):  # in torch's shape again
            layout = _kept_as(r, name)
            shape = [*layout.give(r.case.arrays[name]).shape]
            steps.append(Call("torch.reshape", (Place(f"gradients[{k}]"), shape), keep=f"d_{name}"))
            readings[name] = Reading(f"d_{name}", layout)
    return Plan(steps, readings)


def parameter(found: Definition | None, name: str) -> str:
    """What a module calls one of its parameters: its own, or that of a Linear layer in it."""
    used = found.attributes if found and "Linear" in found.attributes else ()
    if holder := next((each for each in _LINEAR.get(name, ()) if each in used), ""):
        return f"{holder}.{'bias' if name.startswith('b') else 'weight'}"
    return attribute(found, name)


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    """What backward returns, and what it leaves in the object. Nobody differentiates what is not in training."""
    if not r.p.get("training", True):
        return Plan([], {})
    back = first_method(r.found, BACKWARD) or BACKWARD[0]
    names = [each.name for each in _smooth(r)]
    outer, readings = [name for name in names if name not in _own(r.op)], {}
    steps: list[Call | Set] = [Call(f"layer.{back}", _upstream(r, cotangent, back), keep="back")]
    several = len(outer) > 1
    for k, name in enumerate(outer):
        readings[name] = Reading(f"back[{k}]" if several else ("back", "back[0]", "layer.dinputs", "layer.dx"))
    for k, name in enumerate([name for name in names if name not in outer], start=len(outer)):
        known = gradient_attribute(r.found, name)
        layout = _kept_as(r, name)
        if known and r.case.arrays[name].ndim == 1:
            steps.append(Call("numpy.squeeze", (Place(f"layer.{known}"),), keep=f"d_{name}"))
            readings[name] = Reading(f"d_{name}", _SQUEEZED if layout is SAME else layout)
        elif known:
            readings[name] = Reading(f"layer.{known}", layout)
        else:
            readings[name] = Reading((f"layer.grads[{k - len(outer)}]", f"back[{k}]"), layout)
    return Plan(steps, readings)


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """What a class has neither a parameter nor an attribute for keeps its default."""
    layer = found[0]
    allowed: dict[str, Allowed] = {}
    for each in op.inputs:
        if each.optional and each.name in OWN and _is_own(op, each):
            demanded = any(_names_array(one, each.name) and not one.has_default for one in layer.parameters)
            if not parameter(layer, each.name) and not demanded:
                allowed[each.name] = only(False)
            elif demanded or each.name in _STATE:
                allowed[each.name] = only(True)
        elif each.optional:  # a mask is what the class draws itself
            allowed[each.name] = only(False)
    for one in op.params:
        if one.default is not REQUIRED and not _takes_parameter(op, layer, one.name):
            known = one.name == "eps"  # and hidden in the code: torch's, or nearly so
            allowed[one.name] = _tiny if known else default_only(-1 if one.name == "dim" else one.default)
    if "training" in {each.name for each in op.params}:
        allowed.pop("training", None)
        if not _has_mode(layer) and not _is_module(layer):
            allowed["training"] = only(True)
    if "momentum" in {each.name for each in op.params} and _takes_parameter(op, layer, "momentum"):
        allowed["momentum"] = only(0.5)  # which some count for the old statistics, some for the new ones
    if any(each.letters == "C" for each in op.inputs) and (dims := _DIMS.get(layer.name.lower()[-2:])):
        allowed["dims"] = only(dims)
    return allowed


def _is_module(layer: Definition) -> bool:
    """Whether it keeps statistics as a torch module does, which has a mode by itself."""
    return "register_buffer" in layer.attributes or "Parameter" in layer.attributes


def _tiny(value: Any) -> bool:
    return value is None or value <= TINY


def fits(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """A class that can be called, or has a forward pass; of a cell, one that takes its state."""
    forward = method(found, first_method(found, FORWARD))
    if found.kind != "class" or forward is None:
        return False
    taken = [each for each in forward.parameters if each.name != "self"]
    return len(taken) > 1 or not any(each.part_of for each in op.inputs)


LEARNING_RATES = ("lr", "learning_rate", "eta", "alpha", "rate", "step_size")
TINY = 1e-5  # an eps that changes nothing but the last digits
_RATE = 0.125
_DIMS = {"1d": 2, "2d": 4}  # of what a class is for by its name, rows or images
_RANKS = ("num_dims", "n_dims", "ndim", "ndims", "dims")
_STATE = ("running_mean", "running_var")


def attribute(found: Definition | None, name: str) -> str:
    """What a class calls one of its arrays: gamma, or params['gamma']; "" if it has none."""
    return place_in(found, OWN[name], ("params", "parameters", "weights"))


def gradient_attribute(found: Definition | None, name: str) -> str:
    """What a class calls the gradient of one of its arrays; "" if that is not known."""
    names = [form.format(each) for each in OWN[name] for form in GRADIENTS]
    return place_in(found, names, ()) or place_in(found, [*names, *OWN[name]], ("grads", "gradients"), only_there=True)


def place_in(found: Definition | None, names: Sequence[str], dicts: Sequence[str], only_there: bool = False) -> str:
    """The first of these names that is an attribute of a class, or a key of one of these dicts."""
    used = found.attributes if found else ()
    if not only_there and (plain := next((each for each in names if each in used), "")):
        return plain
    holder = next((each for each in dicts if each in used), "")
    key = next((each for each in names if f"[{each!r}]" in used), "")
    return f"{holder}[{key!r}]" if holder and key else ""


def _forward(op: Op, found: Definition | None) -> str:
    """What is called; of a loss, what makes one number of all."""
    is_loss = any(each.name == "target" for each in op.inputs)
    return first_method(found, ("calculate", *FORWARD) if is_loss else FORWARD)


def first_method(found: Definition | None, names: Sequence[str]) -> str:
    """The first of these methods that a class has; "" if it has none."""
    return next((name for name in names if method(found, name) is not None), "")


def _is_own(op: Op, each: Input) -> bool:
    """Whether an array belongs to the layer: a loss is given its weights by nobody."""
    return each.name in OWN and not any(other.name == "target" for other in op.inputs)


def _own(op: Op) -> list[str]:
    return [each.name for each in op.inputs if _is_own(op, each)]


def _smooth(r: Request) -> list[Input]:
    arrays = r.case.arrays
    return [each for each in r.op.inputs if each.differentiable and each.name in arrays and each.name != "target"
            and arrays[each.name].dtype.kind == "f"]  # fmt: skip


def _names_array(parameter: Parameter, name: str) -> bool:
    return parameter.name in OWN[name] and not (parameter.has_default and parameter.name in _FLAGS)


def _parameter(op: Op, parameter: Parameter) -> str:
    """torch's name of a parameter; "" if it is none."""
    known = {each.name for each in op.params}
    return next((name for name, also in PARAMETERS.items() if name in known and parameter.name in also), "")


def _takes_parameter(op: Op, layer: Definition, name: str) -> bool:
    forward = method(layer, _forward(op, layer))
    both = (*layer.parameters, *(forward.parameters if forward else ()))
    return any(_parameter(op, each) == name or (name == "p" and each.name in KEPT) for each in both)


def _has_mode(layer: Definition) -> bool:
    forward = method(layer, first_method(layer, FORWARD))
    names = [each.name for each in (*layer.parameters, *(forward.parameters if forward else ()))]
    has_own = _switches(layer) or "training" in layer.attributes
    return bool({*names} & {*MODES, *TESTING, "mode"}) or has_own


def _switches(layer: Definition) -> bool:
    """Whether it has train() and eval()."""
    return method(layer, "train") is not None and method(layer, "eval") is not None


def _unpacks_shape(layer: Definition) -> bool:
    """Whether a normalisation takes a tuple."""
    return any(each.name == "normalized_shape" for each in layer.parameters) and "len" in layer.attributes


def constructor(r: Request) -> tuple[list[Any], dict[str, Any]]:
    """Arrays, parameters and sizes as the constructor's parameters are called."""
    keywords: dict[str, Any] = {}
    layer = r.found
    if layer is None:
        return [], {}
    for each in layer.parameters:
        if each.kind.startswith("VAR_"):
            continue
        known, value = _value(r, each)
        if known:
            keywords[each.name] = value
    sizes = _sizes(r)
    for each in layer.parameters:
        if not each.has_default and not each.kind.startswith("VAR_") and each.name not in keywords and sizes:
            keywords[each.name] = sizes.pop(0)
    return [], keywords


def _value(r: Request, parameter: Parameter) -> tuple[bool, Any]:
    """Whether it is known what a parameter of a constructor or of forward is for, and its value."""
    name, layer = parameter.name, r.found
    for own in _own(r.op):
        if _names_array(parameter, own) and own in r.case.arrays and (not parameter.has_default or own in OWN):
            return True, Place(own)
    if name in _FLAGS and parameter.has_default and _own(r.op):
        return True, _is_flagged(r, name)
    if name in KEPT and "p" in r.p:
        return True, 1 - r.p.p
    if (known := _parameter(r.op, parameter)) == "normalized_shape":
        shape = tuple(r.p.normalized_shape)
        return True, shape if layer is not None and _unpacks_shape(layer) else shape[-1]
    if known:
        return True, r.p[known]
    if name in _RANKS:
        return True, r.case.arrays["input"].ndim
    if name in (*MODES, *TESTING, "mode"):
        return True, _mode_value(name, bool(r.p.get("training", True)))
    return False, None


def _is_flagged(r: Request, name: str) -> bool:
    """Whether the arrays that a flag of a constructor is about are given; either bias of a cell needs both."""
    first = "b" if name in ("bias", "use_bias") else "weight"
    return any(each.startswith(first) for each in r.case.arrays)


def _emptied(r: Request, zero: str) -> list[Call | Set]:
    """The biases of a cell that a case leaves out are zeros, where the object has them all the same."""
    names = [each.name for each in r.op.inputs if each.name.startswith("b_") and each.name not in r.case.arrays]
    flagged = r.found is not None and any(each.name in _FLAGS for each in r.found.parameters)
    if flagged and not _is_flagged(r, "bias"):
        return []
    places = [place for name in names if (place := parameter(r.found, name))]
    if zero == "torch":
        return [Call(f"layer.{place}.data.zero_") for place in places]
    return [Call("numpy.copyto", (Place(f"layer.{place}"), 0.0)) for place in places]


def _mode_value(name: str, training: bool) -> Any:
    if name == "mode":
        return "train" if training else "test"
    return training if name in MODES else not training


def _sizes(r: Request) -> list[int]:
    """The sizes that a constructor asks for, in torch's order."""
    arrays = r.case.arrays
    if r.op.name == "embedding":
        return [*arrays["weight"].shape]
    if "w_ih" in arrays:
        return [arrays["w_ih"].shape[1], arrays["w_hh"].shape[1]]
    if "query" in arrays:
        return [arrays["query"].shape[-1]]
    x = next(iter(arrays.values()))
    per_channel = any(each.letters == "C" for each in r.op.inputs)
    return [x.shape[1 if per_channel else -1]] if x.ndim > per_channel else []


def _overwritten(r: Request, name: str, place: str) -> list[Call | Set]:
    """The step that puts an array where the layer has its own, in the shape that this has."""
    made_there = r.found is not None and any(not each.has_default for each in r.found.parameters)
    if r.case.arrays[name].ndim > 1 or not made_there:
        return [Set(place, Place(name))]
    return [Call("numpy.put", (Place(place), [*range(r.case.arrays[name].size)], Place(name)))]


def _kept_as(r: Request, name: str) -> Layout:
    """How an object keeps an array of its own: the gates of an LSTM in an order of their own, and in columns."""
    if not r.variant or not name.startswith(("w_", "b_")):
        return SAME
    order, _, columns = r.variant.partition(" ")
    there, back = [[one.index(gate) for gate in other] for one, other in ((GATES, order), (order, GATES))]

    def turned(a: Array, places: Sequence[int]) -> Array:
        parts = np.split(a, 4) if len(a) % 4 == 0 and len(a) else [a, a[:0], a[:0], a[:0]]
        return np.concatenate([parts[k] for k in places])

    if not columns or name.startswith("b_"):
        return Layout(lambda a: turned(a, there), lambda a: turned(a, back))
    return Layout(lambda a: turned(a, there).T, lambda a: turned(a.T, back))


def in_parts(r: Request, given: list[Any]) -> list[Any]:
    """Hidden and cell state together, where a cell takes x and one more: forward(x, (h, c))."""
    forward = method(r.found, _forward(r.op, r.found))
    names = [each for each in forward.parameters if each.name != "self"] if forward else []
    states = [each for each in r.op.inputs if each.part_of]
    if states and len(names) == 2:
        return [given[0], tuple(given[1:])]
    return given


def _mode(r: Request) -> list[Call | Set]:
    if "training" not in r.p or r.found is None:
        return []
    if _switches(r.found):
        return [Call("layer.train" if r.p.training else "layer.eval")]
    return [Set("layer.training", bool(r.p.training))] if "training" in r.found.attributes else []


def _arguments(r: Request) -> tuple[list[Any], dict[str, Any]]:
    """What forward is given: the arrays in torch's order, or the target first where it comes first, and its options."""
    own = _own(r.op)
    given = [r.array(each.name) for each in r.op.inputs
             if each.name in r.case.arrays and each.name not in own and each.name != r.op.draws]  # fmt: skip
    forward = method(r.found, _forward(r.op, r.found))
    parameters = [each for each in forward.parameters if each.name != "self"] if forward else []
    if "target" in r.case.arrays and [each.name in TARGETS for each in parameters[:2]] == [True, False]:
        given.reverse()
    options = {}
    for each in parameters[len(given) :]:
        known, value = _value(r, each)
        if known:
            options[each.name] = value
    return in_parts(r, given), options


def outputs(r: Request) -> dict[str, Reading]:
    kept = _outputs_kept(r)
    names = [name for name in r.op.checked(r.case)[1] if name not in kept]
    if len(names) == 1:
        return {names[0]: Reading(("out", "layer.output", "layer.out", "out[0]"))}
    return {name: Reading((f"out[{k}]", f"out[1][{k}]") if k else "out[0]") for k, name in enumerate(names)}


def _outputs_kept(r: Request) -> list[str]:
    """The running statistics, which forward leaves in the object."""
    return [*r.op.updated(r.op.checked(r.case)[1])]


# A vector, or the row or column that it may be kept as.
_SQUEEZED = Layout(np.squeeze, np.atleast_1d)


def running(r: Request, name: str) -> Layout:
    """Textbooks keep the variance of the batch as it is, divided by n, or by n - 1 as torch does."""
    if name != "running_var":
        return _SQUEEZED
    x, old, by = r.case.arrays["input"], r.case.arrays[name], r.p.momentum
    biased = x.astype(np.float64).var(axis=tuple(k for k in range(x.ndim) if k != 1))
    n = x.size // x.shape[1]
    plain = (1 - by) * old + by * biased
    apart = by * biased * (n / (n - 1) - 1)

    def take(array: Array) -> Array:
        kept = np.atleast_1d(array)
        return np.where(np.abs(kept - plain) < np.abs(apart) / 4, kept + apart, kept)

    return Layout(np.squeeze, take)


def _upstream(r: Request, cotangent: Cotangent, back: str) -> list[Any]:
    backward = method(r.found, back)
    parameters = backward.parameters if backward else ()
    demanded = [each for each in parameters if not each.has_default and each.name != "self"]
    if "target" in r.case.arrays:  # a loss's gradient is that of the loss itself
        both = [r.array("input"), r.array("target")]
        if [each.name in TARGETS for each in demanded[:2]] == [True, False]:
            both.reverse()
        return both[: len(demanded)]
    given = [r.sent(each) for each in cotangent.values()]
    rates = [_RATE for each in demanded[len(given) :] if each.name in LEARNING_RATES]  # of a layer that learns nothing
    return [*given, *rates]


_MEAN = {"reduction": only("mean"), "weight": only(False)}
_CLASSES = {**_MEAN, "label_smoothing": only(0.0), "ignore_index": only(-100), "probabilities": only(False)}
_LAST: dict[str, Allowed] = {"normalized_shape": last_dimension}
_EPS = {"eps": (TINY, 0.25)}  # torch's, and one that shows where it is added
ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "relu": Entry(("Relu", "ReLU", "Activation_ReLU", "ReLULayer")),
    "sigmoid": Entry(("Sigmoid", "Activation_Sigmoid", "SigmoidLayer")),
    "tanh": Entry(("Tanh", "TanhLayer", "Activation_Tanh")),
    "gelu": Entry(("GELU", "Gelu", "GELULayer", "Activation_GELU")),
    "silu": Entry(("SiLU", "Swish", "Silu", "SiLULayer", "Activation_SiLU")),
    "softmax": Entry(("Softmax", "Activation_Softmax", "SoftmaxLayer"), allows={"dim": only(1, -1)}),
    "log_softmax": Entry(("LogSoftmax", "LogSoftmaxLayer"), allows={"dim": only(1, -1)}),
    "dropout": Entry(("Dropout", "Layer_Dropout", "DropoutLayer"), allows={"mask": only(False)}),
    "layer_norm": Entry(("LayerNorm", "LayerNormalization", "LayerNorm1d", "LayerNormLayer"), allows=_LAST,
                        usual=_EPS),
    "rms_norm": Entry(("RMSNorm", "RMSNormLayer", "RmsNorm"), allows={**_LAST, "eps": lambda value: value is not None},
                      usual=_EPS),
    "batch_norm": Entry(("BatchNorm", "BatchNormalization", "BatchNorm1d", "BatchNorm2d", "BatchNormLayer"),
                        allows={"momentum": only(0.5, 0.1)}, usual={"momentum": (0.5, 0.1), **_EPS}),
    "group_norm": Entry(("GroupNorm", "GroupNormalization", "GroupNormLayer"), usual=_EPS),
    "embedding": Entry(("Embedding", "EmbeddingLayer", "TokenEmbedding"), allows={"padding_idx": only(None)}),
    "scaled_dot_product_attention": Entry(
        ("ScaledDotProductAttention", "Attention", "DotProductAttention", "SelfAttention", "AttentionHead"),
        allows={"attn_mask": only(False)},
    ),
    "lstm_cell": tuple(
        Entry(("LSTMCell", "LSTM_Cell", "LSTMcell", "LstmCell", "LSTM"), variant=order) for order in _ORDERS
    ),
    "cross_entropy": Entry(("SoftmaxWithLoss", "SoftmaxCrossEntropy", "CrossEntropyLoss", "SoftmaxCrossEntropyLoss",
                            "CrossEntropy"), allows=_CLASSES, upstream=False),
    "mse_loss": Entry(("MSELoss", "MSE", "MeanSquaredError", "MeanSquaredErrorLoss", "Loss_MeanSquaredError", "L2Loss"),
                      allows=_MEAN, upstream=False),
    "nll_loss": Entry(("NLLLoss", "NLL", "NegativeLogLikelihood"), allows=_CLASSES, upstream=False),
    "binary_cross_entropy": Entry(("BCELoss", "BCE", "BinaryCrossEntropy", "BinaryCrossEntropyLoss",
                                   "Loss_BinaryCrossentropy"), allows=_MEAN, upstream=False),
    "binary_cross_entropy_with_logits": Entry(("BCEWithLogitsLoss", "BCEWithLogits", "SigmoidWithLoss",
                                               "SigmoidCrossEntropy"),
                                              allows={**_MEAN, "pos_weight": only(False)}, upstream=False),
}  # fmt: skip
