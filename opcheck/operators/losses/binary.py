"""What losses of yes-or-no questions share: one question per place, and weights that are broadcast to the places."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import Loss
from opcheck.operators.params import Params
from opcheck.operators.spec import Array, Input, Mistake, Refused, Shape

TARGET = Input("target", "t", "*", "1 for yes and 0 for no, or a probability", default="binary")
WEIGHT = Input(
    "weight", "w", "*", "one factor for each element, broadcast if needed",
    optional=True, differentiable=False, default="ones",
)  # fmt: skip


class BinaryLoss(Loss):
    """A loss for each place of input and target, which have one shape; no weight is differentiated."""

    family = "pairs"

    @abstractmethod
    def slopes(self, *args: Any, **arrays: Any) -> tuple[Array, Array]:
        """The derivatives of every loss, before its weight, by input and by target."""

    def loss_shape(self, p: Params, shapes: Mapping[str, Shape]) -> Shape:
        shape = shapes["input"]
        if shapes["target"] != shape:
            raise Refused(
                say("target must have the shape of input"),
                got=say("input {x} and target {t}", x=shape, t=shapes["target"]),
                fix=say("reshape one of them: they are not broadcast"),
            )
        for name, own in shapes.items():
            if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own[::-1], shape[::-1], strict=False)):
                raise Refused(
                    say("{name} must broadcast to {shape}, the shape of input", name=name, shape=shape),
                    got=say("{name} {own}", name=name, own=own),
                )
        return shape

    @abstractmethod
    def unweighted(self, *args: Any, **arrays: Any) -> Any:
        """Every loss before its weight, over arrays that record, with torch's slopes."""

    def losses_program(self, p: Params, *, weight: Any = None, **others: Any) -> Any:
        losses = self.unweighted(**others)
        return losses if weight is None else weight * losses

    def losses_vjp(
        self, p: Params, cotangent: Any, *, weight: Array | None = None, **others: Array
    ) -> dict[str, Array]:
        g = cotangent if weight is None else cotangent * weight
        by_input, by_target = self.slopes(**others)
        return {"input": np.asarray(by_input * g), "target": np.asarray(by_target * g)}

    def losses_jvp(
        self, p: Params, tangents: dict[str, Array], *, weight: Array | None = None, **others: Array
    ) -> Array:
        slopes = dict(zip(("input", "target"), self.slopes(**others), strict=True))
        tangent = sum((slopes[name] * each for name, each in tangents.items()), np.zeros(others["input"].shape))
        return np.asarray(tangent if weight is None else tangent * weight)


def written(unweighted: Callable[..., Any]) -> Callable[..., Any]:
    """The loss with each of its losses written in another form, over arrays that may record."""

    def forward(op: Any, p: Params, *, weight: Any = None, **others: Any) -> Any:
        losses = unweighted(**others)
        given = others if weight is None else {**others, "weight": weight}
        return op.collected(p, losses if weight is None else losses * weight, given)

    return forward


# --- cases ----------------------------------------------------------------------------------------------------------

SHAPES = ((4,), (2, 2), (), (1,), (2, 3), (0, 3), (2, 1, 4))


def sampled_target(chooser: Chooser, shape: Shape) -> Array:
    """Probabilities, or plain answers."""
    target = chooser.unit(*shape)
    return chooser.classes(shape, (0, 1)).astype(float) if chooser.choice([False, True]) else target


def sampled_weights(chooser: Chooser, shape: Shape, *names: str) -> dict[str, Array]:
    """For each name a factor for every place, for every row or for every column, or none."""
    weights = {}
    for name in names:
        repeated = chooser.choice([None, shape, shape[-1:], shape[:-1] + (1,) * len(shape[-1:])])
        if repeated is not None:
            weights[name] = chooser.positive(*repeated)
    return weights


# --- mistakes -------------------------------------------------------------------------------------------------------


def _divided_by_weights(op: Any, p: Params, weight: Array | None = None, **others: Array) -> Any:
    if weight is None or p.reduction != "mean":
        return op.forward(p, weight=weight, **others)
    weights = np.broadcast_to(weight, others["input"].shape)
    return op.forward(p, weight=weights * weights.size / max(weights.sum(), 1e-300), **others)


WEIGHT_MISTAKES = (
    Mistake(
        "weight_ignored",
        "The weight of each element was not used.",
        forward=lambda op, p, weight=None, **a: op.forward(p, **a),
    ),
    Mistake(
        "mean_divided_by_weights",
        "The mean was divided by the sum of the weights; this loss divides by the number of losses.",
        forward=lambda op, p, **a: _divided_by_weights(op, p, **a),
    ),
)
