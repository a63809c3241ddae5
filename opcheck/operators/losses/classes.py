"""What losses of classes share: which rows count, and what a mean divides by.

Rows are the examples (and places) that have one class each: input (N, C, d1, ...) has rows (N, d1, ...), and input (C,)
is one row. The definition reads one row at a time; the fast reference sees (N, C, D).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import Loss
from opcheck.operators.params import Param, Params, Whole
from opcheck.operators.spec import Array, Closed, Input, Refused, RefusedType, Shape
from opcheck.tracing import total

WEIGHT = Input(
    "weight", "w", "C", "one factor for each class; the mean then divides by the factors of the right classes",
    optional=True, differentiable=False, default="ones",
)  # fmt: skip
BLOCK = 2**16  # numbers
IGNORE_INDEX = Param("ignore_index", -100, Whole(), "rows with this target are ignored", quiet=True)


def _of_rows(reduction: str, *more: str) -> Callable[[Params, Mapping[str, Shape]], Mapping[str, Any] | None]:
    """N, where the losses of N rows (N, C) with a class each are reduced so, without smoothing."""

    def letters(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
        x, t = shapes["input"], shapes["target"]
        plain = p.reduction == reduction and len(x) == 2 and t == x[:1] and not getattr(p, "label_smoothing", 0)
        return {"N": x[0]} if plain and set(shapes) == {"input", "target", *more} else None

    return letters


def closed(slope: str, known: str = "") -> tuple[Closed, ...]:
    """The gradient of a loss of classes: `slope` is that of one row's loss, for each reduction and with weights."""
    return (
        Closed("input", f"x̄[n,c] = {slope}/N·L̄{known}", _of_rows("mean")),
        Closed("input", f"x̄[n,c] = {slope}·L̄{known}", _of_rows("sum")),
        Closed("input", f"x̄[n,c] = {slope}·L̄[n]{known}", _of_rows("none")),
        Closed("input", f"x̄[n,c] = {slope}·w[t[n]]/(Σ_m w[t[m]])·L̄{known}", _of_rows("mean", "weight")),
    )


class ClassLoss(Loss):
    """A loss for each row, whose target is the number of a class."""

    family = "classes"
    formula_of_probabilities = ""  # the loss of one row, where the target is a probability for each class

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        row, _, mean = self.formula.partition(",   L = ")
        if self.takes_probabilities(shapes["input"], shapes["target"]):
            row, mean = self.formula_of_probabilities, "(1/N)·Σ_n ℓ[n]"
        if "weight" not in shapes:
            row, mean = row.replace("w[t[n]]·", "").replace("w[c]·", ""), "(1/N)·Σ_n ℓ[n]"
        if p.reduction == "none":
            return row.replace("ℓ[n]", "L[n]")
        return f"{row},   L = {'Σ_n ℓ[n]' if p.reduction == 'sum' else mean}"

    def loss_shape(self, p: Params, shapes: Mapping[str, Shape]) -> Shape:
        x, t, w = shapes["input"], shapes["target"], shapes.get("weight")
        if not x:
            raise Refused(say("input must have a dimension of classes"), got=say("input {x}", x=x))
        rows = rows_of(x)
        one_row = len(x) == 1 and t == (1,) and not p.get("label_smoothing")  # as torch has it
        if t != rows and not one_row and not self.takes_probabilities(x, t):
            raise Refused(
                say("target must have the shape of input without its classes, {rows}", rows=rows),
                got=say("input {x} and target {t}", x=x, t=t),
                fix=say("the classes are the second dimension of input, or the only one"),
            )
        if w is not None and w != (classes(x),):
            raise Refused(
                say("weight must have one number for each of the {n} classes", n=classes(x)), got=say("weight {w}", w=w)
            )
        return rows

    def takes_probabilities(self, input: Shape, target: Shape) -> bool:
        """Whether a target of this shape holds a probability for each class instead of one class number."""
        return False

    def check(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> None:
        if target.dtype not in (np.int64, np.uint8):
            raise RefusedType(
                say("target must hold class numbers of dtype int64 or uint8"),
                got=str(target.dtype),
                fix=say("use target.astype(np.int64) if they are class numbers"),
            )
        count = classes(input.shape)
        outside = target.astype(np.uint64, copy=False) >= count  # one comparison: a negative number is a large one here
        if outside.any():
            wrong = target[outside & (target != p.ignore_index)]
            if wrong.size:
                last, i = count - 1, p.ignore_index
                raise Refused(
                    say("a target must be a class from 0 to {last}, or ignore_index={i}", last=last, i=i),
                    got=str(wrong[0]),
                )

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        if name != "input":
            return rows_of(shapes.get("input", (2, 3)))
        target, count = shapes.get("target", (2,)), *shapes.get("weight", (3,))[:1]
        if len(target) > 1 and self.takes_probabilities(target, target):
            return target
        return (*target[:1], count, *target[1:])

    # --- definition -------------------------------------------------------------------------------------------

    def counted(self, p: Params, shape: Shape, *, input: Any, target: Any, weight: Any = None) -> Iterable[Shape]:
        rows = np.ndindex(*shape)
        if self.takes_probabilities(input.shape, target.shape):
            return rows
        return (at for at in rows if class_of(target, at) != p.ignore_index)

    def divisor(self, p: Params, shape: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        if self.takes_probabilities(input.shape, target.shape):
            return math.prod(shape) if classes(input.shape) else 0
        right = [class_of(target, at) for at in self.counted(p, shape, input=input, target=target)]
        return len(right) if weight is None else total(weight[c] for c in right)

    # --- fast reference ---------------------------------------------------------------------------------------

    def losses_divisor(
        self, p: Params, shape: Shape, *, input: Array, target: Array, weight: Array | None = None
    ) -> Any:
        if self.takes_probabilities(input.shape, target.shape):
            return np.float64(math.prod(shape) if input.size else 0)
        counts = target != p.ignore_index
        return np.float64(np.count_nonzero(counts)) if weight is None else weight[target[counts]].sum()

    def has_losses(self, p: Params, shape: Shape, *, input: Array, target: Array, weight: Array | None = None) -> bool:
        if self.takes_probabilities(input.shape, target.shape):
            return input.size > 0
        return bool((target != p.ignore_index).any())


def classes(input: Shape) -> int:
    """How many classes there are."""
    return input[min(1, len(input) - 1)]


def class_of(target: Any, at: Shape) -> int:
    """The definition's right class of a row; an input (C,) takes a target () or (1,)."""
    return int(target[at or (0,) * target.ndim])


def place(at: Shape, c: int) -> Shape:
    """The definition's place of class c of a row in input."""
    return (*at[:1], c, *at[1:])


def rows_of(input: Shape) -> Shape:
    """The shape of input without its classes."""
    return input[:1] + input[2:] if len(input) > 1 else ()


def by_row(input: Array) -> Array:
    """The array as (N, C, D)."""
    if input.ndim == 1:
        return input.reshape(1, -1, 1)
    return input.reshape(*input.shape[:2], math.prod(input.shape[2:]))


def of_right_classes(p: Params, log_p: Any, target: Array, weight: Any) -> Any:
    """−w·log p at the right class of each row, (N, D), from (N, C, D) over arrays that record; 0 where ignored."""
    n, count, d = log_p.shape
    numbers = target.reshape(n, d).astype(np.int64)
    counts = numbers != p.ignore_index
    if not count:
        return np.zeros((n, d))
    right = np.where(counts, numbers, 0)
    losses = -log_p[np.arange(n)[:, None], right, np.arange(d)]
    losses = losses if weight is None else weight[right] * losses
    return losses if counts.all() else np.where(counts, losses, 0.0)


def blocks(shape: Shape) -> Iterator[tuple[slice, slice]]:
    """Slices of N and of D, such that an (N, C, D) array is seen in pieces that stay in the cache."""
    n, c, d = shape
    width = max(1, min(d, BLOCK // max(c, 1)))
    height = max(1, BLOCK // max(c * width, 1))
    for row in range(0, n, height):
        for column in range(0, d, width):
            yield slice(row, row + height), slice(column, column + width)


class Rows:
    """The right class of each row (N, D) and its weight (or 1), and which rows are ignored (None if none are)."""

    def __init__(self, p: Params, input: Array, target: Array, weight: Array | None) -> None:
        n, self.count, d = by_row(input).shape
        numbers = target.reshape(n, d).astype(np.int64, copy=False)
        ignored = numbers == p.ignore_index
        self.ignored = ignored if ignored.any() else None
        self.classes = numbers if self.ignored is None else np.where(ignored, 0, numbers)
        first = np.arange(0, n * self.count * d, self.count * d or 1)[:, None] + np.arange(d)  # of class 0
        self.places = first + self.classes * d  # of the right classes in a flat (N, C, D): one index is the fastest
        self.w: Any = 1.0 if weight is None else weight[self.classes] if self.count else 0.0

    def right(self, x: Array) -> Array:
        """The numbers of an (N, C, D) array at the right classes."""
        return np.asarray(x.reshape(-1)[self.places]) if self.count else np.zeros(self.classes.shape)

    def add_to_right(self, x: Array, values: Any) -> None:
        """Adds to a contiguous (N, C, D) array at the right classes of the rows that count."""
        if self.count:
            x.reshape(-1)[self.places] += self.kept(values)

    def kept(self, values: Array) -> Array:
        """Values (N, D), or one for all, where rows count, and 0 where they are ignored, whatever stands there."""
        return values if self.ignored is None else np.where(self.ignored, 0.0, values)

    def kept_all(self, x: Array) -> Array:
        """The same for an (N, C, D) array."""
        return x if self.ignored is None else np.where(self.ignored[:, None], 0.0, x)

    def of(self, cotangent: Any) -> Array:
        """The cotangent of each row, from one for every row or one number for all; 0 where ignored."""
        g = np.asarray(cotangent)
        g = g.reshape(self.classes.shape) if g.ndim else np.full(self.classes.shape, g)
        return self.kept(g)


def sampled_target(chooser: Chooser, shape: Shape, params: dict[str, Any]) -> Array:
    """Class numbers for an input of this shape, some or all of them ignored; sets params["ignore_index"]."""
    count = classes(shape)
    ignored = chooser.choice([None, -100, -1, 0])
    if ignored not in (None, -100):
        params["ignore_index"] = ignored
    options = [*range(count)] if ignored is None else [*range(count), ignored]
    if ignored is not None and chooser.choice([False, True]):
        options = [ignored]
    return chooser.classes(rows_of(shape), options)
