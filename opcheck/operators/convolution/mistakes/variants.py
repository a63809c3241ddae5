"""Ways to write a wrong convolution over the right one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators.spec import Array, Params

Change = Callable[..., dict[str, Any]]


def on(change: Change) -> Callable[..., Any]:
    """The right forward of changed arrays and parameters: change(op, p, **arrays) -> {"p": ..., "weight": ...}."""

    def forward(op: Any, p: Params, **arrays: Array) -> Any:
        changed = {"p": p, **arrays, **change(op, p, **arrays)}
        return op.forward(changed.pop("p"), **changed)

    return forward


def gradients_on(change: Change, *names: str) -> Callable[..., dict[str, Array]]:
    """The right gradients, but those of `names` of changed arrays, parameters and cotangent."""

    def vjp(op: Any, p: Params, cotangent: Array, **arrays: Array) -> dict[str, Array]:
        changed = {"p": p, "cotangent": cotangent, **arrays, **change(op, p, cotangent=cotangent, **arrays)}
        wrong = op.vjp(changed.pop("p"), changed.pop("cotangent"), **changed)
        return {**op.vjp(p, cotangent, **arrays), **{name: wrong[name] for name in names if name in wrong}}

    return vjp


def bare(op: Any, p: Params) -> Params:
    """The same call without padding."""
    return p.replace(padding=(0,) * op.dims)


def batched(op: Any, array: Array) -> Array:
    return array if array.ndim == op.dims + 2 else array[None]


def flipped(op: Any, weight: Array) -> Array:
    return np.flip(weight, tuple(range(2, 2 + op.dims)))
