"""Optimisers as classes: what goes in is found by what their parameters are called, and what they keep stays theirs.

    SGD(lr, momentum).update(params, grads)        dicts or lists that are changed, or arrays: a new one is returned
    Optimizer_SGD(learning_rate).update_params(layer)        layer.weights and layer.dweights, or W and dW
    Adam(params, lr, betas).step()        a list of objects with .data and .grad, or of torch's parameters

Nobody can know where a class keeps its moments. So it is led to a state by steps of its own, from which the case goes
on: `led_to` gives such a case, whose state is that after one step from a gradient that follows from the case's own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from opcheck.grading.conventions.base import Allowed, Entry, Plan, Reading, Request, default_only, method, only
from opcheck.operators.spec import Array, Case, Op
from opcheck.sandbox import Call, Definition, Parameter, Place, Set
from opcheck.sandbox.inside.wire import Value

STEP = ("step", "update", "update_params", "update_parameters", "update_weights", "apply_gradients", "apply",
        "optimize", "__call__")  # fmt: skip
RATES = ("lr", "learning_rate", "eta", "alpha", "rate", "step_size")
# What people call torch's parameters, by operator where the same name means another thing.
_BETAS = {"betas": ("betas", "beta"), "beta1": ("beta1", "beta_1", "b1"), "beta2": ("beta2", "beta_2", "b2")}
_OPTIONS = {
    "lr": RATES,
    "momentum": ("momentum", "mu", "beta", "rho", "gamma", "mom", "beta1"),
    "alpha": ("alpha", "rho", "decay_rate", "beta", "gamma", "decay", "beta2", "b2"),
    "eps": ("eps", "epsilon", "e"),
    "weight_decay": ("weight_decay", "wd", "lambd", "lambda_", "weight_decay_rate"),
    "nesterov": ("nesterov",),
    "maximize": ("maximize",),
    "amsgrad": ("amsgrad",),
}
_PARAMS = ("params", "parameters", "param", "weights", "weight", "w", "W", "x", "p", "theta", "var", "variables")
_MODELS, _LAYERS = ("model", "net", "network", "nn"), ("layers", "layer")
_COUNTS = ("t", "step", "iteration", "iter", "n_iter", "epoch", "timestep")
_KEYS = ("name", "key", "idx", "id", "index", "layer_id", "layer_name")
_OWN = (("weights", "dweights"), ("W", "dW"), ("W", "dLdW"), ("weight", "dweight"), ("weights", "grad_weights"),
        ("weights", "weights_grad"), ("w", "dw"), ("W", "grad_W"), ("weight", "grad_weight"))  # fmt: skip
_BIASES = (("biases", "dbiases"), ("b", "db"), ("b", "dLdb"), ("bias", "dbias"), ("biases", "grad_biases"),
           ("biases", "biases_grad"), ("b", "grad_b"), ("bias", "grad_bias"))  # fmt: skip
_DICTS = ("params", "grads")  # of a layer that keeps them so
TINY = 1e-5  # an eps that changes nothing but the last digits
NO_EPS = 1e-8  # one of which nobody can tell where it stands
SLOW = 0.01  # a rate whose square float32 does not see beside the parameters


def led_to(op: Op, case: Case) -> Case:
    """The case with the state after one step, where it has a state that a step leads to; else without any."""
    p = op.checked(case)[0]
    bare = {name: array for name, array in case.arrays.items() if not op.input(name).optional}
    led = p.step > 1 if "step" in p else len(bare) < len(case.arrays)
    if not led:
        return case._replace(arrays=bare)
    first = {**{name: np.zeros(array.shape) for name, array in bare.items()}, op.inputs[1].name: _before(op, case)}
    made = op.forward(p.replace(step=1) if "step" in p else p, **first)
    made = made if isinstance(made, dict) else op.by_name(made, op.checked(case)[1])
    state = {name: np.asarray(array, bare["param"].dtype) for name, array in made.items() if name != "param"}
    return case._replace(arrays=bare | state)


def _before(op: Op, case: Case) -> Array:
    """The gradient of the step before: another one than the case's own, made of its numbers."""
    return np.asarray(1 - np.flip(case.arrays[op.inputs[1].name]) / 2)


def call(r: Request) -> Plan:
    """Makes the optimiser, leads it to the state of the case, and takes the step."""
    assert r.found is not None
    gradient = r.op.inputs[1].name
    kind = _kind(r.found, r.arrays)
    steps = [*kind.made(r, np.zeros(r.case.arrays["param"].shape))]
    steps.append(Call(r.forward, (), _constructor(r, kind), keep="optimizer"))
    if any(each.optional and each.name in r.case.arrays for each in r.op.inputs):
        steps += _taken(r, kind, np.zeros(r.case.arrays["param"].shape), _before(r.op, r.case), first=True)
    steps += _taken(r, kind, r.case.arrays["param"], r.case.arrays[gradient])
    return Plan(steps, {"param": Reading(kind.places)})


def _taken(r: Request, kind: "_Kind", param: Array, gradient: Array, first: bool = False) -> list[Call | Set]:
    """One step from these numbers."""
    assert r.found is not None
    name = _step(r.found)
    steps = kind.filled(r, param, gradient)
    around = [each.name for each in r.found.methods]
    steps += [Call("optimizer.pre_update_params")] if "pre_update_params" in around else []
    count = 1 if first else int(r.p.get("step", 2))
    given = {each.name: _given(r, each, kind, count) for each in _demanded(r.found, name)}
    steps.append(Call(f"optimizer.{name}", [*given.values()], keep="out"))
    return steps + ([Call("optimizer.post_update_params")] if "post_update_params" in around else [])


class _Kind:
    """In what the parameters and gradients lie that an optimiser is given."""

    def __init__(self, container: str, own: tuple[str, str] = ("", ""), bias: tuple[str, str] = ("", "")) -> None:
        self.container, self.own, self.bias = container, own, bias
        item = {"dict": "['W1']", "list": "[0]"}.get(container, "")
        self.param = {"layer": f"layer.{own[0]}", "object": "item.data"}.get(container, f"params{item}")
        self.slope = {"layer": f"layer.{own[1]}", "object": "item.grad"}.get(container, f"grads{item}")
        if container == "tensor":
            self.param, self.slope = "item", "item.grad"
        if container == "layer" and own == _DICTS:
            self.param, self.slope = (f"layer.{each}['W1']" for each in own)
        self.places = (*(("out", "out[0]") if container == "array" else (f"out{item}",) if item else ()), self.param)

    def made(self, r: Request, zeros: Array) -> list[Call | Set]:
        """The steps that make them."""
        zero = r.sent(zeros)
        match self.container:
            case "tensor":
                return [
                    Call("torch.tensor", (zero,), keep="start"),
                    Call("torch.nn.Parameter", (Place("start"),), keep="item"),
                    Set("params", [Place("item")]),
                ]
            case "object":
                return [
                    Call("types.SimpleNamespace", kwargs={"data": zero, "grad": zero}, keep="item"),
                    Set("params", [Place("item")]),
                    Set("grads", [Place("item.grad")]),
                ]
            case "layer":
                parts: dict[str, Value] = dict.fromkeys((*self.own, *self.bias), zero)
                if self.own == _DICTS:
                    parts = {each: {"W1": zero} for each in self.own}
                return [
                    Call("types.SimpleNamespace", kwargs=parts, keep="layer"),
                    Set("layers", [Place("layer")]),
                    Call("types.SimpleNamespace", kwargs={"layers": Place("layers")}, keep="model"),
                ]
            case "dict":
                return [Set("params", {"W1": zero}), Set("grads", {"W1": zero})]
            case "list":
                return [Set("params", [zero]), Set("grads", [zero])]
        return [Set("params", zero), Set("grads", zero)]

    def filled(self, r: Request, param: Array, gradient: Array) -> list[Call | Set]:
        """The steps that put these numbers there."""
        if self.container != "tensor":
            return [Set(self.param, r.sent(param)), Set(self.slope, r.sent(gradient))]
        return [
            Call("torch.tensor", (r.sent(param),), keep="value"),
            Call("item.data.copy_", (Place("value"),)),
            Call("torch.tensor", (r.sent(gradient),), keep="slope"),
            Set(self.slope, Place("slope")),
        ]


def _kind(found: Definition, arrays: str = "numpy") -> _Kind:
    """What an optimiser is given, by the names that it uses."""
    used = {*found.attributes}
    asked = [each.name for each in (*found.parameters, *_parameters(found, _step(found)))]
    if any(each in (*_MODELS, *_LAYERS) for each in asked):
        return _Kind("layer", _pair(used, _OWN) or _DICTS, _pair(used, _BIASES) or _BIASES[0])
    if arrays == "torch":
        return _Kind("tensor")
    if not any(map(_is_slope, asked)) and "grad" in used:
        return _Kind("object")
    if used & {"keys", "items", "values"}:
        return _Kind("dict")
    if used & {"zip", "enumerate", "len", "range"}:
        return _Kind("list")
    return _Kind("dict" if any(each in ("params", "parameters") for each in asked) else "array")


def _pair(used: set[str], pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    return next((each for each in pairs if used >= {*each}), None)


def _step(found: Definition) -> str:
    return next((name for name in STEP if method(found, name) is not None), "")


def _parameters(found: Definition, name: str) -> list[Parameter]:
    step = method(found, name)
    return [each for each in step.parameters if each.name != "self"] if step else []


def _demanded(found: Definition, name: str) -> list[Parameter]:
    return [each for each in _parameters(found, name) if not each.has_default and not each.kind.startswith("VAR_")]


def _is_slope(name: str) -> bool:
    lower = name.lower()
    return (
        "grad" in lower
        or lower in ("g", "gs")
        or (lower[0] == "d" and lower[1:].lstrip("_") in ("w", "params", "x", "theta", "p"))
    )


def _given(r: Request, parameter: Parameter, kind: _Kind, count: int) -> Value:
    """What a method or a constructor gets for a parameter that it demands."""
    name = parameter.name
    if name in _MODELS:
        return Place("model")
    if name in _LAYERS:
        return Place(name)
    if name in _COUNTS:
        return count
    if name in _KEYS:
        return "W1"
    if name in RATES:
        return float(r.p.lr)
    return Place("grads" if _is_slope(name) else "params")


def _constructor(r: Request, kind: _Kind) -> dict[str, Value]:
    assert r.found is not None
    keywords: dict[str, Value] = {}
    for each in r.found.parameters:
        name = _option(r.op, r.found, each.name)
        if name:
            keywords[each.name] = _value(r, name)
        elif not each.has_default and not each.kind.startswith("VAR_"):
            keywords[each.name] = _given(r, each, kind, 0)
    return keywords


def _value(r: Request, name: str) -> Value:
    if name in ("beta1", "beta2"):
        return float(r.p.betas[name == "beta2"])
    value = r.p[name]
    return tuple(map(float, value)) if isinstance(value, tuple) else value if isinstance(value, bool) else float(value)


def _option(op: Op, found: Definition, name: str) -> str:
    """torch's name of a constructor's parameter (beta1 and beta2 for halves of betas); "" if it is none."""
    known = {each.name for each in op.params}
    known -= {"momentum"} if "alpha" in known else set()  # whose names RMSprop has for another thing
    options = {key: names for key, names in _OPTIONS.items() if key in known} | (_BETAS if "betas" in known else {})
    own = [each.name for each in found.parameters]
    for key, names in options.items():
        if "lr" in known and key != "lr" and name in RATES and not any(each in own for each in RATES if each != name):
            continue  # the only one that can be the rate
        if next((each for each in names if each in own), "") == name:
            return key
    return ""


def takes(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """What the constructor has no parameter for keeps its default, but for an eps that hides in the code."""
    layer = found[0]
    has = {_option(op, layer, each.name) for each in layer.parameters}
    allowed: dict[str, Allowed] = {}
    for each in op.params:
        if each.name == "step":
            allowed["step"] = only(1, 2)
        elif each.name == "eps" and "eps" not in has:
            allowed["eps"] = lambda value: value <= TINY
        elif each.name == "betas" and not has & {"betas"} and not has >= {"beta1", "beta2"}:
            allowed["betas"] = default_only(each.default)
        elif each.name not in (*has, "eps", "betas", "lr"):
            allowed[each.name] = default_only(each.default)
    if layer.name in _NESTEROV:
        allowed.pop("nesterov", None)
    return allowed


def fits(op: Op, found: Definition) -> bool:
    """A class with a step, of which it is known what each parameter is for."""
    if found.kind != "class" or not _step(found):
        return False
    has = {_option(op, found, each.name) for each in found.parameters}
    demanded = [
        each
        for each in found.parameters
        if not each.has_default and not each.kind.startswith("VAR_") and not _option(op, found, each.name)
    ]
    known = (*_PARAMS, *_MODELS, *_LAYERS, *_COUNTS, *_KEYS, *RATES)
    asked = [each.name for each in (*demanded, *_demanded(found, _step(found)))]
    used = {*found.attributes}
    if any(each in (*_MODELS, *_LAYERS) for each in asked) and not (_pair(used, _OWN) or used >= {*_DICTS}):
        return False
    return "lr" in has and all(name in known or _is_slope(name) for name in asked) and bool(asked)


def _nothing(value: float) -> bool:
    return value == 0


_NESTEROV = ("Nesterov", "NAG", "NesterovMomentum")
_PLAIN: dict[str, Allowed] = {"maximize": only(False), "dampening": _nothing}
# Papers and courses put the eps before the correction or behind it, and shrink the parameters before the step or after
# it: the numbers are such that this makes no difference to float32.
_EPS: dict[str, Allowed] = {"eps": lambda value: value <= NO_EPS}
_ADAM: dict[str, Allowed] = {**_EPS, "amsgrad": only(False), "maximize": only(False), "step": only(1, 2)}
ANY_ORDER: dict[str, Allowed] = {**_EPS, "lr": lambda value: value <= SLOW, "weight_decay": lambda value: value <= SLOW}
_PLAIN_RMS: dict[str, Allowed] = {**_EPS, "maximize": only(False), "centered": only(False), "momentum": _nothing}


def _stateful(allows: Mapping[str, Allowed], *names: str, title: str = "") -> Entry:
    """An entry of a class that keeps its own state."""
    return Entry(names, allows=allows, in_place=True, title=title, prepared=led_to)


ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "sgd": (
        _stateful(_PLAIN, "SGD", "GradientDescent", "StochasticGradientDescent", "Optimizer_SGD", "SGDOptimizer",
                  "VanillaSGD"),
        _stateful({**_PLAIN, "momentum": bool, "nesterov": only(False)}, "Momentum", "SGDMomentum", "MomentumSGD",
                  "SGDWithMomentum", "Optimizer_Momentum", "MomentumOptimizer", title="with momentum"),
        _stateful({**_PLAIN, "momentum": bool, "nesterov": only(True)}, *_NESTEROV, title="with Nesterov momentum"),
    ),
    "rmsprop": _stateful(_PLAIN_RMS, "RMSprop", "RMSProp", "RmsProp", "Optimizer_RMSprop", "RMSpropOptimizer"),
    "adam": _stateful(_ADAM, "Adam", "Optimizer_Adam", "AdamOptimizer"),
    "adamw": _stateful({**_ADAM, **ANY_ORDER}, "AdamW", "Optimizer_AdamW", "AdamWOptimizer"),
}  # fmt: skip
