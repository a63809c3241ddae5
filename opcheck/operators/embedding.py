"""embedding: rows of a table, looked up by their numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Absent, Flag, Maybe, Real, Whole
from opcheck.operators.program import Program
from opcheck.operators.spec import (
    Array,
    Case,
    Closed,
    Input,
    Mistake,
    Output,
    Param,
    Params,
    Refused,
    RefusedType,
    Shape,
)
from opcheck.programs import kinks
from opcheck.tracing import detach, with_slope


def _every_row(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {} if p.padding_idx is None and not p.scale_grad_by_freq else None


def _flat(p: Params, name: str, array: Array) -> Array:
    """One row number after the other."""
    return array.reshape(1, -1, *([] if name == "input" else array.shape[-1:]))


class Embedding(Program):
    """The gradient of a row is the sum over the places that looked it up. Two parameters change the gradient alone, so
    that it is no derivative: the row padding_idx has none, and scale_grad_by_freq divides by how often a row was looked
    up. torch's max_norm, which rescales rows of the table in place, is refused, and sparse changes no number.
    """

    name = "embedding"
    aliases = ("nn.Embedding", "Embedding")
    summary = "rows of a table, looked up by their numbers"
    formula = "y[k,d] = w[i[k],d]"
    closed = (Closed("weight", "w̄[v,d] = Σ_k [i[k] = v]·ȳ[k,d]", _every_row, _flat),)
    source = (
        "Bengio et al., A Neural Probabilistic Language Model, JMLR 3 (2003), section 2; torch.nn.functional.embedding"
    )
    example = "embedding([1, 0], [[1.0, 2.0], [3.0, 4.0]])", "array([[3., 4.],\n       [1., 2.]])"
    arguments = (
        Input("input", "i", "*", "row numbers, from 0", differentiable=False, whole=True),
        Input("weight", "w", "V D", "the table, one row for each number"),
        Param("padding_idx", None, Maybe(Whole()), "a row that gets no gradient; a negative one counts from the end"),
        Param("max_norm", None, Absent(), "torch rescales rows in place; opcheck does not", quiet=True),
        Param("norm_type", 2.0, Real(), "of max_norm", quiet=True),
        Param("scale_grad_by_freq", False, Flag(), "whether a row's gradient is divided by how often it was looked up"),
        Param("sparse", False, Flag(), "how torch keeps the gradient; its numbers are the same", quiet=True),
    )
    outputs = (Output("output", "y", "* D"),)

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        rows = shapes["weight"][0] if shapes["weight"] else 0
        return p.replace(padding_idx=p.padding_idx + rows) if p.padding_idx is not None and p.padding_idx < 0 else p

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        w = shapes["weight"]
        if len(w) != 2:
            raise Refused(say("weight must be a table, (V, D)"), got=say("weight {w}", w=w))
        if p.padding_idx is not None and not 0 <= p.padding_idx < w[0]:
            raise Refused(say("padding_idx must be one of the {n} rows, or count from the end", n=w[0]),
                          got=f"padding_idx={p.padding_idx - w[0] * (p.padding_idx < 0)}")  # fmt: skip
        return {"output": (*shapes["input"], w[1])}

    def check(self, p: Params, *, input: Array, weight: Array) -> None:
        if input.dtype not in (np.int64, np.int32):
            raise RefusedType(say("input must hold row numbers of dtype int64 or int32"), got=str(input.dtype),
                              fix=say("use input.astype(np.int64) if they are row numbers"))  # fmt: skip
        outside = input[(input < 0) | (input >= len(weight))]
        if outside.size:
            raise Refused(say("input must hold row numbers from 0 to {last}", last=len(weight) - 1),
                          got=str(outside.flat[0]))  # fmt: skip

    def is_derivative(self, p: Params) -> bool:
        return p.padding_idx is None and not p.scale_grad_by_freq

    def choices(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int:
        return shapes["weight"][0] if shapes.get("weight") else 3

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (4,) if name == "input" else (3, 2)

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any) -> Any:
        row = int(input[at[:-1]])
        number = weight[row, at[-1]]
        if row == p.padding_idx:
            return detach(number)
        if p.scale_grad_by_freq:
            return with_slope(detach(number), number, 1 / number.tape.constant(int((input == row).sum())))
        return number

    def program(self, p: Params, *, input: Any, weight: Any) -> Any:
        looked_up = weight[input]
        if self.is_derivative(p):
            return looked_up
        slope = np.ones(input.shape)
        if p.scale_grad_by_freq:
            slope = slope / np.bincount(input.ravel(), minlength=1)[input] if input.size else slope
        if p.padding_idx is not None:
            slope = np.where(input == p.padding_idx, 0.0, slope)
        return kinks.with_slope(kinks.detach(looked_up), looked_up, slope[..., None])

    def sample(self, chooser: Chooser) -> Case:
        rows, width = chooser.choice((3, 2, 5, 1)), chooser.choice((2, 3, 1, 0))
        shape = chooser.choice(((4,), (2, 3), (), (1,), (0,), (2, 2, 2)))
        params: dict[str, Any] = {}
        padding = chooser.choice((None, 0, -1, rows - 1))
        params |= {} if padding is None else {"padding_idx": padding}
        params |= {"scale_grad_by_freq": True} if chooser.choice((False, True)) else {}
        numbers = chooser.classes(shape, range(rows))
        return Case(self.name, {"input": numbers, "weight": chooser.array(rows, width)}, params)

    mistakes = (
        Mistake("rows_and_columns_swapped", "A row of the table is one embedding; columns were looked up.",
                lambda op, p, input, weight: op.program(
                    p, input=input, weight=weight.T if weight.shape[0] == weight.shape[1] else weight)),
        Mistake("off_by_one", "Rows are counted from 0; the row before was used.",
                lambda op, p, input, weight: op.program(p, input=input - 1, weight=weight)),
        Mistake("padding_row_is_zero", "The row padding_idx was read as zeros; padding_idx changes the gradient, not "
                "the output.",
                lambda op, p, input, weight: np.where(
                    (input == p.padding_idx)[..., None], 0.0, op.program(p, input=input, weight=weight))),
        Mistake("gradient_overwritten", "A row that was looked up several times kept the last gradient: use += "
            "instead of = (np.add.at).", vjp=lambda op, p, g, input, weight: _overwritten(p, g, input, weight)),
        Mistake("gradient_averaged", "A row that was looked up several times gets the sum of the gradients, not their "
                "mean.",
                vjp=lambda op, p, g, **a: op.vjp(p.replace(scale_grad_by_freq=True), g, **a)),
        Mistake("frequency_ignored", "The frequencies were ignored even though scale_grad_by_freq is True.",
                vjp=lambda op, p, g, **a: op.vjp(p.replace(scale_grad_by_freq=False), g, **a)),
        Mistake("padding_row_gets_a_gradient", "The row padding_idx gets no gradient.",
                vjp=lambda op, p, g, **a: op.vjp(p.replace(padding_idx=None), g, **a)),
        Mistake("first_row_is_padding", "Without padding_idx every row gets its gradient; the first one got none.",
                vjp=lambda op, p, g, **a: op.vjp(
                    p.replace(padding_idx=0) if p.padding_idx is None and len(a["weight"]) else p, g, **a)),
    )  # fmt: skip


def _overwritten(p: Params, g: Array, input: Array, weight: Array) -> dict[str, Array]:
    gradient = np.zeros(weight.shape)
    gradient[input] = g
    if p.padding_idx is not None:
        gradient[p.padding_idx] = 0.0
    return {"weight": gradient}


OPS = (Embedding(),)
