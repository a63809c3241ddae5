"""binary_cross_entropy_with_logits: binary cross-entropy of the probabilities that a sigmoid makes of logits."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import (
    REDUCE,
    REDUCTION,
    REDUCTION_MISTAKES,
    REDUCTIONS,
    SIZE_AVERAGE,
    broadcast_place,
    closed,
)
from opcheck.operators.losses.binary import (
    SHAPES,
    TARGET,
    WEIGHT,
    WEIGHT_MISTAKES,
    BinaryLoss,
    sampled_target,
    sampled_weights,
    written,
)
from opcheck.operators.params import Params
from opcheck.operators.shared import elementwise
from opcheck.operators.shared.roundoff import LogitsRounding
from opcheck.operators.spec import NEGLIGIBLE, Array, Case, Form, Input, Mistake, Shape
from opcheck.programs import elementwise as arrays
from opcheck.programs import kinks
from opcheck.tracing import detach, exp, log1p, minimum, named, sigmoid, with_slope


class BinaryCrossEntropyWithLogits(BinaryLoss):
    name = "binary_cross_entropy_with_logits"
    extremes = "logits"
    aliases = ("bce_with_logits", "BCEWithLogitsLoss", "nn.BCEWithLogitsLoss", "sigmoid_cross_entropy")
    summary = "binary cross-entropy of sigmoid(input), without its overflow"
    rounding = LogitsRounding()
    formula = "L = (1/n)·Σ_i −w[i]·( p[i]·t[i]·ln(σ(x[i])) + (1 − t[i])·ln(1 − σ(x[i])) )"
    closed = (*closed("input", "x̄", "(σ(x[i]) − t[i])"), *closed("target", "t̄", "−x[i]"))
    example = "binary_cross_entropy_with_logits([0, 2], [1, 0])", "array(1.4100376)"
    source = (
        "Bishop, Pattern Recognition and Machine Learning (2006), equations 4.90 and 4.91; "
        "torch.nn.functional.binary_cross_entropy_with_logits"
    )
    arguments = (
        Input("input", "x", "*", "logits"),
        TARGET,
        WEIGHT,
        SIZE_AVERAGE,
        REDUCE,
        REDUCTION,
        WEIGHT._replace(name="pos_weight", symbol="p", help="a factor for the term of yes, broadcast if needed"),
    )

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (
            say("ln σ(x) = min(x, 0) − ln(1 + exp(−|x|)), where exp cannot overflow, and ln(1 − σ(x)) = ln σ(x) − x"),
        )

    # --- definition -------------------------------------------------------------------------------------------

    def loss(self, p: Params, at: Shape, *, input: Any, target: Any, weight: Any = None, pos_weight: Any = None) -> Any:
        x, t = input[at], target[at]
        held_x, held_t = detach(x), detach(t)  # the loss itself has no slopes but those declared
        log_sigma = named("logσ", _log_sigma(held_x), at)
        if pos_weight is None:
            loss = (1 - held_t) * held_x - log_sigma
            by_input, by_target = sigmoid(x) - t, -x
        else:
            factor = pos_weight[broadcast_place(at, pos_weight.shape)]
            loss = (1 - held_t) * held_x - (factor * held_t + 1 - held_t) * log_sigma
            by_input = (factor * t + 1 - t) * sigmoid(x) - factor * t
            by_target = _log_sigma(-x) - factor * _log_sigma(x)
        loss = with_slope(with_slope(loss, x, by_input), t, by_target)
        return loss if weight is None else weight[broadcast_place(at, weight.shape)] * loss

    # --- fast reference ---------------------------------------------------------------------------------------

    def losses(
        self, p: Params, *, input: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None
    ) -> Array:
        log_sigma, rest = np.asarray(np.minimum(input, 0.0)), np.asarray(np.abs(input))
        np.exp(np.negative(rest, out=rest), out=rest)
        log_sigma -= np.log1p(rest, out=rest)
        if pos_weight is not None:
            log_sigma = log_sigma * (1.0 + (pos_weight - 1.0) * target)
        losses = np.subtract(1.0, target, out=rest)  # in memory that is used already
        losses *= input
        losses -= log_sigma
        return np.asarray(losses if weight is None else losses * weight)

    def slopes(self, input: Array, target: Array, pos_weight: Array | None = None) -> tuple[Array, Array]:
        if pos_weight is None:
            return elementwise.sigmoid(input) - target, -input
        yes, rest = pos_weight * target, np.log1p(np.exp(-np.abs(input)))
        by_target = np.minimum(-input, 0.0) - rest - pos_weight * (np.minimum(input, 0.0) - rest)
        return (yes + 1.0 - target) * elementwise.sigmoid(input) - yes, by_target

    def unweighted(self, input: Any, target: Any, pos_weight: Any = None) -> Any:
        x, t = kinks.detach(input), kinks.detach(target)
        if pos_weight is None:
            loss = (1 - t) * x - _log_sigma_of(x)
            by_input, by_target = arrays.sigmoid(input) - target, -input
        else:
            loss = (1 - t) * x - (pos_weight * t + 1 - t) * _log_sigma_of(x)
            by_input = (pos_weight * target + 1 - target) * arrays.sigmoid(input) - pos_weight * target
            by_target = _log_sigma_of(-input) - pos_weight * _log_sigma_of(input)
        return kinks.with_slope(kinks.with_slope(loss, input, by_input), target, by_target)

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice(SHAPES)
        arrays = {"input": chooser.array(*shape), "target": sampled_target(chooser, shape)}
        arrays |= sampled_weights(chooser, shape, "weight", "pos_weight")
        return Case(self.name, arrays, dict(chooser.choice(REDUCTIONS)))

    forms = (
        Form(
            "logarithm_of_sigmoid",
            "the sigmoid rounds to 0 or 1 for large logits, and then its logarithm is −∞: use "
            "max(x, 0) − x·t + log(1 + exp(−|x|))",
            "|x| < 7",
            written(lambda **a: _written(_sigma(a["input"]), 0.0, **a)),
        ),
        Form(
            "small_number_inside_the_logarithm",
            "a small number inside the logarithm, log(σ(x) + ε), changes the loss for large logits: use "
            "max(x, 0) − x·t + log(1 + exp(−|x|))",
            "|x| < 7, and ε at most 1e-6",
            written(lambda **a: _written(_sigma(a["input"]), NEGLIGIBLE, **a)),
        ),
        Form(
            "exponential_not_bounded",
            "log(1 + exp(−x)) overflows for very negative logits: use max(x, 0) − x·t + log(1 + exp(−|x|))",
            "|x| < 16",
            written(lambda **a: _unbounded(**a)),
        ),
        Form(
            "gradient_by_the_chain_rule",
            "the gradient by the chain rule divides by σ(x)·(1 − σ(x)), which rounds to 0 for large logits: use "
            "σ(x) − t",
            "|x| < 7",
            written(lambda **a: _written(_sigma(a["input"]), 0.0, **a)),
            lambda op, p, g, **a: _chained(op, p, g, **a),
        ),
    )
    mistakes = (
        *REDUCTION_MISTAKES,
        *WEIGHT_MISTAKES,
        Mistake(
            "sigmoid_missing",
            "The logits were used as probabilities: the sigmoid is missing.",
            forward=lambda op, p, **a: _variant(op, p, lambda x: x, **a),
        ),
        Mistake.with_size(
            "epsilon_inside_logarithm",
            "The number added inside the logarithm, log(σ(x) + ε), is so large that it changes every loss.",
            lambda ε, op, p, **a: _variant(op, p, elementwise.sigmoid, ε=ε, **a),
        ),
        Mistake(
            "minus_missing",
            "The minus sign in front of the loss is missing.",
            forward=lambda op, p, **a: -op.forward(p, **a),
        ),
        Mistake(
            "sigmoid_twice",
            "A sigmoid was applied to the input first; with_logits takes logits and applies it itself.",
            forward=lambda op, p, input, **a: op.forward(p, input=elementwise.sigmoid(input), **a),
        ),
        Mistake(
            "pos_weight_on_both_terms",
            "The factor pos_weight belongs to the term of yes only, t·log σ(x); both terms got it.",
            forward=lambda op, p, **a: _on_both_terms(op, p, **a),
        ),
        Mistake(
            "pos_weight_ignored",
            "The factor pos_weight was not used.",
            forward=lambda op, p, pos_weight=None, **a: op.forward(p, **a),
        ),
        Mistake(
            "gradient_without_sigmoid",
            "The gradient is σ(x) − t; the sigmoid is missing.",
            vjp=lambda op, p, g, **a: _without_sigmoid(op, p, g, **a),
        ),
        Mistake(
            "gradient_times_sigmoid_slope",
            "The gradient was multiplied by σ(x)·(1 − σ(x)), which cancels: it is σ(x) − t.",
            vjp=lambda op, p, g, input, **a: _times(op.vjp(p, g, input=input, **a), _sigmoid_slope(input)),
        ),
    )


def _log_sigma(x: Any) -> Any:
    """The definition's logarithm of σ(x), whose exponential cannot overflow."""
    return minimum(x, 0) - log1p(exp(-abs(x)))


def _log_sigma_of(x: Any) -> Any:
    """The same over arrays that record."""
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _sigma(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _written(y: Any, small: float, *, input: Any, target: Any, pos_weight: Any = 1.0) -> Any:
    """Every loss from probabilities y, over arrays that may record."""
    return -(pos_weight * target * np.log(y + small) + (1 - target) * np.log(1 - y + small))


def _unbounded(*, input: Any, target: Any, pos_weight: Any = 1.0) -> Any:
    """Every loss by log(1 + exp(−x)), over arrays that may record."""
    return (1 - target) * input + (pos_weight * target + 1 - target) * np.log(1 + np.exp(-input))


def _chained(op: Any, p: Params, g: Any, *, input: Any, target: Any, **weights: Any) -> dict[str, Any]:
    """The gradient of the loss by the probabilities, times theirs by the logits; over arrays that may record."""
    y, yes = _sigma(input), weights.get("pos_weight", 1.0) * target
    each = g / op.losses_divisor(p, input.shape) if p.reduction == "mean" else g
    by_probability = (1 - target) / (1 - y) - yes / y
    return {"input": each * by_probability * (y * (1 - y)) * weights.get("weight", 1.0)}


def _variant(
    op: Any, p: Params, probability: Any, input: Array, target: Array, ε: float = 0.0, **weights: Array
) -> Array:
    """The loss with other probabilities, by its textbook formula."""
    x = probability(input)
    with np.errstate(all="ignore"):
        losses = -(weights.get("pos_weight", 1.0) * target * np.log(x + ε) + (1.0 - target) * np.log(1.0 - x + ε))
    return np.asarray(op.reduced(p, losses * weights.get("weight", 1.0), {"input": input, "target": target}))


def _on_both_terms(op: Any, p: Params, pos_weight: Any = None, weight: Any = None, **others: Array) -> Array:
    if pos_weight is None:
        return np.asarray(op.forward(p, weight=weight, **others))
    return np.asarray(op.forward(p, weight=pos_weight * (1.0 if weight is None else weight), **others))


def _without_sigmoid(op: Any, p: Params, g: Any, input: Array, **others: Array) -> dict[str, Array]:
    right: dict[str, Array] = op.vjp(p, g, input=input, **others)
    with np.errstate(all="ignore"):
        slope, _ = op.slopes(input, **{name: array for name, array in others.items() if name != "weight"})
        return _times(right, (input - others["target"]) / slope)


def _sigmoid_slope(x: Array) -> Array:
    return elementwise.sigmoid(x) * elementwise.sigmoid(-x)


def _times(gradients: dict[str, Array], factor: Any) -> dict[str, Array]:
    return {**gradients, "input": gradients["input"] * factor}


OPS = (BinaryCrossEntropyWithLogits(),)
