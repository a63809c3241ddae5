"""Sorting, where the largest and the smallest elements stand, and where what is assigned goes. Equal numbers keep their
order.

Places are decisions: nothing is differentiated through them, and where rounding may decide otherwise, what is taken
from such a place may be any element.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.kinks import contenders, decision
from opcheck.programs.movement import filled
from opcheck.programs.rule import Read, Rule, Shape, applied
from opcheck.programs.running import Format, Running, settled


def _argsort(x: Any, axis: int) -> Any:
    return np.argsort(x, axis=axis, kind="stable")


def _argsort_running(f: Format, out: Any, x: Running, axis: int) -> Running:
    """Undecided where an element may be equal to one that stands before or behind it."""
    e = np.broadcast_to(x.error(f), x.value.shape)
    if not e.any():
        return Running(out, unit=1.0)
    value, error = (np.take_along_axis(array, out, axis) for array in (x.value, e))
    low, high = value - error, value + error
    before = np.maximum.accumulate(high, axis=axis)
    behind = np.flip(np.minimum.accumulate(np.flip(low, axis), axis=axis), axis)
    doubtful = np.zeros(out.shape, bool)
    rows, earlier = np.moveaxis(doubtful, axis, -1), np.moveaxis(before, axis, -1)
    lows, highs, later = (np.moveaxis(array, axis, -1) for array in (low, high, behind))
    rows[..., 1:] |= earlier[..., :-1] >= lows[..., 1:]
    rows[..., :-1] |= later[..., 1:] <= highs[..., :-1]
    return Running(out, np.where(doubtful, float(out.shape[axis]), 0.0), unit=1.0)


def _sort_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: int) -> list[Any]:
    back = np.argsort(applied(ARGSORT, args[0], axis=axis), axis=axis)
    return [np.take_along_axis(g, back, axis)]


def _sort_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: int) -> Any:
    return np.take_along_axis(tangents[0], applied(ARGSORT, args[0], axis=axis), axis)


def _sort_running(f: Format, out: Any, x: Running, axis: int) -> Running:
    """The k-th smallest of numbers lies between the k-th smallest of what they may be at least and at most."""
    e = np.broadcast_to(x.error(f), x.value.shape)
    if not e.any():
        return Running(out, unit=x.unit)
    low, high = np.sort(x.value - e, axis=axis), np.sort(x.value + e, axis=axis)
    return settled(f, Running(out, np.maximum(high - out, out - low), unit=x.unit), np.abs(out))


def _sort_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: int) -> Any:
    if "order" not in read.facts:
        read.facts["order"] = _argsort(read.whole(0), axis)
    axis %= len(at)
    return read(0, (*at[:axis], int(read.facts["order"][at]), *at[axis + 1 :]))


def _place(best: Callable[..., Any], sign: float) -> tuple[Callable[..., Any], Callable[..., Running]]:
    """Where the extreme element of each row stands; undecided where another one may be it."""

    def forward(x: Any, axis: int) -> Any:
        return best(x, axis=axis)

    def running(f: Format, out: Any, x: Running, axis: int) -> Running:
        e = np.broadcast_to(x.error(f), x.value.shape)
        several = (contenders(sign, x.value, e, axis)).sum(axis=axis) > 1
        moved = np.max(np.where(contenders(sign, x.value, e, axis), e, 0.0), axis=axis, initial=0.0) > 0
        return Running(out, np.where(several & moved, float(x.value.shape[axis]), 0.0), unit=1.0)

    return forward, running


def _assigned(*chosen: Any, index: Any, shape: Shape) -> Any:
    """Which element of what is assigned to x[index], for x of that shape, comes to stand where; -1: none."""
    every = np.arange(math.prod(shape)).reshape(shape)
    places = every[filled(index, chosen)].reshape(-1)
    source = np.full(every.size, -1)
    source[places] = np.arange(places.size)  # of equal places the last one counts
    return source.reshape(shape)


def _assigned_running(f: Format, out: Any, *chosen: Running, index: Any, shape: Shape) -> Running:
    return Running(out, float(out.size) if any(np.any(each.base) for each in chosen) else 0.0, unit=1.0)


ARGSORT = decision("argsort", _argsort, _argsort_running)
ORDER = (
    Rule("sort", lambda x, axis: np.sort(x, axis=axis), _sort_vjp, _sort_jvp, _sort_running, _sort_element),
    ARGSORT,
    decision("argmax", *_place(np.argmax, 1.0)),
    decision("argmin", *_place(np.argmin, -1.0)),
    decision("assigned", _assigned, _assigned_running),
)
