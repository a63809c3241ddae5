"""numpy's functions on traced arrays: which of them record, and as what."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.programs.arrays import ArrayTape, TracedArray
from opcheck.programs.rules import RULES


def apply(tape: ArrayTape, ufunc: Any, method: str, args: Sequence[Any], options: Any) -> Any:
    """A ufunc of arrays, some of them traced; raises TypeError for one that has no rule."""
    if method != "__call__" or options or (ufunc is not np.square and ufunc not in NAMES):
        raise TypeError(unknown(f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")))
    return args[0] * args[0] if ufunc is np.square else tape.record(RULES[NAMES[ufunc]], args)


def call(function: Any, args: Sequence[Any], options: Any) -> Any:
    """Another function of numpy; raises TypeError for one that has no rule."""
    if function not in FUNCTIONS:
        raise TypeError(unknown(f"np.{function.__name__}"))
    return FUNCTIONS[function](*args, **options)


NAMES = {rule.forward: name for name, rule in RULES.items() if isinstance(rule.forward, np.ufunc)}


def _where(condition: Any, a: Any, b: Any) -> Any:
    return tape_of((condition, a, b)).record(RULES["where"], (condition, a, b))


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    return tape_of(arrays).record(RULES["concatenate"], arrays, axis=axis)


def _stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    ndim = np.ndim(arrays[0]) + 1
    place = axis % ndim
    return _concatenate([np.reshape(x, (*np.shape(x)[:place], 1, *np.shape(x)[place:])) for x in arrays], place)


def _broadcast_to(x: Any, shape: Any) -> Any:
    return x.tape.record(RULES["broadcast_to"], (x,), shape=tuple(shape))


def _expand_dims(x: Any, axis: int) -> Any:
    place = axis % (x.ndim + 1)
    return x.reshape(*x.shape[:place], 1, *x.shape[place:])


def _squeeze(x: Any, axis: Any = None) -> Any:
    return x.reshape(np.squeeze(np.empty(x.shape), axis).shape)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: TracedArray.sum, np.mean: TracedArray.mean, np.max: TracedArray.max, np.min: TracedArray.min,
    np.reshape: TracedArray.reshape, np.transpose: TracedArray.transpose, np.swapaxes: TracedArray.swapaxes,
    np.clip: TracedArray.clip, np.where: _where, np.concatenate: _concatenate, np.stack: _stack,
    np.broadcast_to: _broadcast_to, np.expand_dims: _expand_dims, np.squeeze: _squeeze, np.dot: np.matmul,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
}  # fmt: skip


def tape_of(values: Iterable[Any]) -> ArrayTape:
    """The tape of the first traced array among `values`."""
    return next(x.tape for x in values if isinstance(x, TracedArray))


def unknown(name: str) -> str:
    known = sorted({f"np.{function.__name__}" for function in (*FUNCTIONS, *NAMES)})
    return say(
        "{name} is not recorded; there are {known}, @ and slicing, and the operators of opcheck.reference",
        name=name, known=", ".join(known),
    )  # fmt: skip
