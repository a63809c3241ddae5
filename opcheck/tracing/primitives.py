"""The closed table of scalar primitives: one row each, and nothing else in opcheck knows how to differentiate.

A row says what the primitive computes (on floats, exactly, as a sympy expression), its partial derivatives and its
local rounding error. Partials are written once, over an arithmetic `k`: with floats they give numbers, with tracers a
graph again. Both modes of automatic differentiation follow from that one local rule.

Conventions at kinks are torch's: the first of equal maxima takes the gradient; abs'(0) = 0.

Local errors are in units of the unit roundoff u, for one evaluation rounded to nearest (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1); those of the library functions are c*u*abs(result) with the
constants that libraries document (CUDA: exp 2 ulp, log 1 ulp, tanh 2 ulp, acosh 4 ulp; k ulp = (2k+1) u).
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from opcheck.tracing import arithmetic as on

C_EXP, C_LOG, C_TANH, C_SIGMOID, C_ERF, C_TRIGONOMETRIC, C_INVERSE = 5, 3, 5, 8, 5, 5, 9


class Primitive(NamedTuple):
    """One scalar operation.

    partials(k, out, *args): d out / d each argument. Whole numbers 1, 0 and -1 mean "the cotangent itself", "nothing"
    and "the negated cotangent". A `piecewise` primitive's partials depend on where the arguments are, so they are
    always asked with numbers.
    """

    name: str
    value: Callable[..., Any]
    exact: Callable[..., Any]
    symbol: Callable[..., Any]  # (sympy, *args)
    partials: Callable[..., tuple[Any, ...]]
    error: Callable[..., float]  # (out, *args), in units of u
    piecewise: bool = False


class Arithmetic:
    """A meaning for every primitive: `k.mul(a, b)`, `k.exp(x)`."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.functions = functions
        self.__dict__.update(functions)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


def _rounded(out: Any, *args: Any) -> Any:
    return abs(out)


def _not_rounded(out: Any, *args: Any) -> float:
    return 0.0


def _library(c: float) -> Callable[..., float]:
    return lambda out, *args: c * abs(out)


def _sigmoid_error(out: Any, x: Any) -> float:
    """Where exp(-x) overflows, libraries that compute 1/(1 + exp(-x)) give 0: a tiny result may be lost whole."""
    return float(abs(out)) * (C_SIGMOID if x > -709 else 2.0**53)


def _one_hot(position: int, count: int) -> tuple[int, ...]:
    return tuple(int(i == position) for i in range(count))


def _absolute_partial(k: Arithmetic, out: Any, x: Any) -> tuple[Any, ...]:
    if x != x:
        return (math.nan,)
    return (1 if x > 0 else -1 if x < 0 else 0,)


def _power_partials(k: Arithmetic, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
    exponent = getattr(b, "known", None)  # a tracer of a constant: d²/dx is recorded as 2·x, without a logarithm
    if exponent in (0, 1):  # no 0·a^(−1) in the second derivative, which is NaN where a is 0
        return int(exponent), 0
    if exponent is not None:
        return k.mul(b, a if exponent == 2 else k.power(a, exponent - 1)), 0
    return k.mul(b, k.power(a, k.sub(b, 1))), k.mul(out, k.log(a))


def _slope_of_arcsine(k: Arithmetic, out: Any, x: Any) -> Any:
    return k.div(1, k.sqrt(k.sub(1, k.mul(x, x))))


def _angle_partials(k: Arithmetic, out: Any, y: Any, x: Any) -> tuple[Any, ...]:
    square = k.sum(k.mul(x, x), k.mul(y, y))
    return k.div(x, square), k.neg(k.div(y, square))


def _row(
    name: str,
    value: Callable[..., Any],
    partials: Callable[..., tuple[Any, ...]],
    *,
    exact: Callable[..., Any],
    symbol: Callable[..., Any] | None = None,
    error: Callable[..., float] = _rounded,
    piecewise: bool = False,
) -> Primitive:
    spell = symbol or (lambda sympy, *args: getattr(sympy, name)(*args))
    return Primitive(name, value, on.at_high_precision(exact), spell, partials, error, piecewise)


def _smooth(
    name: str,
    value: Callable[..., Any],
    partial: Callable[..., Any],
    *,
    mpmath: str = "",
    symbol: Callable[..., Any] | None = None,
    c: float = C_TRIGONOMETRIC,
    known: dict[int, int] | None = None,
) -> Primitive:
    """A row for a transcendental function of one argument, with partial(k, out, x)."""
    exact = on.transcendental(mpmath or name, value, known)
    return _row(name, value, lambda k, out, x: (partial(k, out, x),), exact=exact, symbol=symbol, error=_library(c))


_TABLE = (
    _row(
        "sum",
        on.add,
        lambda k, out, *terms: (1,) * len(terms),
        exact=on.rational(on.add, on.add),
        symbol=lambda sympy, *terms: sympy.Add(*terms),
        # any order of summation, so every partial sum is bounded by the sum of absolute values (Higham, section 4.2)
        error=lambda out, *terms: (len(terms) - 1) * sum(map(abs, terms)),
    ),
    _row(
        "mul",
        operator.mul,
        lambda k, out, a, b: (b, a),
        exact=on.exact_product,
        symbol=lambda sympy, a, b: a * b,
    ),
    _row(
        "div",
        on.divide,
        lambda k, out, a, b: (k.div(1, b), k.neg(k.div(out, b))),
        exact=on.exact_quotient,
        symbol=lambda sympy, a, b: a / b,
    ),
    _row(
        "sub",
        operator.sub,
        lambda k, out, a, b: (1, -1),
        exact=on.rational(operator.sub, operator.sub),
        symbol=lambda sympy, a, b: a - b,
    ),
    _row(
        "neg",
        operator.neg,
        lambda k, out, x: (-1,),
        exact=on.rational(operator.neg, operator.neg),
        symbol=lambda sympy, x: -x,
        error=_not_rounded,
    ),
    _row("power", on.power, _power_partials, exact=on.exact_power, symbol=lambda sympy, a, b: a**b, error=_library(5)),
    _smooth("exp", on.ieee(math.exp), lambda k, out, x: out, c=C_EXP, known={0: 1}),
    _smooth(
        "expm1",
        on.exponential_minus_one,
        lambda k, out, x: k.sum(out, 1),
        c=C_EXP,
        known={0: 0},
        symbol=lambda sympy, x: sympy.exp(x) - 1,
    ),
    _smooth("erf", math.erf, lambda k, out, x: k.erf_slope(x), c=C_ERF, known={0: 0}),
    _row(
        "erf_slope",  # 2/√π·exp(−x²)
        on.slope_of_erf,
        lambda k, out, x: (k.mul(-2, k.mul(x, out)),),
        exact=on.exact_slope_of_erf,
        symbol=lambda sympy, x: 2 * sympy.exp(-(x**2)) / sympy.sqrt(sympy.pi),
        error=lambda out, x: float(abs(out)) * (C_EXP + 3 + x * x),
    ),
    _smooth("log", on.logarithm, lambda k, out, x: k.div(1, x), c=C_LOG, known={1: 0}),
    _smooth(
        "log1p",
        on.logarithm_of_one_plus,
        lambda k, out, x: k.div(1, k.sum(1, x)),
        symbol=lambda sympy, x: sympy.log(1 + x),
        c=C_LOG,
        known={0: 0},
    ),
    _row(
        "sqrt",
        on.ieee(math.sqrt),
        lambda k, out, x: (k.div(1, k.mul(2, out)),),
        exact=on.square_root,
    ),
    _smooth("sin", on.ieee(math.sin), lambda k, out, x: k.cos(x), known={0: 0}),
    _smooth("cos", on.ieee(math.cos), lambda k, out, x: k.neg(k.sin(x)), known={0: 1}),
    _smooth("tan", on.ieee(math.tan), lambda k, out, x: k.sum(1, k.mul(out, out)), known={0: 0}),
    _smooth("sinh", on.hyperbolic_sine, lambda k, out, x: k.cosh(x), known={0: 0}),
    _smooth("cosh", on.ieee(math.cosh), lambda k, out, x: k.sinh(x), known={0: 1}),
    _smooth("tanh", math.tanh, lambda k, out, x: k.sub(1, k.mul(out, out)), c=C_TANH, known={0: 0}),
    _smooth("asin", on.ieee(math.asin), _slope_of_arcsine, c=C_INVERSE, known={0: 0}),
    _smooth(
        "acos", on.ieee(math.acos), lambda k, out, x: k.neg(_slope_of_arcsine(k, out, x)), c=C_INVERSE, known={1: 0}
    ),
    _smooth("atan", math.atan, lambda k, out, x: k.div(1, k.sum(1, k.mul(x, x))), c=C_INVERSE, known={0: 0}),
    _row("atan2", math.atan2, _angle_partials, exact=on.exact_angle, error=_library(C_INVERSE)),
    _smooth("asinh", math.asinh, lambda k, out, x: k.div(1, k.sqrt(k.sum(1, k.mul(x, x)))), c=C_INVERSE, known={0: 0}),
    _smooth(
        "acosh",
        on.ieee(math.acosh),
        lambda k, out, x: k.div(1, k.sqrt(k.sub(k.mul(x, x), 1))),
        c=C_INVERSE,
        known={1: 0},
    ),
    _smooth(
        "atanh",
        on.inverse_hyperbolic_tangent,
        lambda k, out, x: k.div(1, k.sub(1, k.mul(x, x))),
        c=C_INVERSE,
        known={0: 0},
    ),
    _row(
        "sigmoid",
        on.sigmoid,
        lambda k, out, x: (k.mul(out, k.sub(1, out)),),
        exact=on.exact_sigmoid,
        symbol=lambda sympy, x: 1 / (1 + sympy.exp(-x)),
        error=_sigmoid_error,
    ),
    _row(
        "abs",
        abs,
        _absolute_partial,
        exact=on.rational(abs, abs),
        symbol=lambda sympy, x: sympy.Abs(x),
        error=_not_rounded,
        piecewise=True,
    ),
    _row(
        "max",
        on.maximum,
        lambda k, out, *args: _one_hot(on.first_maximum(*args), len(args)),
        exact=on.comparing(on.maximum),
        symbol=lambda sympy, *args: sympy.Max(*args),
        error=_not_rounded,
        piecewise=True,
    ),
    _row(
        "min",
        on.minimum,
        lambda k, out, *args: _one_hot(on.first_minimum(*args), len(args)),
        exact=on.comparing(on.minimum),
        symbol=lambda sympy, *args: sympy.Min(*args),
        error=_not_rounded,
        piecewise=True,
    ),
    _row(
        "less",
        on.less,
        lambda k, out, a, b: (0, 0),
        exact=on.rational(on.less, on.less),
        symbol=lambda sympy, a, b: sympy.Piecewise((1, sympy.StrictLessThan(a, b)), (0, True)),
        error=_not_rounded,
        piecewise=True,
    ),
    _row(
        "select",
        on.select,
        lambda k, out, condition, a, b: (0, 1, 0) if condition else (0, 0, 1),
        exact=on.comparing(on.select),
        symbol=lambda sympy, condition, a, b: sympy.Piecewise((a, sympy.Ne(condition, 0)), (b, True)),
        error=_not_rounded,
        piecewise=True,
    ),
    _row(
        "floor",
        on.whole(math.floor),
        lambda k, out, x: (0,),
        exact=on.rational(math.floor, on.whole(math.floor)),
        error=_not_rounded,
    ),
    _row(
        "ceil",
        on.whole(math.ceil),
        lambda k, out, x: (0,),
        exact=on.rational(math.ceil, on.whole(math.ceil)),
        symbol=lambda sympy, x: sympy.ceiling(x),
        error=_not_rounded,
    ),
    _row(
        "detach",  # the number itself, held constant by differentiation
        on.first,
        lambda k, out, x: (0,),
        exact=on.first,
        symbol=lambda sympy, x: x,
        error=_not_rounded,
    ),
    _row(
        "with_slope",  # the first argument; its derivative by the second is declared to be the third
        on.first,
        lambda k, out, number, x, slope: (1, slope, 0),
        exact=on.first,
        symbol=lambda sympy, number, x, slope: number,
        error=_not_rounded,
    ),
)

PRIMITIVES: Mapping[str, Primitive] = {row.name: row for row in _TABLE}
RATIONAL = frozenset(
    {"sum", "mul", "div", "sub", "neg", "abs", "max", "min", "less", "select", "floor", "ceil", "detach", "with_slope"}
)
FLOATS = Arithmetic({row.name: row.value for row in _TABLE})
EXACT = Arithmetic({row.name: row.exact for row in _TABLE})
