"""What a rule is, and what rules share: arrays that broadcast are summed back, and spread forwards."""

import math
from collections.abc import Callable, Hashable, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np

from opcheck.programs.running import Format, Running

Value = Any  # a numpy array, a traced array, or a dict of them by output name
Shape = tuple[int, ...]


class Read(Protocol):
    """How a rule reads elements of its arguments."""

    made: dict[Hashable, Any]  # what the elements of one result share, such as the sum of a row
    facts: dict[str, Any]  # what is known of the call, whatever stands for its numbers: where elements come from

    def __call__(self, argument: int, at: Shape) -> Any:
        """The number that stands for one element of an argument."""

    def whole(self, argument: int) -> Any:
        """The numbers of an argument that decides something: an index, an order."""

    def padding(self, at: Shape) -> Any:
        """The zero at a place where nothing is put: a kernel may leave it out."""


class Rule(NamedTuple):
    """One array operation, one row: what it computes, how it is differentiated, how it is rounded, one element of it.

    forward(*args, **params) computes. vjp(g, out, args, needed, **params) returns a cotangent for each argument that is
    needed (None for the others); jvp(tangents, out, args, **params) gets None for the arguments that do not move.
    running(f, out, args, **params) is the result as computed in the format `f`, from arguments that were computed in
    it as well. element(read, at, shapes, **params) is one element of the result over numbers that remember.
    """

    name: str
    forward: Callable[..., Value]
    vjp: Callable[..., Sequence[Value | None]]
    jvp: Callable[..., Value]
    running: Callable[..., Running]
    element: Callable[..., Any]


def applied(rule: Rule, *args: Any, **params: Any) -> Any:
    """The operation on plain arrays, or its record where one of them is traced."""
    traced = next((x for x in args if getattr(x, "is_traced", False)), None)
    return rule.forward(*args, **params) if traced is None else traced.tape.record(rule, args, **params)


def constant(value: Any, beside: Any) -> Any:
    """A number of the program, on the tape of `beside` if that records: what is made of it, 1 − value, rounds too."""
    if getattr(value, "is_traced", False):
        return value
    return beside.tape.constant(value) if getattr(beside, "is_traced", False) else np.float64(value)


def number(x: Any) -> Any:
    """The numbers of a traced array, where they decide something (a mask, a shape)."""
    return getattr(x, "value", x)


def reshaped(x: Any, shape: Shape) -> Any:
    return x if np.shape(x) == shape else x.reshape(shape)


def fitted(g: Any, shape: Shape) -> Any:
    """`g` summed over the axes along which an argument of that shape was repeated."""
    if g.shape == shape:
        return g
    if not shape:
        return g.sum()
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(k + extra for k, n in enumerate(shape) if n == 1 and g.shape[k + extra] != 1))
    return reshaped(g.sum(axis=axes, keepdims=not extra), shape)


def spread(t: Any, shape: Shape) -> Any:
    """`t` repeated to that shape."""
    return t if np.shape(t) == shape else np.broadcast_to(t, shape)


def spread_back(g: Any, shape: Shape, axis: Any = None) -> Any:
    """What a reduction of an array of that shape over `axis` gives each of its elements back."""
    before = kept(shape, axis)
    aligned = (1,) * (len(shape) - g.ndim) + g.shape == before
    return spread(g if aligned else g.reshape(before), shape)


def added(terms: Sequence[Any]) -> Any:
    return reduce(lambda a, b: a + b, terms)


def plus(a: Any, b: Any) -> Any:
    """The sum of two cotangents; those of a node with several outputs are dicts."""
    if isinstance(a, dict):
        return {name: plus(a[name], b[name]) if name in a and name in b else a.get(name, b.get(name))
                for name in (*a, *(each for each in b if each not in a))}  # fmt: skip
    return a + b


def axes_of(shape: Shape, axis: Any) -> tuple[int, ...]:
    """The axes that a reduction goes over, counted from 0."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(int(k) % len(shape) for k in axes) if shape else ()


def kept(shape: Shape, axis: Any) -> Shape:
    """The shape of a reduction with keepdims=True."""
    lost = axes_of(shape, axis)
    return tuple(1 if k in lost else n for k, n in enumerate(shape))


def count(shape: Shape, axis: Any) -> int:
    """How many elements one result of a reduction is made of."""
    return math.prod(shape) // max(1, math.prod(kept(shape, axis)))


# --- one element ----------------------------------------------------------------------------------------------------


def broadcast_place(at: Shape, shape: Shape) -> Shape:
    """The element of an argument of that shape that broadcasting reads for `at`."""
    if len(shape) == len(at) and 1 not in shape:
        return at
    return tuple(k if n > 1 else 0 for k, n in zip(at[len(at) - len(shape) :], shape, strict=True))


def reduced_places(at: Shape, shape: Shape, axis: Any, keepdims: bool) -> list[Shape]:
    """The elements of an array of that shape that a reduction over `axis` makes the element `at` of."""
    lost = axes_of(shape, axis)
    rest = iter([k for d, k in enumerate(at) if d not in lost] if keepdims else at)
    ranges = [range(shape[d]) if d in lost else (next(rest),) for d in range(len(shape))]
    places: list[Shape] = [()]
    for each in ranges:
        places = [(*place, k) for place in places for k in each]
    return places


__all__ = [
    "Format", "Read", "Rule", "Running", "Shape", "Value", "added", "applied", "axes_of", "broadcast_place", "constant",
    "count", "fitted", "kept", "number", "plus", "reduced_places", "reshaped", "spread", "spread_back",
]  # fmt: skip
