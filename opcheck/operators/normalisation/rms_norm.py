"""rms_norm: each row is divided by the root of the mean of its squares."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.normalisation import base
from opcheck.operators.normalisation.base import RIGHT, Statistics, all_rows, row_by_row, row_letters, row_of, scale
from opcheck.operators.params import REQUIRED, Maybe, Real, Sizes
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Closed, Input, Mistake, Output, Param, Params, Refused, Shape
from opcheck.tracing import named, sqrt, total


class RMSNorm(Program):
    """A row is all dimensions of normalized_shape, the last ones of the input. Nothing is subtracted.

    Without eps torch takes finfo(dtype).eps of the type that it computes in: 2^-52 for float64, 2^-23 for float32, and
    for float16 and bfloat16, which it computes in float32.
    """

    name = "rms_norm"
    taught = {"weight": (True, False)}
    aliases = ("nn.RMSNorm", "RMSNorm")
    summary = "each row is divided by the root of the mean of its squares"
    formula = "y[i] = w[i]·x[i]/r   with r = √(Σ_k x[k]²/n + ε)"
    closed = (
        Closed(
            "input",
            "x̄[i] = (g[i] − h[i]·(Σ_k g[k]·h[k])/n)/r   with g[i] = w[i]·ȳ[i], h[i] = x[i]/r, r = √((Σ_k x[k]²)/n + ε)",
            row_letters, row_by_row,
        ),
        Closed(
            "weight", "w̄[i] = Σ_m ȳ[m,i]·x[m,i]/r[m]   with r[m] = √((Σ_k x[m,k]²)/n + ε)", row_letters, all_rows
        ),
    )  # fmt: skip
    source = (
        "Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv:1910.07467, equation 4; torch.nn.functional"
    )
    example = (
        "rms_norm([[3, 4], [1, 1]], (2,), eps=0)",
        "array([[0.84852814, 1.13137085],\n       [1.        , 1.        ]])",
    )
    arguments = (
        Input("input", "x", "* D", "rows: its last dimensions are normalized_shape"),
        Param("normalized_shape", REQUIRED, Sizes(0), "the shape of a row", example=(3,)),
        base.weight("D", "one factor for each position in a row"),
        Param("eps", None, Maybe(Real()), "added to the mean of the squares; None: finfo(dtype).eps", symbol="ε"),
    )
    outputs = (Output("output", "y", "* D", upstream="squares"),)

    def typed(self, p: Params, dtype: str) -> Params:
        return p if p.eps is not None else p.replace(eps=2.0**-52 if dtype == "float64" else 2.0**-23)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, row = shapes["input"], p.normalized_shape
        if x[max(0, len(x) - len(row)) :] != row:
            raise Refused(say("the last dimensions of input must be normalized_shape"),
                          got=say("input {x} and normalized_shape={row}", x=x, row=row))  # fmt: skip
        if shapes.get("weight", row) != row:
            raise Refused(say("weight must have the shape normalized_shape, {row}", row=row),
                          got=say("weight {w}", w=shapes["weight"]))  # fmt: skip
        return {"output": x}

    def example_of(self, param: Param, shapes: Mapping[str, Shape]) -> Any:
        return row_of(shapes) or param.example

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (2, *params.get("normalized_shape", (3,)))

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any = None) -> Any:
        before, place = at[: len(at) - len(p.normalized_shape)], at[len(at) - len(p.normalized_shape) :]
        row = [(*before, *k) for k in np.ndindex(*p.normalized_shape)]

        def make() -> Any:
            return named("r", sqrt(total([input[k] ** 2 for k in row]) / len(row) + p.eps), before)

        y = input[at] / input.once(("row", before), make)
        return y if weight is None else y * weight[place]

    def program(self, p: Params, *, input: Any, weight: Any = None, form: Statistics = RIGHT) -> Any:
        squares = (input * input).mean(axis=tuple(range(-len(p.normalized_shape), 0)), keepdims=True)
        y = input * scale(squares.detach() if form.held else squares, p.eps, form)
        return y if weight is None else y * weight

    def sample(self, chooser: Chooser) -> Case:
        row = chooser.choice(((3,), (2, 2), (1,), (4,), (2, 1, 2), (5,)))
        arrays = {"input": chooser.array(*chooser.choice(((2,), (), (3, 1), (0,))), *row)}
        if chooser.choice((True, False)):
            arrays["weight"] = chooser.array(*row)
        return Case(self.name, arrays, {"normalized_shape": row, **chooser.choice(({}, {"eps": 0.5}, {"eps": 1e-5}))})

    mistakes = (
        *base.SCALE_MISTAKES,
        Mistake("mean_subtracted", "The mean was subtracted, as layer_norm does; rms_norm subtracts nothing.",
                lambda op, p, input, **a: op.program(p, input=input - _mean(p, input), **a)),
        Mistake("variance_for_mean_of_squares", "The root is that of the variance; rms_norm takes that of the mean of "
                                                "the squares themselves.",
                lambda op, p, **a: _by_the_variance(p, **a)),
        Mistake("over_the_batch", "The mean of the squares was taken over the batch; each row has its own.",
                lambda op, p, input, weight=None: _along(p, input) * (1.0 if weight is None else weight)),
        Mistake("sum_for_mean", "The squares were added up; r² is their mean.",
                lambda op, p, **a: _scaled(op, p, a, int(np.prod(p.normalized_shape)))),
        Mistake("last_dimension_only", "Only the last dimension was normalised; a row spans all of normalized_shape.",
                lambda op, p, input, weight=None: op.program(
                    p.replace(normalized_shape=p.normalized_shape[-1:]), input=input)
                * (1.0 if weight is None else weight)),
        Mistake("statistics_of_everything", "One root was taken of all numbers together; each row has its own.",
                lambda op, p, input, weight=None: op.program(
                    p.replace(normalized_shape=input.shape), input=input) * (1.0 if weight is None else weight)),
    )  # fmt: skip


def _by_the_variance(p: Params, input: Array, weight: Any = None) -> Array:
    root = np.sqrt(np.asarray((input - _mean(p, input)) ** 2).mean(axis=_axes(p), keepdims=True) + p.eps)
    return np.asarray(input / root * (1.0 if weight is None else weight))


def _along(p: Params, x: Array) -> Array:
    """With the statistics of each place over the batch."""
    return np.asarray(x / np.sqrt((x * x).mean(axis=0, keepdims=True) + p.eps)) if x.size else x


def _axes(p: Params) -> tuple[int, ...]:
    return tuple(range(-len(p.normalized_shape), 0))


def _mean(p: Params, x: Array) -> Array:
    return np.asarray(x.mean(axis=_axes(p), keepdims=True))


def _scaled(op: Any, p: Params, a: dict[str, Array], n: int) -> Array:
    """With n times the mean of the squares: 1/√(n·m + ε) is 1/√n times 1/√(m + ε/n)."""
    return np.asarray(op.program(p.replace(eps=p.eps / n), **a) / np.sqrt(n))


OPS = (RMSNorm(),)
