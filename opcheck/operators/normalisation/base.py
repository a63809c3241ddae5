"""What normalisations share: numbers are centred and scaled by statistics over some axes, then weighted."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from opcheck.operators.params import Param, Params, Real
from opcheck.operators.spec import Array, Form, Input, Mistake, Shape
from opcheck.programs.sums import streamed_mean
from opcheck.tracing import named, sqrt, total

EPS = Param("eps", 1e-5, Real(), "added to the variance before the root", symbol="ε")


def weight(letters: str, help: str) -> Input:
    return Input("weight", "w", letters, help, optional=True)


def bias(letters: str, help: str) -> Input:
    return Input("bias", "b", letters, help, optional=True, default="half")


def row_letters(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """What the closed form of a gradient names: n numbers a row, ε, and a weight of 1 where none is given."""
    return {"n": math.prod(p.normalized_shape), "ε": p.eps, "w": 1}


def row_of(shapes: Mapping[str, Shape]) -> Shape:
    """The shape of a row beside arrays of these shapes: that of a weight or a bias, or the input's last dimension."""
    return shapes.get("weight") or shapes.get("bias") or shapes.get("input", ())[-1:]


def row_by_row(p: Params, name: str, array: Array) -> Array:
    """Rows of all numbers that are normalised together."""
    return array.reshape(-1, math.prod(p.normalized_shape))


def all_rows(p: Params, name: str, array: Array) -> Array:
    """The rows at once, below each other; a weight or a bias is one row for all of them."""
    size = math.prod(p.normalized_shape)
    return array.reshape(1, size) if name in ("weight", "bias") else array.reshape(1, -1, size)


class Statistics(NamedTuple):
    """How the statistics are computed; the defaults are right, and the others are what people write instead."""

    centred: bool = True  # of rms_norm it is not asked
    correction: int = 0
    eps: str = "inside"  # of the root, outside, squared or missing
    rooted: bool = True
    one_pass: bool = False  # whether the variance is E[x²] − E[x]²
    held: tuple[str, ...] = ()  # statistics that are taken for constants by differentiation


RIGHT = Statistics()


def moments(x: Any, axes: Sequence[int], form: Statistics = RIGHT) -> tuple[Any, Any]:
    """The mean over these axes and the biased variance about it, kept as axes of size 1."""
    mean = streamed_mean(x, tuple(axes), keepdims=True)
    if "mean" in form.held:
        mean = mean.detach()
    centred = x - mean
    count = int(np.prod([x.shape[k] for k in axes]))
    if form.one_pass:
        variance = np.mean(x * x, axis=tuple(axes), keepdims=True) - mean * mean
    else:
        variance = streamed_mean(centred * centred, tuple(axes), keepdims=True)
    if form.correction:
        variance = variance * (count / max(count - form.correction, 1))
    return mean, variance.detach() if "variance" in form.held else variance


def scale(variance: Any, eps: float, form: Statistics = RIGHT) -> Any:
    """One over the root of the variance and eps. Its slope is that of a power, −s³/2, which may overflow in float16."""
    inside = variance + {"inside": eps, "squared": eps * eps}.get(form.eps, 0.0)
    if form.eps == "outside":
        return 1.0 / (inside**0.5 + eps)
    return inside ** (-0.5 if form.rooted else -1.0)


def weighted(x: Any, mean: Any, scale: Any, weight: Any = None, bias: Any = None) -> Any:
    """x·s + (b − mean·s), with the weight in s: so do torch's kernels, and a bound of it holds for (x − mean)·s."""
    s = scale if weight is None else scale * weight
    shift = -(mean * s)
    return x * s + (shift if bias is None else shift + bias)


# --- definition: one element ------------------------------------------------------------------------------------------


def statistics(x: Any, row: Sequence[Shape]) -> tuple[Any, Any]:
    """The mean of a row, and the sum of the squares of its distances from it; one of each for a row."""

    def make() -> tuple[Any, Any]:
        mean = named("μ", total([x[place] for place in row]) / len(row), row[0])
        return mean, named("S", total([(x[place] - mean) ** 2 for place in row]), row[0])

    shared: tuple[Any, Any] = x.once(("row", row[0]), make)
    return shared


def standardised(x: Any, at: Shape, row: Sequence[Shape], eps: float) -> Any:
    """x[at] minus the mean of its row, over the root of the row's variance and eps."""
    mean, squares = statistics(x, row)
    deviation = x.once(("σ", row[0]), lambda: named("σ", sqrt(squares / len(row) + eps), row[0]))
    return (x[at] - mean) / deviation


def on_channel(y: Any, c: int, weight: Any, bias: Any) -> Any:
    """Weighted by the numbers of a channel, where these were given."""
    y = y if weight is None else y * weight[c]
    return y if bias is None else y + bias[c]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def formed(**wrong: Any) -> Callable[..., Any]:
    """The program with its statistics in another form."""
    return lambda op, p, **a: op.program(p, **a, form=RIGHT._replace(**wrong))


def held(*statistics: str) -> Callable[..., Any]:
    """The gradients with some statistics taken for constants."""
    return lambda op, p, g, **a: op.vjp_of(p, g, a, form=RIGHT._replace(held=statistics))


def without(*names: str) -> Callable[..., Any]:
    """The operator without some of its optional arrays."""
    return lambda op, p, **a: op.forward(p, **{name: array for name, array in a.items() if name not in names})


def gradient_averaged(name: str) -> Callable[..., Any]:
    """The gradient of an array that is used many times, as a mean."""

    def vjp(op: Any, p: Any, g: Any, **a: Any) -> Any:
        found = op.vjp(p, g, **a)
        every = max(1, a["input"].size // max(1, found[name].size)) if name in found else 1
        return {each: x / every if each == name else x for each, x in found.items()}

    return vjp


def swapped(op: Any, p: Params, **a: Array) -> Any:
    """The operator with the bias for the weight, whose numbers are 0 and 1 where they are not given."""
    shape = tuple(p.normalized_shape) if "normalized_shape" in p else a["input"].shape[1:2]
    given = {"weight": np.ones(shape), "bias": np.zeros(shape), **a}
    return op.forward(p, **{**given, "weight": given["bias"], "bias": given["weight"]})


ONE_PASS = Form(
    "variance_in_one_pass",
    "the variance as E[x²] − E[x]² loses digits where the mean is large: use the mean of (x − mean)²",
    "the mean is not much larger than the standard deviation",
    formed(one_pass=True),
    as_wide=True,
)
SCALE_MISTAKES = (
    Mistake("eps_outside_of_the_root", "The eps was added to the root; it belongs inside the root, added to the "
                                       "variance.",
            formed(eps="outside")),
    Mistake("eps_missing", "The eps was left out.", formed(eps="missing")),
    Mistake("eps_squared", "The eps was squared; it is added as it is.", formed(eps="squared")),
    Mistake("root_missing", "The numbers were divided by the variance, not by its root.", formed(rooted=False)),
    Mistake("weight_missing", "The weight was not used.", without("weight")),
    Mistake("variance_held_constant", "The variance depends on the input, too: its part of the gradient is missing.",
            vjp=held("variance")),
    Mistake("weight_gradient_averaged", "The weight gradient is the sum over all positions that use the weight, not "
                                        "the mean.", vjp=gradient_averaged("weight")),
)  # fmt: skip
SWAPPED = Mistake("weight_and_bias_swapped", "Weight and bias were swapped: the weight multiplies, the bias is added.",
                  swapped)  # fmt: skip
UNWEIGHTED = Mistake("weight_and_bias_missing", "Weight and bias were not used.", without("weight", "bias"))
MISTAKES = (
    *SCALE_MISTAKES,
    SWAPPED,
    UNWEIGHTED,
    Mistake("unbiased_variance", "The sum of squares was divided by n − 1; a normalisation divides by n.",
            formed(correction=1)),
    Mistake("bias_missing", "The bias was not added.", without("bias")),
    Mistake("mean_not_subtracted", "The mean was not subtracted.",
            formed(centred=False)),
    Mistake("mean_held_constant", "The mean depends on the input, too: its part of the gradient is missing.",
            vjp=held("mean")),
    Mistake("statistics_held_constant", "Mean and variance depend on the input, too: the gradient is more than g·w/σ.",
            vjp=held("mean", "variance")),
    Mistake("bias_gradient_averaged", "The bias gradient is the sum over all positions that use the bias, not the "
                                      "mean.",
            vjp=gradient_averaged("bias")),
)  # fmt: skip
