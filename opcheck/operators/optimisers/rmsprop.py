"""rmsprop: one step along the gradient, divided by the root of a running mean of its squares."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.operators.choosers import Chooser
from opcheck.operators.optimisers.base import (
    GRAD,
    MAXIMIZE,
    PARAM,
    WEIGHT_DECAY,
    Optimiser,
    decayed,
    flag,
    option,
    reached,
    rest,
    sloped,
    sloped_vjp,
    state,
    used,
)
from opcheck.operators.params import Params
from opcheck.operators.spec import Array, Case, Mistake, Output, Shape
from opcheck.programs.rule import constant
from opcheck.tracing import named, sqrt


class _Means:
    """The means after a step, and what the gradient is divided by."""

    def __init__(self, p: Params, param: Array, gradient: Array, **kept: Array) -> None:
        self.g = sloped(p, param, gradient)
        self.s = p.alpha * kept.get("square_avg", 0.0) + (1.0 - p.alpha) * self.g * self.g
        self.a = p.alpha * kept.get("grad_avg", 0.0) + (1.0 - p.alpha) * self.g
        self.variance = self.s - self.a * self.a if p.centered else self.s
        self.root = np.sqrt(self.variance)
        self.divisor = self.root + p.eps


class RMSprop(Optimiser):
    name = "rmsprop"
    torch_name = "RMSprop"
    aims = (
        "square_avg eps=1",
        "centered square_avg grad_avg eps=1",
        "momentum momentum_buffer square_avg",
        "weight_decay square_avg eps=1",
        "centered",
        "maximize",
        "momentum",
    )
    aliases = ("RMSprop", "optim.RMSprop", "rms_prop")
    summary = "one step along the gradient, divided by the root of a running mean of its squares"
    formula = "s′ = α·s + (1 − α)·g²,   θ′ = θ − lr·g/(√(s′) + ε)"
    example = (
        "rmsprop([1, 2], [0.5, -0.5], lr=0.1)",
        "(array([1.99999961e-07, 2.99999980e+00]), array([0.0025, 0.0025]))",
    )
    source = (
        "Tieleman and Hinton, Lecture 6.5: RMSProp (2012); centred: Graves, Generating Sequences With Recurrent Neural "
        "Networks (2013), equations 38 to 45; torch.optim.RMSprop"
    )
    arguments = (
        PARAM,
        GRAD,
        state("square_avg", "s", "the mean of squares after the previous step; 0 at first"),
        state("momentum_buffer", "v", "the velocity after the previous step, with momentum; 0 at first"),
        state("grad_avg", "a", "the mean of gradients after the previous step, if centered; 0 at first"),
        option("lr", 1e-2, "the learning rate"),
        option("alpha", 0.99, "how much of the running means is kept", symbol="α"),
        option("eps", 1e-8, "added to the root", symbol="ε"),
        WEIGHT_DECAY,
        option("momentum", 0.0, "how much of the velocity is kept", symbol="μ"),
        flag("centered", "divide by the root of the variance: subtract the square of the mean gradient"),
        MAXIMIZE,
    )
    outputs = (
        Output("param", "θ′", "*"),
        Output("square_avg", "s′", "*"),
        Output("momentum_buffer", "v′", "*"),
        Output("grad_avg", "a′", "*"),
    )

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        g, made = used(p)
        mean = f"a′ = α·a + (1 − α)·{g},   " if p.centered else ""
        step = f"{g}/(√({'s′ − a′²' if p.centered else 's′'}) + ε)"
        moved = f"v′ = μ·v + {step},   θ′ = θ − lr·v′" if p.momentum else f"θ′ = θ − lr·{step}"
        return f"{made}s′ = α·s + (1 − α)·{g}²,   {mean}{moved}"

    def kept(self, p: Params) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if p.momentum else ()
        return ("param", "square_avg", *momentum, *(("grad_avg",) if p.centered else ()))

    # --- definition -------------------------------------------------------------------------------------------

    def element(
        self,
        p: Params,
        at: Shape,
        *,
        param: Any,
        gradient: Any,
        square_avg: Any = None,
        momentum_buffer: Any = None,
        grad_avg: Any = None,
    ) -> Any:
        constant = param.tape.constant
        lr, alpha, eps = constant(p.lr, "lr"), constant(p.alpha, "α"), constant(p.eps, "ε")
        g = decayed(p, at, param, gradient, named)
        s = constant(0.0, "s") if square_avg is None else square_avg[at]
        s = variance = named("s′", alpha * s + (1 - alpha) * g**2, at)
        result = {"square_avg": s}
        if p.centered:
            a = constant(0.0, "a") if grad_avg is None else grad_avg[at]
            a = result["grad_avg"] = named("a′", alpha * a + (1 - alpha) * g, at)
            variance = s - a * a
        step = g / (sqrt(variance) + eps)
        if p.momentum:
            v = constant(0.0, "v") if momentum_buffer is None else momentum_buffer[at]
            step = result["momentum_buffer"] = named("v′", constant(p.momentum, "μ") * v + step, at)
        return {**result, "param": param[at] - lr * step}

    # --- fast reference ---------------------------------------------------------------------------------------

    def step(self, p: Params, *, param: Array, gradient: Array, **kept: Array) -> dict[str, Array]:
        now = _Means(p, param, gradient, **kept)
        step = now.g / now.divisor
        result = {"square_avg": now.s}
        if p.momentum:
            step = result["momentum_buffer"] = p.momentum * kept.get("momentum_buffer", 0.0) + step
        if p.centered:
            result["grad_avg"] = now.a
        return {"param": param - p.lr * step, **result}

    @np.errstate(all="ignore")
    def vjp(self, p: Params, cotangent: Any, *, param: Array, gradient: Array, **kept: Array) -> dict[str, Array]:
        now = _Means(p, param, gradient, **kept)
        zeros = np.zeros(param.shape)
        after = cotangent.get("param", zeros)
        by_step = -p.lr * after + (cotangent.get("momentum_buffer", 0.0) if p.momentum else 0.0)
        by_variance = by_g = zeros
        if "param" in cotangent or (p.momentum and "momentum_buffer" in cotangent):  # else nothing arrives at the root
            by_variance = -by_step * now.g / now.divisor**2 / (2.0 * now.root)
            by_g = by_step / now.divisor
        by_s = cotangent.get("square_avg", 0.0) + by_variance
        by_a = (cotangent.get("grad_avg", 0.0) - 2.0 * now.a * by_variance) if p.centered else zeros
        by_g = by_g + (1.0 - p.alpha) * (2.0 * now.g * by_s + by_a)
        by_param, by_grad = sloped_vjp(p, by_g)
        gradients = {
            "param": after + by_param,
            "gradient": by_grad,
            "square_avg": p.alpha * by_s,
            "momentum_buffer": p.momentum * by_step,
            "grad_avg": p.alpha * by_a,
        }
        return {name: gradient for name, gradient in gradients.items() if name in ("param", "gradient", *kept)}

    @np.errstate(all="ignore")
    def jvp(
        self, p: Params, tangents: dict[str, Array], *, param: Array, gradient: Array, **kept: Array
    ) -> dict[str, Array]:
        now = _Means(p, param, gradient, **kept)
        zeros = np.zeros(param.shape)
        dparam, dgrad, ds, dv, da = (tangents.get(each.name, zeros) for each in self.inputs)
        dg = sloped(p, dparam, dgrad)
        ds = p.alpha * ds + (1.0 - p.alpha) * 2.0 * now.g * dg
        da = p.alpha * da + (1.0 - p.alpha) * dg
        dstep = dg / now.divisor if reached(p, tangents) else zeros
        if reached(p, tangents, "square_avg", *(("grad_avg",) if p.centered else ())):
            droot = (ds - 2.0 * now.a * da if p.centered else ds) / (2.0 * now.root)
            dstep = dstep - now.g * droot / now.divisor**2
        result = {"square_avg": ds}
        if p.momentum:
            dstep = result["momentum_buffer"] = p.momentum * dv + dstep
        if p.centered:
            result["grad_avg"] = da
        return {"param": dparam - p.lr * dstep, **result}

    # --- program ----------------------------------------------------------------------------------------------

    def program(
        self, p: Params, *, param: Any, gradient: Any, square_avg: Any = 0.0, momentum_buffer: Any = 0.0,
        grad_avg: Any = 0.0,
    ) -> dict[str, Any]:  # fmt: skip
        lr, alpha, g = constant(p.lr, param), constant(p.alpha, param), sloped(p, param, gradient)
        s = variance = alpha * square_avg + rest(alpha, param) * g**2
        result = {"square_avg": s}
        if p.centered:
            a = result["grad_avg"] = alpha * grad_avg + rest(alpha, param) * g
            variance = s - a**2
        step = g / (np.sqrt(variance) + p.eps)
        if p.momentum:
            step = result["momentum_buffer"] = p.momentum * momentum_buffer + step
        return {"param": param - lr * step, **result}

    # --- torch ------------------------------------------------------------------------------------------------

    def torch_state(self, torch: Any, options: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
        zeros = torch.zeros_like(tensors["param"])
        names = self.kept(self.parameters(options))[1:]
        return {"step": torch.zeros(()), **{name: tensors.get(name, zeros) for name in names}}

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice([(3,), (2, 2), (), (1,), (0,)])
        arrays = {"param": chooser.array(*shape), "gradient": chooser.array(*shape)}
        choices: dict[str, list[Any]] = {
            "lr": [0.5, 0.01],
            "alpha": [0.75, 0.99, 0.5],
            "eps": [1.0, 1e-8, 0.0],
            "weight_decay": [0, 2.0**-4, 0.01],  # never so large that it cancels the gradient: a root of 0 has no slope
            "momentum": [0, 0.5, 0.9],
            "centered": [False, True],
            "maximize": [False, True],
        }
        params = {name: chooser.choice(options) for name, options in choices.items()}
        if chooser.choice([True, False]):
            arrays["square_avg"] = chooser.positive(*shape)
            if params["centered"]:  # a mean of squares is larger than the square of a mean
                arrays["grad_avg"] = chooser.array(*shape)
                arrays["square_avg"] = np.asarray(arrays["square_avg"] + arrays["grad_avg"] ** 2)
        if params["momentum"] and chooser.choice([True, False]):
            arrays["momentum_buffer"] = chooser.array(*shape)
        return Case(self.name, {each.name: arrays[each.name] for each in self.inputs if each.name in arrays}, params)

    mistakes = (
        Mistake(
            "epsilon_inside_root",
            "The ε is inside the root, √(s + ε); torch adds it outside, √s + ε.",
            forward=lambda op, p, **a: _stepped(op, p, lambda now: now.g / np.sqrt(now.variance + p.eps), **a),
        ),
        Mistake(
            "root_missing",
            "The gradient was divided by the mean of squares itself; it is divided by its square root.",
            forward=lambda op, p, **a: _stepped(op, p, lambda now: now.g / (now.variance + p.eps), **a),
        ),
        Mistake(
            "mean_of_last_step_used",
            "The gradient was divided by the previous mean of squares, before its own square was added.",
            forward=lambda op, p, **a: _stepped(
                op, p, lambda now: now.g / (np.sqrt(a.get("square_avg", 0.0)) + p.eps), **a
            ),
        ),
        Mistake(
            "alpha_swapped",
            "The gradient was weighted with α and the old mean with 1 − α; it is the other way round.",
            forward=lambda op, p, **a: op.forward(p.replace(alpha=1.0 - p.alpha), **a),
        ),
        Mistake(
            "squares_added_up",
            "The squares were added up as in Adagrad; RMSprop keeps a running mean of them.",
            forward=lambda op, p, **a: _mean_of(op, p, 1.0, 1.0, 2, **a),
        ),
        Mistake(
            "square_not_weighted",
            "The square of the gradient was added as it is; it is weighted with 1 − α.",
            forward=lambda op, p, **a: _mean_of(op, p, p.alpha, 1.0, 2, **a),
        ),
        Mistake(
            "mean_not_decayed",
            "The old mean of squares was kept whole; it is weighted with α.",
            forward=lambda op, p, **a: _mean_of(op, p, 1.0, 1.0 - p.alpha, 2, **a),
        ),
        Mistake(
            "gradient_not_squared",
            "The mean was made of the gradient itself; it is a mean of its squares.",
            forward=lambda op, p, **a: _mean_of(op, p, p.alpha, 1.0 - p.alpha, 1, **a),
        ),
        Mistake(
            "state_forgotten",
            "The state of the previous step was not used: every step starts from scratch.",
            forward=lambda op, p, param, gradient, **kept: op.forward(p, param=param, gradient=gradient),
        ),
        Mistake(
            "centering_missing",
            "With centered, the square of the mean gradient is subtracted before the root.",
            forward=lambda op, p, **a: _stepped(op, p, lambda now: now.g / (np.sqrt(now.s) + p.eps), **a),
        ),
        Mistake(
            "step_up_the_gradient",
            "The step goes up the gradient: it is subtracted, not added.",
            forward=lambda op, p, **a: _stepped(op, p, lambda now: -now.g / now.divisor, **a),
        ),
        Mistake(
            "weight_decay_missing",
            "The weight decay was not used.",
            forward=lambda op, p, **a: op.forward(p.replace(weight_decay=0.0), **a),
        ),
    )


def _stepped(
    op: Any, p: Params, step: Callable[[_Means], Any], param: Array, gradient: Array, **kept: Array
) -> dict[str, Array]:
    """A mistake that takes another step."""
    right: dict[str, Array] = op.forward(p, param=param, gradient=gradient, **kept)
    with np.errstate(all="ignore"):
        move = step(_Means(p, param, gradient, **kept))
    if p.momentum:
        move = right["momentum_buffer"] = p.momentum * kept.get("momentum_buffer", 0.0) + move
    return {**right, "param": param - p.lr * move}


def _mean_of(
    op: Any, p: Params, old: float, new: float, power: int, param: Array, gradient: Array, **kept: Array
) -> dict[str, Array]:
    """A mistake in what the mean is made of: the old one and this power of the gradient, with these weights."""
    g = sloped(p, param, gradient)
    s = old * kept.get("square_avg", 0.0) + new * g**power
    right = _stepped(op, p, lambda now: g / (np.sqrt(s) + p.eps), param, gradient, **kept)
    return {**right, "square_avg": np.asarray(s)}


OPS = (RMSprop(),)
