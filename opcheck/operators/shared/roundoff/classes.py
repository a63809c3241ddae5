"""Bounds of softmax, log_softmax and the losses that are made of them.

With s = x - max and p = softmax(x): exp(s_j) is wrong by rho_j = u*(abs(s_j) + c_exp), their sum by
A = sum p_j*rho_j + gamma_(n-1), relatively. First order, times 1.01 for the rest.
"""

from functools import cached_property
from typing import Any

import numpy as np

from opcheck.operators.shared.roundoff.base import Bound, Rounding
from opcheck.operators.shared.roundoff.elementwise import PRODUCTS, beyond_one
from opcheck.operators.spec import Array, Case, Op, Params
from opcheck.programs.running import Format
from opcheck.tracing.primitives import C_EXP, C_LOG


class Row:
    """Softmax along `axis` in float64, with the bounds of p and of log p."""

    def __init__(self, x: Array, axis: int, f: Format) -> None:
        if not x.ndim:
            x = x.reshape(1)
        self.axis, self.f, self.n = axis, f, x.shape[axis]
        top = x.max(axis=axis, keepdims=True, initial=-np.inf)
        self.s = s = x - top
        e = np.exp(s)
        total = e.sum(axis=axis, keepdims=True)
        self.p, self.log_p = e / total, s - np.log(total)
        rho = f.u * (np.abs(s) + C_EXP)
        spread = self.sum(np.where(self.p > 0, self.p * rho, 0.0)) + f.gamma(self.n - 1)
        self.p_error = 1.01 * self.p * (rho + spread + 2 * f.u) + f.tiny
        log_total = np.abs(np.log(total))
        self.log_error = 1.01 * (
            f.u * np.abs(s) + spread + C_LOG * f.u * log_total + f.u * np.abs(self.log_p)
            + f.u * np.abs(top + np.log(total))  # where it is formed as x - lse(x)
            + f.u * (1 + log_total) * 2
        )  # fmt: skip

    @cached_property
    def stable(self) -> tuple[Array, Array]:
        """log p, and its error where ln S is log1p of the sum without the largest: no more than a part of log p."""
        f, s, others = self.f, self.s, np.exp(self.s)
        if self.n:
            np.put_along_axis(others, others.argmax(axis=self.axis, keepdims=True), 0.0, self.axis)
        tail = self.sum(others)
        spread = self.sum(np.where(others > 0, others * f.u * (np.abs(s) + C_EXP), 0.0)) + f.gamma(self.n) * tail
        size = np.abs(s) + np.log1p(tail)
        return -size, 1.01 * (spread / (1 + tail) + (C_LOG + 4) * f.u * size) + f.tiny

    def sum(self, x: Array) -> Array:
        return np.asarray(x.sum(axis=self.axis, keepdims=True))

    def softmax_derivative(self, g: Array) -> Array:
        """The error of p*(g - sum p*g): a gradient for a cotangent, a tangent for a tangent."""
        f, a = self.f, np.abs(g)
        mean_size = self.sum(self.p * a)
        gap = np.abs(g - self.sum(self.p * g))
        mean_error = self.sum(a * self.p_error) + f.gamma(self.n + 1) * mean_size + f.u * mean_size
        # formed as p*(g - mean), or as p*g - p*mean, which rounds the two products and not their difference
        size = np.maximum(gap, a + mean_size)
        return np.asarray(1.05 * (self.p_error * gap + self.p * (mean_error + 3 * f.u * size)) + f.eta)

    def log_softmax_gradient(self, g: Array) -> Array:
        """The error of g - p * sum g, where p may be made of log p."""
        f = self.f
        total, size = np.abs(self.sum(g)), self.sum(np.abs(g))
        p_error = self.p_error + self.p * 1.05 * (self.log_error + C_EXP * f.u)
        return np.asarray(
            1.05
            * (
                p_error * total
                + self.p * (f.gamma(self.n) * size + 3 * f.u * total)
                + f.u * (np.abs(g) + self.p * total)
            )
            + f.eta
        )

    def log_softmax_tangent(self, t: Array) -> Array:
        """The error of t - sum p*t, where p may be made of log p."""
        f, a = self.f, np.abs(t)
        p_error = self.p_error + self.p * 1.05 * (self.log_error + C_EXP * f.u)
        mean_size = self.sum(self.p * a)
        mean_error = self.sum(a * p_error) + f.gamma(self.n + 1) * mean_size + f.u * mean_size
        return np.asarray(1.05 * (mean_error + 2 * f.u * (a + mean_size)) + f.eta)


class SoftmaxRounding(Rounding):
    """1.01 * p_i * (rho_i + A + 2u). 2 and 4 times as fast as the derived bound."""

    def forward(self, op: Op, p: Params, f: Format, *, input: Array) -> Any:
        return Bound(Row(input, p.dim, f).p_error.reshape(input.shape))

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Array, *, input: Array) -> dict[str, Bound]:
        error = Row(input, p.dim, f).softmax_derivative(np.atleast_1d(cotangent))
        return {"input": Bound(error.reshape(input.shape))}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], *, input: Array) -> Any:
        return self.vjp(op, p, f, tangents["input"], input=input)["input"]  # the Jacobian is symmetric


class LogSoftmaxRounding(Rounding):
    """1.01 * (u*abs(s_i) + A + c_log*u*abs(ln S) + u*abs(y_i)) + u*abs(lse).

    2 and 4 times as fast as the derived bound.
    """

    def forward(self, op: Op, p: Params, f: Format, *, input: Array) -> Any:
        return Bound(Row(input, p.dim, f).log_error.reshape(input.shape))

    def stable(self, op: Op, p: Params, f: Format, *, input: Array) -> Any:
        return Bound(Row(input, p.dim, f).stable[1].reshape(input.shape))

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Array, *, input: Array) -> dict[str, Bound]:
        error = Row(input, p.dim, f).log_softmax_gradient(np.atleast_1d(cotangent))
        return {"input": Bound(error.reshape(input.shape))}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], *, input: Array) -> Any:
        error = Row(input, p.dim, f).log_softmax_tangent(np.atleast_1d(tangents["input"]))
        return Bound(error.reshape(input.shape))


class ClassRounding(Rounding):
    """Losses of classes: sums of q * -log p, with q what `op.shares` says (the target's part of each class, weighted).

    `logits`: log p is made from the input (cross-entropy); else it is the input (negative log-likelihood).
    Of cross-entropy 1.2 and 3 times as fast as the derived bound, which is tighter.
    """

    def __init__(self, logits: bool) -> None:
        self.logits = logits

    def forward(self, op: Any, p: Params, f: Format, **arrays: Array) -> Any:
        return self._losses(op, p, f, arrays, *self._rows(arrays["input"], f))

    def stable(self, op: Any, p: Params, f: Format, **arrays: Array) -> Any:
        if not self.logits:
            return None
        return self._losses(op, p, f, arrays, *Row(by_row(arrays["input"]), 1, f).stable)

    def confident(self, op: Any, case: Case) -> Case:
        """The loss of each row, of the class that is likeliest."""
        case = super().confident(op, case)
        x, target = case.arrays["input"], case.arrays["target"]
        arrays = dict(case.arrays)
        if target.dtype.kind != "f" and x.size:
            arrays["target"] = by_row(x).argmax(axis=1).reshape(target.shape)
        return case._replace(arrays=arrays, params={**case.params, "reduction": "none"})

    def _losses(self, op: Any, p: Params, f: Format, arrays: dict[str, Array], log_p: Array, log_error: Array) -> Bound:
        """From log p and its error, as (N, C, D)."""
        q = self._shares(op, p, arrays)
        n, classes = q.shape[0] * q.shape[2], q.shape[1]
        known = q != 0
        size = np.where(known, q * np.abs(log_p), 0.0).sum(axis=1)
        error = np.where(known, q * log_error, 0.0).sum(axis=1) + f.relative(6, classes + 2) * size
        error += f.eta + np.where(known, self._lost(f, arrays, log_p), 0.0).sum(axis=1)
        # the smoothed part may be formed as one sum over all classes of all rows, scaled afterwards
        largest = np.abs(log_p).sum() * np.max(np.abs(arrays.get("weight", np.ones(1))), initial=1.0)
        bound = self._reduced(op, p, f, arrays, error, size, n * (classes + 1))
        return Bound(bound.error, np.broadcast_to(largest, bound.error.shape))

    def vjp(self, op: Any, p: Params, f: Format, cotangent: Array, **arrays: Array) -> dict[str, Bound]:
        x = arrays["input"]
        q = self._shares(op, p, arrays)
        g, g_error = self._spread(op, p, f, cotangent, arrays)
        if self.logits:
            row = Row(by_row(x), 1, f)
            total = q.sum(axis=1, keepdims=True)
            p_error = row.p_error + row.p * 1.05 * (row.log_error + C_EXP * f.u)
            slope = row.p * total + q
            error = p_error * total + f.relative(6, 2 * q.shape[1]) * slope
        else:
            slope, error = q, f.relative(4) * q
        lost = self._lost(f, arrays, np.ones(())) * beyond_one(g)
        if p.reduction == "mean":
            lost = lost * beyond_one(1 / np.abs(self._divisor(op, p, arrays)))
        found = {"input": Bound((g * error + g_error * (slope + error) + lost).reshape(x.shape))}
        if arrays["target"].dtype.kind == "f":
            log_p, log_error = self._rows(x, f)
            w = np.abs(arrays["weight"]).reshape(1, -1, 1) if "weight" in arrays else 1.0
            by_target = (g * (log_error + f.relative(5) * np.abs(log_p)) + g_error * np.abs(log_p)) * w
            found["target"] = Bound((by_target + lost * beyond_one(np.abs(log_p))).reshape(x.shape))
        return found

    def jvp(self, op: Any, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        q = self._shares(op, p, arrays)
        log_p, log_error = self._rows(arrays["input"], f)
        size, error = np.zeros(q.shape), np.zeros(q.shape)
        if "input" in tangents:
            t = by_row(tangents["input"])
            if self.logits:
                row = Row(by_row(arrays["input"]), 1, f)
                size = q * (np.abs(t) + row.sum(row.p * np.abs(t)))
                error = q * row.log_softmax_tangent(t)
            else:
                size = q * np.abs(t)
        if "target" in tangents:
            w = np.abs(arrays["weight"]).reshape(1, -1, 1) if "weight" in arrays else 1.0
            t = np.abs(by_row(tangents["target"])) * w
            size, error = size + t * np.abs(log_p), error + t * log_error
        classes = q.shape[1]
        rows = size.sum(axis=1)
        lost = np.where(size != 0, self._lost(f, arrays, log_p), 0.0).sum(axis=1)
        lost = lost * np.max([np.max(np.abs(t), initial=1.0) for t in tangents.values()], initial=1.0)
        error = error.sum(axis=1) + f.relative(8, 2 * classes + 2) * rows + f.eta + lost
        return self._reduced(op, p, f, arrays, error, rows, q.shape[0] * q.shape[2] * (classes + 1))

    def _lost(self, f: Format, arrays: dict[str, Array], log_p: Array) -> Array:
        """What is lost of products that are subnormal before the other factors come: a logarithm, a class weight."""
        largest = np.max(np.abs(arrays.get("weight", np.ones(1))), initial=1.0)
        return np.asarray(PRODUCTS * f.eta * largest * beyond_one(np.abs(log_p)))

    def _rows(self, x: Array, f: Format) -> tuple[Array, Array]:
        """log p and its error, as (N, C, D)."""
        if self.logits:
            row = Row(by_row(x), 1, f)
            return row.log_p, row.log_error
        return by_row(x), np.zeros(by_row(x).shape)

    def _shares(self, op: Any, p: Params, arrays: dict[str, Array]) -> Array:
        """abs(q) as (N, C, D): minus the gradient of the sum of the losses by log p."""
        return np.asarray(np.abs(op.shares(p, **arrays)))

    def _spread(self, op: Any, p: Params, f: Format, cotangent: Array, arrays: dict[str, Array]) -> tuple[Array, Array]:
        """The cotangent of each row as (N, 1, D), divided where the loss is a mean, and its error."""
        n, _, d = by_row(arrays["input"]).shape
        g = np.abs(np.asarray(cotangent, dtype=np.float64))
        if p.reduction == "none":
            return g.reshape(n, 1, d), f.relative(2) * g.reshape(n, 1, d)
        if p.reduction == "mean":
            g = g / np.abs(self._divisor(op, p, arrays))
        return g, f.relative(4, n * d) * g

    def _reduced(
        self, op: Any, p: Params, f: Format, arrays: dict[str, Array], error: Array, size: Array, terms: int
    ) -> Bound:
        if p.reduction == "none":
            x = arrays["input"].shape
            shape = x[:1] + x[2:] if len(x) > 1 else ()
            return Bound(error.reshape(shape), size.reshape(shape))
        total = error.sum() + f.gamma(terms) * (size + error).sum()
        if p.reduction == "mean":
            d = np.abs(self._divisor(op, p, arrays))
            total = total / d + f.relative(4, size.size + 2) * size.sum() / d + f.eta
        return Bound(np.asarray(total), np.asarray(size.sum()))

    def _divisor(self, op: Any, p: Params, arrays: dict[str, Array]) -> Any:
        x = arrays["input"].shape
        return op.losses_divisor(p, x[:1] + x[2:] if len(x) > 1 else (), **arrays)


def by_row(x: Array) -> Array:
    """The array as (N, C, D)."""
    return x.reshape(1, -1, 1) if x.ndim == 1 else x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])))
