"""Sums and products of sums: total, mean, matrix products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.elementwise import BY_NAME
from opcheck.programs.rule import (
    Read,
    Rule,
    Shape,
    added,
    applied,
    axes_of,
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

STREAMED = 5  # roundings in a step of a mean that is updated number by number, beyond that of a sum

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
    summands = x.counted(lambda each: _total(each, axis, keepdims), n)
    result = summed(
        f, out, base, _total(np.broadcast_to(x.terms, x.value.shape), axis, keepdims), summands, x.unit, stored
    )
    if x.least is None or np.min(x.least, initial=0.0) < 0:
        return result
    least = _total(np.broadcast_to(x.least, x.value.shape), axis, keepdims)
    if x.peak and axes_of(x.value.shape, axis) == x.peak:
        least = np.maximum(least, 1.0)
    return result._replace(least=least * max(0.0, 1 - float(f.relative(stored, np.max(summands, initial=1)))))


def _mean_running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
    n = max(1, count(x.value.shape, axis))
    total = _total_running(f, np.asarray(out) * n, x, axis, keepdims)
    inherited = total.error(f) / n
    unit = total.unit / n if n & (n - 1) == 0 else 0.0
    result = computed(f, out, inherited, 2 * f.u, f.eta, unit, partial=total.terms / n)
    return result if total.least is None else result._replace(least=total.least / n * (1 - 3 * f.u))


def _streamed_running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
    n = max(1, count(x.value.shape, axis))
    total = _total_running(f, np.asarray(out) * n, x._replace(unit=0.0), axis, keepdims)
    moved = f.gamma(STREAMED) * total.terms / n  # each step subtracts the mean so far, divides and adds
    return computed(f, out, total.error(f) / n + moved, 2 * f.u, f.eta, partial=total.terms / n)


def _total_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
    return sum_of([read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims)])


def _mean_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
    places = reduced_places(at, shapes[0], axis, keepdims)
    return divide(sum_of([read(0, place) for place in places]), len(places))


def streamed_mean(x: Any, axis: Any, keepdims: bool = False) -> Any:
    """A mean that may be updated number by number (Welford, Technometrics 4, 1962), as kernels that read a row once
    have it: rounded also where a sum of all would be exact."""
    return applied(STREAMED_MEAN, x, axis=axis, keepdims=keepdims)


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
    unit = product_unit(a.unit, b.unit)
    base: Any = 0.0 if unit >= f.eta else n * f.eta / 2  # products of whole multiples do not underflow
    if np.ndim(eb) or eb:
        base = base + product(sizes[0], np.broadcast_to(eb, b.value.shape))
        sizes = sizes[0], sizes[1] + eb
    if np.ndim(ea) or ea:
        base = base + product(np.broadcast_to(ea, a.value.shape), sizes[1])
        sizes = sizes[0] + ea, sizes[1]
    count: Any = n + 1
    if not (np.all(sizes[0]) and np.all(sizes[1])):  # what is exactly zero rounds nothing
        count = product(*((each > 0).astype(np.float64) for each in sizes)) + 1
    return summed(f, out, base, product(*sizes), count, unit)._replace(products=True)


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

    A rule of its own, for its derivative, the softmax, may be computed as exp(x − result) as well as without the
    logarithm: its error covers both.
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


def _softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=axis, keepdims=True)


def _softmax_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: int) -> list[Any]:
    return [out * (g - (g * out).sum(axis=axis, keepdims=True))]


def _softmax_running(f: Format, out: Any, x: Running, axis: int) -> Running:
    """By way of the logarithm, which is the longer one."""
    total = _log_sum_exp_running(f, _log_sum_exp(x.value, axis), x, axis)
    return BY_NAME["exp"].running(f, out, BY_NAME["sub"].running(f, x.value - total.value, x, total))


def _softmax_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: int) -> Any:
    numbers = [read(0, (*at[:axis], k, *at[axis + 1 :])) for k in range(shapes[0][axis])]
    top = TRACED.detach(maximum(*numbers))
    return exp(numbers[at[axis]] - top) / sum_of([exp(each - top) for each in numbers])


SOFTMAX = Rule(
    "softmax_along",
    _softmax,
    _softmax_vjp,
    lambda tangents, out, args, axis: _softmax_vjp(tangents[0], out, args, [True], axis)[0],
    _softmax_running,
    _softmax_element,
)
LOG_SUM_EXP = Rule(
    "log_sum_exp",
    _log_sum_exp,
    lambda g, out, args, needed, axis: [g * applied(SOFTMAX, args[0], axis=axis)],
    lambda tangents, out, args, axis: (applied(SOFTMAX, args[0], axis=axis) * tangents[0]).sum(axis, keepdims=True),
    _log_sum_exp_running,
    _log_sum_exp_element,
)

STREAMED_MEAN = reduction(
    "streamed_mean",
    lambda x, axis, keepdims: x.mean(axis=axis, keepdims=keepdims),
    lambda g, before, axis, keepdims: spread_back(g, before, axis) / count(before, axis),
    _streamed_running,
    _mean_element,
)
SUMS = (
    SOFTMAX,
    LOG_SUM_EXP,
    STREAMED_MEAN,
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
