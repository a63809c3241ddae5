"""What an array operation computes and how it is differentiated: one row each, both modes together.

Rules are written with numpy's functions, which record when they meet a traced array: so a reverse sweep over traced
arrays is a graph again, and forward over reverse gives second derivatives. Elementwise rules have no derivative of
their own: they are the scalar primitives' (`opcheck.tracing.PRIMITIVES`), read over arrays.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from opcheck.programs.kinks import KINKS
from opcheck.programs.rule import (
    Rule,
    Shape,
    added,
    applied,
    count,
    fitted,
    number,
    reshaped,
    spread,
    spread_back,
)
from opcheck.tracing import PRIMITIVES, Arithmetic

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


# --- linear operations: their own tangent rule, and an adjoint ------------------------------------------------------


def linear(name: str, forward: Callable[..., Any], adjoint: Callable[..., Any]) -> Rule:
    """An operation that is linear in its one argument; adjoint(g, shape of the argument, **params)."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [adjoint(g, np.shape(args[0]), **params)]

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: forward(tangents[0], **params))


def _mean_back(g: Any, shape: Shape, axis: Any = None, keepdims: bool = False) -> Any:
    return spread_back(g, shape, axis) / count(shape, axis)


def _total_back(g: Any, shape: Shape, axis: Any = None, keepdims: bool = False) -> Any:
    return spread_back(g, shape, axis)


def _put(g: Any, index: Any, shape: Shape) -> Any:
    """Zeros of that shape with `g` added at `index`: the adjoint of x[index]."""
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


PUT = linear("put", _put, lambda g, before, index, shape: g[index])


# --- several arguments ----------------------------------------------------------------------------------------------


def _matmul_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
    a, b = args
    rows = a.reshape(1, -1) if a.ndim == 1 else a
    columns = b.reshape(-1, 1) if b.ndim == 1 else b
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    full = reshaped(g, (*batch, rows.shape[-2], columns.shape[-1]))
    result: list[Any] = [None, None]
    if needed[0]:
        result[0] = reshaped(fitted(full @ columns.swapaxes(-1, -2), rows.shape), a.shape)
    if needed[1]:
        result[1] = reshaped(fitted(rows.swapaxes(-1, -2) @ full, columns.shape), b.shape)
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
        *KINKS,
        linear("total", lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims), _total_back),
        linear("mean", lambda x, axis, keepdims: x.mean(axis=axis, keepdims=keepdims), _mean_back),
        linear("reshape", lambda x, shape: x.reshape(shape), lambda g, before, shape: g.reshape(before)),
        linear("transpose", lambda x, axes: x.transpose(axes), lambda g, before, axes: g.transpose(np.argsort(axes))),
        linear("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, before, shape: fitted(g, before)),
        linear(
            "getitem", lambda x, index: x[index], lambda g, before, index: applied(PUT, g, index=index, shape=before)
        ),
        PUT,
        Rule("power", np.power, _power_vjp, _power_jvp),
        Rule("matmul", np.matmul, _matmul_vjp, _matmul_jvp),
        Rule("concatenate", lambda *parts, axis: np.concatenate(parts, axis=axis), _concatenate_vjp, _concatenate_jvp),
    )
}
