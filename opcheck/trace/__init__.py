"""Numbers that remember how they were made, and the readings of what they remember. Standard library only.

The package is also the public function `opcheck.trace("ln(x1)+x1*x2", at={"x1": 2, "x2": 5})`: calling it calls
`opcheck.autodiff.trace`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from opcheck.trace.autodiff import contributions, forward, reverse
from opcheck.trace.graph import Graph, Node
from opcheck.trace.primitives import EXACT, FLOATS, PRIMITIVES, RATIONAL, Arithmetic, Primitive
from opcheck.trace.readings import exact, is_rational, symbolic, values
from opcheck.trace.recorder import (
    TRACED,
    Tape,
    TracedControlFlowError,
    Tracer,
    View,
    ceil,
    cos,
    cosh,
    detach,
    divide,
    exp,
    floor,
    log,
    log1p,
    maximum,
    minimum,
    named,
    select,
    sigmoid,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    total,
    with_slope,
)
from opcheck.trace.rounding import SMALLEST, UNIT_ROUNDOFF, bound, reading_error

__all__ = [
    "EXACT", "FLOATS", "PRIMITIVES", "RATIONAL", "SMALLEST", "TRACED", "UNIT_ROUNDOFF", "Arithmetic", "Graph", "Node",
    "Primitive", "Tape", "TracedControlFlowError", "Tracer", "View", "bound", "ceil", "contributions", "cos", "cosh",
    "detach", "divide", "exact", "exp", "floor", "forward", "is_rational", "log", "log1p", "maximum", "minimum",
    "named", "reading_error", "reverse", "select", "sigmoid", "sin", "sinh", "sqrt", "symbolic", "tan", "tanh",
    "total", "values", "with_slope",
]  # fmt: skip


class _CallableModule(ModuleType):
    """A package and a function share the name `opcheck.trace`; this makes them one object."""

    def __call__(self, function: Any, at: Any = None, **options: Any) -> Any:
        """What `opcheck.autodiff.trace` says. It is found when it is called: nothing of ours is below this package."""
        return import_module("opcheck.autodiff").trace(function, at, **options)


sys.modules[__name__].__class__ = _CallableModule
