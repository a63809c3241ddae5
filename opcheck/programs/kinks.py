"""Operations with kinks: what passes where. Masks are recorded, so that a sweep says which elements they let through.

At ties the first maximum takes the gradient, and abs'(0) = 0, as torch has it. Where rounding may decide a comparison
otherwise, the result may be that of either branch.
"""

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
from opcheck.programs.running import Format, Running, settled
from opcheck.tracing import TRACED, maximum, minimum

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


def _sign(f: Format, out: Any, x: Running) -> Running:
    e = x.error(f)
    return Running(out, np.where((np.abs(x.value) <= e) & (e > 0), 2.0, 0.0), unit=1.0)


def _as_it_is(f: Format, out: Any, x: Running, **params: Any) -> Running:
    return Running(out, x.error(f), unit=x.unit)


# --- choices: one of several values passes --------------------------------------------------------------------------


def piecewise(
    name: str, forward: Callable[..., Any], pieces: Callable[..., Sequence[Passes | None]],
    running: Callable[..., Running], element: Callable[..., Any],
) -> Rule:  # fmt: skip
    """pieces(out, *args, **params) says for each argument what passes; None where nothing does."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        found = zip(pieces(out, *args, **params), args, needed, strict=True)
        return [fitted(passes(g), np.shape(arg)) if need and passes else None for passes, arg, need in found]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], **params: Any) -> Any:
        found = zip(pieces(out, *args, **params), tangents, strict=True)
        terms = [passes(spread(t, np.shape(out))) for passes, t in found if t is not None and passes]
        return added(terms) if terms else None

    return Rule(name, forward, vjp, jvp, running, element)


def only(mask: Any) -> Passes:
    return lambda t: np.where(mask, t, 0.0)


def _of_abs(out: Any, x: Any) -> list[Passes]:
    if (number(x) == 0).any():
        return [lambda t: np.where(np.equal(x, 0.0), 0.0, t * np.sign(x))]
    return [lambda t: t * np.sign(x)]


def _abs_running(f: Format, out: Any, x: Running) -> Running:
    return Running(out, x.error(f), unit=x.unit)


def _of_first(before: Callable[[Any, Any], Any], behind: Callable[[Any, Any], Any]) -> Callable[..., list[Passes]]:
    """The first argument passes where before(a, b), else the second; of NaNs the first one."""

    def pieces(out: Any, a: Any, b: Any) -> list[Passes]:
        if not np.isnan(number(out)).any():
            return [only(before(a, b)), only(behind(a, b))]
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
    bounds = [*([x >= low] if low > -np.inf else []), *([x <= high] if high < np.inf else [])]
    return [only(bounds[0] * bounds[1] if len(bounds) == 2 else bounds[0]) if bounds else lambda t: t]


def _clip_running(f: Format, out: Any, x: Running, low: float, high: float) -> Running:
    return Running(out, x.error(f))


def _clip_element(read: Read, at: Shape, shapes: Sequence[Shape], low: float, high: float) -> Any:
    return minimum(high, maximum(low, read(0, at)))


def _extreme(
    name: str, forward: Callable[..., Any], best: Callable[..., Any], choice: Callable[..., Any]
) -> list[Rule]:  # fmt: skip
    """max or min along axes, and where it stands: the first of equals takes the gradient."""
    sign = 1.0 if name == "largest" else -1.0

    def mask(numbers: Any, axis: Any) -> Any:
        axes = axes_of(numbers.shape, axis)
        rest = [k for k in range(numbers.ndim) if k not in axes]
        rows = numbers.transpose(*rest, *axes).reshape(*(numbers.shape[k] for k in rest), -1)
        first = np.arange(rows.shape[-1]) == np.expand_dims(best(rows, axis=-1), -1)
        there = first.reshape([numbers.shape[k] for k in (*rest, *axes)])
        return there.transpose(np.argsort([*rest, *axes]))

    def contenders(f: Format, x: Running, axis: Any) -> Any:
        """Which elements may be the extreme one."""
        e = x.error(f)
        sure = np.max(sign * x.value - e, axis=axes_of(x.value.shape, axis), keepdims=True, initial=-np.inf)
        return sign * x.value + e >= sure

    def mask_running(f: Format, out: Any, x: Running, axis: Any) -> Running:
        may = contenders(f, x, axis) & (np.broadcast_to(x.error(f), out.shape) > 0)
        several = may.sum(axis=axes_of(out.shape, axis), keepdims=True) > 1
        return Running(out, np.where(may & several, 1.0, 0.0), unit=1.0)

    def running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
        e = np.where(contenders(f, x, axis), np.broadcast_to(x.error(f), x.value.shape), 0.0)
        worst = np.max(e, axis=axes_of(e.shape, axis), keepdims=keepdims, initial=0.0)
        return settled(f, Running(out, worst, unit=x.unit), np.abs(out))

    def element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
        return choice(*[read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims)])

    place = decision(f"first_{name}", mask, mask_running)

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: Any, keepdims: bool) -> list[Any]:
        (x,) = args
        return [np.where(applied(place, x, axis=axis), spread_back(g, np.shape(x), axis), 0.0)]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: Any, keepdims: bool) -> Any:
        return np.where(applied(place, args[0], axis=axis), tangents[0], 0.0).sum(axis=axis, keepdims=keepdims)

    return [Rule(name, forward, vjp, jvp, running, element), place]


def held(x: Any) -> Any:
    """The same numbers, held constant by differentiation."""
    return x.detach() if getattr(x, "is_traced", False) else x


def with_slope(numbers: Any, x: Any, slope: Any) -> Any:
    """The first argument; its derivative by `x` is declared to be the third, where a gradient is a convention."""
    return applied(WITH_SLOPE, numbers, x, slope)


def _slope_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    moved = [t for t in (tangents[0], None if tangents[1] is None else tangents[1] * args[2]) if t is not None]
    return added(moved) if moved else None


WITH_SLOPE = Rule(
    "with_slope",
    lambda numbers, x, slope: numbers,
    lambda g, out, args, needed: [g, g * args[2], None],
    _slope_jvp,
    lambda f, out, numbers, x, slope: Running(out, numbers.error(f), unit=numbers.unit),
    lambda read, at, shapes: TRACED.functions["with_slope"](
        read(0, at), read(1, at), read(2, broadcast_place(at, shapes[2]))
    ),
)
KINKS = (
    WITH_SLOPE,
    piecewise("abs", np.absolute, _of_abs, _abs_running, broadcasting(TRACED.functions["abs"])),
    piecewise("max", np.maximum, _of_first(np.greater_equal, np.less), _extreme_running, broadcasting(maximum)),
    piecewise("min", np.minimum, _of_first(np.less_equal, np.greater), _extreme_running, broadcasting(minimum)),
    piecewise("where", np.where, _of_where, _where_running, _where_element),
    piecewise("clip", lambda x, low, high: np.clip(x, low, high), _of_clip, _clip_running, _clip_element),
    *_extreme("largest", lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims), np.argmax, maximum),
    *_extreme("smallest", lambda x, axis, keepdims: x.min(axis=axis, keepdims=keepdims), np.argmin, minimum),
    *(decision(ufunc.__name__, ufunc, _comparison)
      for ufunc in (np.less, np.greater, np.less_equal, np.greater_equal, np.equal)),
    decision("sign", np.sign, _sign),
    decision("detach", lambda x: x, _as_it_is, broadcasting(TRACED.functions["detach"])),
    decision("astype", lambda x, dtype: x.astype(dtype), _as_it_is),
)  # fmt: skip
