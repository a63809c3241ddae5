"""linear: every output is a dot product plus a bias."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.shared.roundoff import Multilinear
from opcheck.operators.spec import MULTILINEAR, Array, Case, Closed, Input, Mistake, Op, Output, Params, Refused, Shape
from opcheck.tracing import total


def _changed(gradients: dict[str, Array], name: str, change: Callable[[Array], Array]) -> dict[str, Array]:
    return {**gradients, name: change(gradients[name])} if name in gradients else gradients


def _mean_over(input: Array) -> Callable[[Array], Array]:
    return lambda gradient: gradient / max(1, len(_rows(input)))


def _transposed(weight: Array) -> Array:
    """Only where nobody is told by the shapes."""
    return weight.T if weight.ndim == 2 and weight.shape[0] == weight.shape[1] else weight


def _bias_along_rows(op: Op, p: Params, *, bias: Array | None = None, **arrays: Array) -> Array:
    y: Array = op.forward(p, **arrays)
    if bias is None:
        return y
    return y + (bias[:, None] if y.ndim == 2 and bias.shape == y.shape[:1] else bias)


def _first_row_only(op: Op, p: Params, **arrays: Array) -> Array:
    y: Array = op.forward(p, **arrays)
    return np.where(np.arange(len(y)).reshape(-1, *[1] * (y.ndim - 1)) == 0, y, 0.0) if y.ndim > 1 else y


def _as_matrix(p: Params, name: str, array: Array) -> Array:
    """The input and the output with one leading dimension."""
    return array.reshape(1, -1, array.shape[-1]) if name in ("input", "output") else array[None]


def _is_matrix(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {} if len(shapes["weight"]) == 2 else None


class Linear(Op):
    name = "linear"
    taught = {"bias": (True, False), "batch": (1, 2, 3, 4)}
    also_asked = ("batch", "integers")
    family = "linear"
    aliases = ("nn.Linear", "Linear")
    summary = "dot product of the input with each row of the weight, plus a bias"
    formula = "y[n,o] = b[o] + Σ_i x[n,i]·w[o,i]"
    closed = (
        Closed("input", "x̄[n,i] = Σ_o ȳ[n,o]·w[o,i]", _is_matrix, _as_matrix),
        Closed("weight", "w̄[o,i] = Σ_n ȳ[n,o]·x[n,i]", _is_matrix, _as_matrix),
        Closed("bias", "b̄[o] = Σ_n ȳ[n,o]", _is_matrix, _as_matrix),
    )
    example = "linear([1, 2], [[3, 4], [5, 6]], [7, 8])", "array([18., 25.])"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), equation 6.3; torch.nn.functional.linear"
    arguments = (
        Input("input", "x", "* In", "any number of leading dimensions, then In features"),
        Input("weight", "w", "Out In", "one row for each output feature"),
        Input("bias", "b", "Out", "one number for each output feature", optional=True),
    )
    outputs = (Output("output", "y", "* Out"),)
    rounding = Multilinear()
    degree = MULTILINEAR

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, w, b = shapes["input"], shapes["weight"], shapes.get("bias")
        if len(w) not in (1, 2):
            raise Refused(say("weight must be (Out, In) or (In,)"), got=say("weight {w}", w=w))
        if not x or x[-1] != w[-1]:
            raise Refused(
                say("the last dimension of input must be the last dimension of weight"),
                got=say("input {x} and weight {w}", x=x, w=w),
                fix=say("weight is (Out, In): transpose it if yours is (In, Out)"),
            )
        out = x[:-1] + w[:-1]
        if b is not None and len(w) == 1 and (b or len(x) == 2):
            raise Refused(
                say("with a weight (In,), bias must be a single number and input must not be a matrix"),
                got=say("input {x}, weight {w} and bias {b}", x=x, w=w, b=b),
                fix=say("weight (1, In) and bias (1,) do the same"),
            )
        if b is not None and not _fits(b, out):
            raise Refused(say("bias must have one number for each output feature"), got=say("bias {b}", b=b))
        return {"output": out}

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any, bias: Any = None) -> Any:
        rows, out = (at[:-1], at[-1:]) if len(weight.shape) == 2 else (at, ())
        terms = [input[*rows, i] * weight[*out, i] for i in range(weight.shape[-1])]
        if bias is None:
            return total(terms)
        # torch broadcasts: a dimension of 1 is read at 0
        place = (k if n > 1 else 0 for k, n in zip(at[len(at) - len(bias.shape) :], bias.shape, strict=True))
        return total([*terms, bias[*place]])

    def forward(self, p: Params, *, input: Array, weight: Array, bias: Array | None = None) -> Array:
        product: Array = (_rows(input) @ np.atleast_2d(weight).T).reshape(input.shape[:-1] + weight.shape[:-1])
        return product if bias is None else product + bias

    def vjp(
        self, p: Params, cotangent: Array, *, input: Array, weight: Array, bias: Array | None = None
    ) -> dict[str, Array]:
        x, w = _rows(input), np.atleast_2d(weight)
        g = cotangent.reshape(len(x), len(w))
        gradients = {"input": (g @ w).reshape(input.shape), "weight": (g.T @ x).reshape(weight.shape)}
        return gradients if bias is None else {**gradients, "bias": _summed_to(bias.shape, cotangent)}

    def jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, weight: Array, bias: Array | None = None
    ) -> Array:
        tangent = np.zeros(input.shape[:-1] + weight.shape[:-1])
        if "input" in tangents:
            tangent += self.forward(p, input=tangents["input"], weight=weight)
        if "weight" in tangents:
            tangent += self.forward(p, input=input, weight=tangents["weight"])
        return tangent + tangents["bias"] if "bias" in tangents else tangent

    def program(self, p: Params, *, input: Any, weight: Any, bias: Any = None) -> Any:
        product = input @ weight.T
        return product if bias is None else product + bias

    def construction(
        self, params: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        if len(shapes["weight"]) != 2:
            raise Refused(say("a vector for weight"), fix=say("torch.nn.Linear has matrices"))
        out, into = shapes["weight"]
        return (), {**params, "in_features": into, "out_features": out}

    def sample(self, chooser: Chooser) -> Case:
        leading = chooser.choice([(2,), (), (1,), (3, 2), (0,)])
        features, out = chooser.whole(1, 5), chooser.choice([(3,), (1,), (2,), (4,), ()])
        arrays = {"input": chooser.array(*leading, features), "weight": chooser.array(*out, features)}
        if chooser.choice([True, False]) and (out or len(leading) != 1):
            arrays["bias"] = chooser.array(*out)
        return Case(self.name, arrays, {})

    mistakes = (
        Mistake(
            "bias_missing",
            "The bias was not added.",
            forward=lambda op, p, *, bias=None, **arrays: op.forward(p, **arrays),
        ),
        Mistake(
            "bias_added_to_every_product",
            "The bias was added to every product; it is added once to their sum.",
            forward=lambda op, p, *, bias=None, **arrays: (
                op.forward(p, **arrays) + (0 if bias is None else bias * arrays["weight"].shape[-1])
            ),
        ),
        Mistake(
            "bias_along_the_wrong_axis",
            "The bias was added along the batch: each row got one of its numbers, but each column should.",
            forward=_bias_along_rows,
        ),
        Mistake(
            "weight_not_transposed",
            "The weight was not transposed: its rows belong to the outputs, so the product is x @ w.T.",
            forward=lambda op, p, *, weight, **arrays: op.forward(p, weight=_transposed(weight), **arrays),
            is_convention=True,
        ),
        Mistake(
            "first_row_only",
            "Only the first row of the batch was computed; the others stayed zero.",
            forward=_first_row_only,
        ),
        Mistake(
            "input_gradient_weight_transposed",
            "The weight was transposed in the input gradient; in the backward pass the product is g @ w.",
            vjp=lambda op, p, g, *, weight, **arrays: {
                **op.vjp(p, g, weight=weight, **arrays),
                "input": op.vjp(p, g, weight=_transposed(weight), **arrays)["input"],
            },
        ),
        Mistake(
            "weight_gradient_transposed",
            "The weight gradient is transposed: it has the shape of the weight, g.T @ x.",
            vjp=lambda op, p, g, **arrays: _changed(op.vjp(p, g, **arrays), "weight", np.transpose),
        ),
        Mistake(
            "weight_gradient_divided_by_batch",
            "The weight gradient was divided by the batch size; averaging is up to the loss, not the layer.",
            vjp=lambda op, p, g, **arrays: _changed(op.vjp(p, g, **arrays), "weight", _mean_over(arrays["input"])),
        ),
        Mistake(
            "bias_gradient_not_summed",
            "The bias gradient was not summed over the batch.",
            vjp=lambda op, p, g, **arrays: _changed(op.vjp(p, g, **arrays), "bias", lambda _: g),
        ),
        Mistake(
            "bias_gradient_averaged",
            "The bias gradient was averaged over the batch; it is the sum.",
            vjp=lambda op, p, g, **arrays: _changed(op.vjp(p, g, **arrays), "bias", _mean_over(arrays["input"])),
        ),
        Mistake(
            "bias_gradient_kept_as_a_row",
            "The bias gradient has the shape (1, Out); it should have the shape of the bias, (Out,).",
            vjp=lambda op, p, g, **arrays: _changed(op.vjp(p, g, **arrays), "bias", lambda bias: bias[None]),
        ),
    )


def _rows(x: Array) -> Array:
    """A matrix with one row for each of the leading places."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _fits(shape: Shape, out: Shape) -> bool:
    """Whether an array of that shape broadcasts to `out`."""
    try:
        return np.broadcast_shapes(shape, out) == out
    except ValueError:
        return False


def _summed_to(shape: Shape, g: Array) -> Array:
    """The adjoint of broadcasting from `shape`."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return np.asarray(g.sum(axis=tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True))


OPS = (Linear(),)
