"""numpy's functions on traced arrays: which of them record, and as what."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.errors import RefusedType
from opcheck.language import say
from opcheck.programs import composed, idioms
from opcheck.programs.arrays import ArrayTape, TracedArray
from opcheck.programs.rules import RULES

IDIOMS: dict[Any, Callable[..., Any]] = {np.divide: idioms.quotient, np.power: idioms.power, np.log: idioms.logarithm}
NAMES = {rule.forward: name for name, rule in RULES.items() if isinstance(rule.forward, np.ufunc)}


def apply(tape: ArrayTape, ufunc: Any, method: str, args: Sequence[Any], options: Any) -> Any:
    """A ufunc of arrays, some of them traced; raises TypeError for one that has no rule."""
    if method == "__call__" and not options and (ufunc in NAMES or ufunc.__name__ in composed.UFUNCS):
        if not tape.literal and ufunc in IDIOMS:
            return IDIOMS[ufunc](tape, *args)
        if ufunc in NAMES:
            return tape.record(RULES[NAMES[ufunc]], args)
        first, *others = args
        return composed.UFUNCS[ufunc.__name__](tape.lifted(first), *others)
    if (ufunc, method) == (np.add, "at"):
        return composed.add_at(*args)
    raise unknown(f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else ""))


def call(function: Any, args: Sequence[Any], options: Any) -> Any:
    """Another function of numpy; raises TypeError for one that has no rule."""
    if function not in FUNCTIONS:
        raise unknown(f"np.{function.__name__}")
    given = {name: value for name, value in options.items() if not (name == "out" and value is None)}
    if given.get("out") is not None:
        raise RefusedType(say("out= is not recorded: use what the function returns"))
    return FUNCTIONS[function](*args, **given)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: composed.total, np.mean: composed.mean, np.max: composed.extreme("largest"),
    np.min: composed.extreme("smallest"), np.prod: composed.prod, np.var: composed.variance,
    np.std: lambda *args, **options: np.sqrt(composed.variance(*args, **options)), np.average: composed.average,
    np.linalg.norm: composed.norm, np.cumsum: composed.accumulate("cumsum"), np.cumprod: composed.accumulate("cumprod"),
    np.argmax: composed.decided("argmax"), np.argmin: composed.decided("argmin"), np.sort: composed.ordered("sort"),
    np.argsort: composed.ordered("argsort"), np.any: composed.any_of, np.all: composed.all_of,
    np.dot: composed.dot, np.vdot: lambda a, b: np.dot(np.reshape(a, -1), np.reshape(b, -1)), np.inner: composed.inner,
    np.outer: composed.outer, np.tensordot: composed.tensordot, np.einsum: composed.einsum,
    np.trace: lambda a, offset=0, axis1=0, axis2=1: composed.diagonal(a, offset, axis1, axis2).sum(axis=-1),
    np.reshape: TracedArray.reshape, np.transpose: TracedArray.transpose, np.swapaxes: TracedArray.swapaxes,
    np.moveaxis: composed.moveaxis, np.ravel: lambda a, order="C": a.reshape(-1), np.expand_dims: composed.expand_dims,
    np.squeeze: composed.squeeze, np.broadcast_to: composed.broadcast_to,
    np.broadcast_arrays: lambda *arrays: tuple(
        np.broadcast_to(x, np.broadcast_shapes(*map(np.shape, arrays))) for x in arrays),
    np.atleast_1d: composed.at_least(np.atleast_1d), np.atleast_2d: composed.at_least(np.atleast_2d),
    np.atleast_3d: composed.at_least(np.atleast_3d),
    np.flip: composed.flip, np.fliplr: lambda m: composed.flip(m, 1), np.flipud: lambda m: composed.flip(m, 0),
    np.roll: composed.roll, np.repeat: composed.repeat, np.tile: composed.tile, np.take: composed.take,
    np.take_along_axis: composed.take_along_axis, np.put_along_axis: composed.put_along_axis,
    np.fill_diagonal: composed.fill_diagonal, np.pad: composed.pad, np.diagonal: composed.diagonal,
    np.diag: composed.diag, np.tril: composed.triangle(np.tril), np.triu: composed.triangle(np.triu),
    np.lib.stride_tricks.sliding_window_view: composed.windows,
    np.diff: lambda a, n=1, axis=-1: composed.differences(a, n, axis),
    np.concatenate: composed.concatenate, np.stack: composed.stack, np.vstack: composed.stacked(np.atleast_2d, 0),
    np.hstack: composed.stacked(np.atleast_1d, 1), np.dstack: composed.stacked(np.atleast_3d, 2),
    np.column_stack: composed.column_stack, np.split: composed.split(True), np.array_split: composed.split(False),
    np.vsplit: lambda ary, parts: composed.split(True)(ary, parts, 0),
    np.hsplit: lambda ary, parts: composed.split(True)(ary, parts, 0 if ary.ndim == 1 else 1),
    np.clip: composed.clip, np.where: composed.where, np.nan_to_num: composed.nan_to_num,
    np.zeros_like: composed.full_like(0.0), np.ones_like: composed.full_like(1.0),
    np.empty_like: composed.full_like(0.0),
    np.full_like: composed.filled_like, np.copy: composed.copy,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
}  # fmt: skip
SINCE_NUMPY_2: dict[str, Callable[..., Any]] = {
    "astype": lambda x, dtype, **_: x.astype(dtype),
    "matrix_transpose": lambda x: np.swapaxes(x, -1, -2),
    "unstack": lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)),
}
FUNCTIONS |= {getattr(np, name): function for name, function in SINCE_NUMPY_2.items() if hasattr(np, name)}
SAME_NAME = (
    np.var, np.std, np.prod, np.cumsum, np.cumprod, np.argmax, np.argmin, np.argsort, np.any, np.all, np.dot, np.trace,
    np.ravel, np.squeeze, np.repeat, np.take, np.diagonal, np.copy,
)  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {function.__name__: FUNCTIONS[function] for function in SAME_NAME}
METHODS["flatten"] = FUNCTIONS[np.ravel]


def unknown(name: str) -> RefusedType:
    """The error for a function without a rule."""
    known = sorted({f"np.{function.__name__}" for function in (*FUNCTIONS, *NAMES)})
    return RefusedType(say(
        "{name} is not recorded; there are {known}, @ and slicing, and the operators of opcheck.reference",
        name=name, known=", ".join(known),
    ))  # fmt: skip
