"""Numbers that record how they were computed, and ways to read that record. Standard library only."""

from opcheck.tracing.autodiff import Dual, contributions, forward, forward_over_reverse, reverse
from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.primitives import EXACT, FLOATS, PRIMITIVES, RATIONAL, Arithmetic, Primitive
from opcheck.tracing.readings import exact, is_rational, symbolic, values
from opcheck.tracing.recorder import (
    TRACED,
    Blank,
    Tape,
    TracedControlFlowError,
    Tracer,
    View,
    ceil,
    cos,
    cosh,
    detach,
    divide,
    erf,
    exp,
    expm1,
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
from opcheck.tracing.rounding import SMALLEST, UNIT_ROUNDOFF, bound, reading_error

__all__ = [
    "EXACT", "FLOATS", "PRIMITIVES", "RATIONAL", "SMALLEST", "TRACED", "UNIT_ROUNDOFF", "Arithmetic", "Blank",
    "Dual",
    "Graph", "Node", "Primitive", "Tape", "TracedControlFlowError", "Tracer", "View", "bound", "ceil",
    "contributions", "cos", "cosh", "detach", "divide", "erf", "exact", "exp", "expm1", "floor", "forward",
    "forward_over_reverse", "is_rational", "log", "log1p", "maximum", "minimum", "named", "reading_error",
    "reverse", "select", "sigmoid", "sin", "sinh", "sqrt", "symbolic", "tan", "tanh", "total", "values",
    "with_slope",
]  # fmt: skip
