"""batch_norm: every channel is brought to mean 0 and variance 1 over the batch, or by statistics that are kept."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.normalisation import base
from opcheck.operators.normalisation.base import (
    ONE_PASS,
    RIGHT,
    Statistics,
    moments,
    on_channel,
    scale,
    standardised,
    statistics,
    weighted,
)
from opcheck.operators.params import Flag, Real
from opcheck.operators.program import EitherWay, Program
from opcheck.operators.spec import Array, Case, Closed, Input, Mistake, Output, Param, Params, Refused, Shape
from opcheck.programs.kinks import detach
from opcheck.tracing import named, sqrt

LOWEST = -1e300


def _by_channel(p: Params, name: str, array: Array) -> Array:
    """All numbers of a channel in a column; one number for each channel as a row."""
    return array[None] if array.ndim == 1 else np.moveaxis(array, 1, -1).reshape(1, -1, array.shape[1])


def _training(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    x = shapes["input"]
    return {"n": math.prod(x) // max(1, x[1]), "ε": p.eps, "w": 1} if p.training else None


def _evaluation(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return None if p.training else {"ε": p.eps, "w": 1}


class BatchNorm(Program):
    """In training the statistics are those of the batch, and the running ones, where they are given, move towards them:
    running = (1 − momentum)·running + momentum·new, with the unbiased variance (divided by n − 1) for running_var and
    the biased one inside. In evaluation the running ones are used and stay.

    torch updates the running statistics in place; here return_updated=True returns them after the output. They take no
    part in differentiation. One number per channel is refused in training. An empty batch has no statistics: torch
    leaves open what it writes then, and opcheck does not check it.
    """

    name = "batch_norm"
    taught = dict.fromkeys(("training", "running_mean", "running_var", "weight", "bias"), (True, False))
    aliases = ("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d", "BatchNorm1d", "BatchNorm2d", "batchnorm")
    summary = "every channel gets mean 0 and variance 1 over the batch, or is normalised with running statistics"
    formula = (
        "y[i,c] = w[c]·(x[i,c] − μ[c])/σ[c] + b[c]   with μ[c] = (1/n)·Σ_i x[i,c], "
        "σ[c] = √((1/n)·Σ_i (x[i,c] − μ[c])² + ε)"
    )
    closed = (
        Closed(
            "input",
            "x̄[i,c] = w[c]/σ[c]·(ȳ[i,c] − (Σ_k ȳ[k,c])/n − h[i,c]·(Σ_k ȳ[k,c]·h[k,c])/n)   with h[i,c] = "
            "(x[i,c] − μ[c])/σ[c], σ[c] = √((Σ_k (x[k,c] − μ[c])²)/n + ε), μ[c] = (Σ_k x[k,c])/n",
            _training, _by_channel,
        ),
        Closed(
            "weight",
            "w̄[c] = Σ_i ȳ[i,c]·(x[i,c] − μ[c])/σ[c]   with σ[c] = √((Σ_k (x[k,c] − μ[c])²)/n + ε), "
            "μ[c] = (Σ_k x[k,c])/n",
            _training, _by_channel,
        ),
        Closed("input", "x̄[i,c] = w[c]·ȳ[i,c]/√(v[c] + ε)", _evaluation, _by_channel),
        Closed("bias", "b̄[c] = Σ_i ȳ[i,c]", rows=_by_channel),
    )  # fmt: skip
    source = (
        "Ioffe and Szegedy, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2; torch.nn.functional.batch_norm"
    )
    example = (
        "batch_norm([[1, 10]], [1, 8], [0, 3], eps=1)",
        "array([[0., 1.]])",
    )
    # Σ ȳ·(x − μ) loses digits where x is far from μ, and Σ ȳ·x − μ·Σ ȳ where Σ ȳ is not small
    rounding = EitherWay(apart=True)
    arguments = (
        Input("input", "x", "N C *", "rows of C numbers, or images with any number of dimensions"),
        Input("running_mean", "m", "C", "the running mean of each channel", optional=True, differentiable=False,
              default="half", explicit=True),
        Input("running_var", "v", "C", "the variance of each channel that is kept", optional=True,
              differentiable=False, default="ones", explicit=True),
        base.weight("C", "one factor for each channel"),
        base.bias("C", "one number for each channel, added at the end"),
        Param("training", False, Flag(), "whether to use the statistics of the batch", example=True),
        Param("momentum", 0.1, Real(), "how far the running statistics move towards the new ones"),
        base.EPS,
    )  # fmt: skip
    outputs = (
        Output("output", "y", "N C *", upstream="squares"),
        Output("running_mean", "m′", "C", differentiable=False, updates=True),
        Output("running_var", "v′", "C", differentiable=False, updates=True),
    )

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x = shapes["input"]
        if len(x) < 2:
            raise Refused(say("input must have a batch and channels, (N, C, ...)"), got=say("input {x}", x=x))
        kept = [name for name in ("running_mean", "running_var") if name in shapes]
        if len(kept) == 1:
            raise Refused(say("running_mean and running_var go together"), got=say("{name} alone", name=kept[0]))
        if not p.training and not kept:
            raise Refused(say("without training, batch_norm needs running_mean and running_var"),
                          fix=say("give both, or training=True for the statistics of the batch"))  # fmt: skip
        if p.training and x[0] * int(np.prod(x[2:])) == 1:
            raise Refused(say("in training every channel must have more than one number"), got=say("input {x}", x=x))
        if p.training and p.eps <= 0:
            raise Refused(say("eps must be above 0 in training"), got=f"eps={p.eps}")
        for name in ("running_mean", "running_var", "weight", "bias"):
            if shapes.get(name, x[1:2]) != x[1:2]:
                raise Refused(say("{name} must have one number for each of the {n} channels", name=name, n=x[1]),
                              got=say("{name} {shape}", name=name, shape=shapes[name]))  # fmt: skip
        return {"output": x, **(dict.fromkeys(kept, x[1:2]) if p.training else {})}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (3, 2)

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        return self.formula if p.training else "y[i,c] = w[c]·(x[i,c] − m[c])/σ[c] + b[c]   with σ[c] = √(v[c] + ε)"

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if not p.training:
            return (say("evaluation: mean and variance are the running ones, m and v"),)
        moved = (say("m′ = (1 − momentum)·m + momentum·μ; v′ takes the variance divided by n − 1"),)
        return (
            say("training: i runs over the batch and all positions; μ and σ are those of the batch"),
            *(moved if "running_mean" in shapes else ()),
        )

    # --- definition -------------------------------------------------------------------------------------------

    def element(
        self, p: Params, at: Shape, *, input: Any, running_mean: Any = None, running_var: Any = None,
        weight: Any = None, bias: Any = None,
    ) -> Any:  # fmt: skip
        sizes = input.shape
        c = at[0] if len(at) == 1 else at[1]
        channel = [(n, c, *place) for n in range(sizes[0]) for place in np.ndindex(*sizes[2:])]
        if len(at) == 1:
            mean, squares = statistics(input, channel)
            moved = {"running_mean": (running_mean, mean), "running_var": (running_var, squares / (len(channel) - 1))}
            return {name: (1 - p.momentum) * old[c] + p.momentum * new for name, (old, new) in moved.items()}
        if p.training:
            return {"output": on_channel(standardised(input, at, channel, p.eps), c, weight, bias)}
        root = input.once(("σ", c), lambda: named("σ", sqrt(running_var[c] + p.eps), (c,)))
        return {"output": on_channel((input[at] - running_mean[c]) / root, c, weight, bias)}

    # --- program ----------------------------------------------------------------------------------------------

    def program(
        self, p: Params, *, input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
        bias: Any = None, form: Statistics = RIGHT, kept: int = 1, axes: tuple[int, ...] | None = None,
        apart: bool = False,
    ) -> Any:  # fmt: skip
        """kept: what the variance that is kept is divided by n minus; axes: of a mistake, those of other statistics;
        apart: the mean is subtracted first, in a step of its own."""
        along = (1, -1, *[1] * (input.ndim - 2))
        w, b = (each if each is None else each.reshape(along[1:]) for each in (weight, bias))
        if not p.training:
            mean, variance = detach(running_mean).reshape(along[1:]), detach(running_var).reshape(along[1:])
            variance = np.where(np.less(variance, LOWEST), np.nan, variance)  # as a power, that of −∞ would be 0
            x, m = (input - mean, 0 * mean) if apart else (input, mean)
            return {"output": weighted(x, m, scale(variance, p.eps, form), w, b)}
        every = tuple(k for k in range(input.ndim) if k != 1)
        mean, variance = moments(input, every if axes is None else axes, form)
        results = {"output": weighted(input, mean * form.centred, scale(variance, p.eps, form), w, b)}
        if running_mean is None:
            return results
        n = int(np.prod([input.shape[k] for k in every]))
        mean, variance = moments(input, every)
        new = {"running_mean": (running_mean, mean), "running_var": (running_var, variance * (n / max(n - kept, 1)))}
        moved = {
            name: (1 - p.momentum) * old + p.momentum * detach(each).reshape(-1) for name, (old, each) in new.items()
        }
        return {**results, **moved}

    def sample(self, chooser: Chooser) -> Case:
        channels, n = chooser.choice((2, 3, 1)), chooser.choice((2, 3, 4, 1))
        sizes = chooser.choice(((), (2,), (3, 2), (2, 1, 2))) if n > 1 else chooser.choice(((2,), (3, 2)))
        arrays = {"input": chooser.array(n, channels, *sizes)}
        params: dict[str, Any] = {"training": chooser.choice((True, False))}
        if chooser.choice((True, False)) or not params["training"]:
            arrays |= {"running_mean": chooser.array(channels), "running_var": chooser.positive(channels)}
        for name in ("weight", "bias"):
            if chooser.choice((True, False)):
                arrays[name] = chooser.array(channels)
        params |= chooser.choice(({}, {"momentum": 0.5}, {"momentum": 1.0}, {"momentum": 0.25}))
        return Case(self.name, arrays, params | chooser.choice(({}, {"eps": 0.5}, {"eps": 1e-3})))

    forms = (ONE_PASS,)
    mistakes = (
        *base.MISTAKES,
        Mistake("statistics_of_each_row",
                "Mean and variance are taken per channel, over the batch; here they were taken per row, as in "
                "layer_norm.",
                lambda op, p, **a: op.program(p, **a, axes=tuple(range(1, a["input"].ndim)))),
        Mistake("statistics_over_the_batch_only",
                "A channel is averaged over all images and all positions; here only over the "
                "batch.", lambda op, p, **a: op.program(p, **a, axes=(0,))),
        Mistake("statistics_of_everything",
                "Every channel has a mean and a variance of its own; here all numbers were taken together.",
                lambda op, p, **a: op.program(p, **a, axes=tuple(range(a["input"].ndim)))),
        Mistake("running_variance_biased",
                "The running variance was updated with the variance divided by n; torch divides by n − 1.",
                lambda op, p, **a: op.program(p, **a, kept=0)),
        Mistake("momentum_the_other_way_round", "The new statistics have the factor momentum, the old ones 1 − "
                "momentum.",
                lambda op, p, **a: {**op.program(p.replace(momentum=1 - p.momentum), **a),
                                    "output": op.program(p, **a)["output"]}),
        Mistake("running_statistics_not_updated",
                "In training the running statistics move towards those of the batch; they were not "
                "updated.", lambda op, p, **a: {n: a.get(n, y) for n, y in op.program(p, **a).items()}),
        Mistake("running_statistics_used_in_training", "In training the statistics are those of the batch; the running "
                "ones "
                "were used.", lambda op, p, **a: {**op.program(p, **a), **_with_running(op, p, a)}),
        Mistake("batch_statistics_used_in_evaluation", "In evaluation the running statistics are used; those of the "
                "batch "
                "were.", lambda op, p, **a: {**op.program(p, **a), **_with_batch(op, p, a)}),
    )  # fmt: skip


def _with_running(op: Any, p: Params, a: dict[str, Array]) -> dict[str, Array]:
    found: dict[str, Array] = op.program(p.replace(training=False), **a) if "running_mean" in a else {}
    return found


def _with_batch(op: Any, p: Params, a: dict[str, Array]) -> dict[str, Array]:
    return {"output": op.program(p.replace(training=True), **a)["output"]}


OPS = (BatchNorm(),)
