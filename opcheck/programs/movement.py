"""Operations that only move or repeat elements: reshape, transpose, broadcasting, indexing, and putting back.

One description serves all readings: where each element of the result comes from, asked of an array of places.
"""

from collections.abc import Callable, Sequence
from typing import Any

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
        return read(0, tuple(map(int, np.unravel_index(_places(forward, shape, params)[at], shape))))

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: forward(tangents[0], **params), running,
                element)  # fmt: skip


def _places(forward: Callable[..., Any], shape: Shape, params: dict[str, Any]) -> Any:
    """Where each element of the result comes from."""
    return forward(np.arange(int(np.prod(shape, dtype=int))).reshape(shape), **params)


def _put(g: Any, index: Any, shape: Shape) -> Any:
    """Zeros of that shape with `g` added at `index`: the adjoint of x[index]."""
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def _put_running(f: Format, out: Any, g: Running, index: Any, shape: Shape) -> Running:
    times = _put(np.ones(g.value.shape), index, shape)
    most = int(times.max(initial=0.0))
    base = _put(np.broadcast_to(g.base, g.value.shape), index, shape) if np.ndim(g.base) or g.base else 0.0
    return summed(f, out, base, _put(g.terms, index, shape), max(1, most * g.summands), g.unit, g.stored + 1)


def _put_element(read: Read, at: Shape, shapes: Sequence[Shape], index: Any, shape: Shape) -> Any:
    from opcheck.tracing import total

    here = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    found = np.argwhere(np.broadcast_to(here[index], shapes[0]) == here[at])
    return total([read(0, tuple(map(int, place))) for place in found])


PUT = Rule(
    "put",
    _put,
    lambda g, out, args, needed, index, shape: [g[index]],
    lambda tangents, out, args, index, shape: put(tangents[0], index, shape),
    _put_running,
    _put_element,
)


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
    moving("getitem", lambda x, index: x[index], lambda g, before, index: put(g, index, before)),
    PUT,
    Rule("concatenate", lambda *parts, axis: np.concatenate(parts, axis=axis), _concatenate_vjp, _concatenate_jvp,
         _concatenate_running, _concatenate_element),
)  # fmt: skip
