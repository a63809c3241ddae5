"""What a rule is, and what rules share: arrays that broadcast are summed back, and spread forwards."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

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


def applied(rule: Rule, *args: Any, **params: Any) -> Any:
    """The operation on plain arrays, or its record where one of them is traced."""
    traced = next((x for x in args if getattr(x, "is_traced", False)), None)
    return rule.forward(*args, **params) if traced is None else traced.tape.record(rule, args, **params)


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


def kept(shape: Shape, axis: Any) -> Shape:
    """The shape of a reduction with keepdims=True."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    lost = {k % len(shape) for k in axes} if shape else set()
    return tuple(1 if k in lost else n for k, n in enumerate(shape))


def count(shape: Shape, axis: Any) -> int:
    """How many elements one result of a reduction is made of."""
    return math.prod(shape) // max(1, math.prod(kept(shape, axis)))
