"""Automatic differentiation shown: traces of expressions, of functions and of tensor programs.

`function` is the door (`opcheck.trace`); `scalar` has the traces of functions of numbers, `tensor` those of functions
of arrays. Both are `traced.Traced`, are printed by `page`, drawn by `drawing` and `motion`, and checked by witnesses.

`trace` is `opcheck.trace`. A program may use numpy's functions, `opcheck.reference`, `value_and_gradient` (reverse
mode inside a program, such as a training step), and for numbers `select`, `maximum` and `minimum`, which take the
place of decisions on traced values.
"""

from typing import TYPE_CHECKING, Any

from opcheck.autodiff.function import load, trace
from opcheck.tracing import detach, maximum, minimum, select

if TYPE_CHECKING:
    from opcheck.autodiff.tensor.sweeps import value_and_gradient

__all__ = ["detach", "load", "maximum", "minimum", "select", "trace", "value_and_gradient"]


def __getattr__(name: str) -> Any:
    if name == "value_and_gradient":  # it needs numpy, which a trace of numbers does not
        from opcheck.autodiff.tensor.sweeps import value_and_gradient

        return value_and_gradient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
