"""layer_norm: the numbers of each row get mean 0 and variance 1, then a weight and a bias."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.normalisation.base import (
    SWAPPED,
    UNWEIGHTED,
    all_rows,
    row_by_row,
    row_letters,
    row_of,
    without,
)
from opcheck.operators.params import REQUIRED, Real, Sizes
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Closed, Form, Input, Mistake, Op, Output, Param, Params, Refused, Shape
from opcheck.programs.sums import streamed_mean


def _axes(p: Params) -> tuple[int, ...]:
    return tuple(range(-len(p.normalized_shape), 0))


def _off(x: Array, axes: Any) -> tuple[Array, Array]:
    """How far each number is from the mean, and the variance."""
    d = x - x.mean(axis=axes, keepdims=True)
    return d, (d**2).mean(axis=axes, keepdims=True)


def _wrong(normalised: Callable[..., Array]) -> Callable[..., Array]:
    """A mistake in what comes before weight and bias."""

    def forward(op: Op, p: Params, *, input: Array, weight: Any = 1.0, bias: Any = 0.0) -> Array:
        if not input.size:
            return input
        with np.errstate(all="ignore"):
            return np.asarray(normalised(input, p.eps, _axes(p), *_off(input, _axes(p))) * weight + bias)

    return forward


def _held(op: Op, p: Params, g: Array, *, input: Array, **others: Array) -> dict[str, Array]:
    s = np.sqrt(_off(input, _axes(p))[1] + p.eps) if input.size else 1.0
    return {**op.vjp(p, g, input=input, **others), "input": g * others.get("weight", 1.0) / s}


def _one_pass(op: Op, p: Params, *, input: Any, weight: Any = 1.0, bias: Any = 0.0) -> Any:
    if not input.size:
        return input * 1.0
    μ = np.mean(input, axis=_axes(p), keepdims=True)
    v = np.mean(input * input, axis=_axes(p), keepdims=True) - μ * μ
    return (input - μ) / np.sqrt(v + p.eps) * weight + bias


class LayerNorm(Program):
    name = "layer_norm"
    taught = dict.fromkeys(("weight", "bias"), (True, False))
    aliases = ("nn.LayerNorm", "LayerNorm")
    summary = "the numbers of each row get mean 0 and variance 1, then a weight and a bias"
    formula = "y = (x − μ)/√(v + ε)·w + b   with μ = (1/n)·Σ_i x[i], v = (1/n)·Σ_i (x[i] − μ)²"
    closed = (
        Closed(
            "input",
            "x̄[i] = (g[i] − (Σ_k g[k])/n − h[i]·(Σ_k g[k]·h[k])/n)/s   with g[i] = w[i]·ȳ[i], h[i] = (x[i] − μ)/s, "
            "s = √((Σ_k (x[k] − μ)²)/n + ε), μ = (Σ_k x[k])/n",
            row_letters, row_by_row,
        ),
        Closed(
            "weight",
            "w̄[i] = Σ_r ȳ[r,i]·(x[r,i] − μ[r])/s[r]   with s[r] = √((Σ_k (x[r,k] − μ[r])²)/n + ε), "
            "μ[r] = (Σ_k x[r,k])/n",
            row_letters, all_rows,
        ),
        Closed("bias", "b̄[i] = Σ_r ȳ[r,i]", rows=all_rows),
    )  # fmt: skip
    source = "Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450, equation 4; torch.nn.functional.layer_norm"
    example = "layer_norm([1, 2, 3], (3,), eps=0)", "array([-1.22474487,  0.        ,  1.22474487])"
    arguments = (
        Input("input", "x", "*", "any leading dimensions, then those of normalized_shape"),
        Param("normalized_shape", REQUIRED, Sizes(), "the last dimensions, which are normalised", example=(3,)),
        Input("weight", "w", "*", "of shape normalized_shape; multiplies each number", optional=True),
        Input("bias", "b", "*", "of shape normalized_shape; added to each number", optional=True),
        Param("eps", 1e-5, Real(), "added to the variance, inside the root", symbol="ε"),
    )
    outputs = (Output("output", "y", "*", upstream="squares"),)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        last = p.normalized_shape
        for name, shape in shapes.items():
            if (shape[-len(last) :] if name == "input" else shape) != last:
                got = say("{name} {shape} and normalized_shape {last}", name=name, shape=shape, last=last)
                raise Refused(say("input ends with normalized_shape, and weight and bias have that shape"), got=got)
        return {"output": shapes["input"]}

    def example_of(self, param: Param, shapes: Mapping[str, Shape]) -> Any:
        return row_of(shapes) or param.example

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (*((2,) if name == "input" else ()), *params["normalized_shape"])

    def program(self, p: Params, *, input: Any, weight: Any = None, bias: Any = None) -> Any:
        if not input.size:
            return input * 1.0
        μ = streamed_mean(input, _axes(p), keepdims=True)
        d = input - μ
        v = streamed_mean(d * d, _axes(p), keepdims=True)
        s = np.sqrt(v + p.eps)
        y = d / s if weight is None else d / s * weight
        return y if bias is None else y + bias

    def sample(self, chooser: Chooser) -> Case:
        last = chooser.choice(((3,), (4,), (2, 2), (1,), (8,), (0,)))
        arrays = {"input": chooser.array(*chooser.choice(((2,), (), (2, 1), (0,))), *last)}
        given = chooser.choice((("weight", "bias"), (), ("weight",), ("bias",)))
        arrays.update({name: chooser.array(*last) for name in given})
        arrays["input"] = arrays["input"] + chooser.choice((0.0, 0.0, 0.0, 1024.0))  # far from zero digits are lost
        return Case(self.name, arrays, {"normalized_shape": last, **chooser.choice(({}, {"eps": 0.5}, {"eps": 0.0}))})

    forms = (
        Form("variance_in_one_pass", "the variance as E[x²] − E[x]² loses digits where the mean is large: use the mean "
             "of (x − mean)²", "the mean is not much larger than the standard deviation", _one_pass),
    )  # fmt: skip
    mistakes = (
        Mistake("unbiased_variance", "The variance was divided by N − 1; layer_norm divides by N.",
                _wrong(lambda x, eps, axes, d, v: d / np.sqrt(v / (1 - v.size / x.size) + eps))),
        Mistake("eps_outside_of_the_root", "The ε is added to the variance, inside the root: √(v + ε), not √v + ε.",
                _wrong(lambda x, eps, axes, d, v: d / (np.sqrt(v) + eps))),
        Mistake("eps_missing", "The ε is missing: a row of equal numbers is divided by 0.",
                _wrong(lambda x, eps, axes, d, v: d / np.sqrt(v))),
        Mistake("eps_squared", "The ε was squared; it is added to the variance as it is.",
                _wrong(lambda x, eps, axes, d, v: d / np.sqrt(v + eps**2))),
        Mistake("root_missing", "The numbers were divided by the variance; its root is what makes their variance 1.",
                _wrong(lambda x, eps, axes, d, v: d / (v + eps))),
        Mistake("mean_kept", "The mean was not subtracted: this is rms_norm.",
                _wrong(lambda x, eps, axes, d, v: x / np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps))),
        Mistake("over_the_batch", "Mean and variance are those of each row; here they were taken over the batch, as "
                                  "in batch_norm.",
                _wrong(lambda x, eps, axes, d, v: _off(x, 0)[0] / np.sqrt(_off(x, 0)[1] + eps))),
        Mistake("mean_over_the_batch", "The mean was taken over the batch, the variance of each row: both are those of "
                                       "each row.",
                _wrong(lambda x, eps, axes, d, v: _off(x, 0)[0] / np.sqrt(v + eps))),
        Mistake("over_everything", "Mean and variance are those of each row; here all numbers were taken together.",
                _wrong(lambda x, eps, axes, d, v: _off(x, None)[0] / np.sqrt(_off(x, None)[1] + eps))),
        Mistake("mean_kept_above", "The mean was not subtracted from the numbers, though from those of the variance.",
                _wrong(lambda x, eps, axes, d, v: x / np.sqrt(v + eps))),
        Mistake("weight_missing", "The weight was not used.", without("weight")),
        Mistake("bias_missing", "The bias was not added.", without("bias")),
        SWAPPED,
        UNWEIGHTED,
        Mistake("last_dimension_only", "Only the last dimension was normalised; normalized_shape has more than one.",
                _wrong(lambda x, eps, axes, d, v: _off(x, -1)[0] / np.sqrt(_off(x, -1)[1] + eps))),
        Mistake("mean_and_variance_held", "Mean and variance depend on the input, too; their gradients are missing.",
                vjp=_held),
    )  # fmt: skip


OPS = (LayerNorm(),)
