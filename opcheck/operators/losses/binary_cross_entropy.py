"""binary_cross_entropy: how improbable the right answer of a yes-or-no question is, for probabilities.

Where torch's gradient is not that of what torch computes (near 0 and 1, where it holds the logarithms at −100), the
definition declares torch's: the divisor x·(1−x) held at 1e-12 for the input, and for the target no bound at all.
"""

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
from opcheck.operators.shared.roundoff import BinaryCrossEntropyRounding
from opcheck.operators.spec import NEGLIGIBLE, Array, Case, Form, Input, Mistake, Refused, Shape
from opcheck.programs import kinks
from opcheck.tracing import detach, log, maximum, named, with_slope

LOWEST_LOG = -100.0
SMALLEST_DIVISOR = float(np.float32(1e-12))  # torch holds it in float32, also for float64


class BinaryCrossEntropy(BinaryLoss):
    name = "binary_cross_entropy"
    extremes = "certainties"  # whose logarithms meet a zero
    aliases = ("bce", "BCELoss", "nn.BCELoss")
    second_derivative = False  # torch adds 1e-12 to the divisor there, where the gradient holds it at 1e-12
    summary = "mean of −ln of the probability given to the right answer, yes or no"
    rounding = BinaryCrossEntropyRounding()
    formula = "L = (1/n)·Σ_i −w[i]·( t[i]·ln(x[i]) + (1 − t[i])·ln(1 − x[i]) )"
    closed = (
        *closed("input", "x̄", "(x[i] − t[i])/(x[i]·(1 − x[i]))"),
        *closed("target", "t̄", "(ln(1 − x[i]) − ln(x[i]))"),
    )
    example = "binary_cross_entropy([0.5, 0.25], [1, 0])", "array(0.49041463)"
    source = "Bishop, Pattern Recognition and Machine Learning (2006), equation 4.90; torch.nn.functional"
    arguments = (
        Input("input", "x", "*", "probabilities of yes", default="unit"),
        TARGET,
        WEIGHT,
        SIZE_AVERAGE,
        REDUCE,
        REDUCTION,
    )

    def check(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> None:
        for name, array in (("input", input), ("target", target)):
            wrong = array[~((array >= 0) & (array <= 1))]
            if wrong.size:
                raise Refused(
                    say("every number of {name} must be from 0 to 1", name=name),
                    got=f"{wrong[0]}",
                    fix=say("binary_cross_entropy_with_logits takes any input") if name == "input" else "",
                )

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (
            say("logarithms are clamped to at least −100, and x·(1−x) in the gradient to at least 1e-12, so that 0 "
                "and 1 stay finite"),
        )  # fmt: skip

    # --- definition -------------------------------------------------------------------------------------------

    def loss(self, p: Params, at: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        x, t = input[at], target[at]
        held_x, held_t = detach(x), detach(t)  # the loss itself has no slopes but those declared
        log_p = named("logp", maximum(log(held_x), LOWEST_LOG), at)
        log_q = named("logq", maximum(log(1 - held_x), LOWEST_LOG), at)
        loss = -(held_t * log_p + (1 - held_t) * log_q)
        loss = with_slope(loss, x, (x - t) / maximum(x * (1 - x), SMALLEST_DIVISOR))
        loss = with_slope(loss, t, log(1 - x) - log(x))
        return loss if weight is None else weight[broadcast_place(at, weight.shape)] * loss

    # --- fast reference ---------------------------------------------------------------------------------------

    def losses(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        yes, no, losses = np.asarray(np.log(input)), np.asarray(np.negative(input)), np.asarray(target - 1.0)
        np.maximum(yes, LOWEST_LOG, out=yes)
        np.maximum(np.log1p(no, out=no), LOWEST_LOG, out=no)
        losses *= no  # (t - 1)·no - t·yes, in place
        losses -= np.multiply(target, yes, out=yes)
        return np.asarray(losses if weight is None else losses * weight)

    def slopes(self, input: Array, target: Array) -> tuple[Array, Array]:
        """torch's."""
        by_input = (input - target) / np.maximum((1.0 - input) * input, SMALLEST_DIVISOR)
        return by_input, np.log1p(-input) - np.log(input)

    def unweighted(self, input: Any, target: Any) -> Any:
        x, t = kinks.detach(input), kinks.detach(target)
        loss = -(t * np.maximum(np.log(x), LOWEST_LOG) + (1 - t) * np.maximum(np.log(1 - x), LOWEST_LOG))
        by_input = kinks.formed(input - target) / np.maximum(input * (1 - input), SMALLEST_DIVISOR)
        by_target = np.log(1 - input) - np.log(input)
        return kinks.with_slope(kinks.with_slope(loss, input, by_input), target, by_target)

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice(SHAPES)
        x, t = chooser.unit(*shape), sampled_target(chooser, shape)
        if chooser.choice([False, True]):  # inputs that a sigmoid rounded to 0 and 1
            ends = chooser.classes(shape, (0, 1, 2))
            x = np.where(ends == 2, x, ends.astype(float))
        arrays = {"input": x, "target": t, **sampled_weights(chooser, shape, "weight")}
        return Case(self.name, arrays, dict(chooser.choice(REDUCTIONS)))

    forms = (
        Form(
            "logarithm_of_zero",
            "the logarithm of 0 is −∞, and 0·(−∞) is NaN: clamp the logarithm at −100, as torch does",
            "0 < x < 1",
            written(lambda input, target: _written(input, target, 0.0)),
        ),
        Form(
            "small_number_inside_the_logarithm",
            "a small number inside the logarithm, log(x + ε), changes the loss where x or 1 − x is tiny: clamp the "
            "logarithm at −100 instead, as torch does",
            "x and 1 − x are at least 0.001, and ε at most 1e-6",
            written(lambda input, target: _written(input, target, NEGLIGIBLE)),
        ),
        Form(
            "gradient_in_two_terms",
            "the gradient loses digits where its terms −t/x and (1 − t)/(1 − x) cancel, and is infinite at 0 and 1: "
            "use (x − t) / (x·(1 − x))",
            "0 < x < 1, and t is 0 or 1",
            written(lambda input, target: _written(input, target, 0.0)),
            lambda op, p, g, **a: _slopes(
                op, p, g, a, lambda x, t: -t / (x + NEGLIGIBLE) + (1 - t) / (1 - x + NEGLIGIBLE)
            ),
        ),
        Form(
            "small_number_in_the_divisor",
            "a small number in the divisor, x·(1 − x) + ε, changes the gradient where x is near 0 or 1",
            "x and 1 − x are at least 0.001, and ε at most 1e-6",
            written(lambda input, target: _written(input, target, 0.0)),
            lambda op, p, g, **a: _slopes(op, p, g, a, lambda x, t: (x - t) / (x * (1 - x) + NEGLIGIBLE)),
        ),
    )
    mistakes = (
        *REDUCTION_MISTAKES,
        *WEIGHT_MISTAKES,
        Mistake.with_size(
            "epsilon_inside_logarithm",
            "The number added inside the logarithm, log(x + ε), is so large that it changes every loss.",
            lambda ε, op, p, **a: _variant(op, p, lambda x, t: -(t * np.log(x + ε) + (1 - t) * np.log(1 - x + ε)), **a),
        ),
        Mistake(
            "minus_missing",
            "The minus sign in front of the loss is missing.",
            forward=lambda op, p, **a: -op.forward(p, **a),
        ),
        Mistake(
            "same_logarithm_twice",
            "The second term uses log x again; it is (1 − t)·log(1 − x).",
            forward=lambda op, p, **a: _variant(op, p, lambda x, t: -(t * _log(x) + (1 - t) * _log(x)), **a),
        ),
        Mistake(
            "minus_on_first_term_only",
            "The minus sign applies to the first term only; it belongs before the sum of both.",
            forward=lambda op, p, **a: _variant(op, p, lambda x, t: -t * _log(x) + (1 - t) * _log(1 - x), **a),
        ),
        Mistake(
            "first_term_only",
            "The term (1 − t)·log(1 − x) is missing: that is the loss for yes only.",
            forward=lambda op, p, **a: _variant(op, p, lambda x, t: -t * _log(x), **a),
        ),
        Mistake(
            "sigmoid_taken_again",
            "The input holds probabilities already; a sigmoid was applied to them.",
            forward=lambda op, p, input, **a: op.forward(p, input=1 / (1 + np.exp(-input)), **a),
        ),
        Mistake(
            "gradient_sign_flipped",
            "The gradient has the wrong sign: for the input it is (x − t) / (x·(1 − x)).",
            vjp=lambda op, p, g, **a: {name: -each for name, each in op.vjp(p, g, **a).items()},
        ),
    )


def _written(x: Any, t: Any, small: float) -> Any:
    """Every loss as textbooks write it, over arrays that may record."""
    return -(t * np.log(x + small) + (1 - t) * np.log(1 - x + small))


def _slopes(op: Any, p: Params, g: Any, arrays: dict[str, Any], slope: Any) -> dict[str, Any]:
    """The gradient by the input of every loss, from its slope over arrays that may record."""
    x, t = arrays["input"], arrays["target"]
    each = g / op.losses_divisor(p, x.shape) if p.reduction == "mean" else g
    return {"input": each * slope(x, t) * arrays.get("weight", 1.0)}


def _log(x: Array) -> Array:
    return np.maximum(np.log(x), LOWEST_LOG)


def _variant(op: Any, p: Params, loss: Any, input: Array, target: Array, weight: Any = None) -> Array:
    with np.errstate(all="ignore"):
        losses = loss(input, target) * (1.0 if weight is None else weight)
    return np.asarray(op.reduced(p, losses, {"input": input, "target": target}))


OPS = (BinaryCrossEntropy(),)
