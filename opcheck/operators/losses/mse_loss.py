"""mse_loss: the mean of squared differences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import (
    MEAN,
    REDUCE,
    REDUCTION,
    REDUCTION_MISTAKES,
    REDUCTIONS,
    SIZE_AVERAGE,
    Loss,
    broadcast_place,
    closed,
    summed_to,
)
from opcheck.operators.shared.roundoff import MeanSquares
from opcheck.operators.spec import Array, Case, Closed, Form, Input, Mistake, Params, Refused, Shape, all_in_one
from opcheck.tracing import total


def _weighted_mean(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {} if p.reduction == "mean" and len(set(shapes.values())) == 1 and len(shapes) == 3 else None


class MSELoss(Loss):
    name = "mse_loss"
    also_asked = ("integers",)
    family = "pairs"
    aliases = ("mse", "MSELoss", "nn.MSELoss", "mean_squared_error")
    summary = "mean of the squared differences between input and target"
    rounding = MeanSquares()
    formula = "L = (1/n)·Σ_i (x[i] − t[i])²"
    closed = (
        *closed("input", "x̄", "2·(x[i] − t[i])"),
        *closed("target", "t̄", "−2·(x[i] − t[i])"),
        Closed("input", "x̄[i] = 2·w[i]·(x[i] − t[i])/(Σ_k w[k])·L̄", _weighted_mean, all_in_one),
        Closed("target", "t̄[i] = −2·w[i]·(x[i] − t[i])/(Σ_k w[k])·L̄", _weighted_mean, all_in_one),
        Closed("weight", "w̄[i] = ((x[i] − t[i])² − L)/(Σ_k w[k])·L̄", _weighted_mean, all_in_one),
    )
    example = "mse_loss([1, 2], [1, 4])", "array(2.)"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 5.1.4; torch.nn.functional.mse_loss"
    arguments = (
        Input("input", "x", "*", "the predictions"),
        Input("target", "t", "*", "the targets", default="half"),
        SIZE_AVERAGE,
        REDUCE,
        REDUCTION,
        Input("weight", "w", "*", "one factor for each element of input; the mean then divides by their sum",
              optional=True, default="ones"),
    )  # fmt: skip

    def loss_shape(self, p: Params, shapes: Mapping[str, Shape]) -> Shape:
        x, t, w = shapes["input"], shapes["target"], shapes.get("weight")
        try:
            shape = np.broadcast_shapes(x, t)
        except ValueError:
            raise Refused(
                say("input and target must have one shape, or broadcast to one"),
                got=say("input {x} and target {t}", x=x, t=t),
            ) from None
        if w is not None and w != x:
            raise Refused(say("weight must have the shape of input, {x}", x=x), got=say("weight {w}", w=w))
        return shape

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        found = super().formula_of(p, shapes)
        if "weight" not in shapes:
            return found
        weighted = found.replace("(x[i]", "w[i]·(x[i]")
        return f"L = Σ_i {weighted.removeprefix(MEAN)} / Σ_i w[i]" if p.reduction == "mean" else weighted

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        x, t = shapes["input"], shapes["target"]
        if x == t:
            return ()
        shape = self.loss_shape(p, shapes)
        return (
            say("input {x} and target {t} broadcast to {shape}: every pair is compared, which is rarely meant "
                "(torch warns)", x=x, t=t, shape=shape),
        )  # fmt: skip

    # --- definition -------------------------------------------------------------------------------------------

    def loss(self, p: Params, at: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        squared = (input[broadcast_place(at, input.shape)] - target[broadcast_place(at, target.shape)]) ** 2
        return squared if weight is None else weight[broadcast_place(at, weight.shape)] * squared

    def divisor(self, p: Params, shape: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        if weight is None:
            return super().divisor(p, shape)
        return total(weight[at] for at in np.ndindex(*weight.shape))

    # --- fast reference ---------------------------------------------------------------------------------------

    def losses(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        squared = np.asarray(input - target)
        np.multiply(squared, squared, out=squared)
        return squared if weight is None else squared * weight

    def losses_divisor(
        self, p: Params, shape: Shape, *, input: Array, target: Array, weight: Array | None = None
    ) -> float:
        return super().losses_divisor(p, shape) if weight is None else weight.sum()

    def losses_vjp(
        self, p: Params, cotangent: Any, *, input: Array, target: Array, weight: Array | None = None
    ) -> dict[str, Array]:
        difference = np.asarray(input - target)
        if weight is None:
            slope = np.multiply(2.0 * cotangent, difference, out=difference)
        else:
            slope = 2.0 * cotangent * weight * difference
        gradients = {"input": summed_to(slope, input.shape), "target": summed_to(-slope, target.shape)}
        if weight is not None:
            by_weight = summed_to(cotangent * difference**2, weight.shape)
            if p.reduction == "mean":  # the divisor is made of the weights
                by_weight = by_weight - cotangent * self.forward(p, input=input, target=target, weight=weight)
            gradients["weight"] = by_weight
        return gradients

    def losses_jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, target: Array, weight: Array | None = None
    ) -> Array:
        difference = input - target
        change = np.zeros(difference.shape)
        if "input" in tangents:
            change = change + tangents["input"]
        if "target" in tangents:
            change = change - tangents["target"]
        tangent = np.asarray(2.0 * difference * change)
        if weight is not None:
            tangent = weight * tangent
        return tangent + tangents["weight"] * difference**2 if "weight" in tangents else tangent

    def jvp(self, p: Params, tangents: dict[str, Array], **arrays: Any) -> Array:
        tangent = super().jvp(p, tangents, **arrays)
        if p.reduction != "mean" or "weight" not in tangents or not tangents["weight"].size:
            return tangent
        with np.errstate(all="ignore"):  # the divisor is made of the weights
            share = tangents["weight"].sum() / arrays["weight"].sum()
            return np.asarray(tangent - self.forward(p, **arrays) * share)

    def losses_program(self, p: Params, *, input: Any, target: Any, weight: Any = None) -> Any:
        squared = (input - target) ** 2
        return squared if weight is None else weight * squared

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shapes = chooser.choice(
            [((2, 4), (2, 4)), ((4,), (4,)), ((1,), (1,)), ((), ()), ((3, 2), (3, 2)), ((2, 1, 4), (2, 1, 4)),
             ((0, 3), (0, 3)), ((4,), (4, 1)), ((2, 1), (4,)), ((), (2,)), ((3, 1), (1, 2))]
        )  # fmt: skip
        arrays = {"input": chooser.array(*shapes[0]), "target": chooser.array(*shapes[1])}
        if chooser.choice([False, True]):
            arrays["weight"] = chooser.positive(*shapes[0])
        return Case(self.name, arrays, chooser.choice(REDUCTIONS))

    forms = (
        Form(
            "square_multiplied_out",
            "x² − 2xt + t² loses digits where x and t are large and near each other: use (x − t)²",
            "x and t are not near each other",
            lambda op, p, input, target, weight=None: _multiplied_out(op, p, input, target, weight),
        ),
    )
    mistakes = (
        *REDUCTION_MISTAKES,
        Mistake(
            "divided_by_batch_only",
            "The sum was divided by the batch size N; a mean divides by the number of all elements.",
            forward=lambda op, p, **a: op.forward(p, **a) * _row_size(p, **a),
        ),
        Mistake(
            "half_factor",
            "There is a factor 1/2 in front; it makes the gradient tidy, but mse_loss has none.",
            forward=lambda op, p, **a: 0.5 * op.forward(p, **a),
        ),
        Mistake(
            "root_taken",
            "The square root was taken: that is the root mean squared error.",
            forward=lambda op, p, **a: np.sqrt(op.forward(p, **a)),
        ),
        Mistake(
            "every_pair_compared",
            "Every prediction was compared with every target: (N,) minus (N,1) broadcasts to (N,N).",
            forward=lambda op, p, input, target, **a: _every_pair(op, p, input, target, **a),
        ),
        Mistake(
            "gradient_without_factor_two",
            "The factor 2 is missing: the derivative of d² is 2·d.",
            vjp=lambda op, p, g, **a: {name: 0.5 * each for name, each in op.vjp(p, g, **a).items()},
        ),
        Mistake(
            "gradient_sign_flipped",
            "The gradient has the wrong sign: for the input it is 2·(x − t), not 2·(t − x).",
            vjp=lambda op, p, g, **a: {name: -each for name, each in op.vjp(p, g, **a).items()},
        ),
    )


def _row_size(p: Params, *, input: Array, target: Array, weight: Array | None = None) -> int:
    """How many elements one example of a batch has, where the mean divides by all of them."""
    shape = np.broadcast_shapes(input.shape, target.shape)
    return int(np.prod(shape[1:])) if p.reduction == "mean" and weight is None else 1


def _every_pair(op: Any, p: Params, input: Array, target: Array, **weights: Array) -> Any:
    if input.ndim != 1 or target.shape != input.shape or weights or p.reduction == "none":
        return op.forward(p, input=input, target=target, **weights)
    return op.forward(p, input=input, target=target[:, None])


def _multiplied_out(op: Any, p: Params, x: Any, t: Any, weight: Any = None) -> Any:
    """Over arrays that may record."""
    losses = x * x - 2 * x * t + t * t
    arrays = {"input": x, "target": t}
    if weight is None:
        return op.collected(p, losses, arrays)
    return op.collected(p, losses * weight, {**arrays, "weight": weight})


OPS = (MSELoss(),)
