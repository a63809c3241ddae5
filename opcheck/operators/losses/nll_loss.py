"""nll_loss: the negated log-probability of the right class."""

from typing import Any

import numpy as np

from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import REDUCE, REDUCTION, REDUCTION_MISTAKES, REDUCTIONS, SIZE_AVERAGE
from opcheck.operators.losses.class_mistakes import CLASS_MISTAKES
from opcheck.operators.losses.classes import (
    IGNORE_INDEX,
    WEIGHT,
    ClassLoss,
    Rows,
    by_row,
    class_of,
    classes,
    closed,
    of_right_classes,
    place,
    rows_of,
    sampled_target,
)
from opcheck.operators.shared.roundoff import ClassRounding
from opcheck.operators.spec import Array, Case, Input, Mistake, Params, Shape


class NLLLoss(ClassLoss):
    name = "nll_loss"
    aliases = ("nll", "NLLLoss", "nn.NLLLoss", "negative_log_likelihood")
    summary = "mean of the negated log-probabilities of the right classes"
    rounding = ClassRounding(logits=False)
    formula = "ℓ[n] = −w[t[n]]·x[n,t[n]],   L = Σ_n ℓ[n] / Σ_n w[t[n]]"
    closed = closed("−[c = t[n]]")
    example = "nll_loss([[-0.5, -1.0]], [1])", "array(1.)"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 5.5; torch.nn.functional.nll_loss"
    arguments = (
        Input(
            "input",
            "x",
            "N C *",
            "log-probabilities: one row of C for each example, or a single row",
            default="negative",
        ),
        Input("target", "t", "N *", "the right classes, counted from 0", differentiable=False, whole=True),
        WEIGHT,
        SIZE_AVERAGE,
        IGNORE_INDEX,
        REDUCE,
        REDUCTION,
    )

    def loss(self, p: Params, at: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        c = class_of(target, at)
        if c == p.ignore_index:
            return 0.0
        log_p = input[place(at, c)]
        return -log_p if weight is None else -(weight[c] * log_p)

    def losses(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        rows = Rows(p, input, target, weight)
        return rows.kept(-(rows.w * rows.right(by_row(input)))).reshape(rows_of(input.shape))

    def losses_vjp(
        self, p: Params, cotangent: Any, *, input: Array, target: Array, weight: Array | None = None
    ) -> dict[str, Array]:
        rows = Rows(p, input, target, weight)
        gradient = np.zeros(by_row(input).shape)
        rows.add_to_right(gradient, -rows.w * rows.of(cotangent))
        return {"input": gradient.reshape(input.shape)}

    def losses_jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, target: Array, weight: Array | None = None
    ) -> Array:
        return self.losses(p, input=tangents["input"], target=target, weight=weight)

    def losses_program(self, p: Params, *, input: Any, target: Array, weight: Any = None) -> Any:
        return np.reshape(of_right_classes(p, by_row(input), target, weight), rows_of(input.shape))

    def shares(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        """What each −log p is multiplied by in the sum of the losses, as (N, C, D): for error bounds."""
        rows = Rows(p, input, target, weight)
        shares = np.zeros(by_row(input).shape)
        rows.add_to_right(shares, rows.w)
        return shares

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice([(2, 3), (3,), (1, 2), (4, 5), (0, 3), (2, 1), (2, 3, 4), (1, 4, 1, 2), (2, 3, 1, 2, 1)])
        params: dict[str, Any] = dict(chooser.choice(REDUCTIONS))
        target = sampled_target(chooser, shape, params)
        arrays = {"input": chooser.array(*shape), "target": target}
        if chooser.choice([False, True]):
            arrays["weight"] = chooser.positive(classes(shape))
        return Case(self.name, arrays, params)

    mistakes = (
        *REDUCTION_MISTAKES,
        *CLASS_MISTAKES,
        Mistake(
            "sign_missing",
            "The log-probabilities were not negated: the loss must fall as they rise.",
            forward=lambda op, p, **a: -op.forward(p, **a),
        ),
        Mistake(
            "logarithm_taken_again",
            "The input holds log-probabilities already, and their logarithm was taken again.",
            forward=lambda op, p, input, **a: op.forward(p, input=_log(input), **a),
        ),
        Mistake(
            "gradient_to_every_class",
            "Only the right class of a row has a gradient; here every class got it.",
            vjp=lambda op, p, g, input, **a: _to_every_class(op.vjp(p, g, input=input, **a)["input"]),
        ),
    )


def _log(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.log(x))


def _to_every_class(gradient: Array) -> dict[str, Array]:
    axis = min(1, gradient.ndim - 1)
    return {"input": np.zeros(gradient.shape) + gradient.sum(axis=axis, keepdims=True)}


OPS = (NLLLoss(),)
