"""dropout: in training each number is dropped by chance, and those that stay are scaled up."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Flag, Real
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
    Shape,
    each_alone,
)

IMPROBABLE = math.log(1e-10)  # two sides, some rows and two calls together stay below 1e-9
CHANCE = np.random.default_rng()


def _dropping(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {"p": p.p} if p.training and p.p < 1 else None


class Dropout(Program):
    """In evaluation the numbers stay as they are. A `mask` of ones and zeros says which ones stay; without it the
    reference draws one from numpy's default_rng(0), so that the same call gives the same numbers again.

    As torch computes x·mask/(1 − p), a number that is dropped gives 0 if it is finite and NaN if it is not; with p = 1
    all are dropped. `inplace` changes no number: the reference never writes into its input.
    """

    name = "dropout"
    taught = {"training": (True, False), "p": (0.25, 0.5, 0.75)}
    draws = "mask"
    aliases = ("nn.Dropout", "Dropout")
    summary = "in training each number is dropped at random, and those that stay are scaled up"
    formula = "y[i] = x[i]·m[i]/(1 − p)"
    closed = (Closed("input", "x̄ = m·ȳ/(1 − p)", _dropping, each_alone),)
    source = "Srivastava et al., Dropout, JMLR 15 (2014), section 10 (inverted); torch.nn.functional.dropout"
    example = "dropout([1.0, 2.0, 3.0], 0.5, mask=[1, 0, 1])", "array([2., 0., 6.])"
    arguments = (
        Input("input", "x", "*", "any shape"),
        Param("p", 0.5, Real(0, 1), "the probability that a number is dropped"),
        Param("training", True, Flag(), "whether numbers are dropped at all"),
        Param("inplace", False, Flag(), "accepted as in torch; the result is a new array either way", quiet=True),
        Input("mask", "m", "*", "1 where a number stays and 0 where it is dropped; drawn at random if not given",
              optional=True, differentiable=False, default="binary"),
    )  # fmt: skip
    outputs = (Output("output", "y", "*"),)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        if shapes.get("mask", shapes["input"]) != shapes["input"]:
            raise Refused(say("mask must have the shape of input"),
                          got=say("input {x} and mask {m}", x=shapes["input"], m=shapes["mask"]))  # fmt: skip
        return {"output": shapes["input"]}

    def check(self, p: Params, *, input: Array, mask: Array | None = None) -> None:
        if mask is not None and not np.isin(mask, (0, 1)).all():
            raise Refused(say("mask must hold 0 and 1"), got=str(mask[~np.isin(mask, (0, 1))].flat[0]))

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        return self.formula if p.training else "y[i] = x[i]"

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if not p.training:
            return (say("evaluation: nothing is dropped, and nothing is scaled"),)
        return (say("the numbers that stay are divided by 1 − p, which keeps the mean"),)

    def is_identity(self, p: Params) -> bool:
        return not p.training or p.p == 0

    # --- chance -----------------------------------------------------------------------------------------------

    def drawn(self, p: Params, shapes: Mapping[str, Shape], rng: np.random.Generator) -> Array:
        return np.asarray(rng.random(shapes["input"]) >= p.p, dtype=np.float64)

    def observed(self, p: Params, given: Array, made: Array) -> Array:
        """Dropped is what became 0, or NaN where it was none; a number that is 0 itself counts as one that stayed. In
        evaluation nothing should be, which tells code that drops all the same."""
        dropped = ((made == 0) & (given != 0)) | (np.isnan(made) & ~np.isnan(given))
        return np.asarray(~dropped, dtype=np.float64)

    def improbable(self, p: Params, draws: Sequence[Array]) -> str:
        if not p.training:
            return ""
        share = float(np.mean(draws)) if draws else 1 - p.p
        some = 0 < share < 1  # of all or none nothing else is to be said
        if some and (pattern := self._pattern(p, draws)):
            return pattern
        if sum(each.size for each in draws) * -_divergence(share, 1 - p.p) < IMPROBABLE:
            return say("{share} of the numbers were dropped instead of {p}", share=f"{1 - share:.1%}", p=f"{p.p:.1%}")
        return "" if some else self._pattern(p, draws)

    def _pattern(self, p: Params, draws: Sequence[Array]) -> str:
        """What two draws share although each should be drawn afresh."""
        alike = math.log(p.p**2 + (1 - p.p) ** 2)  # that two numbers share their fate
        first, other = draws
        if first.size * alike < IMPROBABLE and (first == other).all():
            return say("two calls dropped the same numbers; each call draws anew")
        for k, name in ((0, say("row")), (1, say("column"))):
            if first[0].size * alike < IMPROBABLE and (first == first.take([0], axis=k)).all():
                return say("every {what} has the same mask; each number is dropped independently", what=name)
        return ""

    # --- program ----------------------------------------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, input: Any, mask: Any = None) -> Any:
        if not p.training:
            return input[at] * 1
        return input[at] * 0 if p.p == 1 else input[at] * (mask[at] / (1 - p.p))

    def program(self, p: Params, *, input: Any, mask: Any = None, scale: Callable[[float], float] | None = None) -> Any:
        if not p.training:
            return input * 1.0
        if mask is None:
            mask = self.drawn(p, {"input": np.shape(input)}, CHANCE)
        if scale is not None:
            return input * mask * scale(p.p)
        return input * 0.0 if p.p == 1 else input * (mask / (1 - p.p))

    def torch(self, torch: Any, params: Mapping[str, Any], *, input: Any, mask: Any = None) -> Any:
        p = self.parameters(params)
        if mask is None or not p.training:
            return torch.nn.functional.dropout(input, **params)
        return input * 0.0 if p.p == 1 else input * (mask / (1 - p.p))

    def sample(self, chooser: Chooser) -> Case:
        x = chooser.array(*chooser.choice(((6,), (2, 3), (), (0,), (4, 2, 2), (33,))))
        params: dict[str, Any] = {}
        p = chooser.choice((0.5, 0.25, 0.75, 0.1, 0, 1))
        params |= {"p": p} if p != 0.5 else {}
        return Case(self.name, {"input": x}, params | chooser.choice(({}, {"training": False}, {"training": True})))

    mistakes = (
        Mistake("not_scaled", "In training, the numbers that stay are divided by 1 − p; they were left unscaled.",
                lambda op, p, **a: op.program(p, **a, scale=lambda p: 1.0)),
        Mistake("scaled_by_p", "The numbers that stay are divided by 1 − p; they were divided by p.",
                lambda op, p, **a: op.program(p, **a, scale=lambda p: 1 / p if p else 1.0)),
        Mistake("multiplied_by_what_stays", "The numbers that stay are divided by 1 − p; they were multiplied by it.",
                lambda op, p, **a: op.program(p, **a, scale=lambda p: 1 - p)),
        Mistake("p_is_what_stays", "The probability p is that of being dropped; it was used as the probability of "
                                   "staying.",
                lambda op, p, **a: op.program(p.replace(p=1 - p.p), **a)),
        Mistake("dropped_in_evaluation", "In evaluation nothing is dropped.",
                lambda op, p, **a: op.program(p.replace(training=True), **a)),
        Mistake("scaled_in_evaluation", "In evaluation nothing is scaled: training did that already.",
                lambda op, p, **a: op.program(p, **a) * (1.0 if p.training else 1 - p.p)),
        Mistake("scaled_in_evaluation_instead", "This scales in evaluation, as the first paper did; here training "
                                                "divides by 1 − p, and evaluation changes nothing.",
                lambda op, p, **a: op.program(p, **a, scale=lambda p: 1.0) * (1.0 if p.training else 1 - p.p)),
        Mistake("whole_rows_dropped", "Each number is dropped independently; whole rows were dropped.",
                lambda op, p, input, mask=None: op.program(p, input=input, mask=_rows(op, p, input, mask))),
        Mistake("same_mask_each_time", "Each call draws a new mask; the seed was set inside.",
                lambda op, p, input, mask=None: op.program(
                    p, input=input, mask=op.drawn(p, {"input": input.shape}, np.random.default_rng(1)))),
        Mistake("gradient_not_masked", "Dropped numbers have no gradient: the mask was not used in the backward pass.",
                vjp=lambda op, p, g, input, mask=None: {"input": g / (1 - p.p) if p.training and p.p < 1 else g}),
        Mistake("gradient_not_scaled", "The gradient is g·mask/(1 − p): the scale is missing.",
                vjp=lambda op, p, g, input, mask=None: {"input": g * mask if p.training and mask is not None else g}),
        Mistake("gradient_of_a_new_mask", "The gradient uses the mask of the forward pass; a new one was drawn.",
                vjp=lambda op, p, g, input, mask=None: op.vjp(
                    p, g, input=input, mask=op.drawn(p, {"input": input.shape}, np.random.default_rng(1)))),
    )  # fmt: skip


def _rows(op: Any, p: Params, input: Array, mask: Array | None) -> Array:
    """What the first number of each row drew, for all of the row."""
    one = op.drawn(p, {"input": input.shape}, CHANCE) if mask is None else mask
    one = one[..., :1] if input.ndim else one
    return np.broadcast_to(one, input.shape) + 0.0


def _divergence(share: float, expected: float) -> float:
    """Kullback and Leibler's, of two rates: n times it bounds the logarithm of the probability of so rare a share."""
    terms = [(a, b) for a, b in ((share, expected), (1 - share, 1 - expected)) if a > 0]
    return sum(a * math.log(a / b) if b > 0 else math.inf for a, b in terms)


OPS = (Dropout(),)
