"""Rules with kinks: what passes where. Masks are recorded, so that a sweep says which elements they let through.

At ties the first maximum takes the gradient, and abs'(0) = 0, as torch has it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.rule import Rule, added, applied, fitted, number, spread, spread_back

Passes = Callable[[Any], Any]  # the part of a cotangent or of a tangent that passes


def constant(name: str, forward: Callable[..., Any]) -> Rule:
    """An operation that nothing is differentiated through: a comparison."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        return [None] * len(args)

    return Rule(name, forward, vjp, lambda tangents, out, args, **params: None)


def piecewise(name: str, forward: Callable[..., Any], pieces: Callable[..., Sequence[Passes | None]]) -> Rule:
    """pieces(out, *args, **params) says for each argument what passes; None where nothing does."""

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], **params: Any) -> list[Any]:
        found = zip(pieces(out, *args, **params), args, needed, strict=True)
        return [fitted(passes(g), np.shape(arg)) if need and passes else None for passes, arg, need in found]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], **params: Any) -> Any:
        found = zip(pieces(out, *args, **params), tangents, strict=True)
        terms = [passes(spread(t, np.shape(out))) for passes, t in found if t is not None and passes]
        return added(terms) if terms else None

    return Rule(name, forward, vjp, jvp)


def only(mask: Any) -> Passes:
    return lambda t: np.where(mask, t, 0.0)


def _of_abs(out: Any, x: Any) -> list[Passes]:
    if (number(x) == 0).any():
        return [lambda t: np.where(np.equal(x, 0.0), 0.0, t * np.sign(x))]
    return [lambda t: t * np.sign(x)]


def _of_first(before: Callable[[Any, Any], Any], behind: Callable[[Any, Any], Any]) -> Callable[..., list[Passes]]:
    """The first argument passes where before(a, b), else the second; of NaNs the first one."""

    def pieces(out: Any, a: Any, b: Any) -> list[Passes]:
        if not np.isnan(number(out)).any():
            return [only(before(a, b)), only(behind(a, b))]
        first, second = number(a), number(b)
        mask = np.isnan(first) | ~(behind(first, second) | np.isnan(second))
        return [only(mask), only(~mask)]

    return pieces


def _of_where(out: Any, condition: Any, a: Any, b: Any) -> list[Passes | None]:
    return [None, only(condition), lambda t: np.where(condition, 0.0, t)]


def _of_clip(out: Any, x: Any, low: float, high: float) -> list[Passes]:
    """A bound itself lets through, as torch.clamp has it."""
    bounds = [*([x >= low] if low > -np.inf else []), *([x <= high] if high < np.inf else [])]
    return [only(bounds[0] * bounds[1] if len(bounds) == 2 else bounds[0]) if bounds else lambda t: t]


def _extreme(name: str, forward: Callable[..., Any], best: Callable[..., Any]) -> list[Rule]:
    """max or min along axes, and where it stands: the first of equals takes the gradient."""

    def mask(numbers: Any, axis: Any) -> Any:
        axes = tuple(range(numbers.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = tuple(k % numbers.ndim for k in axes)
        rest = [k for k in range(numbers.ndim) if k not in axes]
        rows = numbers.transpose(*rest, *axes).reshape(*(numbers.shape[k] for k in rest), -1)
        first = np.arange(rows.shape[-1]) == np.expand_dims(best(rows, axis=-1), -1)
        there = first.reshape([numbers.shape[k] for k in (*rest, *axes)])
        return there.transpose(np.argsort([*rest, *axes]))

    place = constant(f"first_{name}", mask)

    def vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], axis: Any, keepdims: bool) -> list[Any]:
        (x,) = args
        return [np.where(applied(place, x, axis=axis), spread_back(g, np.shape(x), axis), 0.0)]

    def jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any], axis: Any, keepdims: bool) -> Any:
        return np.where(applied(place, args[0], axis=axis), tangents[0], 0.0).sum(axis=axis, keepdims=keepdims)

    return [Rule(name, forward, vjp, jvp), place]


KINKS = (
    piecewise("abs", np.absolute, _of_abs),
    piecewise("max", np.maximum, _of_first(np.greater_equal, np.less)),
    piecewise("min", np.minimum, _of_first(np.less_equal, np.greater)),
    piecewise("where", np.where, _of_where),
    piecewise("clip", lambda x, low, high: np.clip(x, low, high), _of_clip),
    *_extreme("largest", lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims), np.argmax),
    *_extreme("smallest", lambda x, axis, keepdims: x.min(axis=axis, keepdims=keepdims), np.argmin),
    *(constant(ufunc.__name__, ufunc)
      for ufunc in (np.less, np.greater, np.less_equal, np.greater_equal, np.equal, np.sign)),
    constant("detach", lambda x: x),
    constant("astype", lambda x, dtype: x.astype(dtype)),
)  # fmt: skip
