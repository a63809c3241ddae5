"""Sums and products of sums: total, mean, matrix products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.rule import (
    Read,
    Rule,
    Shape,
    added,
    applied,
    count,
    fitted,
    reduced_places,
    reshaped,
    spread_back,
)
from opcheck.programs.running import Format, Running, computed, product_unit, summed
from opcheck.tracing import TRACED, divide, exp, log, maximum
from opcheck.tracing import total as sum_of
from opcheck.tracing.primitives import C_EXP, C_LOG

# --- along axes -----------------------------------------------------------------------------------------------------


def reduction(name: str, forward: Callable[..., Any], adjoint: Callable[..., Any], running: Callable[..., Running],
              element: Callable[..., Any]) -> Rule:  # fmt: skip
    """A linear reduction of one argument; adjoint(g, shape of the argument, axis, keepdims)."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [adjoint(g, np.shape(args[0]), **params)]

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: forward(tangents[0], **params), running,
                element)  # fmt: skip


def _total(x: Any, axis: Any, keepdims: bool) -> Any:
    return x.sum(axis=axis, keepdims=keepdims)


def _total_running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
    n = count(x.value.shape, axis)
    base = _total(np.broadcast_to(x.base, x.value.shape), axis, keepdims) if np.ndim(x.base) or x.base else 0.0
    stored = x.stored + 1 if x.absolute is not None else 1
    return summed(f, out, base, _total(x.terms, axis, keepdims), max(1, n * x.summands), x.unit, stored)


def _mean_running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
    n = max(1, count(x.value.shape, axis))
    total = _total_running(f, np.asarray(out) * n, x, axis, keepdims)
    inherited = total.error(f) / n
    unit = total.unit / n if n & (n - 1) == 0 else 0.0
    return computed(f, out, inherited, 2 * f.u, f.eta, unit, partial=total.terms / n)


def _total_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
    return sum_of([read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims)])


def _mean_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
    places = reduced_places(at, shapes[0], axis, keepdims)
    return divide(sum_of([read(0, place) for place in places]), len(places))


# --- matrix products ------------------------------------------------------------------------------------------------


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


def product_running(f: Format, out: Any, a: Running, b: Running, product: Callable[[Any, Any], Any], n: int) -> Running:
    """A sum of n products: `product` of the values, of their absolute values and of their errors."""
    ea, eb = a.error(f), b.error(f)
    sizes = np.abs(a.value), np.abs(b.value)
    base: Any = n * f.eta / 2
    if np.ndim(eb) or eb:
        base = base + product(sizes[0], np.broadcast_to(eb, b.value.shape))
        sizes = sizes[0], sizes[1] + eb
    if np.ndim(ea) or ea:
        base = base + product(np.broadcast_to(ea, a.value.shape), sizes[1])
        sizes = sizes[0] + ea, sizes[1]
    unit = product_unit(a.unit, b.unit)
    if unit >= f.eta and not np.ndim(base):
        base = 0.0  # products of whole multiples do not underflow
    return summed(f, out, base, product(*sizes), n + 1, unit)


def _matmul_running(f: Format, out: Any, a: Running, b: Running) -> Running:
    return product_running(f, out, a, b, np.matmul, a.value.shape[-1])


def _matmul_element(read: Read, at: Shape, shapes: Sequence[Shape]) -> Any:
    a, b = shapes
    columns = 0 if len(b) == 1 else 1
    row = at[: len(at) - columns][-1:] if len(a) > 1 else ()
    column = at[len(at) - 1 :] if columns else ()
    batch = at[: len(at) - len(row) - len(column)]

    def lead(shape: Shape) -> Shape:
        own = shape[:-2]
        return tuple(k if m > 1 else 0 for k, m in zip(batch[len(batch) - len(own) :], own, strict=True))

    return sum_of(
        [read(0, (*lead(a), *row, k)) * read(1, (*lead(b), k, *column) if len(b) > 1 else (k,)) for k in range(a[-1])]
    )


# --- the logarithm of a sum of exponentials ---------------------------------------------------------------------------


def log_sum_exp(x: Any, axis: int) -> Any:
    """ln of the sum of exp(x) along an axis, which stays with size 1, without overflow: of an array that may record.

    A rule of its own: its derivative is exp(x − result) in whatever form, with or without the logarithm.
    """
    return applied(LOG_SUM_EXP, x, axis=axis)


def _log_sum_exp(x: Any, axis: int) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))


def _log_sum_exp_running(f: Format, out: Any, x: Running, axis: int) -> Running:
    """As the sum of a maximum and a logarithm, to which others may be added in any order."""
    top = np.max(x.value, axis=axis, keepdims=True, initial=-np.inf)
    s, p, log_total = np.abs(x.value - top), np.exp(x.value - out), np.abs(out - top)
    moved = np.expm1(np.max(np.broadcast_to(x.error(f), s.shape), axis=axis, keepdims=True, initial=0.0))
    rounded = np.where(p > 0, p * f.u * (s + C_EXP), 0.0).sum(axis=axis, keepdims=True)
    relative = moved + (1 + moved) * (1.01 * rounded + f.gamma(s.shape[axis] - 1))
    base = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf) + C_LOG * f.u * log_total + f.eta
    return summed(f, out, base, np.abs(top) + log_total + base, 2, 0.0)


def _log_sum_exp_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: int) -> Any:
    numbers = [read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims=True)]
    top = TRACED.detach(maximum(*numbers))
    return top + log(sum_of([exp(each - top) for each in numbers]))


LOG_SUM_EXP = Rule(
    "log_sum_exp",
    _log_sum_exp,
    lambda g, out, args, needed, axis: [g * np.exp(args[0] - out)],
    lambda tangents, out, args, axis: (np.exp(args[0] - out) * tangents[0]).sum(axis=axis, keepdims=True),
    _log_sum_exp_running,
    _log_sum_exp_element,
)

SUMS = (
    LOG_SUM_EXP,
    reduction(
        "total", _total, lambda g, before, axis, keepdims: spread_back(g, before, axis), _total_running, _total_element
    ),
    reduction(
        "mean",
        lambda x, axis, keepdims: x.mean(axis=axis, keepdims=keepdims),
        lambda g, before, axis, keepdims: spread_back(g, before, axis) / count(before, axis),
        _mean_running,
        _mean_element,
    ),
    Rule("matmul", np.matmul, _matmul_vjp, _matmul_jvp, _matmul_running, _matmul_element),
)
