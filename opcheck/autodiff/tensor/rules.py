"""What an array operation computes and how it is differentiated: one row each, both modes together.

Rules are written with numpy's functions, which record when they meet a traced array: so a reverse sweep over traced
arrays is a graph again, and forward over reverse gives second derivatives. Elementwise rules have no derivative of
their own: they are the scalar primitives' (`opcheck.tracing.PRIMITIVES`), read over arrays.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from opcheck.tracing import PRIMITIVES, Arithmetic

Value = Any  # a numpy array, a traced array, or a dict of them by output name
Shape = tuple[int, ...]


class Rule(NamedTuple):
    """One operation: `forward(*args, **params)`, what a cotangent becomes, and what tangents become.

    vjp(g, out, args, needed, **params) returns a cotangent for each argument that is needed (None for the others);
    jvp(tangents, out, args, **params) gets None for the arguments that do not move.
    """

    name: str
    forward: Callable[..., Value]
    vjp: Callable[..., Sequence[Value | None]]
    jvp: Callable[..., Value]


def number(x: Any) -> Any:
    """The numbers of a traced array, where they decide something (a mask, a shape)."""
    return getattr(x, "value", x)


def fitted(g: Any, shape: Shape) -> Any:
    """`g` summed over the axes along which an argument of that shape was repeated."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(k + extra for k, n in enumerate(shape) if n == 1 and g.shape[k + extra] != 1))
    return g.sum(axis=axes).reshape(shape)


def spread(t: Any, shape: Shape) -> Any:
    """`t` repeated to that shape."""
    return t if np.shape(t) == shape else np.broadcast_to(t, shape)


def added(terms: Sequence[Any]) -> Any:
    return reduce(lambda a, b: a + b, terms)


def plus(a: Any, b: Any) -> Any:
    """The sum of two cotangents; those of a node with several outputs are dicts."""
    if isinstance(a, dict):
        return {name: plus(a[name], b[name]) if name in a and name in b else a.get(name, b.get(name))
                for name in (*a, *(each for each in b if each not in a))}  # fmt: skip
    return a + b


# --- elementwise: the scalar primitives over arrays -----------------------------------------------------------------

UFUNCS = {
    "sum": np.add, "mul": np.multiply, "div": np.divide, "sub": np.subtract, "neg": np.negative,
    "exp": np.exp, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
}  # fmt: skip
ARRAYS = Arithmetic({**UFUNCS, "sum": lambda *terms: reduce(np.add, terms)})


def scaled(partial: Any, x: Any) -> Any:
    if type(partial) is int:
        return None if partial == 0 else x if partial == 1 else -x
    return x * partial


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

    return Rule(op, UFUNCS[op], vjp, jvp)


def _power_partials(out: Any, a: Any, b: Any, needed: Sequence[bool]) -> list[Any]:
    """Those of the scalar table where they are asked for; at the edges torch's: x^0 is constant, and so is 0^y."""
    result: list[Any] = [None, None]
    if needed[0]:
        result[0] = np.where(number(b) == 0, 0.0, b * a ** (b - 1))
    if needed[1]:
        result[1] = np.where((number(a) == 0) & (number(b) >= 0), 0.0, out * np.log(a))
    return result


def _power_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    found = zip(_power_partials(out, args[0], args[1], needed), args, strict=True)
    return [None if partial is None else fitted(g * partial, np.shape(arg)) for partial, arg in found]


def _power_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    needed = [t is not None for t in tangents]
    found = zip(_power_partials(out, args[0], args[1], needed), tangents, strict=True)
    return added([spread(t * partial, np.shape(out)) for partial, t in found if partial is not None])


def piecewise(name: str, forward: Callable[..., Any], pieces: Callable[..., Sequence[Any]]) -> Rule:
    """A rule with kinks: pieces(out, *numbers) is, for each argument, where it passes (a mask, or a sign)."""

    def passed(piece: Any, x: Any) -> Any:
        return np.where(piece, x, 0.0) if piece.dtype == bool else np.where(piece == 0, 0.0, x * piece)

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        found = pieces(number(out), *map(number, args), **params)
        return [fitted(passed(piece, g), np.shape(arg)) if need else None
                for piece, arg, need in zip(found, args, needed, strict=True)]  # fmt: skip

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], **params: Any) -> Any:
        found = zip(pieces(number(out), *map(number, args), **params), tangents, strict=True)
        return added([passed(piece, spread(t, np.shape(out))) for piece, t in found if t is not None])

    return Rule(name, forward, vjp, jvp)


def _first_of(better: Callable[[Any, Any], Any]) -> Callable[..., Sequence[Any]]:
    def pieces(out: Any, a: Any, b: Any) -> Sequence[Any]:
        first = np.broadcast_to(np.isnan(a) | ~(better(b, a) | np.isnan(b)), out.shape)
        return first, ~first

    return pieces


def _where_pieces(out: Any, condition: Any, a: Any, b: Any) -> Sequence[Any]:
    chosen = np.broadcast_to(np.asarray(condition) != 0, out.shape)
    return np.zeros(out.shape, bool), chosen, ~chosen


def _inside(out: Any, x: Any, low: float, high: float) -> Sequence[Any]:
    return ((x >= low) & (x <= high),)


def _constant(name: str, forward: Callable[..., Any]) -> Rule:
    """An operation that nothing is differentiated through: a comparison."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [None] * len(args)

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: None)


# --- linear operations: their own tangent rule, and an adjoint ------------------------------------------------------


def linear(name: str, forward: Callable[..., Any], adjoint: Callable[..., Any]) -> Rule:
    """An operation that is linear in its one argument; adjoint(g, shape of the argument, **params)."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [adjoint(g, np.shape(args[0]), **params)]

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: forward(tangents[0], **params))


def kept(shape: Shape, axis: Any) -> Shape:
    """The shape of a reduction with keepdims=True."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    lost = {k % len(shape) for k in axes} if shape else set()
    return tuple(1 if k in lost else n for k, n in enumerate(shape))


def count(shape: Shape, axis: Any) -> int:
    """How many elements one result of a reduction is made of."""
    return math.prod(shape) // max(1, math.prod(kept(shape, axis)))


def _spread_back(g: Any, shape: Shape, axis: Any = None, keepdims: bool = False) -> Any:
    return np.broadcast_to(g.reshape(kept(shape, axis)), shape)


def _mean_back(g: Any, shape: Shape, axis: Any = None, keepdims: bool = False) -> Any:
    return _spread_back(g, shape, axis) / count(shape, axis)


def put(g: Any, index: Any, shape: Shape) -> Any:
    """Zeros of that shape with `g` added at `index`: the adjoint of x[index]."""
    if hasattr(g, "__opcheck_record__"):
        return g.tape.record(RULES["put"], (g,), index=index, shape=shape)
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def _axis_extreme(name: str, forward: Callable[..., Any], best: Callable[..., Any]) -> Rule:
    """max or min along axes: the first of equals takes the gradient."""

    def mask(x: Any, axis: Any) -> Any:
        numbers = number(x)
        axes = tuple(range(numbers.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = tuple(k % numbers.ndim for k in axes)
        rest = [k for k in range(numbers.ndim) if k not in axes]
        rows = numbers.transpose(*rest, *axes).reshape(*(numbers.shape[k] for k in rest), -1)
        first = np.arange(rows.shape[-1]) == np.expand_dims(best(rows, axis=-1), -1)
        there = first.reshape([numbers.shape[k] for k in (*rest, *axes)])
        return there.transpose(np.argsort([*rest, *axes]))

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: Any, keepdims: bool) -> list[Any]:
        (x,) = args
        return [np.where(mask(x, axis), _spread_back(g, np.shape(x), axis), 0.0)]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: Any, keepdims: bool) -> Any:
        return np.where(mask(args[0], axis), tangents[0], 0.0).sum(axis=axis, keepdims=keepdims)

    return Rule(name, forward, vjp, jvp)


# --- several arguments ----------------------------------------------------------------------------------------------


def _matmul_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    a, b = args
    rows = a.reshape(1, -1) if a.ndim == 1 else a
    columns = b.reshape(-1, 1) if b.ndim == 1 else b
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    full = g.reshape(*batch, rows.shape[-2], columns.shape[-1])
    result: list[Any] = [None, None]
    if needed[0]:
        result[0] = fitted(full @ columns.swapaxes(-1, -2), rows.shape).reshape(a.shape)
    if needed[1]:
        result[1] = fitted(rows.swapaxes(-1, -2) @ full, columns.shape).reshape(b.shape)
    return result


def _matmul_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    (a, b), (da, db) = args, tangents
    return added([*([] if da is None else [da @ b]), *([] if db is None else [a @ db])])


def _concatenate_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: int) -> list[Any]:
    ends = np.cumsum([np.shape(arg)[axis] for arg in args])
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, slice(int(end) - np.shape(arg)[axis], int(end)))] if need else None
            for end, arg, need in zip(ends, args, needed, strict=True)]  # fmt: skip


def _concatenate_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: int) -> Any:
    full = [np.zeros(np.shape(arg)) if t is None else t for t, arg in zip(tangents, args, strict=True)]
    return np.concatenate(full, axis=axis)


# --- the table ------------------------------------------------------------------------------------------------------

RULES = {
    rule.name: rule
    for rule in (
        *map(elementwise, UFUNCS),
        piecewise("abs", np.absolute, lambda out, x: (np.sign(x),)),
        piecewise("max", np.maximum, _first_of(np.greater)),
        piecewise("min", np.minimum, _first_of(np.less)),
        piecewise("where", np.where, _where_pieces),
        piecewise("clip", lambda x, low, high: np.clip(x, low, high), _inside),
        *(_constant(ufunc.__name__, ufunc) for ufunc in (np.less, np.greater, np.less_equal, np.greater_equal)),
        _constant("detach", lambda x: x),
        _constant("astype", lambda x, dtype: x.astype(dtype)),
        linear("total", lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims), _spread_back),
        linear("mean", lambda x, axis, keepdims: x.mean(axis=axis, keepdims=keepdims), _mean_back),
        linear("reshape", lambda x, shape: x.reshape(shape), lambda g, before, shape: g.reshape(before)),
        linear("transpose", lambda x, axes: x.transpose(axes), lambda g, before, axes: g.transpose(np.argsort(axes))),
        linear("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, before, shape: fitted(g, before)),
        linear("getitem", lambda x, index: x[index], lambda g, before, index: put(g, index, before)),
        linear("put", put, lambda g, before, index, shape: g[index]),
        _axis_extreme("largest", lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims), np.argmax),
        _axis_extreme("smallest", lambda x, axis, keepdims: x.min(axis=axis, keepdims=keepdims), np.argmin),
        Rule("power", np.power, _power_vjp, _power_jvp),
        Rule("matmul", np.matmul, _matmul_vjp, _matmul_jvp),
        Rule("concatenate", lambda *parts, axis: np.concatenate(parts, axis=axis), _concatenate_vjp, _concatenate_jvp),
    )
}
