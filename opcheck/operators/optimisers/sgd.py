"""sgd: one step of stochastic gradient descent, with momentum if asked for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
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
    rest,
    sloped,
    sloped_vjp,
    state,
    used,
)
from opcheck.operators.params import Params
from opcheck.operators.program import EitherWay
from opcheck.operators.spec import Array, Case, Mistake, Output, Refused, Shape
from opcheck.programs.rule import constant
from opcheck.tracing import named


class SGD(Optimiser):
    name = "sgd"
    torch_name = "SGD"
    aims = (
        "momentum nesterov momentum_buffer",
        "momentum dampening -momentum_buffer",
        "momentum momentum_buffer",
        "weight_decay",
        "maximize momentum nesterov momentum_buffer",
        "",
        "momentum dampening -momentum_buffer",
    )
    aliases = ("SGD", "optim.SGD", "momentum", "gradient_descent")
    summary = "one step of gradient descent, with momentum, weight decay and Nesterov's look-ahead"
    formula = "v′ = μ·v + (1 − τ)·g,   θ′ = θ − lr·v′"
    rounding = EitherWay(shrunk=True)
    example = "sgd([1, 2], [0.5, -0.5], lr=0.1)", "array([0.95, 2.05])"
    source = "Sutskever et al., On the importance of initialization and momentum (2013), section 2; torch.optim.SGD"
    arguments = (
        PARAM,
        GRAD,
        state("momentum_buffer", "v", "the velocity after the previous step; without it this is the first step"),
        option("lr", 1e-3, "the learning rate"),
        option("momentum", 0.0, "how much of the velocity is kept", symbol="μ"),
        option("dampening", 0.0, "how much of the gradient is held back from the velocity", low=None, symbol="τ"),
        WEIGHT_DECAY,
        flag("nesterov", "look ahead: step along g + μ·v′"),
        MAXIMIZE,
    )
    outputs = (Output("param", "θ′", "*"), Output("momentum_buffer", "v′", "*"))

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        g, made = used(p)
        if not p.momentum:
            return f"{made}θ′ = θ − lr·{g}"
        new = f"(1 − τ)·{g}" if p.dampening else g
        velocity = f"μ·v + {new}" if "momentum_buffer" in shapes else g
        return f"{made}v′ = {velocity},   θ′ = θ − lr·{f'({g} + μ·v′)' if p.nesterov else 'v′'}"

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if not p.momentum or "momentum_buffer" in shapes:
            return ()
        return (say("the first step: without a momentum_buffer the velocity is the gradient"),)

    def kept(self, p: Params) -> tuple[str, ...]:
        return ("param", "momentum_buffer") if p.momentum else ("param",)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        if p.nesterov and (not p.momentum or p.dampening):
            raise Refused(
                say("nesterov needs a momentum above 0 and no dampening"),
                got=say("momentum={m} and dampening={d}", m=p.momentum, d=p.dampening),
            )
        return super().shape(p, shapes)

    # --- definition -------------------------------------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, param: Any, gradient: Any, momentum_buffer: Any = None) -> Any:
        constant = param.tape.constant
        lr = constant(p.lr, "lr")
        g = decayed(p, at, param, gradient, named)
        if not p.momentum:
            return {"param": param[at] - lr * g}
        mu = constant(p.momentum, "μ")
        if momentum_buffer is None:
            v = g  # the first step
        elif p.dampening:
            v = mu * momentum_buffer[at] + (1 - constant(p.dampening, "τ")) * g
        else:
            v = mu * momentum_buffer[at] + g
        v = named("v′", v, at)
        step = g + mu * v if p.nesterov else v
        return {"momentum_buffer": v, "param": param[at] - lr * step}

    # --- fast reference ---------------------------------------------------------------------------------------

    def step(
        self, p: Params, *, param: Array, gradient: Array, momentum_buffer: Array | None = None
    ) -> dict[str, Array]:
        g = sloped(p, param, gradient)
        if not p.momentum:
            return {"param": param - p.lr * g}
        v = g.copy() if momentum_buffer is None else p.momentum * momentum_buffer + (1.0 - p.dampening) * g
        along = g + p.momentum * v if p.nesterov else v
        return {"param": param - p.lr * along, "momentum_buffer": v}

    def vjp(
        self, p: Params, cotangent: Any, *, param: Array, gradient: Array, momentum_buffer: Array | None = None
    ) -> dict[str, Array]:
        after = cotangent.get("param", np.zeros(param.shape))
        by_step = -p.lr * after
        if p.momentum:
            by_v = cotangent.get("momentum_buffer", 0.0) + (p.momentum * by_step if p.nesterov else by_step)
            fed = by_v if momentum_buffer is None else (1.0 - p.dampening) * by_v
            by_g = by_step + fed if p.nesterov else fed
        else:
            by_v, by_g = np.zeros(param.shape), by_step
        by_param, by_grad = sloped_vjp(p, by_g)
        gradients = {"param": after + by_param, "gradient": by_grad}
        return gradients if momentum_buffer is None else {**gradients, "momentum_buffer": p.momentum * by_v}

    def jvp(
        self,
        p: Params,
        tangents: dict[str, Array],
        *,
        param: Array,
        gradient: Array,
        momentum_buffer: Array | None = None,
    ) -> dict[str, Array]:
        """The step is linear in everything that it is given: tangents take the same step."""
        zeros = np.zeros(param.shape)
        given = ["param", "gradient"] if momentum_buffer is None else ["param", "gradient", "momentum_buffer"]
        return self.forward(p, **{name: tangents.get(name, zeros) for name in given})

    # --- program ----------------------------------------------------------------------------------------------

    def program(
        self, p: Params, *, param: Any, gradient: Any, momentum_buffer: Any = None, shrunk: bool = False
    ) -> dict[str, Any]:
        """`shrunk`: the parameters are multiplied by 1 − lr·λ, as in Goodfellow et al., Deep Learning, equation 7.5."""
        lr, fed = constant(p.lr, param), rest(p.dampening, param)
        if shrunk and p.weight_decay and not p.momentum:
            plain = sloped(p.replace(weight_decay=0.0), param, gradient)
            return {"param": rest(p.lr * p.weight_decay, param) * param - lr * plain}
        g = v = sloped(p, param, gradient)
        if not p.momentum:
            return {"param": param - lr * g}
        if momentum_buffer is not None:
            v = p.momentum * momentum_buffer + (fed * g if p.dampening else g)
        return {"param": param - lr * (g + p.momentum * v if p.nesterov else v), "momentum_buffer": v}

    # --- torch ------------------------------------------------------------------------------------------------

    def torch_state(self, torch: Any, options: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
        if "momentum_buffer" in tensors:
            return {"momentum_buffer": tensors["momentum_buffer"]}
        if options.get("momentum") and any(tensor.requires_grad for tensor in tensors.values()):
            # torch's first step detaches the buffer that it makes of the gradient; from a zero one it is differentiable
            options["dampening"] = 0.0
            return {"momentum_buffer": torch.zeros_like(tensors["param"])}
        return {}

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice([(3,), (2, 2), (), (1,), (0,)])
        arrays = {"param": chooser.array(*shape), "gradient": chooser.array(*shape)}
        params: dict[str, Any] = {"lr": chooser.choice([0.5, 0.1, 2, 0.25])}
        momentum = chooser.choice([0.0, 0.5, 0.9])
        if momentum:
            params["momentum"] = momentum
            styles: list[dict[str, Any]] = [{}, {"nesterov": True}, {"dampening": 0.25}]
            params |= chooser.choice(styles)
        if chooser.choice([True, False]):
            arrays["momentum_buffer"] = chooser.array(*shape)
        decay = chooser.choice([0, 0.5, 0.01])
        params |= {"weight_decay": decay} if decay else {}
        params |= {"maximize": True} if chooser.choice([False, True]) else {}
        return Case(self.name, arrays, params)

    mistakes = (
        Mistake(
            "step_up_the_gradient",
            "The step goes up the gradient: the learning rate times the gradient is subtracted, not added.",
            forward=lambda op, p, **a: op.forward(
                p.replace(maximize=not p.maximize, weight_decay=-p.weight_decay), **a
            ),
        ),
        Mistake(
            "velocity_as_average",
            "The gradient entered the velocity with the factor 1 − μ; torch adds all of it (v = μ·v + g).",
            forward=lambda op, p, **a: op.forward(p.replace(dampening=p.momentum), **a),
        ),
        Mistake(
            "learning_rate_inside_velocity",
            "The velocity holds lr·g; torch's holds g, and the learning rate comes in when the parameters move.",
            forward=lambda op, p, **a: _rate_inside(op, p, **a),
        ),
        Mistake(
            "state_forgotten",
            "The velocity of the previous step was not used: every step starts from scratch.",
            forward=lambda op, p, momentum_buffer=None, **a: op.forward(p, **a),
        ),
        Mistake(
            "first_step_dampened",
            "The first step has no velocity yet and takes the whole gradient, without dampening.",
            forward=lambda op, p, **a: op.forward(p, **{"momentum_buffer": np.zeros(a["param"].shape), **a}),
        ),
        Mistake(
            "velocity_added",
            "The velocity was added to the parameters; it is made of gradients, so it is subtracted.",
            forward=lambda op, p, **a: _up(op, p, **a),
        ),
        Mistake(
            "dampening_missing",
            "The gradient entered the velocity whole; with dampening only 1 − dampening of it does.",
            forward=lambda op, p, **a: op.forward(p.replace(dampening=0.0), **a),
        ),
        Mistake(
            "nesterov_missing",
            "The step goes along the velocity; with nesterov it goes along g + μ·v.",
            forward=lambda op, p, **a: op.forward(p.replace(nesterov=False), **a),
        ),
        Mistake(
            "weight_decay_doubled",
            "The weight decay has a factor 2; λ·θ is the gradient of λ/2·θ².",
            forward=lambda op, p, **a: op.forward(p.replace(weight_decay=2 * p.weight_decay), **a),
        ),
        Mistake(
            "weight_decay_missing",
            "The weight decay was not used.",
            forward=lambda op, p, **a: op.forward(p.replace(weight_decay=0.0), **a),
        ),
        Mistake(
            "old_velocity_used",
            "The parameters moved along the previous velocity, before the gradient was added to it.",
            forward=lambda op, p, **a: _old_velocity(op, p, **a),
        ),
    )


def _up(op: Any, p: Params, **a: Array) -> dict[str, Array]:
    right: dict[str, Array] = op.forward(p, **a)
    return {**right, "param": 2 * a["param"] - right["param"]} if p.momentum else right


def _rate_inside(op: Any, p: Params, momentum_buffer: Array | None = None, **a: Array) -> dict[str, Array]:
    right: dict[str, Array] = op.forward(p, momentum_buffer=momentum_buffer, **a)
    if not p.momentum or momentum_buffer is None:
        return right
    g = (1.0 - p.dampening) * sloped(p, a["param"], a["gradient"])
    v = p.momentum * momentum_buffer + p.lr * g
    return {"param": a["param"] - (p.momentum * v + p.lr * g if p.nesterov else v), "momentum_buffer": v}


def _old_velocity(op: Any, p: Params, momentum_buffer: Array | None = None, **a: Array) -> dict[str, Array]:
    right: dict[str, Array] = op.forward(p, momentum_buffer=momentum_buffer, **a)
    if not p.momentum or momentum_buffer is None:
        return right
    return {**right, "param": a["param"] - p.lr * momentum_buffer}


OPS = (SGD(),)
