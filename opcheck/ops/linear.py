"""linear: every output is a dot product plus a bias."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.choosers import Chooser
from opcheck.language import say
from opcheck.roundoff import Multilinear
from opcheck.spec import Array, Case, Input, Mistake, Op, Output, Params, Refused, Shape
from opcheck.trace import total


class Linear(Op):
    name = "linear"
    summary = "dot product of the input with each row of the weight, plus a bias"
    formula = "y[n,o] = b[o] + Σ_i x[n,i]·w[o,i]"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), equation 6.3; torch.nn.functional.linear"
    arguments = (
        Input("input", "x", "* In", "any number of leading dimensions, then In features"),
        Input("weight", "w", "Out In", "one row for each output feature"),
        Input("bias", "b", "Out", "one number for each output feature", optional=True),
    )
    outputs = (Output("output", "y", "* Out"),)
    rounding = Multilinear()

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
        out = w[:-1]
        if b is not None and b != out:
            raise Refused(say("bias must have one number for each output feature"), got=say("bias {b}", b=b))
        return {"output": x[:-1] + out}

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any, bias: Any = None) -> Any:
        rows, out = (at[:-1], at[-1:]) if len(weight.shape) == 2 else (at, ())
        terms = [input[*rows, i] * weight[*out, i] for i in range(weight.shape[-1])]
        return total(terms if bias is None else [*terms, bias[out]])

    def forward(self, p: Params, *, input: Array, weight: Array, bias: Array | None = None) -> Array:
        product = input @ weight.T
        return product if bias is None else product + bias

    def vjp(
        self, p: Params, cotangent: Array, *, input: Array, weight: Array, bias: Array | None = None
    ) -> dict[str, Array]:
        w = np.atleast_2d(weight)
        g = cotangent.reshape(-1, w.shape[0])
        x = input.reshape(-1, w.shape[1])
        gradients = {"input": (g @ w).reshape(input.shape), "weight": (g.T @ x).reshape(weight.shape)}
        return gradients if bias is None else {**gradients, "bias": g.sum(axis=0).reshape(bias.shape)}

    def jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, weight: Array, bias: Array | None = None
    ) -> Array:
        tangent = np.zeros(input.shape[:-1] + weight.shape[:-1])
        if "input" in tangents:
            tangent = tangent + tangents["input"] @ weight.T
        if "weight" in tangents:
            tangent = tangent + input @ tangents["weight"].T
        return tangent + tangents["bias"] if "bias" in tangents else tangent

    def sample(self, chooser: Chooser) -> Case:
        leading = chooser.choice([(2,), (), (1,), (3, 2), (0,)])
        features, out = chooser.whole(1, 5), chooser.choice([(3,), (1,), (2,), (4,), ()])
        arrays = {"input": chooser.array(*leading, features), "weight": chooser.array(*out, features)}
        if chooser.choice([True, False]):
            arrays["bias"] = chooser.array(*out)
        return Case(self.name, arrays, {})

    mistakes = (
        Mistake(
            "bias_missing",
            "The bias was not added.",
            forward=lambda op, p, input, weight, bias=None: op.forward(p, input=input, weight=weight),
        ),
        Mistake(
            "weight_gradient_divided_by_batch",
            "The weight gradient was divided by the batch size; the loss decides about averaging, not the layer.",
            vjp=lambda op, p, g, **a: _scaled(op.vjp(p, g, **a), "weight", 1 / max(1, a["input"].shape[0])),
        ),
    )


def _scaled(gradients: dict[str, Array], name: str, factor: float) -> dict[str, Array]:
    return {**gradients, name: gradients[name] * factor}


OPS = (Linear(),)
