"""cross_entropy: how improbable the right classes are, for the probabilities that softmax makes of logits."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.losses.base import REDUCE, REDUCTION, REDUCTION_MISTAKES, REDUCTIONS, SIZE_AVERAGE
from opcheck.operators.losses.class_mistakes import CLASS_MISTAKES, LOGIT_FORMS, LOGIT_MISTAKES
from opcheck.operators.losses.classes import (
    IGNORE_INDEX,
    WEIGHT,
    ClassLoss,
    Rows,
    blocks,
    by_row,
    class_of,
    classes,
    closed,
    of_right_classes,
    place,
    rows_of,
    sampled_target,
)
from opcheck.operators.params import Real
from opcheck.operators.shared.elementwise import log_of_sum
from opcheck.operators.shared.notes import shifted
from opcheck.operators.shared.roundoff import ClassRounding
from opcheck.operators.spec import Array, Case, Closed, Input, Param, Params, Refused, RefusedType, Shape
from opcheck.programs.rule import constant
from opcheck.programs.sums import log_sum_exp
from opcheck.tracing import detach, exp, log, maximum, named, total


def _of_probabilities(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """N, where the loss is the mean over N rows with a probability for each class, without weights or smoothing."""
    x = shapes["input"]
    plain = p.reduction == "mean" and len(x) == 2 and shapes["target"] == x and not p.label_smoothing
    return {"N": x[0]} if plain and len(shapes) == 2 else None


def _smoothed(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """N rows and C classes, and ε, where each row has one class, its target is smoothed and the loss is their mean."""
    x = shapes["input"]
    plain = p.reduction == "mean" and len(x) == 2 and shapes["target"] == x[:1] and len(shapes) == 2
    return {"N": x[0], "C": x[1], "ε": p.label_smoothing} if plain and p.label_smoothing else None


SHARES = "p[n,c] = exp(x[n,c])/Σ_k exp(x[n,k])"
SMOOTHED = "q[n,c] = (1 − ε)·[c = t[n]] + ε/C"


class CrossEntropy(ClassLoss):
    name = "cross_entropy"
    also_asked = ("probabilities",)
    extremes = "logits"
    aliases = ("CrossEntropyLoss", "nn.CrossEntropyLoss", "softmax_cross_entropy")
    summary = "mean of the negated log-probabilities that softmax gives to the right classes"
    rounding = ClassRounding(logits=True)
    formula = "ℓ[n] = −w[t[n]]·ln( exp(x[n,t[n]]) / Σ_c exp(x[n,c]) ),   L = Σ_n ℓ[n] / Σ_n w[t[n]]"
    closed = (
        *closed("(p[n,c] − [c = t[n]])", f"   with {SHARES}"),
        Closed("input", f"x̄[n,c] = (p[n,c] − q[n,c])/N·L̄   with {SHARES}, {SMOOTHED}", _smoothed),
        Closed("input", f"x̄[n,c] = (p[n,c]·(Σ_k t[n,k]) − t[n,c])/N·L̄   with {SHARES}", _of_probabilities),
        Closed("target", f"t̄[n,c] = −ln(p[n,c])/N·L̄   with {SHARES}", _of_probabilities),
    )  # fmt: skip
    example = "cross_entropy([[1, 2, 3]], [2])", "array(0.40760596)"
    source = (
        "Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.3; label smoothing: Szegedy et al., "
        "Rethinking the Inception Architecture (2016), section 7; torch.nn.functional.cross_entropy"
    )
    arguments = (
        Input("input", "x", "N C *", "logits: one row of C for each example, or a single row"),
        Input("target", "t", "N *", "the right classes, counted from 0; or, in the shape of input, the probability "
                                    "that each class should have", whole=True),
        WEIGHT,
        SIZE_AVERAGE,
        IGNORE_INDEX,
        REDUCE,
        REDUCTION,
        Param("label_smoothing", 0.0, Real(0.0, 1.0),
              "the part of the probability that is spread over all classes", quiet=True,
              symbol="ε"),
    )  # fmt: skip

    formula_of_probabilities = "ℓ[n] = −Σ_c w[c]·t[n,c]·ln( exp(x[n,c]) / Σ_k exp(x[n,k]) )"

    def takes_probabilities(self, input: Shape, target: Shape) -> bool:
        return input == target

    def check(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> None:
        if not self.takes_probabilities(input.shape, target.shape):
            super().check(p, input=input, target=target, weight=weight)
        elif target.dtype.kind != "f":
            raise RefusedType(
                say("a target with the shape of input holds probabilities, which are real numbers"),
                got=str(target.dtype),
                fix=say("write 1.0 for 1, or give class numbers without the dimension of classes"),
            )
        elif p.ignore_index >= 0:
            raise Refused(
                say("ignore_index needs class numbers, not probabilities"), got=f"ignore_index={p.ignore_index}"
            )

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        found = super().formula_of(p, shapes)
        if not p.label_smoothing:
            return found
        row, also, mean = found.partition(",   L = ")
        weight = "w[c]·" if "weight" in shapes else ""
        row = f"{row.partition(' = ')[0]} = −Σ_c {weight}q[n,c]·ln( exp(x[n,c]) / Σ_k exp(x[n,k]) )"
        given = "t[n,c]" if self.takes_probabilities(shapes["input"], shapes["target"]) else "[c = t[n]]"
        return f"{row}{also}{mean}   with {SMOOTHED.replace('[c = t[n]]', given)}"

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if not p.label_smoothing:
            return (shifted(),)
        told = say("C is the number of classes")
        if not self.takes_probabilities(shapes["input"], shapes["target"]):
            told = say("[c = t[n]] is 1 for the right class and 0 for the others; C is the number of classes")
        return (shifted(), told)

    # --- definition -------------------------------------------------------------------------------------------

    def loss(self, p: Params, at: Shape, *, input: Any, target: Any, weight: Any = None) -> Any:
        count, of_class = classes(input.shape), not self.takes_probabilities(input.shape, target.shape)
        if count == 0 or (of_class and class_of(target, at) == p.ignore_index):
            return 0.0
        m = detach(named("m", maximum(*(input[place(at, c)] for c in range(count))), at))
        z = [input[place(at, c)] - m for c in range(count)]
        log_sum = log(named("S", total(exp(each) for each in z), at))

        def log_p(c: int) -> Any:
            """The log-probability of class c, times the class's weight."""
            number = named("logp", z[c] - log_sum, place(at, c))
            return number if weight is None else weight[c] * number

        if of_class and not p.label_smoothing:
            return -log_p(class_of(target, at))
        q = [int(c == class_of(target, at)) if of_class else target[place(at, c)] for c in range(count)]
        if p.label_smoothing:
            epsilon = input.tape.constant(p.label_smoothing, "ε")
            q = [named("q", (1 - epsilon) * q[c] + epsilon / count, place(at, c)) for c in range(count)]
        return -total(q[c] * log_p(c) for c in range(count))

    # --- fast reference ---------------------------------------------------------------------------------------

    def losses(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        x = by_row(input)
        # infinite weights: the sums below, of all classes at once, would take infinity from infinity
        boundless = p.label_smoothing and weight is not None and not np.isfinite(weight.sum())
        if boundless or self.takes_probabilities(input.shape, target.shape):
            z, e, s = _shifted(x)
            return self.from_log_p(p, z - log_of_sum(e, s, 1), input=input, target=target, weight=weight)
        rows, smoothing = Rows(p, input, target, weight), p.label_smoothing
        right, uniform, log_s = (np.zeros(rows.classes.shape) for _ in range(3))
        for n, d in blocks(x.shape):
            z = x[n, :, d] - x[n, :, d].max(axis=1, keepdims=True, initial=-np.inf)
            if rows.count:
                right[n, d] = np.take_along_axis(z, rows.classes[n, None, d], axis=1)[:, 0]
            if smoothing:
                uniform[n, d] = z.sum(axis=1) if weight is None else np.tensordot(weight, z, (0, 1))
            e = np.exp(z, out=z)
            log_s[n, d] = log_of_sum(e, e.sum(axis=1), 1)
        losses = -(rows.w * (right - log_s))
        if smoothing:
            weights = float(rows.count) if weight is None else weight.sum()
            losses = (1.0 - smoothing) * losses - smoothing / max(1, rows.count) * (uniform - weights * log_s)
        return rows.kept(losses).reshape(rows_of(input.shape))

    def from_log_p(self, p: Params, log_p: Array, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        """The losses for log-probabilities (N, C, D)."""
        losses = -(self.shares(p, input=input, target=target, weight=weight) * log_p).sum(axis=1)
        if not self.takes_probabilities(input.shape, target.shape):
            rows = Rows(p, input, target, weight)
            # without smoothing the other classes have no part in the loss, not even an infinite one
            losses = rows.kept(losses if p.label_smoothing else -(rows.w * rows.right(log_p)))
        return np.asarray(losses).reshape(rows_of(input.shape))

    def losses_vjp(
        self, p: Params, cotangent: Any, *, input: Array, target: Array, weight: Array | None = None
    ) -> dict[str, Array]:
        if not self.takes_probabilities(input.shape, target.shape):
            return {"input": self._vjp_by_class(p, cotangent, input, target, weight)}
        z, e, s = _shifted(by_row(input))
        shares = self.shares(p, input=input, target=target, weight=weight)
        g = np.asarray(cotangent)
        g = g.reshape(z.shape[0], 1, z.shape[2]) if g.ndim else g
        by_input = (e / s * shares.sum(axis=1, keepdims=True) - shares) * g
        by_target = (1.0 - p.label_smoothing) * (log_of_sum(e, s, 1) - z) * g
        if weight is not None:
            by_target = by_target * weight[:, None]
        return {"input": by_input.reshape(input.shape), "target": by_target.reshape(input.shape)}

    def _vjp_by_class(self, p: Params, cotangent: Any, input: Array, target: Array, weight: Array | None) -> Array:
        """Softmax times the sum of the shares, minus the shares, which are sparse without smoothing."""
        x, rows, smoothing = by_row(input), Rows(p, input, target, weight), p.label_smoothing
        each, g = smoothing / max(1, rows.count), rows.of(cotangent)
        scale = ((1.0 - smoothing) * rows.w + each * (rows.count if weight is None else weight.sum())) * g
        gradient = np.empty(x.shape)
        for n, d in blocks(x.shape):
            z = x[n, :, d] - x[n, :, d].max(axis=1, keepdims=True, initial=-np.inf)
            np.exp(z, out=z)
            np.multiply(z, (scale[n, d] / z.sum(axis=1))[:, None], out=gradient[n, :, d])
        if smoothing:
            gradient -= (each * g)[:, None] if weight is None else (each * g)[:, None] * weight[:, None]
        rows.add_to_right(gradient, -(1.0 - smoothing) * rows.w * g)
        return rows.kept_all(gradient).reshape(input.shape)

    def losses_jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, target: Array, weight: Array | None = None
    ) -> Array:
        z, e, s = _shifted(by_row(input))
        change = np.zeros(z.shape)
        if "input" in tangents:
            dx = by_row(tangents["input"])
            dlog_p = dx - (e / s * dx).sum(axis=1, keepdims=True)
            change = self.shares(p, input=input, target=target, weight=weight) * -dlog_p
        if "target" in tangents:
            by_target = (1.0 - p.label_smoothing) * by_row(tangents["target"]) * (np.log(s) - z)
            change = change + (by_target if weight is None else by_target * weight[:, None])
        tangent = np.asarray(change.sum(axis=1))
        if not self.takes_probabilities(input.shape, target.shape):
            tangent = Rows(p, input, target, weight).kept(tangent)
        return tangent.reshape(rows_of(input.shape))

    def shares(self, p: Params, *, input: Array, target: Array, weight: Array | None = None) -> Array:
        """What each −log p is multiplied by in the losses, as (N, C, D): the probability that the class should have,
        times its weight."""
        shape, smoothing = by_row(input).shape, p.label_smoothing
        if self.takes_probabilities(input.shape, target.shape):
            share = target.reshape(shape)
            share = (1.0 - smoothing) * share + smoothing / shape[1] if smoothing else share
        else:
            rows = Rows(p, input, target, weight)
            share = np.zeros(shape) + rows.of(smoothing / max(1, rows.count))[:, None]
            rows.add_to_right(share, np.asarray(1.0 - smoothing))
        return share if weight is None else share * weight[:, None]

    # --- program ----------------------------------------------------------------------------------------------

    def losses_program(
        self, p: Params, *, input: Any, target: Any, weight: Any = None, log_p: Callable[[Any], Any] | None = None
    ) -> Any:
        x = by_row(input)
        logs = x - log_sum_exp(x, 1) if log_p is None else log_p(x)
        weighted = logs if weight is None else np.reshape(weight, (-1, 1)) * logs
        epsilon, each = constant(p.label_smoothing, input), p.label_smoothing / max(1, x.shape[1])
        if self.takes_probabilities(input.shape, target.shape):
            q = np.reshape(target, x.shape)
            q = (1 - epsilon) * q + each if p.label_smoothing else q
            losses = -(q * weighted).sum(axis=1)
        else:
            losses = of_right_classes(p, logs, target, weight)
            if p.label_smoothing:
                smooth = (1 - epsilon) * losses - each * weighted.sum(axis=1)
                losses = np.where(target.reshape(smooth.shape) == p.ignore_index, 0.0, smooth)
        return np.reshape(losses, rows_of(input.shape))

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice([(2, 3), (3,), (1, 2), (4, 5), (0, 3), (2, 1), (2, 3, 4), (1, 4, 1, 2)])
        params: dict[str, Any] = dict(chooser.choice(REDUCTIONS))
        target = sampled_target(chooser, shape, params) if chooser.choice([True, False]) else chooser.unit(*shape)
        arrays = {"input": chooser.array(*shape), "target": target}
        if chooser.choice([False, True]):
            arrays["weight"] = chooser.positive(classes(shape))
        smoothing = chooser.choice([0.0, 0.25, 0.1, 1.0])
        return Case(self.name, arrays, {**params, "label_smoothing": smoothing} if smoothing else params)

    forms = LOGIT_FORMS
    mistakes = (*REDUCTION_MISTAKES, *CLASS_MISTAKES, *LOGIT_MISTAKES)


def _shifted(x: Array) -> tuple[Array, Array, Array]:
    """z = x − max, exp(z), and the sum of exp(z) over the classes of each row."""
    z = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(z)
    return z, e, e.sum(axis=1, keepdims=True)


OPS = (CrossEntropy(),)
