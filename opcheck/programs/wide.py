"""The exact reading of large programs: the same rules over arrays of numbers with more digits.

One element of a small program is read through scalars (`elements`), in fractions where all is rational. Above some
200,000 scalar nodes that takes too long; here every array of the program becomes an array of mpmath numbers of BITS
bits, and each rule's own forward function computes with it: arithmetic, sums and products of matrices work on such
arrays as they are, and the functions that numpy has for floats only are taken element by element from the table of
scalar primitives. Decisions (masks, orders, classes) are those that came out in float64, as elsewhere.

How far such a number may be from the exact one is said by the bound reading in a format of CERTAIN bits (`WIDE`): so
many fewer than BITS that it does not matter that this bound is itself computed in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode
from opcheck.programs.bound import last_uses, running
from opcheck.programs.elementwise import UFUNCS, larger_and_more
from opcheck.programs.running import Array
from opcheck.tracing import EXACT

BITS, CERTAIN = 160, 120
AS_THEY_ARE = frozenset({"sum", "sub", "mul", "neg"})  # what numpy computes with any objects


class _Wide:
    """A number format of CERTAIN bits without limits to its exponents."""

    name, u, accumulate, eta = "wide", 2.0**-CERTAIN, 2.0**-CERTAIN, 0.0
    tiny, largest, exact_up_to = 0.0, float("inf"), 2.0**CERTAIN

    def gamma(self, n: Any) -> Any:
        return np.asarray(n, dtype=np.float64) * self.u * 1.01

    def relative(self, stored: Any, summed: Any = 0) -> Any:
        return self.gamma(stored + summed)

    def round(self, x: Any, truncate: bool = False) -> Array:
        return np.asarray(x, dtype=np.float64)  # which has fewer bits

    def stored(self, y: Array, error: Array) -> Array:
        return error


WIDE = _Wide()


def value(nodes: Sequence[ArrayNode], outputs: Sequence[int]) -> dict[int, tuple[Array, Array]]:
    """The numbers of these nodes as arrays of mpmath numbers, and how far each may be from the exact one (in floats).

    >>> import mpmath
    >>> from opcheck.programs.arrays import ArrayTape
    >>> tape = ArrayTape()
    >>> y = np.exp(tape.input("x", np.array([1.0])))
    >>> found, error = value(tape.nodes, [y.id])[y.id]
    >>> mpmath.nstr(found[0], 30), bool(error[0] < 2e-35)
    ('2.71828182845904523536028747135', True)
    """
    import mpmath

    found: dict[int, Any] = {}
    with mpmath.workprec(BITS), np.errstate(all="ignore"):
        for id in sorted(last_uses(nodes, outputs)):
            found[id] = _computed(nodes[id], found)
        errors = running(nodes, WIDE, only=outputs)
        return {id: (found[id], np.broadcast_to(errors[id].error(WIDE), found[id].shape)) for id in outputs}


def _computed(node: ArrayNode, found: Mapping[int, Any]) -> Any:
    if node.rule is None:
        return _widened(node.value)
    if node.value.dtype.kind != "f" or node.rule.name in DECISIONS:
        return _widened(node.value)  # as it came out
    function = FUNCTIONS.get(node.rule.name, node.rule.forward)
    return np.asarray(function(*(found[arg] for arg in node.args), **node.params), dtype=object)


DECISIONS = frozenset({"sign", "floor", "ceil", "astype"})


def _widened(array: Any) -> Any:
    """Real numbers as mpmath numbers; masks and whole numbers as they are."""
    import mpmath

    if array.dtype.kind != "f":
        return array
    return np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(array), dtype=object)


def _log_sum_exp(x: Any, axis: int) -> Any:
    top = x.max(axis=axis, keepdims=True)
    return top + FUNCTIONS["log"](FUNCTIONS["exp"](x - top).sum(axis=axis, keepdims=True))


def _softmax_along(x: Any, axis: int) -> Any:
    e = FUNCTIONS["exp"](x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        op: np.frompyfunc(EXACT.functions[op], getattr(UFUNCS[op], "nin", 1), 1)
        for op in UFUNCS
        if op not in AS_THEY_ARE
    },
    "log_sum_exp": _log_sum_exp,
    "softmax_along": _softmax_along,
    "power": np.frompyfunc(EXACT.power, 2, 1),
    "logaddexp": np.frompyfunc(lambda a, b: larger_and_more(EXACT, a, b), 2, 1),
}
