"""Products along axes and running sums, and sums of products of any number of arrays (einsum)."""

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import product as combinations
from typing import Any

import numpy as np

from opcheck.programs.elementwise import product_of
from opcheck.programs.rule import Read, Rule, Shape, added, axes_of, reduced_places, spread_back
from opcheck.programs.running import Format, Running, product_unit, settled, summed
from opcheck.tracing import total as sum_of

# --- running sums ---------------------------------------------------------------------------------------------------


def _cumsum(x: Any, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


def _cumsum_running(f: Format, out: Any, x: Running, axis: int) -> Running:
    """Each is the flat sum of all up to it."""
    shape = x.value.shape
    n = np.arange(1, shape[axis] + 1).reshape([-1 if k == axis % len(shape) else 1 for k in range(len(shape))])
    stored = x.stored + 1 if x.absolute is not None else 1
    base = _cumsum(np.broadcast_to(x.base, shape), axis) if np.ndim(x.base) or x.base else np.zeros(shape)
    sums = Running(out, base, _cumsum(x.terms, axis), n * np.max(x.summands), stored, x.unit)
    return settled(f, Running(out, sums.error(f), unit=x.unit), sums.absolute)


def _cumsum_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: int) -> Any:
    axis %= len(at)
    return sum_of([read(0, (*at[:axis], k, *at[axis + 1 :])) for k in range(at[axis] + 1)])


# --- products along axes --------------------------------------------------------------------------------------------


def others(x: Any, axis: Any) -> Any:
    """For each element the product of all others along the axes: right where some are 0."""
    shape = np.shape(x)
    axes = axes_of(shape, axis)
    rest = [k for k in range(len(shape)) if k not in axes]
    order = (*rest, *axes)
    rows = np.reshape(np.transpose(x, order), (*(shape[k] for k in rest), -1))
    one = np.ones((*np.shape(rows)[:-1], 1))
    before = np.cumprod(np.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
    behind = np.flip(np.cumprod(np.concatenate([one, np.flip(rows, -1)[..., :-1]], axis=-1), axis=-1), -1)
    found = np.reshape(before * behind, [shape[k] for k in order])
    return np.transpose(found, [int(k) for k in np.argsort(order)])


def _prod_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: Any, keepdims: bool) -> list[Any]:
    (x,) = args
    return [spread_back(g, np.shape(x), axis) * others(x, axis)]


def _prod_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: Any, keepdims: bool) -> Any:
    return (tangents[0] * others(args[0], axis)).sum(axis=axis, keepdims=keepdims)


def _prod_running(f: Format, out: Any, x: Running, axis: Any, keepdims: bool) -> Running:
    """By pairs: any other order has as many roundings, but may overflow or underflow on its way."""
    shape = x.value.shape
    axes = axes_of(shape, axis)
    rest = [k for k in range(len(shape)) if k not in axes]
    rows = x.over_all(lambda a: a.transpose(*rest, *axes).reshape(*(shape[k] for k in rest), -1))
    result = rows
    while (n := result.value.shape[-1]) > 1:
        pairs, odd = n // 2, n % 2
        left, right, last = (result.over_all(lambda a, part=part: a[..., part])
                             for part in (slice(pairs), slice(pairs, 2 * pairs), slice(2 * pairs, n)))  # fmt: skip
        result = product_of(f, left.value * right.value, left, right)
        if odd:
            errors = [np.broadcast_to(each.error(f), each.value.shape) for each in (result, last)]
            values = np.concatenate([result.value, last.value], axis=-1)
            result = Running(values, np.concatenate(errors, axis=-1), unit=min(result.unit, last.unit))
    sizes = np.abs(rows.value) + rows.error(f)
    if rows.value.shape[-1] == 0:
        return Running(out)
    large = np.prod(np.maximum(sizes, 1.0), axis=-1)
    small = np.prod(np.where(sizes > 0, np.minimum(np.abs(rows.value), 1.0), 1.0), axis=-1)
    flat = out.reshape(large.shape)
    error = np.broadcast_to(result.error(f), result.value.shape)[..., 0]
    if not f.eta <= result.unit:
        error = error + np.where((small < f.tiny) & (flat != 0), f.tiny * large + np.abs(flat), 0.0)
    return settled(f, Running(out, error.reshape(out.shape), unit=result.unit), large.reshape(out.shape))


def _prod_element(read: Read, at: Shape, shapes: Sequence[Shape], axis: Any, keepdims: bool) -> Any:
    found = [read(0, place) for place in reduced_places(at, shapes[0], axis, keepdims)]
    return reduce(lambda a, b: a * b, found) if found else 1.0


# --- sums of products -----------------------------------------------------------------------------------------------


def contracted(parts: Sequence[str], out: str, args: Sequence[Any]) -> Any:
    """The sum of products, two arrays after the other, each pair as a product of matrices."""
    letters, result = parts[0], args[0]
    for k in range(1, len(args)):
        later = set(out).union(*parts[k + 1 :])
        kept = "".join(dict.fromkeys(each for each in letters + parts[k] if each in later))
        result, letters = _pair(letters, parts[k], kept, result, args[k]), kept
    return result.transpose([letters.index(each) for each in out])


def _pair(a: str, b: str, kept: str, x: Any, y: Any) -> Any:
    """One product of matrices, for each of the letters that both arrays and the result have."""
    batch = [each for each in a if each in b and each in kept]
    summed_over = [each for each in a if each in b and each not in kept]
    rows, columns = ([each for each in one if each not in two] for one, two in ((a, b), (b, a)))
    sizes = dict(zip(a, x.shape, strict=True)) | dict(zip(b, y.shape, strict=True))

    def shaped(array: Any, letters: str, *groups: Sequence[str]) -> Any:
        order = [letters.index(each) for group in (batch, *groups) for each in group]
        counts = [math.prod(sizes[each] for each in group) for group in groups]
        return array.transpose(order).reshape(*(sizes[each] for each in batch), *counts)

    found = shaped(x, a, rows, summed_over) @ shaped(y, b, summed_over, columns)
    order = [*batch, *rows, *columns]
    return found.reshape([sizes[each] for each in order]).transpose([order.index(each) for each in kept])


def _split(spec: str) -> tuple[list[str], str]:
    before, _, out = spec.partition("->")
    return before.split(","), out


def _einsum(*args: Any, spec: str) -> Any:
    return contracted(*_split(spec), args)


def _einsum_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], spec: str) -> list[Any]:
    parts, result = _split(spec)
    found: list[Any] = []
    for k, need in enumerate(needed):
        rest = [j for j in range(len(args)) if j != k]
        back = f"{','.join([result, *(parts[j] for j in rest)])}->{parts[k]}"
        found.append(np.einsum(back, g, *(args[j] for j in rest)) if need else None)
    return found


def _einsum_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], spec: str) -> Any:
    return added([np.einsum(spec, *args[:k], t, *args[k + 1 :]) for k, t in enumerate(tangents) if t is not None])


def _einsum_running(f: Format, out: Any, *args: Running, spec: str) -> Running:
    """One flat sum of products, in whatever order it is computed."""
    parts, result = _split(spec)
    sizes = _sizes(parts, [each.value.shape for each in args])
    n = math.prod(size for letter, size in sizes.items() if letter not in result)
    sums, before = [np.abs(each.value) for each in args], [np.abs(each.value) for each in args]
    unit = product_unit(*(each.unit for each in args))
    base: Any = 0.0 if unit >= f.eta else n * (len(args) - 1) * f.eta  # products of whole multiples do not underflow
    for k in reversed(range(len(args))):
        error = args[k].error(f)
        if np.ndim(error) or error:
            moved = [*before[:k], np.broadcast_to(error, before[k].shape), *sums[k + 1 :]]
            base = base + contracted(parts, result, moved)
            sums[k] = sums[k] + error
    return summed(f, out, base, contracted(parts, result, sums), n + len(args) - 1, unit)._replace(products=True)


def _sizes(parts: Sequence[str], shapes: Sequence[Shape]) -> Mapping[str, int]:
    return {letter: n for part, shape in zip(parts, shapes, strict=True) for letter, n in zip(part, shape, strict=True)}


def _einsum_element(read: Read, at: Shape, shapes: Sequence[Shape], spec: str) -> Any:
    parts, result = _split(spec)
    sizes = _sizes(parts, shapes)
    inner = [letter for letter in sizes if letter not in result]
    terms = []
    for place in combinations(*(range(sizes[letter]) for letter in inner)):
        where = dict(zip(result, at, strict=True)) | dict(zip(inner, place, strict=True))
        factors = [read(k, tuple(where[letter] for letter in part)) for k, part in enumerate(parts)]
        terms.append(reduce(lambda a, b: a * b, factors))
    return sum_of(terms)


PRODUCTS = (
    Rule(
        "cumsum",
        _cumsum,
        lambda g, out, args, needed, axis: [np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)],
        lambda tangents, out, args, axis: np.cumsum(tangents[0], axis=axis),
        _cumsum_running,
        _cumsum_element,
    ),
    Rule(
        "prod",
        lambda x, axis, keepdims: x.prod(axis=axis, keepdims=keepdims),
        _prod_vjp,
        _prod_jvp,
        _prod_running,
        _prod_element,
    ),
    Rule("einsum", _einsum, _einsum_vjp, _einsum_jvp, _einsum_running, _einsum_element),
)
