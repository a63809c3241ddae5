"""adam and adamw: one step of Adam, with weight decay as part of the gradient (adam) or beside it (adamw)."""

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
from opcheck.operators.params import Param, Params, Reals, Whole
from opcheck.operators.spec import Array, Case, Input, Mistake, Output, Shape
from opcheck.programs.rule import constant
from opcheck.tracing import maximum, named, sqrt

SHRINKING = option("weight_decay", 1e-2, "lr·λ times the parameters is subtracted", symbol="λ")


class Adam(Optimiser):
    name = "adam"
    torch_name = "Adam"
    aims = (
        "exp_avg exp_avg_sq step=2 eps=1",
        "amsgrad max_exp_avg_sq -exp_avg_sq eps=1",
        "amsgrad max_exp_avg_sq -exp_avg_sq",
        "weight_decay exp_avg step=2 eps=1",
        "-exp_avg -exp_avg_sq step=1",
        "maximize weight_decay",
        "step=1000 exp_avg exp_avg_sq",
    )
    decoupled = False  # whether weight decay shrinks the parameters themselves instead of joining the gradient
    aliases = ("Adam", "optim.Adam")
    summary = "one step of Adam: a mean of gradients over the root of a mean of their squares, both corrected"
    formula = (
        "m′ = β1·m + (1 − β1)·g,   v′ = β2·v + (1 − β2)·g²,   θ′ = θ − lr·m̂/(√(v̂) + ε)   "
        "with m̂ = m′/(1 − β1ᵗ), v̂ = v′/(1 − β2ᵗ)"
    )
    example = (
        "adam([1, 2], [0.5, -0.5], lr=0.1)",
        "(array([0.9, 2.1]), array([ 0.05, -0.05]), array([0.00025, 0.00025]))",
    )
    source = "Kingma and Ba, Adam (2015), algorithm 1; amsgrad: Reddi, Kale and Kumar (2018); torch.optim.Adam"
    arguments: tuple[Input | Param, ...] = (
        PARAM,
        GRAD,
        state("exp_avg", "m", "the first moment after the previous step; 0 at first"),
        state("exp_avg_sq", "v", "the second moment after the previous step; 0 at first"),
        state("max_exp_avg_sq", "u", "the largest second moment so far, with amsgrad; 0 at first"),
        Param("step", 1, Whole(1), "the number t of this step, counted from 1", keyword_only=True, symbol="t"),
        option("lr", 1e-3, "the learning rate"),
        option("betas", (0.9, 0.999), "how much of each moment is kept", symbol="β1, β2", kind=Reals(2, 0.0, 1.0)),
        option("eps", 1e-8, "added to the root", symbol="ε"),
        WEIGHT_DECAY,
        flag("amsgrad", "divide by the root of the largest second moment so far"),
        MAXIMIZE,
    )
    outputs = (
        Output("param", "θ′", "*"),
        Output("exp_avg", "m′", "*"),
        Output("exp_avg_sq", "v′", "*"),
        Output("max_exp_avg_sq", "u′", "*"),
    )

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        g, made = used(self._coupled(p))
        found = made + self.formula.replace("·g", f"·{g}")
        found = found if p.weight_decay else found.replace("(1 − lr·λ)·", "")
        return found.replace(",   θ′", ",   u′ = max(u, v′),   θ′").replace("= v′/", "= u′/") if p.amsgrad else found

    def kept(self, p: Params) -> tuple[str, ...]:
        names = tuple(output.name for output in self.outputs)
        return names if p.amsgrad else names[:3]

    # --- definition -------------------------------------------------------------------------------------------

    def element(
        self, p: Params, at: Shape, *, param: Any, gradient: Any, exp_avg: Any = None, exp_avg_sq: Any = None,
        max_exp_avg_sq: Any = None,
    ) -> Any:  # fmt: skip
        constant = param.tape.constant
        lr, eps, t = constant(p.lr, "lr"), constant(p.eps, "ε"), constant(p.step, "t")
        beta1, beta2 = constant(p.betas[0], "β1"), constant(p.betas[1], "β2")
        g = decayed(self._coupled(p), at, param, gradient, named)
        m = constant(0.0, "m") if exp_avg is None else exp_avg[at]
        v = constant(0.0, "v") if exp_avg_sq is None else exp_avg_sq[at]
        m = named("m′", beta1 * m + (1 - beta1) * g, at)
        v = named("v′", beta2 * v + (1 - beta2) * g**2, at)
        result = {"exp_avg": m, "exp_avg_sq": v}
        largest = v
        if p.amsgrad:
            u = constant(0.0, "u") if max_exp_avg_sq is None else max_exp_avg_sq[at]
            largest = result["max_exp_avg_sq"] = named("u′", maximum(u, v), at)
        m_hat = named("m̂", m / (1 - beta1**t), at)
        v_hat = named("v̂", largest / (1 - beta2**t), at)
        start = param[at]
        if self.decoupled and p.weight_decay:
            start = (1 - lr * constant(p.weight_decay, "λ")) * start
        return {**result, "param": start - lr * m_hat / (sqrt(v_hat) + eps)}

    # --- fast reference ---------------------------------------------------------------------------------------

    def step(self, p: Params, *, param: Array, gradient: Array, **moments: Array) -> dict[str, Array]:
        now = _Moments(self._coupled(p), param, gradient, **moments)
        kept = {"exp_avg": now.m, "exp_avg_sq": now.v, **({"max_exp_avg_sq": now.u} if p.amsgrad else {})}
        return {"param": self._shrink(p) * param - (p.lr / now.c1) * now.m / now.divisor, **kept}

    @np.errstate(all="ignore")
    def vjp(self, p: Params, cotangent: Any, *, param: Array, gradient: Array, **moments: Array) -> dict[str, Array]:
        now = _Moments(self._coupled(p), param, gradient, **moments)
        zeros = np.zeros(param.shape)
        after, by_m = cotangent.get("param", zeros), cotangent.get("exp_avg", zeros)
        by_largest = cotangent.get("max_exp_avg_sq", zeros) if p.amsgrad else zeros
        if "param" in cotangent:  # else nothing arrives at the root, which has no slope at 0
            by_m = by_m - after * (p.lr / now.c1) / now.divisor
            by_largest = by_largest + after * (p.lr / now.c1) * now.m / now.divisor**2 / (2.0 * now.root * now.c2)
        by_v, (beta1, beta2) = cotangent.get("exp_avg_sq", 0.0) + np.where(now.grew, by_largest, 0.0), p.betas
        by_param, by_grad = sloped_vjp(self._coupled(p), (1.0 - beta1) * by_m + (1.0 - beta2) * 2.0 * now.g * by_v)
        gradients = {
            "param": self._shrink(p) * after + by_param,
            "gradient": by_grad,
            "exp_avg": beta1 * by_m,
            "exp_avg_sq": beta2 * by_v,
            "max_exp_avg_sq": np.where(now.grew, 0.0, by_largest),
        }
        return {name: gradient for name, gradient in gradients.items() if name in ("param", "gradient", *moments)}

    @np.errstate(all="ignore")
    def jvp(
        self, p: Params, tangents: dict[str, Array], *, param: Array, gradient: Array, **moments: Array
    ) -> dict[str, Array]:
        coupled, zeros = self._coupled(p), np.zeros(param.shape)
        now = _Moments(coupled, param, gradient, **moments)
        dparam, dgrad, dm, dv, du = (tangents.get(each.name, zeros) for each in self.inputs)
        dg, (beta1, beta2) = sloped(coupled, dparam, dgrad), p.betas
        dm = beta1 * dm + (1.0 - beta1) * dg
        dv = beta2 * dv + (1.0 - beta2) * 2.0 * now.g * dg
        du = np.where(now.grew, dv, du)
        moving = np.where(now.grew, reached(coupled, tangents, "exp_avg_sq"), "max_exp_avg_sq" in tangents)
        by_root = np.where(moving, now.m * (du / (2.0 * now.root * now.c2)) / now.divisor**2, 0.0)
        by_moment = dm / now.divisor if reached(coupled, tangents, "exp_avg") else zeros
        dstep = (p.lr / now.c1) * (by_moment - by_root)
        kept = {"exp_avg": dm, "exp_avg_sq": dv, **({"max_exp_avg_sq": du} if p.amsgrad else {})}
        return {"param": self._shrink(p) * dparam - dstep, **kept}

    # --- program ----------------------------------------------------------------------------------------------

    def program(
        self, p: Params, *, param: Any, gradient: Any, exp_avg: Any = 0.0, exp_avg_sq: Any = 0.0,
        max_exp_avg_sq: Any = 0.0,
    ) -> dict[str, Any]:  # fmt: skip
        lr, beta1, beta2 = (constant(number, param) for number in (p.lr, *p.betas))
        g = sloped(self._coupled(p), param, gradient)
        m = beta1 * exp_avg + rest(beta1, param) * g
        v = largest = beta2 * exp_avg_sq + rest(beta2, param) * g**2
        kept = {"exp_avg": m, "exp_avg_sq": v}
        if p.amsgrad:
            largest = kept["max_exp_avg_sq"] = np.maximum(max_exp_avg_sq, v)
        m_hat, v_hat = m / rest(beta1**p.step, param), largest / rest(beta2**p.step, param)
        start = rest(lr * p.weight_decay, param) * param if self.decoupled and p.weight_decay else param
        return {"param": start - lr * m_hat / (np.sqrt(v_hat) + p.eps), **kept}

    def _coupled(self, p: Params) -> Params:
        """The parameters with the weight decay that joins the gradient."""
        return p.replace(weight_decay=0.0) if self.decoupled else p

    def _shrink(self, p: Params) -> float:
        """The factor that a decoupled weight decay leaves of the parameters."""
        return float(1.0 - p.lr * p.weight_decay) if self.decoupled else 1.0

    # --- torch ------------------------------------------------------------------------------------------------

    def torch_state(self, torch: Any, options: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
        zeros = torch.zeros_like(tensors["param"])
        if "betas" in options:
            options["betas"] = tuple(map(float, options["betas"]))  # torch's take no whole numbers
        return {
            "step": torch.tensor(options.pop("step", 1) - 1.0, dtype=torch.float64),
            **{name: tensors.get(name, zeros) for name in self.kept(self.parameters(options))[1:]},
        }

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice([(3,), (2, 2), (), (1,), (0,)])
        arrays = {"param": chooser.array(*shape), "gradient": chooser.array(*shape)}
        choices: dict[str, list[Any]] = {
            "step": [1, 2, 1000],
            "lr": [0.5, 0.01],
            "betas": [(0.5, 0.75), (0.9, 0.999)],
            "eps": [1.0, 1e-8, 0.0],
            "weight_decay": [0, 2.0**-4, 0.01],  # never so large that it cancels the gradient: a root of 0 has no slope
            "amsgrad": [False, True],
            "maximize": [False, True],
        }
        params = {name: chooser.choice(options) for name, options in choices.items()}
        if chooser.choice([True, False]):
            arrays["exp_avg"] = chooser.array(*shape)
        if chooser.choice([True, False]):
            arrays["exp_avg_sq"] = chooser.positive(*shape)
        if params["amsgrad"] and chooser.choice([True, False]):
            # no ties, where torch halves the gradient and a maximum here gives it to the first
            arrays["max_exp_avg_sq"] = np.asarray(chooser.positive(*shape) + 2.0**-10)
        return Case(self.name, arrays, params)


class AdamW(Adam):
    name = "adamw"
    torch_name = "AdamW"
    decoupled = True
    aliases = ("AdamW", "optim.AdamW")
    summary = "one step of Adam whose weight decay shrinks the parameters instead of joining the gradient"
    formula = Adam.formula.replace("θ −", "(1 − lr·λ)·θ −")
    example = (
        "adamw([1, 2], [0.5, -0.5], lr=0.1)",
        "(array([0.899, 2.098]), array([ 0.05, -0.05]), array([0.00025, 0.00025]))",
    )
    source = "Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2; torch.optim.AdamW"
    arguments = tuple(SHRINKING if each is WEIGHT_DECAY else each for each in Adam.arguments)


class _Moments:
    """The moments after a step, and what they are divided by."""

    def __init__(self, p: Params, param: Array, gradient: Array, **moments: Array) -> None:
        self.g, (beta1, beta2) = sloped(p, param, gradient), p.betas
        self.m = beta1 * moments.get("exp_avg", 0.0) + (1.0 - beta1) * self.g
        self.v = beta2 * moments.get("exp_avg_sq", 0.0) + (1.0 - beta2) * self.g * self.g
        before = moments.get("max_exp_avg_sq", 0.0) if p.amsgrad else -np.inf
        self.grew = (self.v > before) | np.isnan(self.v)
        self.u = np.where(self.grew, self.v, before)
        self.c1, self.c2 = np.float64(1.0 - beta1**p.step), np.float64(1.0 - beta2**p.step)
        self.root = np.sqrt(self.u / self.c2)
        self.divisor = self.root + p.eps


def _moved(op: Any, p: Params, step: Callable[[_Moments], Any], param: Array, gradient: Array, **moments: Array) -> Any:
    """A mistake that moves the parameters by lr times another step."""
    right = op.forward(p, param=param, gradient=gradient, **moments)
    with np.errstate(all="ignore"):
        now = _Moments(op._coupled(p), param, gradient, **moments)
        return {**right, "param": op._shrink(p) * param - p.lr * step(now)}


def _shared_array(op: Any, p: Params, **arrays: Array) -> Any:
    return op.forward(p, **{**arrays, "exp_avg_sq": op.forward(p, **arrays)["exp_avg"]})


def _made_of(
    op: Any, p: Params, weights: tuple[float, float], power: int, param: Array, gradient: Array, **moments: Array
) -> dict[str, Array]:
    """A mistake in what the moments are made of: this power of the gradient, with these weights."""
    now = _Moments(op._coupled(p), param, gradient, **moments)
    now.m = p.betas[0] * moments.get("exp_avg", 0.0) + weights[0] * now.g
    now.v = now.u = p.betas[1] * moments.get("exp_avg_sq", 0.0) + weights[1] * now.g**power
    kept = {"exp_avg": now.m, "exp_avg_sq": now.v}
    if p.amsgrad:
        kept["max_exp_avg_sq"] = now.u = np.maximum(moments.get("max_exp_avg_sq", 0.0), now.v)
    with np.errstate(all="ignore"):
        move = now.m / now.c1 / (np.sqrt(now.u / now.c2) + p.eps)
    return {"param": op._shrink(p) * param - p.lr * move, **kept}


MISTAKES = (
    Mistake(
        "bias_correction_missing",
        "The moments were not divided by 1 − β^t: they start at 0, so the first steps come out too small.",
        forward=lambda op, p, **a: op.forward(p.replace(step=10**9), **a),
    ),
    Mistake(
        "step_counted_from_zero",
        "The first step has t = 1; with t = 0 the correction divides by 1 − β⁰ = 0.",
        forward=lambda op, p, **a: op.forward(p.replace(step=p.step - 1), **a),
    ),
    Mistake(
        "step_stuck_at_one",
        "The moments were divided by 1 − β at every step, as if t stayed 1; it is 1 − β^t.",
        forward=lambda op, p, **a: op.forward(p.replace(step=1), **a),
    ),
    Mistake(
        "state_forgotten",
        "The moments of the previous step were not used: every step starts from scratch.",
        forward=lambda op, p, param, gradient, **moments: op.forward(p, param=param, gradient=gradient),
    ),
    Mistake(
        "moments_share_one_array",
        "Both moments share one array: the second was updated from the first.",
        forward=lambda op, p, **a: _shared_array(op, p, **a),
    ),
    Mistake(
        "gradient_not_squared",
        "The second moment was made of the gradient itself; it is a mean of its squares.",
        forward=lambda op, p, **a: _made_of(op, p, (1 - p.betas[0], 1 - p.betas[1]), 1, **a),
    ),
    Mistake(
        "gradient_not_weighted",
        "The gradient and its square were added as they are; they are weighted with 1 − β1 and 1 − β2.",
        forward=lambda op, p, **a: _made_of(op, p, (1.0, 1.0), 2, **a),
    ),
    Mistake(
        "betas_swapped",
        "The two betas were swapped: β1 belongs to the gradient, β2 to its square.",
        forward=lambda op, p, **a: op.forward(p.replace(betas=p.betas[::-1]), **a),
    ),
    Mistake(
        "epsilon_inside_root",
        "The ε is inside the root, √(v̂ + ε); it belongs outside, √v̂ + ε.",
        forward=lambda op, p, **a: _moved(op, p, lambda now: now.m / now.c1 / np.sqrt(now.u / now.c2 + p.eps), **a),
    ),
    Mistake(
        "epsilon_before_correction",
        "The ε was added to √v before the bias correction; torch adds it to √v̂.",
        forward=lambda op, p, **a: op.forward(p.replace(eps=p.eps / (1 - p.betas[1] ** p.step) ** 0.5), **a),
    ),
    Mistake(
        "root_missing",
        "The step was divided by the second moment itself; it is divided by its square root.",
        forward=lambda op, p, **a: _moved(op, p, lambda now: now.m / now.c1 / (now.u / now.c2 + p.eps), **a),
    ),
    Mistake(
        "step_up_the_gradient",
        "The step goes up the gradient: it is subtracted, not added.",
        forward=lambda op, p, **a: _moved(op, p, lambda now: -now.m / now.c1 / now.divisor, **a),
    ),
    Mistake(
        "weight_decay_missing",
        "The weight decay was not used.",
        forward=lambda op, p, **a: op.forward(p.replace(weight_decay=0.0), **a),
    ),
    Mistake(
        "largest_second_moment_ignored",
        "With amsgrad the step is divided by the root of the largest second moment so far, not of the latest one.",
        forward=lambda op, p, **a: _moved(op, p, lambda now: now.m / now.c1 / (np.sqrt(now.v / now.c2) + p.eps), **a),
    ),
)

ADAM, ADAMW = Adam(), AdamW()
Adam.mistakes = (
    *MISTAKES,
    Mistake(
        "weight_decay_decoupled",
        "The weight decay shrank the parameters themselves: that is AdamW. In Adam it is added to the gradient.",
        forward=lambda op, p, **a: ADAMW.forward(p, **a),
    ),
)
AdamW.mistakes = (
    *MISTAKES,
    Mistake(
        "weight_decay_in_gradient",
        "The weight decay was added to the gradient: that is Adam. In AdamW it shrinks the parameters themselves.",
        forward=lambda op, p, **a: ADAM.forward(p, **a),
    ),
)
OPS = (ADAM, ADAMW)
