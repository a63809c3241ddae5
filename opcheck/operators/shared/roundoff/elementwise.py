"""Bounds of elementwise functions, and of losses that add up one number for each element."""

from typing import Any

import numpy as np

from opcheck.operators.shared.roundoff.base import Bound, Rounding
from opcheck.operators.spec import Array, Op, Params
from opcheck.programs.running import Format
from opcheck.tracing.primitives import C_LOG

PRODUCTS = 4  # of a cotangent with the factors of a derivative, each of which may be subnormal


class SigmoidRounding(Rounding):
    """8u * y, which holds for the exponential and the tanh form wherever y is a normal number.

    The derivative is formed as y * (1 - y): the error 8u*y of y stands undivided in the difference. 13 and 10 times as
    fast as the derived bound.
    """

    def forward(self, op: Op, p: Params, f: Format, *, input: Array) -> Any:
        return Bound(f.relative(8) * op.forward(p, input=input) + f.tiny)

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Array, *, input: Array) -> dict[str, Bound]:
        return {"input": self._slope(op, p, f, cotangent, input)}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], *, input: Array) -> Any:
        return self._slope(op, p, f, tangents["input"], input)

    def _slope(self, op: Op, p: Params, f: Format, g: Array, x: Array) -> Bound:
        y = op.forward(p, input=x)
        return Bound(np.abs(g) * (f.relative(12) * y * (1 - y) + f.relative(9) * y * y + f.tiny) + f.eta)


class TanhRounding(Rounding):
    """5u * abs(y); the derivative is formed as 1 - y*y, in which the error of y*y stands undivided.

    That of z/(z + 2), z = expm1(2x), w = z + 2, is 1/w - z/w^2 times 2(z + 1): the two terms cancel, and their errors
    stay, as (1 + y)(1 + 3y + abs(2y - 1)) + 8(1 - y^2), at most 12; its second derivative, which is 0 at 0, is made of
    such terms as well. 6 and 8 times as fast as the derived bound.
    """

    def forward(self, op: Op, p: Params, f: Format, *, input: Array) -> Any:
        return Bound(f.relative(5) * np.abs(op.forward(p, input=input)) + f.eta)

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Array, *, input: Array) -> dict[str, Bound]:
        return {"input": self._slope(op, p, f, cotangent, input)}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], *, input: Array) -> Any:
        return self._slope(op, p, f, tangents["input"], input)

    def _slope(self, op: Op, p: Params, f: Format, g: Array, x: Array) -> Bound:
        square = op.forward(p, input=x) ** 2
        return Bound(f.relative(12) * np.abs(g) * (1 + square) + f.eta)

    def second(self, f: Format, cotangent: Array, tangents: dict[str, Array]) -> dict[str, Array]:
        return {"input": f.relative(12) * np.abs(cotangent * tangents["input"])}


class LossRounding(Rounding):
    """A reduction of one loss for each element. A subclass bounds each loss and each derivative.

    `each` returns, for a cotangent of one at every loss, (error, size) pairs of the losses and of the derivative by
    each input, with `size` at least the absolute value of every number that is summed; `steep` what the factors of a
    derivative have beyond one, as a product that is subnormal may be multiplied by these afterwards. Means divide by a
    number that is itself a sum (of the weights, or of ones) of n positive terms. 3 times as fast as the derived bound
    (mean squares; 3 and 6 times with logits), which is tighter.
    """

    def each(self, op: Op, p: Params, f: Format, arrays: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        raise NotImplementedError

    def steep(self, arrays: dict[str, Array]) -> dict[str, Array]:
        raise NotImplementedError

    def forward(self, op: Any, p: Params, f: Format, **arrays: Array) -> Any:
        pairs = self.each(op, p, f, arrays)
        error, size = pairs[""]
        _, unweighted = pairs["weight"]  # what overflows before it is weighted stays infinite
        if p.reduction == "none":
            return Bound(error, np.maximum(size, unweighted))
        n = size.size
        total = error.sum() + f.gamma(n) * (size + error).sum() + n * f.eta
        largest = np.maximum(size.sum(), np.max(unweighted, initial=0.0))
        if p.reduction == "sum":
            return Bound(np.asarray(total), np.asarray(largest))
        d = np.abs(self._divisor(op, p, arrays, size.shape))
        return Bound(np.asarray(total / d + f.relative(2, n) * size.sum() / d + f.eta), np.asarray(largest))

    def vjp(self, op: Any, p: Params, f: Format, cotangent: Array, **arrays: Array) -> dict[str, Bound]:
        pairs, steep = self.each(op, p, f, arrays), self.steep(arrays)
        _, size = pairs[""]
        n = size.size
        g = np.broadcast_to(np.abs(cotangent), size.shape)
        lost = PRODUCTS * f.eta * beyond_one(g)
        if p.reduction == "mean":
            d = np.abs(self._divisor(op, p, arrays, size.shape))
            g, lost = g / d, lost * beyond_one(1 / d)
        found = {}
        for name, (error, slope) in pairs.items():
            if not name or name not in arrays:
                continue
            partial = None
            shape = arrays[name].shape
            e, m = fitted(g * error + lost * steep[name], shape), fitted(g * slope, shape)
            if name == "weight" and p.reduction == "mean":  # the divisor is made of the weights
                share = (g * size).sum() / d
                e, m = e + f.relative(6, 2 * n) * share + lost.sum() * (1 + size.sum() / d), m + share
                partial = np.maximum(m, size.sum())  # a difference of two numbers, each of which may overflow
            found[name] = Bound(e + f.relative(4, 2 * n) * (m + e) + (n + 4) * f.eta, partial)
        return found

    def jvp(self, op: Any, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        pairs, steep = self.each(op, p, f, arrays), self.steep(arrays)
        _, losses = pairs[""]
        n = losses.size
        error, size = np.zeros(losses.shape), np.zeros(losses.shape)
        for name, tangent in tangents.items():
            e, m = pairs[name]
            error = error + np.abs(tangent) * e + PRODUCTS * f.eta * steep[name] * beyond_one(np.abs(tangent))
            size = size + np.abs(tangent) * m
        error = error + f.relative(4) * (size + error) + f.eta
        if p.reduction == "none":
            return Bound(error, size)
        total = error.sum() + f.gamma(n) * (size + error).sum() + n * f.eta
        if p.reduction == "mean":
            d = np.abs(self._divisor(op, p, arrays, losses.shape))
            total = total / d + f.relative(2, n) * size.sum() / d + f.eta
            if "weight" in tangents and "weight" in arrays:
                share = losses.sum() / d * np.abs(tangents["weight"]).sum() / d
                lost = PRODUCTS * f.eta * (1 + np.abs(tangents["weight"])).sum()
                total = total + f.relative(8, 4 * n) * share + lost * (1 + losses.sum() / d) * beyond_one(1 / d)
        return Bound(np.asarray(total), np.asarray(size.sum()))

    def _divisor(self, op: Any, p: Params, arrays: dict[str, Array], shape: tuple[int, ...]) -> Any:
        return op.losses_divisor(p, shape, **arrays)


def size_of(arrays: dict[str, Array], name: str) -> Array:
    """The absolute values of weights; one if there are none."""
    return np.abs(arrays.get(name, np.ones(())))


def beyond_one(x: Any) -> Any:
    """By how much a factor may enlarge what was lost before it."""
    return np.maximum(x, 1.0)


def fitted(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` summed over the dimensions along which an array of that shape was repeated."""
    x = np.asarray(x)
    x = x.sum(axis=tuple(range(x.ndim - len(shape)))) if x.ndim > len(shape) else x
    repeated = tuple(k for k, n in enumerate(shape) if n == 1 and x.shape[k] != 1)
    return np.asarray(x.sum(axis=repeated, keepdims=True) if repeated else x).reshape(shape)


class MeanSquares(LossRounding):
    """w * (x - t)^2: one rounding for the difference counts twice, one each for the square and the weight.

    A square that underflows is multiplied by the weight afterwards, and its error with it.
    """

    def each(self, op: Op, p: Params, f: Format, arrays: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        d, w = np.abs(arrays["input"] - arrays["target"]), size_of(arrays, "weight")
        square, slope = w * d * d, 2 * w * d
        pairs = {"": (f.relative(5) * square + (1 + w) * f.eta, square)}
        pairs |= {name: (f.relative(4) * slope, slope) for name in ("input", "target")}
        return {**pairs, "weight": (f.relative(4) * d * d, d * d)}

    def steep(self, arrays: dict[str, Array]) -> dict[str, Array]:
        d = beyond_one(np.abs(arrays["input"] - arrays["target"]))
        slope = 2 * d * beyond_one(size_of(arrays, "weight"))
        return {"input": slope, "target": slope, "weight": d * d}


class BinaryCrossEntropyRounding(LossRounding):
    """-w * (t * ln x + (1 - t) * ln(1 - x)); forming 1 - x rounds once, which moves its logarithm by u."""

    def each(self, op: Op, p: Params, f: Format, arrays: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        x, t, w = arrays["input"], arrays["target"], size_of(arrays, "weight")
        yes, no = np.minimum(np.abs(np.log(x)), 100.0), np.minimum(np.abs(np.log1p(-x)), 100.0)
        size = np.abs(t) * yes + np.abs(1 - t) * no
        error = f.relative(C_LOG + 4) * size + f.relative(2) * np.abs(1 - t)
        slope = w * np.abs(x - t) / np.maximum(x * (1 - x), 1e-12)
        by_target = w * (np.abs(np.log(x)) + np.abs(np.log1p(-x)))  # the gradient is not held at 100
        return {
            "": (w * error + (1 + w) * f.eta, w * size),
            "input": (f.relative(8) * slope, slope),
            "target": (f.relative(C_LOG + 4) * by_target + w * f.relative(2), by_target),
            "weight": (error, size),
        }

    def steep(self, arrays: dict[str, Array]) -> dict[str, Array]:
        x, t, w = arrays["input"], arrays["target"], beyond_one(size_of(arrays, "weight"))
        yes, no = beyond_one(np.abs(np.log(x))), beyond_one(np.abs(np.log1p(-x)))
        return {
            "input": w * beyond_one(np.abs(x - t)) / np.maximum(x * (1 - x), 1e-12),
            "target": w * (yes + no),
            "weight": np.minimum(yes, 100.0) + np.minimum(no, 100.0),
        }


class LogitsRounding(LossRounding):
    """Binary cross-entropy of logits, (1 - t)*x + c*(log1p(exp(-abs x)) + max(-x, 0)) with c = 1 + (pos_weight - 1)*t.

    The two large terms may cancel, so the bound is a multiple of their sizes and not of the loss.
    """

    def each(self, op: Op, p: Params, f: Format, arrays: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        x, t, w = arrays["input"], arrays["target"], size_of(arrays, "weight")
        positive = size_of(arrays, "pos_weight")
        t_size, soft = np.abs(t), np.log1p(np.exp(-np.abs(x)))
        c = 1 + (positive + 1) * t_size
        size = (np.abs(1 - t) + c) * np.abs(x) + c * soft
        slope = np.abs(1 - t) + c
        loss = np.maximum(np.abs(x) + soft, soft)
        by_target = (1 + positive + 1) * loss + np.abs(x)
        return {
            "": (w * f.relative(10) * size + (1 + w * c) * f.tiny, w * size),
            "input": (w * f.relative(16) * slope + (1 + w * c) * f.tiny, w * slope),
            "target": (w * f.relative(12) * by_target, w * by_target),
            "weight": (f.relative(10) * size + f.tiny, size),
            "pos_weight": (w * f.relative(12) * t_size * loss + (1 + w * t_size) * f.tiny, w * t_size * loss),
        }

    def steep(self, arrays: dict[str, Array]) -> dict[str, Array]:
        x, t, w = np.abs(arrays["input"]), np.abs(arrays["target"]), beyond_one(size_of(arrays, "weight"))
        c = 1 + (size_of(arrays, "pos_weight") + 1) * beyond_one(t)
        return {
            "input": w * (t + c),
            "target": w * c * (2 + x),
            "weight": (t + c) * (2 + x),
            "pos_weight": w * beyond_one(t) * (2 + x),
        }
