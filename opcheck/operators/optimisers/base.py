"""What optimiser steps share: parameters, gradient and state go in, parameters and state come out."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.params import Flag, Kind, Param, Params, Real
from opcheck.operators.program import Derived
from opcheck.operators.spec import Array, Input, Op, Refused, Shape
from opcheck.programs.kinks import formed
from opcheck.programs.rule import constant

BLOCK = 2**14  # numbers
PARAM = Input("param", "θ", "*", "the parameters")
GRAD = Input("gradient", "g", "*", "the gradient of the loss with respect to the parameters", default="half")


def option(
    name: str, default: Any, help: str, low: float | None = 0.0, symbol: str = "", kind: Kind | None = None
) -> Param:
    """What the optimiser is made with: a real number from `low` up unless `kind` says otherwise."""
    told = f"{symbol}: {help}" if symbol else help
    return Param(name, default, kind or Real(low), told, keyword_only=True, symbol=symbol or name)


def flag(name: str, help: str) -> Param:
    """A switch that the optimiser is made with."""
    return Param(name, False, Flag(), help, keyword_only=True)


WEIGHT_DECAY = option("weight_decay", 0.0, "this multiple of the parameters is added to the gradient", symbol="λ")
MAXIMIZE = flag("maximize", "step up the gradient instead of down")


def state(name: str, symbol: str, help: str) -> Input:
    """What the last step kept; left out, it is what the first step starts with."""
    return Input(name, symbol, "*", help, optional=True)


class Optimiser(Op):
    """One step of an optimiser. Every array has the shape of the parameters."""

    torch_name: str  # the class in torch.optim
    rounding = Derived()  # a step may be multiplied out, which a bound of the one order of the definition refuses

    @abstractmethod
    def kept(self, p: Params) -> tuple[str, ...]:
        """The outputs that a step with these parameters has: param, then the state that it keeps."""

    @abstractmethod
    def step(self, p: Params, *args: Any, **arrays: Any) -> dict[str, Array]:
        """The fast reference of one step, elementwise."""

    def forward(self, p: Params, **arrays: Array) -> dict[str, Array]:
        """The step, taken in pieces that stay in the cache."""
        shape = arrays["param"].shape
        with np.errstate(all="ignore"):  # NaN and infinities are results like any other
            if arrays["param"].size <= BLOCK:
                return self.step(p, **arrays)
            flat = {name: array.reshape(-1) for name, array in arrays.items()}
            outputs = {name: np.empty(flat["param"].shape) for name in self.kept(p)}
            for start in range(0, flat["param"].size, BLOCK):
                piece = slice(start, start + BLOCK)
                for name, made in self.step(p, **{name: array[piece] for name, array in flat.items()}).items():
                    outputs[name][piece] = made
        return {name: output.reshape(shape) for name, output in outputs.items()}

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        for name, shape in shapes.items():
            if shape != shapes["param"]:
                raise Refused(
                    say("{name} must have the shape of param, {shape}", name=name, shape=shapes["param"]),
                    got=say("{name} {own}", name=name, own=shape),
                )
        return dict.fromkeys(self.kept(p), shapes["param"])

    torch_forward_mode = False  # torch.optim reads .grad, which carries no tangent

    def torch(self, torch: Any, params: Mapping[str, Any], *args: Any, **tensors: Any) -> dict[str, Any]:
        """One step of torch's optimiser, differentiable if a tensor asks for it."""
        options = dict(params)
        started = self.torch_state(torch, options, tensors)
        param = tensors["param"].clone()
        tracked = any(tensor.requires_grad for tensor in tensors.values())
        with warnings.catch_warnings(), torch.set_grad_enabled(tracked):
            warnings.simplefilter("ignore")  # torch warns of .grad of a tensor that is not a leaf
            param.grad = tensors["gradient"]
            optimiser = getattr(torch.optim, self.torch_name)([param], differentiable=tracked, **options)
            optimiser.state[param].update({name: tensor.clone() for name, tensor in started.items()})
            optimiser.step()
            after = optimiser.state[param]
        p = self.settle(self.parameters(params), {})
        return {name: param if name == "param" else after[name] for name in self.kept(p)}

    @abstractmethod
    def torch_state(self, torch: Any, options: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The state that torch's optimiser starts this step with; takes out of `options` what torch keeps as state."""


def used(p: Params) -> tuple[str, str]:
    """What the formula calls the gradient after maximize and weight_decay, and where that is not g, how it is made."""
    if not (p.maximize or p.weight_decay):
        return "g", ""
    return "g′", f"g′ = {'−' if p.maximize else ''}g{' + λ·θ' if p.weight_decay else ''},   "


def decayed(p: Params, at: Shape, param: Any, gradient: Any, named: Callable[..., Any]) -> Any:
    """The definition's gradient after maximize and weight_decay: g, or its own line."""
    g = -gradient[at] if p.maximize else gradient[at]
    if p.weight_decay:
        g = g + param.tape.constant(p.weight_decay, "λ") * param[at]
    return named("g′", g, at)


def sloped(p: Params, param: Array, gradient: Array) -> Array:
    """The fast reference's gradient after maximize and weight_decay. It is linear: tangents go the same way."""
    g = -gradient if p.maximize else gradient
    return g + p.weight_decay * param if p.weight_decay else g


def sloped_vjp(p: Params, g: Array) -> tuple[Any, Array]:
    """What the cotangent of `sloped` gives to param and to gradient: without decay nothing to param, whatever g is.

    (A root of 0 has no slope: g is NaN there, and 0·NaN would spoil a gradient that does not depend on it.)
    """
    return p.weight_decay * g if p.weight_decay else 0.0, -g if p.maximize else g


def rest(kept: Any, beside: Any) -> Any:
    """1 − `kept` in a program. Made in the format, that is off by much where `kept` is near 1."""
    return formed(1 - constant(kept, beside))


def reached(p: Params, tangents: Mapping[str, Array], *states: str) -> bool:
    """Whether a tangent arrives at what is made of the gradient (after decay) and these states: only then does a root
    of 0, which has no slope, matter."""
    names = {"gradient", *states, *(("param",) if p.weight_decay else ())}
    return not names.isdisjoint(tangents)
