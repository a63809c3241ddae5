"""Numbers that remember how they were made, and the readings of what they remember. Standard library only."""

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
    exp,
    floor,
    log,
    log1p,
    maximum,
    minimum,
    named,
    select,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    total,
)
from opcheck.trace.rounding import SMALLEST, UNIT_ROUNDOFF, bound, reading_error

__all__ = [
    "EXACT", "FLOATS", "PRIMITIVES", "RATIONAL", "SMALLEST", "TRACED", "UNIT_ROUNDOFF", "Arithmetic", "Graph", "Node",
    "Primitive", "Tape", "TracedControlFlowError", "Tracer", "View", "bound", "ceil", "contributions", "cos", "cosh",
    "detach", "exact", "exp", "floor", "forward", "is_rational", "log", "log1p", "maximum", "minimum", "named",
    "reading_error", "reverse", "select", "sin", "sinh", "sqrt", "symbolic", "tan", "tanh", "total", "values",
]  # fmt: skip
