"""Bounds on abs(computed - exact), elementwise and vectorised: what an operator declares as its `rounding`.

Each class is one row of the table in Higham's manner (Accuracy and Stability of Numerical Algorithms, chapters 2 to 4):
it holds for every order of summation, with or without fused multiply-add. `f` is the number format: `f.u` (a stored
result), `f.gamma(n)` (n accumulated roundings), `f.relative(k, n)` (k stored results and then n accumulated roundings),
`f.eta` (the smallest subnormal) and `f.tiny` (the smallest normal number, below which exp may be flushed to
zero). An operator that declares nothing
gets its bound from its graph, one element at a time (`opcheck.tracing.bound`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from opcheck.operators.spec import Array, Case, Op, Params
from opcheck.programs.running import Format

FURTHER = 32.0  # times as far apart: the rows of most cases are confident then


class Bound(NamedTuple):
    """For each element: how far it may be from the exact value, and the largest partial sum that may be met on the way
    (beyond the format's largest number anything may come out; None where no sum is larger than its result). A result
    that is not `computed` but picked out of the inputs is not rounded when it is stored either. Where it is known to be
    `exact`, nothing is rounded at all."""

    error: Array
    partial: Array | None = None
    computed: bool = True
    exact: Array | None = None


class Rounding:
    """The bounds of an operator's outputs, gradients and tangents; None where only the graph knows.

    Each method returns what `op.forward`, `op.vjp` and `op.jvp` return, with a Bound in place of each array.
    What follows from the program (`operators/program.py`, `Derived`) is as tight or tighter; a class here earns its
    place by speed, and says by how much: forward and gradient, 64 rows of 4,096 float32 numbers unless it says more
    (`python -m tests.benchmarks.bounds` has ratios and times).
    `whole`: whole numbers in, whole partial sums out, so that up to 2**digits every order of summation is exact.
    """

    whole = False

    def forward(self, op: Op, p: Params, f: Format, /, *args: Any, **arrays: Any) -> Any:
        return None

    def stable(self, op: Op, p: Params, f: Format, /, *args: Any, **arrays: Any) -> Any:
        """The outputs' bounds in the form that keeps the digits of small results; None where the textbook's does."""
        return None

    def confident(self, op: Op, case: Case) -> Case:
        """A call like this one whose results are small, where `stable` says something: the numbers far apart."""
        name, array = next(iter(case.arrays.items()))
        return case._replace(arrays={**case.arrays, name: array * FURTHER})

    def vjp(
        self, op: Op, p: Params, f: Format, cotangent: Any, /, *args: Any, **arrays: Any
    ) -> dict[str, Bound] | None:
        return None

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], /, *args: Any, **arrays: Any) -> Any:
        return None

    def second(self, f: Format, cotangent: Any, tangents: dict[str, Array]) -> Mapping[str, Array]:
        """What the gradient's own derivative may be off by besides, in forms that are no rearrangement of the
        definition."""
        return {}


def absolute(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Absolute values of the real arrays."""
    return {name: np.abs(each) if each.dtype.kind == "f" else each for name, each in arrays.items()}


def ones(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Ones in place of the real arrays."""
    return {name: np.ones_like(each) if each.dtype.kind == "f" else each for name, each in arrays.items()}
