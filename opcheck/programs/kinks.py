"""Operations with kinks: what passes where. Masks are recorded, so that a sweep says which elements they let through.

At ties the first maximum takes the gradient, and abs'(0) = 0, as torch has it; on a tape that is `torn`, bounds allow
every other subgradient as well. Where rounding may decide a comparison otherwise, the result may be that of either
branch.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.elementwise import broadcasting
from opcheck.programs.rule import (
    Read,
    Rule,
    Shape,
    added,
    applied,
    axes_of,
    broadcast_place,
    fitted,
    number,
    reduced_places,
    spread,
    spread_back,
)
from opcheck.programs.running import Format, Running, given, settled
from opcheck.tracing import TRACED, maximum, minimum, select

Passes = Callable[[Any], Any]  # the part of a cotangent or of a tangent that passes


# --- decisions: nothing is differentiated through them --------------------------------------------------------------


def decision(name: str, forward: Callable[..., Any], running: Callable[..., Running],
             element: Callable[..., Any] | None = None) -> Rule:  # fmt: skip
    """An operation that nothing is differentiated through: a comparison, a mask."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [None] * len(args)

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: None, running, element or _undefined)


def _undefined(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a mask is read as it came out, not element by element")


def _comparison(f: Format, out: Any, a: Running, b: Running) -> Running:
    """Undecided where the two may be equal and one of them is not exact."""
    room = a.error(f) + b.error(f)
    return Running(out, np.where((np.abs(a.value - b.value) <= room) & (room > 0), 1.0, 0.0), unit=1.0)


def _torn(f: Format, out: Any, a: Running, b: Running) -> Running:
    """Undecided where the two may be equal, exact or not."""
    return Running(out, np.where(np.abs(a.value - b.value) <= a.error(f) + b.error(f), 1.0, 0.0), unit=1.0)


def _torn_sign(f: Format, out: Any, x: Running) -> Running:
    e = x.error(f)
    return Running(out, np.where(np.abs(x.value) <= e, np.where(e > 0, 2.0, 1.0), 0.0), unit=1.0)


def _sign(f: Format, out: Any, x: Running) -> Running:
    e = x.error(f)
    return Running(out, np.where((np.abs(x.value) <= e) & (e > 0), 2.0, 0.0), unit=1.0)


def _sign_element(read: Read, at: Shape, shapes: Sequence[Shape]) -> Any:
    x = TRACED.functions["detach"](read(0, at))
    return select(x > 0, 1.0, select(x < 0, -1.0, x))  # 0 is 0 and NaN is NaN


def _logical(f: Format, out: Any, *masks: Running) -> Running:
    """Undecided where one of them is."""
    return Running(out, added([np.where(np.asarray(mask.error(f)) > 0, 1.0, 0.0) for mask in masks]), unit=1.0)


def _whole(round_: Callable[[Any], Any]) -> Callable[..., Running]:
    """The whole number below or above: another one where one lies within the error."""

    def running(f: Format, out: Any, x: Running) -> Running:
        e = x.error(f)
        moved = np.maximum(round_(x.value + e) - out, out - round_(x.value - e))
        return settled(f, Running(out, moved, unit=1.0), np.abs(out))

    return running


def _as_it_is(f: Format, out: Any, x: Running, **params: Any) -> Running:
    return Running(out, x.error(f), unit=x.unit, given=x.given)


def _converted(f: Format, out: Any, x: Running, dtype: str) -> Running:
    """What is cut off may be a whole more, where it is not exact."""
    e = np.asarray(x.error(f))
    cut = x.value.dtype.kind == "f"
    return Running(out, np.where(e > 0, e + 1.0, 0.0) if cut else e, unit=1.0 if cut else x.unit)


def _converted_element(read: Read, at: Shape, shapes: Sequence[Shape], dtype: str) -> Any:
    return float(read(0, at))


# No program is made of these: only sweeps on a torn tape record them.
TORN: dict[Callable[[Any, Any], Any], Rule] = {
    ufunc: decision(f"torn_{ufunc.__name__}", ufunc, _torn)
    for ufunc in (np.less, np.greater, np.less_equal, np.greater_equal)
}
TORN_SIGN = decision("torn_sign", np.sign, _torn_sign, _sign_element)


def is_torn(*args: Any) -> bool:
    """Whether any subgradient is right where these are recorded."""
    return any(getattr(x, "is_traced", False) and x.tape.torn for x in args)


def compared(ufunc: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """A comparison by which differentiation chooses what passes."""
    return applied(TORN[ufunc], a, b) if is_torn(a, b) else ufunc(a, b)


# --- choices: one of several values passes --------------------------------------------------------------------------


def piecewise(
    name: str, forward: Callable[..., Any], pieces: Callable[..., Sequence[Passes | None]],
    running: Callable[..., Running], element: Callable[..., Any], blends: bool = False,
) -> Rule:  # fmt: skip
    """pieces(out, *args, **params) says for each argument what passes; None where nothing does.

    `blends`: torch's maximum moves by b' + (a > b)*(a' - b'): the same number, which is rounded; so bounds read it."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        found = zip(pieces(out, *args, **params), args, needed, strict=True)
        return [fitted(passes(g), np.shape(arg)) if need and passes else None for passes, arg, need in found]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], **params: Any) -> Any:
        found = zip(pieces(out, *args, **params), tangents, strict=True)
        terms = [passes(spread(t, np.shape(out))) for passes, t in found if t is not None and passes]
        if blends and all(getattr(t, "is_traced", False) and t.tape.expanded for t in tangents):
            # a number of its own, added and taken off again: its error goes with it
            other = tangents[1].tape.input("", np.array(number(tangents[1]), dtype=np.float64))
            return added([*terms, other]) - other
        return added(terms) if terms else None

    return Rule(name, forward, vjp, jvp, running, element)


def only(mask: Any) -> Passes:
    return lambda t: np.where(mask, t, 0.0)


def _of_abs(out: Any, x: Any) -> list[Passes]:
    if is_torn(x):
        return [lambda t: t * applied(TORN_SIGN, x)]
    if (number(x) == 0).any():
        return [lambda t: np.where(np.equal(x, 0.0), 0.0, t * np.sign(x))]
    return [lambda t: t * np.sign(x)]


def _abs_running(f: Format, out: Any, x: Running) -> Running:
    return Running(out, x.error(f), unit=x.unit)


def _of_first(before: Callable[[Any, Any], Any], behind: Callable[[Any, Any], Any]) -> Callable[..., list[Passes]]:
    """The first argument passes where before(a, b), else the second; of NaNs the first one."""

    def pieces(out: Any, a: Any, b: Any) -> list[Passes]:
        if not np.isnan(number(out)).any():
            return [only(compared(before, a, b)), only(compared(behind, a, b))]
        first, second = number(a), number(b)
        mask = np.isnan(first) | ~(behind(first, second) | np.isnan(second))
        return [only(mask), only(~mask)]

    return pieces


def _extreme_running(f: Format, out: Any, a: Running, b: Running) -> Running:
    """The error of the one that is chosen, or the larger one where either may be."""
    ea, eb = a.error(f), b.error(f)
    chosen = np.where(out == a.value, ea, eb)
    either = np.abs(a.value - b.value) <= ea + eb
    return settled(f, Running(out, np.where(either, np.maximum(ea, eb), chosen), unit=min(a.unit, b.unit)), np.abs(out))


def _of_where(out: Any, condition: Any, a: Any, b: Any) -> list[Passes | None]:
    return [None, only(condition), lambda t: np.where(condition, 0.0, t)]


def _where_running(f: Format, out: Any, condition: Running, a: Running, b: Running) -> Running:
    ea, eb = a.error(f), b.error(f)
    base = np.where(condition.value, ea, eb)
    if np.any(condition.base):
        either = np.maximum(ea, eb) + np.abs(a.value - b.value)
        base = np.where(condition.base > 0, either, base)
    return settled(f, Running(out, base, unit=min(a.unit, b.unit)), np.abs(out))


def _where_element(read: Read, at: Shape, shapes: Sequence[Shape]) -> Any:
    places = [broadcast_place(at, shape) for shape in shapes]
    return read(1, places[1]) if read(0, places[0]) else read(2, places[2])


def _of_clip(out: Any, x: Any, low: float, high: float) -> list[Passes]:
    """A bound itself lets through, as torch.clamp has it."""
    bounds = [*([compared(np.greater_equal, x, low)] if low > -np.inf else []),
              *([compared(np.less_equal, x, high)] if high < np.inf else [])]  # fmt: skip
    return [only(bounds[0] * bounds[1] if len(bounds) == 2 else bounds[0]) if bounds else lambda t: t]


def _clip_running(f: Format, out: Any, x: Running, low: float, high: float) -> Running:
    """Where it is beyond a bound by more than its error, the bound itself; which the format rounds."""
    e = x.error(f)
    bounds = [given(f, np.array(each), constant=True) for each in (low, high) if np.isfinite(each)]
    beyond = (x.value + e < low) | (x.value - e > high)
    rounded = max((float(np.max(each.base)) for each in bounds), default=0.0)
    return Running(out, np.where(beyond, 0.0, e) + rounded, unit=min([x.unit, *(each.unit for each in bounds)]))


def _clip_element(read: Read, at: Shape, shapes: Sequence[Shape], low: float, high: float) -> Any:
    """A bound itself lets through: of equals the first one is what passes."""
    return minimum(maximum(read(0, at), low), high)


def contenders(sign: float, value: Any, error: Any, axis: Any) -> Any:
    """Which elements of each row may be the extreme one."""
    sure = np.max(sign * value - error, axis=axes_of(value.shape, axis), keepdims=True, initial=-np.inf)
    return sign * value + error >= sure


def rivals(sign: float, value: Any, error: Any, axis: Any) -> Any:
    """Which elements may be the extreme one of a row in which several may be it."""
    may = contenders(sign, value, np.broadcast_to(error, value.shape), axis)
    return may & (may.sum(axis=axes_of(value.shape, axis), keepdims=True) > 1)


def _extreme(
    name: str, forward: Callable[..., Any], best: Callable[..., Any], choice: Callable[..., Any]
) -> list[Rule]:  # fmt: skip
    """max or min along axes, and where it stands: the first of equals takes the gradient."""
    sign = 1.0 if name == "largest" else -1.0

    def mask(numbers: Any, axis: Any) -> Any:
        axes = axes_of(numbers.shape, axis)
        rest = [k for k in range(numbers.ndim) if k not in axes]
        row = math.prod(numbers.shape[k] for k in axes)
        rows = numbers.transpose(*rest, *axes).reshape(*(numbers.shape[k] for k in rest), row)
        first = np.arange(rows.shape[-1]) == np.expand_dims(best(rows, axis=-1), -1)
        there = first.reshape([numbers.shape[k] for k in (*rest, *axes)])
        return there.transpose(np.argsort([*rest, *axes]))

    def torn_running(f: Format, out: Any, x: Running, axis: Any) -> Running:
        """Undecided where several may be it."""
        return Running(out, np.where(rivals(sign, x.value, x.error(f), axis), 1.0, 0.0), unit=1.0)

    def mask_running(f: Format, out: Any, x: Running, axis: Any) -> Running:
        """Undecided where several may be it, and one of these is not exact."""
        undecided, e = rivals(sign, x.value, x.error(f), axis), x.error(f)
        moved = np.max(np.where(undecided, e, 0.0), axis=axes_of(out.shape, axis), keepdims=True, initial=0.0) > 0
        return Running(out, np.where(undecided & moved, 1.0, 0.0), unit=1.0)

    def running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
        e = np.broadcast_to(x.error(f), x.value.shape)
        e = np.where(contenders(sign, x.value, e, axis), e, 0.0)
        worst = np.max(e, axis=axes_of(e.shape, axis), keepdims=keepdims, initial=0.0)
        return settled(f, Running(out, worst, unit=x.unit, given=x.given), np.abs(out))

    def element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
        return choice(*[read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims)])

    place = decision(f"first_{name}", mask, mask_running)
    torn = decision(f"torn_first_{name}", mask, torn_running)

    def chosen(x: Any, axis: Any) -> Any:
        return applied(torn if is_torn(x) else place, x, axis=axis)

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: Any, keepdims: bool) -> list[Any]:
        (x,) = args
        return [np.where(chosen(x, axis), spread_back(g, np.shape(x), axis), 0.0)]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: Any, keepdims: bool) -> Any:
        return np.where(chosen(args[0], axis), tangents[0], 0.0).sum(axis=axis, keepdims=keepdims)

    return [Rule(name, forward, vjp, jvp, running, element), place]


# --- what only differentiation sees -------------------------------------------------------------------------------


def detach(x: Any) -> Any:
    """The same numbers, held constant by differentiation: of an array or a traced array."""
    return x.detach() if getattr(x, "is_traced", False) else x


def formed(x: Any) -> Any:
    """The same numbers, formed as they are written: a product with the sum that they are is not multiplied out."""
    return applied(FORMED, x)


def with_slope(y: Any, x: Any, slope: Any) -> Any:
    """`y`, whose derivative by `x`, an array of the same shape, is declared to be `slope` besides its own."""
    return applied(WITH_SLOPE, y, x, slope)


def _with_slope_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    return [g, g * args[2] if needed[1] else None, None]


def _with_slope_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    of_y, of_x, _ = tangents
    terms = [*([] if of_y is None else [of_y]), *([] if of_x is None else [args[2] * of_x])]
    return added(terms) if terms else None


FORMED = Rule(
    "formed", lambda x: x, lambda g, out, args, needed: [g], lambda tangents, out, args: tangents[0], _as_it_is,
    broadcasting(lambda x: x),
)  # fmt: skip
WITH_SLOPE = Rule(
    "with_slope", lambda y, x, slope: y, _with_slope_vjp, _with_slope_jvp, lambda f, out, y, x, slope: y,
    broadcasting(TRACED.functions["with_slope"]),
)  # fmt: skip

KINKS = (
    piecewise("abs", np.absolute, _of_abs, _abs_running, broadcasting(TRACED.functions["abs"])),
    piecewise(
        "max", np.maximum, _of_first(np.greater_equal, np.less), _extreme_running, broadcasting(maximum), blends=True
    ),
    piecewise(
        "min", np.minimum, _of_first(np.less_equal, np.greater), _extreme_running, broadcasting(minimum), blends=True
    ),
    piecewise("where", np.where, _of_where, _where_running, _where_element),
    piecewise("clip", lambda x, low, high: np.clip(x, low, high), _of_clip, _clip_running, _clip_element),
    *_extreme("largest", lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims), np.argmax, maximum),
    *_extreme("smallest", lambda x, axis, keepdims: x.min(axis=axis, keepdims=keepdims), np.argmin, minimum),
    *(decision(ufunc.__name__, ufunc, _comparison)
      for ufunc in (np.less, np.greater, np.less_equal, np.greater_equal, np.equal, np.not_equal)),
    *(decision(ufunc.__name__, ufunc, _logical) for ufunc in (np.logical_and, np.logical_or, np.logical_not)),
    decision("sign", np.sign, _sign, _sign_element),
    decision("floor", np.floor, _whole(np.floor), broadcasting(TRACED.functions["floor"])),
    decision("ceil", np.ceil, _whole(np.ceil), broadcasting(TRACED.functions["ceil"])),
    decision("detach", lambda x: x, _as_it_is, broadcasting(TRACED.functions["detach"])),
    FORMED,
    WITH_SLOPE,
    decision("astype", lambda x, dtype: x.astype(dtype), _converted, _converted_element),
)  # fmt: skip
