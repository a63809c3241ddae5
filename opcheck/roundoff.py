"""Bounds on abs(computed - exact), elementwise and vectorised: what an operator declares as its `rounding`.

Each class is one row of the table in Higham's manner (Accuracy and Stability of Numerical Algorithms, chapters 2 to 4):
it holds for every order of summation, with or without fused multiply-add. `f` is the number format: `f.u` (a stored
result), `f.gamma(n)` (n accumulated roundings), `f.eta` (the smallest subnormal). An operator that declares nothing
gets its bound from its graph, one element at a time (`opcheck.trace.bound`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from opcheck.spec import Array, Op, Params

C_EXP, C_LOG = 5, 3  # errors of exp and log in units of u: what CUDA documents (2 and 1 ulp; k ulp = (2k+1) u)


class Format(Protocol):
    """What a bound needs to know about the number format."""

    @property
    def u(self) -> float: ...
    @property
    def eta(self) -> float: ...
    def gamma(self, n: Any) -> Any: ...


class Bound(NamedTuple):
    """For each element: how far it may be from the exact value, and the largest partial sum that may be met on the way
    (beyond the format's largest number anything may come out; None where no sum is larger than its result). A result
    that is not `computed` but picked out of the inputs is not rounded when it is stored either."""

    error: Array
    partial: Array | None = None
    computed: bool = True


class Rounding:
    """The bounds of an operator's outputs, gradients and tangents; None where only the graph knows.

    Each method returns what `op.forward`, `op.vjp` and `op.jvp` return, with a Bound in place of each array.
    `whole`: whole numbers in, whole partial sums out, so that up to 2**digits every order of summation is exact.
    """

    whole = False

    def forward(self, op: Op, p: Params, f: Format, **arrays: Array) -> Any:
        return None

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, **arrays: Array) -> dict[str, Bound] | None:
        return None

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        return None


class Multilinear(Rounding):
    """Sums of products (linear, convolution): gamma_N * M + N * eta/2.

    M is the operator on absolute values and N the operator on ones, that is, the number of terms: padding, groups and
    edges come out by themselves.
    """

    whole = True

    def __init__(self) -> None:
        self._counts: dict[Any, Any] = {}

    def forward(self, op: Op, p: Params, f: Format, **arrays: Array) -> Any:
        n = self._counted(("forward", op, p, arrays), lambda: op.forward(p, **ones(arrays)))
        return self._bound(f, n, op.forward(p, **absolute(arrays)))

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, **arrays: Array) -> dict[str, Bound]:
        n = self._counted(("vjp", op, p, arrays), lambda: op.vjp(p, np.ones_like(cotangent), **ones(arrays)))
        m = op.vjp(p, np.abs(cotangent), **absolute(arrays))
        return {name: self._bound(f, n[name], m[name]) for name in m}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        key = (f"jvp of {sorted(tangents)}", op, p, arrays)
        n = self._counted(key, lambda: op.jvp(p, ones(tangents), **ones(arrays)))
        return self._bound(f, n, op.jvp(p, absolute(tangents), **absolute(arrays)))

    def _bound(self, f: Format, n: Array, m: Array) -> Bound:
        return Bound(np.asarray(f.gamma(n) * m + n * (f.eta / 2)), m)

    def _counted(self, key: tuple[str, Op, Params, Mapping[str, Array]], count: Any) -> Any:
        """The number of terms depends on shapes and parameters only, so that it is counted once for each."""
        what, op, p, arrays = key
        known = (what, op.name, repr(p), *((name, each.shape) for name, each in arrays.items()))
        if known not in self._counts:
            if len(self._counts) > 1000:
                self._counts.clear()
            self._counts[known] = count()
        return self._counts[known]


class Selection(Rounding):
    """Results that are picked out of the inputs (relu, max-pool): no rounding, but where gradients meet they are summed:
    gamma_(meeting - 1) * sum of abs(g), with as many meeting as a window has places (`p.kernel_size`; one without)."""

    whole = True

    def forward(self, op: Op, p: Params, f: Format, **arrays: Array) -> Any:
        return {op.outputs[0].name: Bound(np.zeros(()), None, computed=False)}

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, **arrays: Array) -> dict[str, Bound]:
        meeting = int(np.prod(p.get("kernel_size", 1)))
        m = op.vjp(p, np.abs(cotangent), **arrays)
        return {name: Bound(f.gamma(meeting - 1) * each, each, meeting > 1) for name, each in m.items()}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        return self.forward(op, p, f, **arrays)


class WindowMean(Rounding):
    """Means of windows of k places: gamma_(k+1) * mean of abs(x), which covers multiplying by a reciprocal.

    Gradients: gamma_(k+2) * sum of abs(g)/divisor, as at most k windows meet in a place.
    """

    def forward(self, op: Op, p: Params, f: Format, **arrays: Array) -> Any:
        k = int(np.prod(p.kernel_size))
        mean = np.abs(op.forward(p, **absolute(arrays)))
        sums = op.forward(p.replace(divisor_override=1), **absolute(arrays))
        return Bound(f.gamma(k + 1) * mean + f.eta, sums)

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, **arrays: Array) -> dict[str, Bound]:
        k = int(np.prod(p.kernel_size))
        m = op.vjp(p, np.abs(cotangent), **arrays)
        return {name: Bound(f.gamma(k + 2) * np.abs(each) + (k + 1) * f.eta) for name, each in m.items()}

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], **arrays: Array) -> Any:
        return self.forward(op, p, f, **tangents)


def absolute(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Absolute values of the real arrays."""
    return {name: np.abs(each) if each.dtype.kind == "f" else each for name, each in arrays.items()}


def ones(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Ones in place of the real arrays."""
    return {name: np.ones_like(each) if each.dtype.kind == "f" else each for name, each in arrays.items()}
