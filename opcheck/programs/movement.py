"""Operations that only move or repeat elements: reshape, transpose, broadcasting, indexing, and putting back.

One description serves all readings: where each element of the result comes from, asked of an array of places.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from opcheck.programs.rule import Read, Rule, Shape, applied, fitted
from opcheck.programs.running import Format, Running, summed


def moving(name: str, forward: Callable[..., Any], adjoint: Callable[..., Any]) -> Rule:
    """An operation whose result is made of elements of its argument; adjoint(g, shape of the argument, **params)."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [adjoint(g, np.shape(args[0]), **params)]

    def running(f: Format, out: Any, x: Running, **params: Any) -> Running:
        return x.over_all(lambda array: forward(array, **params))

    def element(read: Read, at: Shape, shapes: Sequence[Shape], **params: Any) -> Any:
        (shape,) = shapes
        if "places" not in read.facts:
            read.facts["places"] = forward(_places(shape), **params)
        return read(0, _at(read.facts["places"][at], shape))

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: forward(tangents[0], **params), running,
                element)  # fmt: skip


def _places(shape: Shape) -> Any:
    """Every element's place in an array of that shape, counted from 0."""
    return np.arange(int(np.prod(shape, dtype=int))).reshape(shape)


def _at(place: Any, shape: Shape) -> Shape:
    return tuple(map(int, np.unravel_index(place, shape)))


# --- indexing, and putting back -------------------------------------------------------------------------------------


class Slot(NamedTuple):
    """A part of an index that was computed: the argument of that number says it."""

    number: int


def filled(index: Any, chosen: Sequence[Any]) -> Any:
    """The index with its slots filled."""
    if not chosen:
        return index
    return tuple(chosen[part.number] if isinstance(part, Slot) else part for part in index)


def _getitem(x: Any, *chosen: Any, index: Any) -> Any:
    return x[filled(index, chosen)]


def _doubtful(shape: Shape, chosen: Sequence[Running], index: Any) -> Any:
    """Which elements of x[index] might be others, for rounding may decide otherwise where the index was computed."""
    if not any(np.any(each.base) for each in chosen):
        return None
    places = _places(shape)
    values = [each.value for each in chosen]
    beside = [np.where(np.asarray(each.base) > 0, np.where(each.value < 0, each.value + 1, each.value - 1), each.value)
              for each in chosen]  # fmt: skip
    return places[filled(index, values)] != places[filled(index, beside)]


def _getitem_running(f: Format, out: Any, x: Running, *chosen: Running, index: Any) -> Running:
    moved = x.over_all(lambda array: array[filled(index, [each.value for each in chosen])])
    doubtful = _doubtful(x.value.shape, chosen, index)
    if doubtful is None:
        return moved
    low, high = float(np.min(x.value)), float(np.max(x.value))
    other = high - low + np.max(x.error(f))
    return Running(out, np.where(doubtful, other, moved.error(f)), unit=x.unit)


def _getitem_element(read: Read, at: Shape, shapes: Sequence[Shape], index: Any) -> Any:
    if "places" not in read.facts:
        chosen = [read.whole(k) for k in range(1, len(shapes))]
        read.facts["places"] = _places(shapes[0])[filled(index, chosen)]
    return read(0, _at(read.facts["places"][at], shapes[0]))


GETITEM: Rule = Rule(
    "getitem",
    _getitem,
    lambda g, out, args, needed, index: [applied(PUT, g, *args[1:], index=index, shape=np.shape(args[0])),
                                         *[None] * (len(args) - 1)],
    lambda tangents, out, args, index: applied(GETITEM, tangents[0], *args[1:], index=index),
    _getitem_running,
    _getitem_element,
)  # fmt: skip


def _put(g: Any, *chosen: Any, index: Any, shape: Shape) -> Any:
    """Zeros of that shape with `g` added at `index`: the adjoint of x[index]."""
    if g.dtype != object and not _is_basic(index):
        places = np.broadcast_to(_places(shape)[filled(index, chosen)], g.shape)
        size = int(np.prod(shape, dtype=int))
        return np.bincount(places.reshape(-1), np.asarray(g, np.float64).reshape(-1), minlength=size).reshape(shape)
    out = np.zeros(shape, dtype=g.dtype if g.dtype == object else np.float64)
    np.add.at(out, filled(index, chosen), g)
    return out


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)) for part in parts)


def _put_running(f: Format, out: Any, g: Running, *chosen: Running, index: Any, shape: Shape) -> Running:
    values = [each.value for each in chosen]

    def put(array: Any) -> Any:
        return _put(np.broadcast_to(array, g.value.shape), *values, index=index, shape=shape)

    if _doubtful(shape, chosen, index) is not None:
        return Running(out, np.broadcast_to(np.sum(g.terms), shape) * 2.0)
    meeting: Any = 1 if _is_basic(index) else put(1.0)
    if np.max(meeting, initial=0) <= 1:
        # an error that all share is none where nothing is put
        absolute = None if g.absolute is None else np.broadcast_to(g.absolute, g.value.shape)
        return g._replace(base=np.broadcast_to(g.base, g.value.shape), absolute=absolute).over_all(put)
    base = put(g.base) if np.ndim(g.base) or g.base else 0.0
    return summed(f, out, base, put(g.terms), g.counted(put, meeting), g.unit, g.stored + 1)


def _put_element(read: Read, at: Shape, shapes: Sequence[Shape], index: Any, shape: Shape) -> Any:
    from opcheck.tracing import total

    if "sources" not in read.facts:
        chosen = [read.whole(k) for k in range(1, len(shapes))]
        places = np.broadcast_to(_places(shape)[filled(index, chosen)], shapes[0]).reshape(-1)
        order = np.argsort(places, kind="stable")
        read.facts["sources"] = order, places[order]
    order, places = read.facts["sources"]
    here = int(np.ravel_multi_index(at, shape)) if shape else 0
    first, last = np.searchsorted(places, [here, here + 1])
    if first == last and _is_basic(index):
        return read.padding(at)
    return total([read(0, _at(place, shapes[0])) for place in order[first:last]])


PUT: Rule = Rule(
    "put",
    _put,
    lambda g, out, args, needed, index, shape: [applied(GETITEM, g, *args[1:], index=index),
                                                *[None] * (len(args) - 1)],
    lambda tangents, out, args, index, shape: applied(PUT, tangents[0], *args[1:], index=index, shape=shape),
    _put_running,
    _put_element,
)  # fmt: skip


def put(x: Any, index: Any, shape: Shape) -> Any:
    """Zeros of that shape with `x` added at `index`; places that occur several times get the sum."""
    return applied(PUT, x, index=index, shape=shape)


# --- several arguments --------------------------------------------------------------------------------------------


def _concatenate_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: int) -> list[Any]:
    ends = np.cumsum([np.shape(arg)[axis] for arg in args])
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, slice(int(end) - np.shape(arg)[axis], int(end)))] if need else None
            for end, arg, need in zip(ends, args, needed, strict=True)]  # fmt: skip


def _concatenate_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: int) -> Any:
    full = [np.zeros(np.shape(arg)) if t is None else t for t, arg in zip(tangents, args, strict=True)]
    return np.concatenate(full, axis=axis)


def _concatenate_running(f: Format, out: Any, *parts: Running, axis: int) -> Running:
    base = np.concatenate([np.broadcast_to(part.error(f), part.value.shape) for part in parts], axis=axis)
    return Running(out, base if base.any() else 0.0, unit=min(part.unit for part in parts))


def _concatenate_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: int) -> Any:
    axis %= len(at)
    k, place = 0, at[axis]
    while place >= shapes[k][axis]:
        place -= shapes[k][axis]
        k += 1
    return read(k, (*at[:axis], place, *at[axis + 1 :]))


MOVEMENT = (
    moving("reshape", lambda x, shape: x.reshape(shape), lambda g, before, shape: g.reshape(before)),
    moving("transpose", lambda x, axes: x.transpose(axes), lambda g, before, axes: g.transpose(np.argsort(axes))),
    moving("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, before, shape: fitted(g, before)),
    GETITEM,
    PUT,
    Rule("concatenate", lambda *parts, axis: np.concatenate(parts, axis=axis), _concatenate_vjp, _concatenate_jvp,
         _concatenate_running, _concatenate_element),
)  # fmt: skip
