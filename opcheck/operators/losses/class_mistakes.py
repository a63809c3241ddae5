"""Mistakes that people make in losses of classes, and the forms in which they write what is right."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators.losses.classes import by_row, classes
from opcheck.operators.params import Params
from opcheck.operators.spec import NEGLIGIBLE, Array, Form, Mistake
from opcheck.programs import kinks


@np.errstate(all="ignore")
def _divided_by(op: Any, p: Params, count: Any, **arrays: Array) -> Array:
    """A mistake's mean, which divides by another number."""
    if p.reduction != "mean":
        return np.asarray(op.forward(p, **arrays))
    return np.asarray(op.forward(p.replace(reduction="sum"), **arrays) / np.float64(count))


def _counted_rows(op: Any, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Any:
    """The number of rows that count."""
    return op.losses_divisor(p, op.loss_shape(p, {"input": input.shape, "target": target.shape}), input=input,
                             target=target)  # fmt: skip


def _every_row(op: Any, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Any:
    """What a mean divides by if rows with ignore_index count like any other."""
    if weight is not None:
        return op.losses_divisor(p, (), input=input, target=target, weight=weight)
    return input.size // classes(input.shape)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _log_softmax(x: Array, maximum: Callable[[Array], Any] | None = None) -> Array:
    z = x - (x.max(axis=1, keepdims=True, initial=-np.inf) if maximum is None else maximum(x))
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def _shifted_by_columns(x: Array) -> Array:
    z = x - x.max(axis=0, keepdims=True, initial=-np.inf)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


@np.errstate(all="ignore")
def _from(op: Any, p: Params, log_p: Callable[[Array], Array], input: Array, **others: Array) -> Array:
    """The loss for other log-probabilities."""
    losses = op.from_log_p(p, log_p(by_row(input)), input=input, **others)
    return np.asarray(op.reduced(p, losses, {"input": input, **others}))


def _larger_smoothing(p: Params, input: Array, target: Array, weight: Array | None = None) -> Params:
    """ε/(C−1) for each other class is what a smoothing of ε·C/(C−1) gives them, and 1 − ε for the right one."""
    count = classes(input.shape)
    return p.replace(label_smoothing=p.label_smoothing * count / (count - 1)) if count > 1 else p


def _smoothing_without_weights(op: Any, p: Params, weight: Array | None = None, **others: Array) -> Array:
    if weight is None or not p.label_smoothing:
        return np.asarray(op.forward(p, weight=weight, **others))
    plain = op.forward(p.replace(label_smoothing=0.0), weight=weight, **others)
    uniform = op.forward(p.replace(label_smoothing=1.0), weight=None, **others)
    return np.asarray((1.0 - p.label_smoothing) * plain + p.label_smoothing * uniform)


def _one_hot(target: Array) -> Array:
    axis = min(1, target.ndim - 1)
    result = np.zeros(target.shape)
    if target.size:
        np.put_along_axis(result, target.argmax(axis=axis, keepdims=True), 1.0, axis=axis)
    return result


@np.errstate(all="ignore")
def _target_not_subtracted(op: Any, p: Params, g: Any, input: Array, target: Array, **weight: Array) -> Any:
    right = op.vjp(p, g, input=input, target=target, **weight)
    share = op.shares(p, input=input, target=target, **weight)
    each = np.asarray(op.cotangent_of_each(p, g, {"input": input, "target": target, **weight}))
    each = each.reshape(share.shape[0], 1, share.shape[2]) if each.ndim else each
    return {**right, "input": right["input"] + (share * each).reshape(input.shape)}


# --- forms: over arrays that may record ---


def _top(x: Any, axis: Any) -> Any:
    """The maximum, which differentiation holds constant."""
    return kinks.detach(np.max(x, axis=axis, keepdims=True)) if 0 not in x.shape else 0.0


def _shares(e: Any) -> Any:
    return e / e.sum(axis=1, keepdims=True)


def _log_sum(z: Any) -> Any:
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _written(log_p: Callable[[Any], Any]) -> Callable[..., Any]:
    """The loss with its log-probabilities written in another form."""
    return lambda op, p, **a: op.collected(p, op.losses_program(p, **a, log_p=log_p), a)


LOGIT_FORMS = (  # of cross_entropy
    Form(
        "maximum_not_subtracted",
        "the exponentials overflow for large logits, or vanish for very negative ones: subtract the maximum of each "
        "row first",
        "|x| < 80",
        _written(_log_sum),
    ),
    Form(
        "maximum_of_the_whole_array",
        "the maximum of the whole array was subtracted, so that a row far below it underflows to log 0: subtract the "
        "maximum of each row",
        "no two rows are further apart than 80",
        _written(lambda x: _log_sum(x - _top(x, None))),
    ),
    Form(
        "logarithm_of_softmax",
        "the logarithm of a softmax that underflowed to 0 is −∞, and loses digits where it is near 1: use "
        "x − max − log Σ exp(x − max)",
        "every probability is 0.001 to 0.999",
        _written(lambda x: np.log(_shares(np.exp(x - _top(x, 1))))),
    ),
    Form(
        "small_number_inside_the_logarithm",
        "a small number inside the logarithm, log(p + ε), changes the loss where p is tiny: use "
        "x − max − log Σ exp(x − max)",
        "the probability of the right class is at least 0.001, and ε at most 1e-6",
        _written(lambda x: np.log(_shares(np.exp(x - _top(x, 1))) + NEGLIGIBLE)),
    ),
)


# --- the tables -----------------------------------------------------------------------------------------------------

CLASS_MISTAKES = (
    Mistake(
        "ignored_rows_counted",
        "Rows with ignore_index add nothing to the sum, so the mean must not count them either.",
        forward=lambda op, p, **a: _divided_by(op, p, _every_row(op, p, **a), **a),
    ),
    Mistake(
        "weighted_mean_divided_by_rows",
        "A weighted mean is divided by the sum of the weights of the right classes, not by the number of rows.",
        forward=lambda op, p, **a: _divided_by(op, p, _counted_rows(op, p, **a), **a),
    ),
    Mistake(
        "class_weights_ignored",
        "The weight of each class was not used.",
        forward=lambda op, p, input, target, weight=None: op.forward(p, input=input, target=target),
    ),
)

LOGIT_MISTAKES = (  # of cross_entropy
    Mistake(
        "maximum_over_the_batch",
        "The maximum of each column was subtracted, which changes the result; the maximum of each row does not.",
        forward=lambda op, p, **a: _from(op, p, _shifted_by_columns, **a),
    ),
    Mistake(
        "minus_missing",
        "The minus sign in front of the loss is missing.",
        forward=lambda op, p, **a: -op.forward(p, **a),
    ),
    Mistake(
        "softmax_over_wrong_axis",
        "Softmax was taken over the batch; it goes over the classes, the second dimension.",
        forward=lambda op, p, **a: _from(op, p, lambda x: _log_softmax(x.swapaxes(0, 1)).swapaxes(0, 1), **a),
    ),
    Mistake(
        "softmax_twice",
        "Softmax was applied to the input first; cross_entropy takes logits and applies it itself.",
        forward=lambda op, p, **a: _from(op, p, lambda x: _log_softmax(_softmax(x)), **a),
    ),
    Mistake(
        "softmax_missing",
        "The logits were used as log-probabilities: softmax is missing.",
        forward=lambda op, p, **a: _from(op, p, lambda x: x, **a),
    ),
    Mistake.with_size(
        "epsilon_inside_logarithm",
        "The number added inside the logarithm, log(p + ε), is so large that it changes every loss.",
        lambda ε, op, p, **a: _from(op, p, lambda x: np.log(_softmax(x) + ε), **a),
    ),
    Mistake(
        "mean_over_classes",
        "The mean was also taken over the classes: each row has one loss, not one per class.",
        forward=lambda op, p, input, **a: (
            op.forward(p, input=input, **a) / (max(1, classes(input.shape)) if p.reduction == "mean" else 1)
        ),
    ),
    Mistake(
        "smoothing_left_out",
        "The targets were not smoothed: label_smoothing was not used.",
        forward=lambda op, p, **a: op.forward(p.replace(label_smoothing=0.0), **a),
    ),
    Mistake(
        "smoothing_over_other_classes",
        "The smoothing was shared among the C − 1 other classes; the right class gets a share too.",
        forward=lambda op, p, **a: op.forward(_larger_smoothing(p, **a), **a),
    ),
    Mistake(
        "smoothing_without_class_weights",
        "The smoothing term is weighted too: each class's −log p is multiplied by its own weight.",
        forward=lambda op, p, **a: _smoothing_without_weights(op, p, **a),
    ),
    Mistake(
        "probabilities_taken_for_classes",
        "Only the most probable class of each target was used; probabilities weigh the −log p of every class.",
        forward=lambda op, p, input, target, **a: op.forward(
            p, input=input, target=_one_hot(target) if input.shape == target.shape else target, **a
        ),
    ),
    Mistake(
        "one_hot_not_subtracted",
        "The gradient is softmax minus the target's probabilities; the target was not subtracted.",
        vjp=lambda op, p, g, **a: _target_not_subtracted(op, p, g, **a),
    ),
)
