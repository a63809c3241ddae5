"""Elementwise operations: the scalar primitives (`opcheck.tracing.PRIMITIVES`) over arrays that broadcast.

Their derivatives are the scalar table's; how an error of an argument grows is said here, as a bound on the slope over
all that the argument may be.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from opcheck.programs.rule import Read, Rule, Shape, added, broadcast_place, fitted, number, spread
from opcheck.programs.running import (
    FAR,
    REST,
    Format,
    Running,
    computed,
    is_nothing,
    multiplied,
    plus,
    product_unit,
    rounded,
    settled,
    summed,
    times,
)
from opcheck.tracing import PRIMITIVES, TRACED, Arithmetic
from opcheck.tracing.primitives import C_ERF, C_EXP, C_INVERSE, C_LOG, C_SIGMOID, C_TANH, C_TRIGONOMETRIC


def erf(x: Any) -> Any:
    """The error function, of a number, an array or a traced array."""
    if getattr(x, "is_traced", False):
        return x.tape.record(ERF, (x,))
    return np.asarray(_erf(x), dtype=np.float64)


def erf_slope(x: Any) -> Any:
    """2/√π·exp(−x²), of a number, an array or a traced array."""
    if getattr(x, "is_traced", False):
        return x.tape.record(ERF_SLOPE, (x,))
    return 2 / np.sqrt(np.pi) * np.exp(-np.square(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow, of a number, an array or a traced array."""
    if getattr(x, "is_traced", False):
        return x.tape.record(SIGMOID, (x,))
    e = np.exp(-np.abs(x))
    return np.where(np.asarray(x) >= 0, 1.0, e) / (1 + e)


UFUNCS: dict[str, Callable[..., Any]] = {
    "sum": np.add, "mul": np.multiply, "div": np.divide, "sub": np.subtract, "neg": np.negative,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "erf": erf,
    "erf_slope": erf_slope, "sigmoid": sigmoid, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "atan2": np.arctan2, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip
ARRAYS = Arithmetic({**UFUNCS, "sum": lambda *terms: reduce(np.add, terms)})
_erf = np.frompyfunc(PRIMITIVES["erf"].value, 1, 1)


def scaled(partial: Any, x: Any) -> Any:
    if type(partial) is int:
        return None if partial == 0 else x if partial == 1 else -x
    return x * partial


# --- how errors grow ------------------------------------------------------------------------------------------------


def _add(f: Format, out: Any, a: Running, b: Running) -> Running:
    unit, base = min(a.unit, b.unit), a.base + b.base
    if a.given and b.given:
        pair = Running(out, base, lambda: a.terms + b.terms, 2, 1, unit)
        return settled(f, pair, plus(np.abs(out), base))  # what they are themselves fits
    stored = (a.stored if a.absolute is not None else 0) + (b.stored if b.absolute is not None else 0) + 1
    sizes, summands = (a.terms, b.terms), a.summands + b.summands
    # a product may be regrouped with its neighbour (a·x + b·y as x + b·(y − x)): only given numbers round once
    summands = np.maximum(summands, 3)
    if not (np.all(sizes[0]) and np.all(sizes[1])):  # to add what is exactly zero rounds nothing
        summands = np.where(sizes[0] == 0, b.summands, np.where(sizes[1] == 0, a.summands, summands))
    result = summed(f, out, base, sizes[0] + sizes[1], summands, unit, stored)
    least = _together(f, np.add, a, b, float(f.relative(stored, np.max(summands, initial=1))))
    return result if least is None else result._replace(least=least)


def _subtract(f: Format, out: Any, a: Running, b: Running) -> Running:
    """A sum as well, but of what its terms are at least nothing follows for their difference."""
    return _add(f, out, a, b)._replace(least=None)


def _together(f: Format, function: Any, a: Running, b: Running, rounds: float) -> Any:
    """What a sum or a product of positive numbers is at least, if one of them says more of that than its error."""
    if a.least is None and b.least is None:
        return None
    low = a.lowest(f), b.lowest(f)
    if min(np.min(each, initial=0.0) for each in low) < 0:
        return None
    return np.maximum(function(*low) * (1 - rounds) - f.tiny, 0.0)


def product_of(f: Format, out: Any, a: Running, b: Running) -> Running:
    unit = product_unit(a.unit, b.unit)
    square = a is b  # of a difference it is taken as it is: multiplied out, x² - 2·x·m + m², it is a form
    ea, eb = (a.error(f),) * 2 if square else (a.error_beside(f, b, unit, out), b.error_beside(f, a, unit, out))
    inherited: Any = 0.0 if is_nothing(eb) else times(np.abs(a.value), eb)
    if not is_nothing(ea):
        inherited = times(np.abs(b.value) + eb, ea) + inherited
    size = plus(np.abs(out), inherited)
    if not square and (a.absolute is not None or b.absolute is not None):
        size = np.fmax(a.terms * b.terms, size)  # sums may be multiplied out
    local = f.u * size + f.eta * REST
    if not (np.all(a.value) and np.all(b.value)):
        zero = ((a.value == 0) & (np.asarray(ea) == 0)) | ((b.value == 0) & (np.asarray(eb) == 0))
        local = np.where(zero, 0.0, local)  # what is exactly zero rounds nothing
    result = rounded(f, out, inherited, local, unit, size)
    least = 0.0 if a is b else _together(f, np.multiply, a, b, 2 * f.u)
    return multiplied(f, result._replace(least=least), a.as_factors() + b.as_factors())


def _div(f: Format, out: Any, a: Running, b: Running) -> Running:
    """Also where it is computed as a product with the reciprocal."""
    eb = b.error(f)
    unit = a.unit / float(np.max(np.abs(b.value))) if is_nothing(eb) and _powers_of_two(b.value) else 0.0
    ea = a.error_beside(f, b, unit, out)
    if is_nothing(eb):
        away = np.abs(b.value)
        inherited = 0.0 if is_nothing(ea) else ea / away
    else:
        away = np.abs(b.value) - eb
        if b.least is not None:
            away = np.where(b.value > 0, np.fmax(away, b.least), away)
        inherited = (ea + times(np.abs(out), eb)) / away
        if not np.min(away, initial=1.0) > 0:
            inherited = np.where(away > 0, inherited, np.where(eb == 0, ea / np.abs(b.value), np.inf))
    size = plus(np.abs(out), inherited)
    if a.absolute is not None:
        size = np.fmax(a.terms / np.abs(away), size)  # a sum may be divided term by term
    result = rounded(f, out, inherited, 2 * f.u * size + f.eta * REST, unit, size)
    return multiplied(f, result, a.as_factors() + b.as_factors(divides=True))


def _powers_of_two(x: Any) -> bool:
    flat = np.abs(x.reshape(-1))
    return all(part.size and bool((np.frexp(part)[0] == 0.5).all()) for part in (flat[:1], flat))


def _neg(f: Format, out: Any, x: Running) -> Running:
    return x._replace(value=out, least=None, peak=())


def smooth(slope: Callable[[Any, Any, Any], Any], c: float) -> Callable[..., Running]:
    """A function whose slope is at most slope(out, x, e) within e of x, rounded by c units."""

    def running(f: Format, out: Any, x: Running) -> Running:
        e = x.error(f)
        inherited = times(slope(out, x.value, e), e)
        return computed(f, out, inherited, c * f.u, f.eta)

    return running


def _nearest(x: Any, e: Any) -> Any:
    """The smallest size that x may have."""
    return np.maximum(np.abs(x) - e, 0.0)


def _flushed(f: Format, out: Any) -> Any:
    """What is lost where a subnormal result becomes zero, or where exp(-x) overflows in 1/(1 + exp(-x))."""
    return f.eta if np.min(out, initial=np.inf) >= f.tiny else np.where(out < f.tiny, out, 0.0) + f.eta


def _exp_moved(out: Any, x: Any, e: Any) -> Any:
    """How far exp moves when x moves by e; of a far negative x hardly, even if e is large."""
    if is_nothing(e):
        return 0.0
    moved = times(out, e * (1.0 + e))  # more than exp(e) - 1 up to e = 1
    return moved if np.max(e, initial=0.0) <= 1.0 else np.where(e <= 1.0, moved, np.exp(x + e) - out)


MOST_EXPONENT = 1024.0


def _exp(f: Format, out: Any, x: Running) -> Running:
    lost = _flushed(f, out)
    if not np.min(x.value, initial=0.0) > -np.inf:
        lost = np.where(x.value == -np.inf, 0.0, lost)  # of minus infinity it is 0 and nothing else
    e = x.error(f)
    units: Any = C_EXP * f.u
    if x.peak:  # exp(x)/Σ may be computed as exp(x − ln Σ), which rounds x once more
        units = units + f.u * np.minimum(1.0 - x.value, MOST_EXPONENT)
    if np.max(e, initial=0.0) < FAR:
        return computed(f, out, _exp_moved(out, x.value, e), units, lost)._replace(peak=x.peak)
    low, high = np.exp(x.value - e), np.exp(x.value + e)
    moved = np.fmax(np.minimum(high, 1.0 if x.peak else np.inf) - out, out - low)
    moved = np.where((np.asarray(e) == 0) | np.isinf(e), e, moved)
    result = computed(f, out, moved, units, lost)
    return result._replace(least=np.maximum(low * (1 - 2 * C_EXP * f.u) - f.tiny, 0.0), peak=x.peak)


def _sqrt(f: Format, out: Any, x: Running) -> Running:
    e, lowest = x.error(f), x.lowest(f)
    up = e / np.maximum(out + np.sqrt(x.value + e), f.eta)
    down = (x.value - lowest) / np.maximum(out + np.sqrt(np.maximum(lowest, 0.0)), f.eta)
    inherited = np.where((lowest < 0) | np.isinf(e), np.inf, np.fmax(up, down))
    inherited = np.where(np.asarray(e) == 0, 0.0, inherited)
    result = computed(f, out, inherited, f.u)
    return result if x.least is None else result._replace(least=np.sqrt(np.maximum(lowest, 0.0)) * (1 - 2 * f.u))


def _logarithm(shift: float) -> Callable[..., Running]:
    """The logarithm of x + shift."""

    def running(f: Format, out: Any, x: Running) -> Running:
        e = x.error(f)
        at = x.value + shift
        lowest = x.lowest(f) + shift
        down = np.where(lowest > 0, np.log(at / lowest) if x.least is not None else -np.log1p(-e / at), np.inf)
        inherited = np.where(np.asarray(e) == 0, 0.0, np.fmax(down, np.log1p(e / at)))
        result = computed(f, out, inherited, C_LOG * f.u, f.eta)
        pole = (at == 0) & (np.asarray(e) == 0)  # log(0) is -inf and nothing else, so max(log(0), -100) is -100
        return result._replace(base=np.where(pole, 0.0, result.base)) if pole.any() else result

    return running


def _expm1(f: Format, out: Any, x: Running) -> Running:
    e = x.error(f)
    inherited = _exp_moved(out + 1.0, x.value, e)
    return computed(f, out, inherited, C_EXP * f.u, f.eta)


def _tan_slope(out: Any, x: Any, e: Any) -> Any:
    room = np.abs(np.cos(x)) - e
    return np.where(room > 0, 1 / room**2, np.inf)


def _slope_below(distance: Callable[[Any, Any], Any], power: float) -> Callable[[Any, Any, Any], Any]:
    """1/distance^power, infinite where x within e may be at the end of where the function is defined."""

    def slope(out: Any, x: Any, e: Any) -> Any:
        room = distance(x, e)
        return np.where(room > 0, 1 / room**power, np.inf)

    return slope


def _within_one(x: Any, e: Any) -> Any:
    """1 − x² where it is smallest."""
    far = np.abs(x) + e
    return np.where(far < 1, (1 - far) * (1 + far), 0.0)


def _beyond_one(x: Any, e: Any) -> Any:
    """x² − 1 where it is smallest."""
    low = x - e
    return np.where(low > 1, (low - 1) * (low + 1), 0.0)


def _angle(f: Format, out: Any, y: Running, x: Running) -> Running:
    """Any angle where the point may be at 0, or on either side of the cut along the negative numbers."""
    ey, ex = y.error(f), x.error(f)
    radius = np.hypot(_nearest(y.value, ey), _nearest(x.value, ex))
    moved = times((np.abs(x.value) + ex) / radius, ey / radius) + times((np.abs(y.value) + ey) / radius, ex / radius)
    turned = (_may_be_zero(y, ey) & (x.value <= ex)) | ((y.value == 0) & _may_be_zero(x, ex))
    still = (np.asarray(ey) == 0) & (np.asarray(ex) == 0)
    inherited = np.where(turned, 2 * np.pi, np.where(still, 0.0, np.fmin(moved, 2 * np.pi)))
    return computed(f, out, inherited, C_INVERSE * f.u, f.eta)


def _may_be_zero(x: Running, e: Any) -> Any:
    """Or a zero of the other sign, if it was computed."""
    return (np.abs(x.value) <= e) & ((np.asarray(e) > 0) | (not x.given))


def _erf_slope(f: Format, out: Any, x: Running) -> Running:
    """Its slope is 2·|x| times itself; the square of x is rounded as well."""
    e = x.error(f)
    inherited = times(2 * (np.abs(x.value) + e) * erf_slope(_nearest(x.value, e)), e)
    return computed(f, out, inherited, (C_EXP + 3 + x.value**2) * f.u, f.eta)


def _sigmoid(f: Format, out: Any, x: Running) -> Running:
    e = x.error(f)
    near = _nearest(x.value, e)
    inherited = times(sigmoid(near) * sigmoid(-near), e)
    return computed(f, out, inherited, C_SIGMOID * f.u, _flushed(f, out))


RUNNING: dict[str, Callable[..., Running]] = {
    "sum": _add, "sub": _subtract, "mul": product_of, "div": _div, "neg": _neg, "exp": _exp, "expm1": _expm1,
    "sqrt": _sqrt, "log": _logarithm(0.0), "log1p": _logarithm(1.0),
    "sin": smooth(lambda out, x, e: np.minimum(np.abs(np.cos(x)) + e, 1.0), C_TRIGONOMETRIC),
    "cos": smooth(lambda out, x, e: np.minimum(np.abs(np.sin(x)) + e, 1.0), C_TRIGONOMETRIC),
    "tan": smooth(_tan_slope, C_TRIGONOMETRIC),
    "sinh": smooth(lambda out, x, e: np.cosh(np.abs(x) + e), C_TRIGONOMETRIC),
    "cosh": smooth(lambda out, x, e: np.sinh(np.abs(x) + e), C_TRIGONOMETRIC),
    "tanh": smooth(lambda out, x, e: 1 - np.tanh(_nearest(x, e)) ** 2, C_TANH),
    "erf": smooth(lambda out, x, e: erf_slope(_nearest(x, e)), C_ERF),
    "erf_slope": _erf_slope,
    "sigmoid": _sigmoid,
    **dict.fromkeys(("asin", "acos"), smooth(_slope_below(_within_one, 0.5), C_INVERSE)),
    "atan": smooth(lambda out, x, e: 1 / (1 + _nearest(x, e) ** 2), C_INVERSE),
    "atan2": _angle,
    "asinh": smooth(lambda out, x, e: 1 / np.hypot(1, _nearest(x, e)), C_INVERSE),
    "acosh": smooth(_slope_below(_beyond_one, 0.5), C_INVERSE),
    "atanh": smooth(_slope_below(_within_one, 1.0), C_INVERSE),
}  # fmt: skip


def elementwise(op: str) -> Rule:
    """A row of the scalar table over arrays that broadcast."""
    partials = PRIMITIVES[op].partials

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
        shares = (scaled(partial, g) for partial in partials(ARRAYS, out, *args))
        return [fitted(share, np.shape(arg)) if need and share is not None else None
                for share, arg, need in zip(shares, args, needed, strict=True)]  # fmt: skip

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
        pairs = zip(partials(ARRAYS, out, *args), tangents, strict=True)
        moved = [scaled(partial, t) for partial, t in pairs if t is not None]
        kept = [share for share in moved if share is not None]
        return spread(added(kept), np.shape(out)) if kept else None

    return Rule(op, UFUNCS[op], vjp, jvp, RUNNING[op], broadcasting(TRACED.functions[op]))


def broadcasting(function: Callable[..., Any]) -> Callable[..., Any]:
    """One element of a function that works element by element."""

    def element(read: Read, at: Shape, shapes: Sequence[Shape]) -> Any:
        return function(*[read(k, broadcast_place(at, shape)) for k, shape in enumerate(shapes)])

    return element


# --- powers ---------------------------------------------------------------------------------------------------------


def _power_partials(out: Any, a: Any, b: Any, needed: Sequence[bool]) -> list[Any]:
    """Those of the scalar table where they are asked for; at the edges torch's: x^0 is constant, and so is 0^y."""
    result: list[Any] = [None, None]
    if needed[0]:
        result[0] = b * a ** (b - 1)
        if (number(b) == 0).any():
            result[0] = np.where(np.equal(b, 0.0), 0.0, result[0])
    if needed[1]:
        result[1] = out * np.log(a)
        if ((number(a) == 0) & (number(b) >= 0)).any():
            result[1] = np.where(np.equal(a, 0.0) * (b >= 0), 0.0, result[1])
    return result


def _power_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    found = zip(_power_partials(out, args[0], args[1], needed), args, strict=True)
    return [None if partial is None else fitted(g * partial, np.shape(arg)) for partial, arg in found]


def _power_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    needed = [t is not None for t in tangents]
    found = zip(_power_partials(out, args[0], args[1], needed), tangents, strict=True)
    return added([spread(t * partial, np.shape(out)) for partial, t in found if partial is not None])


def _unit_power(unit: float, exponent: int) -> float:
    """The unit of a power; not known where it is beyond what a float holds."""
    if not np.isfinite(unit):
        return unit
    return unit**exponent if abs(math.frexp(unit)[1] * exponent) < 1000 else 0.0


def _power_running(f: Format, out: Any, a: Running, b: Running) -> Running:
    """A small whole exponent is a product, any other one exp(b log a): its argument moves by relative errors."""
    ea, eb = a.error(f), b.error(f)
    exponent = float(b.value) if b.value.ndim == 0 and np.ndim(eb) == 0 and eb == 0 else None
    if exponent is not None and exponent.is_integer() and 0 <= exponent <= 4:
        size = np.abs(a.value) + ea
        inherited = size**exponent - np.abs(a.value) ** exponent
        inherited = times(exponent * size ** max(exponent - 1, 0), ea) if exponent else 0.0 * size
        local = ((exponent - 1) * f.u, f.eta) if exponent > 1 else (0.0, 0.0)
        result = computed(f, out, inherited, *local, _unit_power(a.unit, int(exponent)))
        return result if exponent % 2 else result._replace(least=0.0)
    near = np.where(ea < np.abs(a.value), -np.log1p(-ea / np.abs(a.value)), np.inf)
    moved = times(np.abs(b.value) + eb, np.where(np.asarray(ea) == 0, 0.0, near))
    moved = moved + times(np.abs(np.log(np.abs(a.value))), eb)
    inherited = times(np.abs(out), np.expm1(moved))
    return computed(f, out, inherited, 8 * f.u, f.eta)


# --- the logarithm of a sum of exponentials -------------------------------------------------------------------------


def _logaddexp_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    a, b = args
    return [fitted(g * sigmoid(x - y), np.shape(x)) if need else None
            for (x, y), need in zip(((a, b), (b, a)), needed, strict=True)]  # fmt: skip


def _logaddexp_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    a, b = args
    pairs = ((tangents[0], a - b), (tangents[1], b - a))
    return added([spread(t * sigmoid(x), np.shape(out)) for t, x in pairs if t is not None])


def _logaddexp_running(f: Format, out: Any, a: Running, b: Running) -> Running:
    """The larger one and the logarithm of one plus an exponential; it moves no more than its arguments."""
    inherited = np.maximum(a.error(f), b.error(f))
    larger = np.maximum(np.abs(a.value), np.abs(b.value))
    extra = np.log1p(np.exp(-np.abs(a.value - b.value)))
    local = (C_EXP + C_LOG + 4) * f.u * extra + 2 * f.u * np.minimum(larger, np.abs(out) + extra)
    return computed(f, out, inherited, f.u, local + _flushed(f, np.abs(out)))


def larger_and_more(k: Arithmetic, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)). Of equals one is the larger and the other the smaller: so each has half of the slope."""
    larger, smaller = k.max(a, b), k.min(b, a)
    return k.sum(larger, k.log1p(k.exp(k.sub(smaller, larger))))


BY_NAME = {name: elementwise(name) for name in UFUNCS}
ERF, ERF_SLOPE, SIGMOID = BY_NAME["erf"], BY_NAME["erf_slope"], BY_NAME["sigmoid"]
ELEMENTWISE = (
    *BY_NAME.values(),
    Rule("power", np.power, _power_vjp, _power_jvp, _power_running, broadcasting(TRACED.functions["power"])),
    Rule(
        "logaddexp",
        np.logaddexp,
        _logaddexp_vjp,
        _logaddexp_jvp,
        _logaddexp_running,
        broadcasting(partial(larger_and_more, TRACED)),
    ),
)
