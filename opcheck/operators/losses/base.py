"""Shared by all losses: one loss per element, and their reduction to one number.

`element` and `loss` are the definition; `forward`, `losses` and the rest are the fast reference.
"""

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from opcheck.operators.params import Choice, Flag, Param, Params
from opcheck.operators.spec import Array, Closed, Mistake, Op, Output, Shape, all_in_one, in_a_row
from opcheck.tracing import divide, named, total

SIZE_AVERAGE = Param("size_average", None, Flag(), "deprecated, see reduction: False means a sum")
REDUCE = Param("reduce", None, Flag(), "deprecated, see reduction: False means none")
REDUCTION = Param(
    "reduction", "mean", Choice(("mean", "sum", "none")), "the mean of the losses, their sum, or none: all of them"
)

REDUCTIONS: tuple[dict[str, Any], ...] = (  # what samplers choose from
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"reduction": "mean"}, {"size_average": False}, {"reduce": False},
)  # fmt: skip

REDUCTION_MISTAKES = (
    Mistake(
        "sum_for_mean",
        "The losses were added up but not divided by their number.",
        forward=lambda op, p, **a: op.forward(_summed(p), **a),
    ),
    Mistake(
        "gradient_of_sum_for_mean",
        "The loss is a mean, but its gradient was not divided by the number of losses.",
        vjp=lambda op, p, g, **a: op.vjp(_summed(p), g, **a),
    ),
)

MEAN = "L = (1/n)·Σ_i "  # how the formula of a loss begins
FACTORS = {"weight": "w[i]·", "pos_weight": "p[i]·"}  # stand in it only where they are given


def _summed(p: Params) -> Params:
    return p.replace(reduction="sum") if p.reduction == "mean" else p


def plain_mean(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """n, if the loss is an unweighted mean of n losses of arrays of one shape."""
    plain = p.reduction == "mean" and len(set(shapes.values())) == 1 and len(shapes) == 2
    return {"n": math.prod(shapes["input"])} if plain else None


def _plain(reduction: str) -> Callable[[Params, Mapping[str, Shape]], Mapping[str, Any] | None]:
    """No letters, where the losses of arrays of one shape are not weighted, and reduced so."""

    def letters(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
        return {} if p.reduction == reduction and len(set(shapes.values())) == 1 and len(shapes) == 2 else None

    return letters


def closed(input: str, bar: str, slope: str) -> tuple[Closed, ...]:
    """The gradient of a loss that compares element by element, for each reduction."""
    return (
        Closed(input, f"{bar}[i] = {slope}/n·L̄", plain_mean, all_in_one),
        Closed(input, f"{bar}[i] = {slope}·L̄", _plain("sum"), all_in_one),
        Closed(input, f"{bar}[i] = {slope}·L̄[i]", _plain("none"), in_a_row),
    )


class Loss(Op):
    """A loss: `reduction` of one loss for each element (for classes: for each row)."""

    outputs = (Output("output", "L", "one number; with reduction='none' one for each loss"),)

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        each = self.formula.removeprefix(MEAN)
        for name, factor in FACTORS.items():
            each = each if name in shapes else each.replace(factor, "")
        return {"sum": f"L = Σ_i {each}", "none": f"L[i] = {each}"}.get(p.reduction, MEAN + each)

    # --- what a loss writes -----------------------------------------------------------------------------------

    @abstractmethod
    def loss_shape(self, p: Params, shapes: Mapping[str, Shape]) -> Shape:
        """The shape of the losses before the reduction; raises Refused where torch refuses."""

    @abstractmethod
    def loss(self, p: Params, at: Shape, *args: Any, **views: Any) -> Any:
        """The definition of one loss."""

    @abstractmethod
    def losses(self, p: Params, *args: Any, **arrays: Any) -> Array:
        """Every loss."""

    @abstractmethod
    def losses_vjp(self, p: Params, cotangent: Any, *args: Any, **arrays: Any) -> dict[str, Array]:
        """The cotangents of the inputs, for one of each loss (or one number for all of them)."""

    @abstractmethod
    def losses_jvp(self, p: Params, tangents: dict[str, Array], *args: Any, **arrays: Any) -> Array:
        """The tangent of every loss."""

    @abstractmethod
    def losses_program(self, p: Params, *args: Any, **arrays: Any) -> Any:
        """Every loss over arrays that record."""

    def counted(self, p: Params, shape: Shape, *args: Any, **views: Any) -> Iterable[Shape]:
        """Which losses are summed, by definition: all of them, unless the loss says otherwise."""
        return np.ndindex(*shape)

    def divisor(self, p: Params, shape: Shape, *args: Any, **views: Any) -> Any:
        """The definition of what a mean divides by: the number of losses, unless the loss says otherwise."""
        return math.prod(shape)

    def losses_divisor(self, p: Params, shape: Shape, *args: Any, **arrays: Any) -> float:
        """What a mean divides by."""
        return float(math.prod(shape))

    def has_losses(self, p: Params, shape: Shape, *args: Any, **arrays: Any) -> bool:
        """Whether there is any loss to sum; a mean of none is NaN, and depends on nothing."""
        return 0 not in shape

    # --- what follows from it ---------------------------------------------------------------------------------

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        if p.size_average is None and p.reduce is None:
            return p
        one = "mean" if p.size_average is not False else "sum"
        return p.replace(size_average=None, reduce=None, reduction=one if p.reduce is not False else "none")

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        shape = self.loss_shape(p, shapes)
        return {"output": shape if p.reduction == "none" else ()}

    def element(self, p: Params, at: Shape, **views: Any) -> Any:
        if p.reduction == "none":
            return self.loss(p, at, **views)
        shape = self.loss_shape(p, {name: view.shape for name, view in views.items()})
        losses = [named("ℓ", self.loss(p, place, **views), place) for place in self.counted(p, shape, **views)]
        return total(losses) if p.reduction == "sum" else divide(total(losses), self.divisor(p, shape, **views))

    @np.errstate(all="ignore")  # NaN and infinities are results like any other: the mean of no losses is NaN
    def forward(self, p: Params, **arrays: Any) -> Array:
        return self.reduced(p, self.losses(p, **arrays), arrays)

    @np.errstate(all="ignore")
    def vjp(self, p: Params, cotangent: Any, **arrays: Any) -> dict[str, Array]:
        return self.losses_vjp(p, self.cotangent_of_each(p, cotangent, arrays), **arrays)

    @np.errstate(all="ignore")
    def jvp(self, p: Params, tangents: dict[str, Array], **arrays: Any) -> Array:
        if p.reduction == "mean" and not self.has_losses(p, self._shape(p, arrays), **arrays):
            return np.zeros(())
        return self.reduced(p, self.losses_jvp(p, tangents, **arrays), arrays)

    def program(self, p: Params, **arrays: Any) -> Any:
        return self.collected(p, self.losses_program(p, **arrays), arrays)

    def collected(self, p: Params, losses: Any, arrays: Mapping[str, Any]) -> Any:
        """Losses that record, their sum or their mean."""
        if p.reduction == "none":
            return losses
        if p.reduction == "sum":
            return losses.sum()
        return losses.sum() / self.losses_divisor(p, np.shape(losses), **arrays)

    def torch(self, torch: Any, params: Mapping[str, Any], **tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of deprecated flags and of broadcasting
            return super().torch(torch, params, **tensors)

    def cotangent_of_each(self, p: Params, cotangent: Any, arrays: Mapping[str, Array]) -> Any:
        """The cotangent of every loss: an array without a reduction, else one number for all."""
        if p.reduction != "mean":
            return cotangent
        return np.asarray(cotangent) / self.losses_divisor(p, self._shape(p, arrays), **arrays)

    def reduced(self, p: Params, losses: Array, arrays: Mapping[str, Array]) -> Array:
        """The losses, their sum or their mean."""
        if p.reduction == "none":
            return losses
        if p.reduction == "sum":
            return np.asarray(losses.sum())
        return np.asarray(losses.sum() / self.losses_divisor(p, losses.shape, **arrays))

    def _shape(self, p: Params, arrays: Mapping[str, Array]) -> Shape:
        return self.loss_shape(p, {name: array.shape for name, array in arrays.items()})


def broadcast_place(at: Shape, shape: Shape) -> Shape:
    """The definition's place in an array that was broadcast: a dimension of size 1 is read at 0 each time."""
    own = at[len(at) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))


def summed_to(array: Array, shape: Shape) -> Array:
    """The adjoint of broadcasting: the sum over every place that an element was repeated to."""
    extra = array.ndim - len(shape)
    repeated = tuple(k for k in range(array.ndim) if k < extra or (shape[k - extra] == 1 and array.shape[k] != 1))
    return np.asarray(array.sum(axis=repeated)).reshape(shape) if repeated else array
