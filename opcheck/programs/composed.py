"""numpy's functions that are made of others: each is a line or a few over what is recorded.

They are called with arrays of which at least one is traced, and are written with numpy's functions, which record.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from opcheck.errors import RefusedType
from opcheck.language import say
from opcheck.programs.arrays import TracedArray, slots, taped
from opcheck.programs.elementwise import erf, sigmoid
from opcheck.programs.movement import filled
from opcheck.programs.rule import Shape, axes_of, count, number
from opcheck.programs.rules import RULES

# --- elementwise ----------------------------------------------------------------------------------------------------


def over_log(base: float) -> Callable[[Any], Any]:
    """The logarithm to a base; that of the base is recorded as well, so that an exact reading knows it."""
    return lambda x: np.log(x) / x.tape.record(RULES["log"], (base,))


def to_the(base: float) -> Callable[[Any], Any]:
    return lambda x: np.power(base, x)


def heaviside(x: Any, at_zero: Any) -> Any:
    return np.where(np.equal(x, 0.0), at_zero, np.where(np.greater(x, 0.0), 1.0, np.where(np.isnan(x), x, 0.0)))


def isfinite(x: Any) -> Any:
    return np.less(np.absolute(x), np.inf)


def xlogy(x: Any, y: Any) -> Any:
    """x·log(y), and 0 where x is."""
    nothing = np.logical_and(np.equal(x, 0.0), np.equal(y, y))
    return np.where(nothing, 0.0, x * np.log(np.where(nothing, 1.0, y)))


def xlog1py(x: Any, y: Any) -> Any:
    nothing = np.logical_and(np.equal(x, 0.0), np.equal(y, y))
    return np.where(nothing, 0.0, x * np.log1p(np.where(nothing, 0.0, y)))


def normal_distribution(x: Any) -> Any:
    """scipy.special.ndtr: the share of a normal distribution below x."""
    return 0.5 * (1.0 + erf(x / np.sqrt(2.0)))


UFUNCS: dict[str, Callable[..., Any]] = {
    "square": lambda x: x * x, "reciprocal": lambda x: 1.0 / x, "positive": lambda x: x, "fabs": np.absolute,
    "exp2": to_the(2.0), "log2": over_log(2.0), "log10": over_log(10.0), "float_power": np.power,
    **dict.fromkeys(("degrees", "rad2deg"), lambda x: x * (180.0 / np.pi)),
    **dict.fromkeys(("radians", "deg2rad"), lambda x: x * (np.pi / 180.0)),
    "trunc": lambda x: np.where(np.less(x, 0.0), np.ceil(x), np.floor(x)), "heaviside": heaviside,
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "isnan": lambda x: np.not_equal(x, x), "isinf": lambda x: np.equal(np.absolute(x), np.inf), "isfinite": isfinite,
    "bitwise_and": np.logical_and, "bitwise_or": np.logical_or, "invert": np.logical_not,
    "logical_xor": lambda a, b: np.not_equal(np.not_equal(a, 0), np.not_equal(b, 0)), "bitwise_xor": np.not_equal,
    # scipy.special has these names; scipy itself is not imported
    "expit": sigmoid, "erf": erf, "log1p": np.log1p, "expm1": np.expm1,
    "xlogy": xlogy, "xlog1py": xlog1py, "ndtr": normal_distribution,
    "logit": lambda x: np.log(x / (1.0 - x)), "entr": lambda x: -xlogy(x, x),
    "log_expit": lambda x: -np.logaddexp(0.0, -x),
}  # fmt: skip


def clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Bounded values; at bounds that are numbers the gradient passes, as torch.clamp has it."""
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if np.ndim(low) == 0 and np.ndim(high) == 0 and not any(isinstance(each, TracedArray) for each in (low, high)):
        bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
        return taped(x, low, high).lifted(x).clip(*bounds)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def where(condition: Any, *values: Any) -> Any:
    if len(values) != 2:
        raise TypeError(say("np.where(mask) chooses by values: write np.where(mask, a, b)"))
    tape = taped(condition, *values)
    if np.asarray(number(condition)).dtype.kind != "b":
        condition = np.not_equal(condition, 0)
    return tape.record(RULES["where"], (condition, *values))


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    largest = float(np.finfo(np.float64).max)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.equal(x, np.inf), largest if posinf is None else posinf, x)
    return np.where(np.equal(x, -np.inf), -largest if neginf is None else neginf, x)


# --- reductions -----------------------------------------------------------------------------------------------------


def mean(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
         where: Any = None) -> Any:  # fmt: skip
    if where is None:
        return x.mean(axis=axis, keepdims=keepdims)
    total = np.where(where, x, 0.0).sum(axis=axis, keepdims=keepdims)
    return total / np.sum(np.broadcast_to(where, np.shape(x)), axis=axis, keepdims=keepdims)


def total(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
          initial: Any = None, where: Any = None) -> Any:  # fmt: skip
    found = (x if where is None else np.where(where, x, 0.0)).sum(axis=axis, keepdims=keepdims)
    return found if initial is None else found + initial


def extreme(name: str) -> Callable[..., Any]:
    """np.max or np.min."""
    worst = -np.inf if name == "largest" else np.inf

    def function(x: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
                 initial: Any = None, where: Any = None) -> Any:  # fmt: skip
        masked: Any = x if where is None else np.where(where, x, worst)
        found = masked.tape.record(RULES[name], (masked,), axis=axis, keepdims=keepdims)
        both = np.maximum if name == "largest" else np.minimum
        return found if initial is None else both(found, initial)

    return function


def variance(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False,
             where: Any = None, mean: Any = None, correction: Any = None) -> Any:  # fmt: skip
    """The mean of squared distances from the mean, of n - ddof."""
    lost = ddof if correction is None else correction
    middle = (
        np.mean(x, axis=axis, keepdims=True, **({} if where is None else {"where": where})) if mean is None else mean
    )
    distance = x - middle
    squares = distance * distance
    if where is None and lost == 0:
        return squares.mean(axis=axis, keepdims=keepdims)
    n = count(x.shape, axis) if where is None else np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=keepdims)
    kept = squares if where is None else np.where(where, squares, 0.0)
    return kept.sum(axis=axis, keepdims=keepdims) / np.maximum(n - lost, 0.0)


def prod(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
         initial: Any = None, where: Any = None) -> Any:  # fmt: skip
    masked: Any = x if where is None else np.where(where, x, 1.0)
    found = masked.tape.record(RULES["prod"], (masked,), axis=axis, keepdims=keepdims)
    return found if initial is None else found * initial


def average(x: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(x, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(x) > 1:
        (place,) = axes_of(np.shape(x), axis)
        weights = np.reshape(weights, [-1 if k == place else 1 for k in range(np.ndim(x))])
    weights = np.broadcast_to(weights, np.shape(x))
    return (np.sum(x * weights, axis=axis, keepdims=keepdims)) / np.sum(weights, axis=axis, keepdims=keepdims)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Of vectors; of a matrix the Frobenius norm."""
    if ord in (None, "fro", "f") or (ord == 2 and (x.ndim == 1 or isinstance(axis, int))):
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if (axis is None and x.ndim != 1) or isinstance(axis, tuple):
        raise TypeError(say("np.linalg.norm is recorded for vectors (axis=...) and as the Frobenius norm of matrices"))
    size = np.absolute(x)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.where(np.not_equal(x, 0.0), 1.0, 0.0), axis=axis, keepdims=keepdims)
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def accumulate(name: str) -> Callable[..., Any]:
    def function(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return _sums(x, axis) if name == "cumsum" else _products(x, axis)

    return function


def _sums(x: Any, axis: Any) -> Any:
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return x.tape.record(RULES["cumsum"], (x,), axis=axis % x.ndim)


def _products(x: Any, axis: Any) -> Any:
    """In steps of 1, 2, 4, ...: each element times the one so many before it."""
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
    before = (slice(None),) * axis
    step = 1
    while step < x.shape[axis]:
        x = np.concatenate([x[(*before, slice(step))], x[(*before, slice(step, None))] * x[(*before, slice(-step))]],
                           axis=axis)  # fmt: skip
        step *= 2
    return x


def decided(name: str) -> Callable[..., Any]:
    """np.argmax, np.argmin: decisions."""

    def function(x: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        flat, place = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
        found = x.tape.record(RULES[name], (flat,), axis=place)
        if not keepdims:
            return found
        return found.reshape([1] * x.ndim) if axis is None else np.expand_dims(found, axis)

    return function


def ordered(name: str) -> Callable[..., Any]:
    """np.sort, np.argsort."""

    def function(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
        flat, place = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
        return x.tape.record(RULES[name], (flat,), axis=place)

    return function


def any_of(mask: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return np.greater(np.sum(np.not_equal(mask, 0), axis=axis, keepdims=keepdims), 0)


def all_of(mask: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return np.equal(np.sum(np.equal(mask, 0), axis=axis, keepdims=keepdims), 0)


# --- products -------------------------------------------------------------------------------------------------------


def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.matmul(a, b) if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


def inner(a: Any, b: Any) -> Any:
    return np.multiply(a, b) if np.ndim(a) == 0 or np.ndim(b) == 0 else np.tensordot(a, b, (-1, -1))


def outer(a: Any, b: Any) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if isinstance(axes, int):
        axes = list(range(-axes, 0)), list(range(axes))
    left, right = ([each] if isinstance(each, int) else list(each) for each in axes)
    left, right = [k % np.ndim(a) for k in left], [k % np.ndim(b) for k in right]
    rows = [k for k in range(np.ndim(a)) if k not in left]
    columns = [k for k in range(np.ndim(b)) if k not in right]
    n = math.prod(np.shape(a)[k] for k in left)
    above, below = [np.shape(a)[k] for k in rows], [np.shape(b)[k] for k in columns]
    first = np.reshape(np.transpose(a, [*rows, *left]), (math.prod(above), n))
    second = np.reshape(np.transpose(b, [*right, *columns]), (n, math.prod(below)))
    return np.reshape(first @ second, (*above, *below))


def einsum(spec: Any, *operands: Any, optimize: Any = None) -> Any:
    """Any einsum as what `RULES["einsum"]` has: letters that several arrays or the result have, each once an array."""
    if not isinstance(spec, str):
        raise TypeError(say("np.einsum is recorded with a string: np.einsum('ij,jk->ik', a, b)"))
    tape = taped(*operands)
    parts, out = letters_of(spec, [np.ndim(each) for each in operands])
    arrays = []
    for k, (part, array) in enumerate(zip(parts, operands, strict=True)):
        part, array = _diagonals(part, array)
        sizes = {letter: max(np.shape(each)[other.index(letter)] for other, each in zip(parts, operands, strict=True)
                             if letter in other) for letter in part}  # fmt: skip
        repeated = "".join(each for each, n in zip(part, np.shape(array), strict=True) if n == 1 < sizes[each])
        part, array = _without(part, array, repeated)
        elsewhere = out + "".join(each for j, each in enumerate(parts) if j != k)
        part, array = _without(part, array, "".join(each for each in part if each not in elsewhere))
        parts[k] = part
        arrays.append(array)
    if len(arrays) == 1:
        return np.transpose(arrays[0], [parts[0].index(each) for each in out])
    return tape.record(RULES["einsum"], arrays, spec=f"{','.join(parts)}->{out}")


def letters_of(spec: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each array and of the result; "..." stands for capital letters that the spec has not."""
    before, arrow, out = spec.replace(" ", "").partition("->")
    parts = before.split(",")
    free = [each for each in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if each not in spec]
    extra = [n - len(part.replace("...", "")) if "..." in part else 0 for part, n in zip(parts, ndims, strict=True)]
    leading = "".join(free[: max(extra)][::-1])
    parts = [part.replace("...", leading[len(leading) - n :]) for part, n in zip(parts, extra, strict=True)]
    if arrow:
        return parts, out.replace("...", leading)
    every = "".join(parts)
    return parts, leading + "".join(sorted(each for each in set(every) - set(leading) if every.count(each) == 1))


def _diagonals(part: str, array: Any) -> tuple[str, Any]:
    """A letter that stands twice means the diagonal."""
    while double := next((each for each in part if part.count(each) > 1), ""):
        first = part.index(double)
        second = part.index(double, first + 1)
        array = np.diagonal(array, axis1=first, axis2=second)
        part = part[:first] + part[first + 1 : second] + part[second + 1 :] + double
    return part, array


def _without(part: str, array: Any, lost: str) -> tuple[str, Any]:
    """The sum over these letters."""
    if not lost:
        return part, array
    axes = tuple(part.index(each) for each in lost)
    return "".join(each for each in part if each not in lost), np.sum(array, axis=axes)


# --- movement -------------------------------------------------------------------------------------------------------


def take(x: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    x, axis = (np.reshape(x, -1), 0) if axis is None else (x, axis % np.ndim(x))
    return taped(x, indices).lifted(x)[(*(slice(None),) * axis, indices)]


def take_along_axis(x: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        return take(x, indices)
    axis %= np.ndim(x)
    shape = np.broadcast_shapes(*(tuple(1 if k == axis else n for k, n in enumerate(np.shape(each)))
                                  for each in (x, indices)))  # fmt: skip
    x = np.broadcast_to(x, [np.shape(x)[axis] if k == axis else n for k, n in enumerate(shape)])
    return taped(x, indices).lifted(x)[_places_along(np.shape(x), indices, axis)]


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """Into an array that the program made."""
    if axis is None:
        raise RefusedType(say("np.put_along_axis without an axis is not recorded: give it an axis"))
    _traced(arr)[_places_along(np.shape(arr), indices, axis % np.ndim(arr))] = values


def _places_along(shape: Shape, indices: Any, axis: int) -> tuple[Any, ...]:
    """The index of those elements of each row along `axis`."""
    grid = [np.arange(n).reshape([-1 if j == k else 1 for j in range(len(shape))]) for k, n in enumerate(shape)]
    return tuple(indices if k == axis else each for k, each in enumerate(grid))


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if wrap or np.ndim(a) != 2:
        raise RefusedType(say("np.fill_diagonal is recorded for matrices, without wrap"))
    places = np.arange(min(np.shape(a)))
    _traced(a)[places, places] = val


def add_at(a: Any, indices: Any, b: Any) -> None:
    """np.add.at, into an array that the program made: what meets at a place is added up."""
    target = _traced(a)
    target.check_fresh()
    chosen, index = slots(indices)
    places: Any = np.broadcast_to(0, target.shape)[filled(index, [each.value for each in chosen])]
    added: Any = np.broadcast_to(target.tape.lifted(b), places.shape)
    target.id = (target + target.tape.record(RULES["put"], (added, *chosen), index=index, shape=target.shape)).id


def _traced(a: Any) -> TracedArray:
    if not isinstance(a, TracedArray):
        raise RefusedType(say("an array of plain numbers cannot take what is traced: make it with np.zeros_like(x)"))
    return a


def along(x: Any, axis: int, places: Any) -> Any:
    """Elements along one axis, by their places."""
    return x[(*(slice(None),) * (axis % x.ndim), np.asarray(places))]


def flip(x: Any, axis: Any = None) -> Any:
    axes = axes_of(x.shape, axis)
    return x[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(x.ndim))]


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return roll(x.reshape(-1), shift, 0).reshape(x.shape)
    for by, k in zip(*np.broadcast_arrays(shift, axis), strict=True) if np.ndim(axis) else [(shift, axis)]:
        x = along(x, int(k), np.roll(np.arange(x.shape[k]), int(by)))
    return x


def repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return along(x, axis, np.repeat(np.arange(x.shape[axis]), repeats))


def tile(x: Any, reps: Any) -> Any:
    times = [reps] if np.ndim(reps) == 0 else list(reps)
    x = x.reshape([1] * (len(times) - x.ndim) + list(x.shape))
    for k, n in enumerate([1] * (x.ndim - len(times)) + times):
        x = x if n == 1 else along(x, k, np.tile(np.arange(x.shape[k]), n))
    return x


def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """With a constant, or with elements of its own (edge, reflect, symmetric, wrap), axis after axis."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - x.ndim, (0, 0))) for k in range(x.ndim)]
        pad_width = [(each, each) if np.ndim(each) == 0 else each for each in pad_width]
    widths = [(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (x.ndim, 2))]
    own: Any = mode
    if own in ("edge", "reflect", "symmetric", "wrap"):
        for k, width in enumerate(widths):
            x = along(x, k, np.pad(np.arange(x.shape[k]), width, mode=own)) if any(width) else x
        return x
    if own != "constant":
        raise TypeError(say("np.pad is recorded with mode constant, edge, reflect, symmetric or wrap, not {mode}",
                            mode=mode))  # fmt: skip
    inside = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))
    shape = tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True))
    moved = x.tape.record(RULES["put"], (x,), index=inside, shape=shape)
    constants = np.pad(np.zeros(x.shape), widths, constant_values=constant_values)
    if not np.any(constants):
        return moved
    mask = np.zeros(shape, bool)
    mask[inside] = True
    return np.where(mask, moved, constants)


def differences(x: Any, n: int, axis: int) -> Any:
    before = (slice(None),) * (axis % x.ndim)
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(-1))]
    return x


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    moved = np.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = np.nonzero(np.eye(moved.shape[-2], moved.shape[-1], offset))
    return moved[..., rows, columns]


def diag(x: Any, k: int = 0) -> Any:
    if x.ndim == 2:
        return diagonal(x, k)
    n = x.shape[0] + abs(k)
    rows = np.arange(x.shape[0]) + max(-k, 0)
    return x.tape.record(RULES["put"], (x,), index=(rows, rows + k), shape=(n, n))


def triangle(mask: Callable[..., Any]) -> Callable[..., Any]:
    """np.tril or np.triu."""

    def function(m: Any, k: int = 0) -> Any:
        return np.where(mask(np.ones(m.shape[-2:], bool), k), m, 0.0)

    return function


def windows(x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False) -> Any:
    """numpy.lib.stride_tricks.sliding_window_view."""
    sizes = [window_shape] if np.ndim(window_shape) == 0 else list(window_shape)
    axes = list(range(x.ndim)) if axis is None else [axis] if np.ndim(axis) == 0 else list(axis)
    for k, size in zip([each % x.ndim for each in axes], sizes, strict=True):
        first = np.arange(x.shape[k] - size + 1)
        x = np.moveaxis(along(x, k, first[:, None] + np.arange(size)), k + 1, -1)
    return x


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    before = list(axes_of(x.shape, source))
    after = list(axes_of(x.shape, destination))
    order = [k for k in range(x.ndim) if k not in before]
    for place, k in sorted(zip(after, before, strict=True)):
        order.insert(place, k)
    return x.transpose(order)


def broadcast_to(x: Any, shape: Any, subok: bool = False) -> Any:
    wanted = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    return x if wanted == x.shape else x.tape.record(RULES["broadcast_to"], (x,), shape=wanted)


def expand_dims(x: Any, axis: Any) -> Any:
    return x.reshape(np.expand_dims(np.empty(x.shape), axis).shape)


def squeeze(x: Any, axis: Any = None) -> Any:
    return x.reshape(np.squeeze(np.empty(x.shape), axis).shape)


def at_least(function: Callable[..., Any]) -> Callable[..., Any]:
    """np.atleast_1d and so on."""

    def widened(*arrays: Any) -> Any:
        found = tuple(np.reshape(x, function(np.empty(np.shape(x))).shape) for x in arrays)
        return found[0] if len(found) == 1 else found

    return widened


# --- joining and splitting ------------------------------------------------------------------------------------------


def concatenate(
    arrays: Sequence[Any], axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = None
) -> Any:
    if axis is None:
        arrays, axis = [np.reshape(x, -1) for x in arrays], 0
    return taped(*arrays).record(RULES["concatenate"], arrays, axis=axis)


def stack(arrays: Iterable[Any], axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = None) -> Any:
    each = list(arrays)
    place = axis % (np.ndim(each[0]) + 1)
    return concatenate([np.reshape(x, (*np.shape(x)[:place], 1, *np.shape(x)[place:])) for x in each], place)


def stacked(at_least: Callable[..., Any], axis: int) -> Callable[..., Any]:
    """np.vstack, np.hstack, np.dstack."""

    def function(tup: Sequence[Any], *, dtype: Any = None, casting: Any = None) -> Any:
        each = [at_least(x) for x in tup]
        return concatenate(each, 0 if each[0].ndim == 1 else axis)

    return function


def column_stack(tup: Sequence[Any]) -> Any:
    return concatenate([np.reshape(x, (-1, 1)) if np.ndim(x) == 1 else x for x in tup], 1)


def split(evenly: bool) -> Callable[..., list[Any]]:
    """np.split or np.array_split."""

    def function(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
        cut = np.split if evenly else np.array_split
        places = cut(np.arange(ary.shape[axis]), indices_or_sections)
        before, start, found = (slice(None),) * (axis % ary.ndim), 0, []
        for each in places:
            found.append(ary[(*before, slice(start, start + len(each)))])
            start += len(each)
        return found

    return function


# --- fresh arrays ---------------------------------------------------------------------------------------------------


def full_like(value: Any) -> Callable[..., Any]:
    """np.zeros_like and so on: an array that may be filled (`out[i] = ...`)."""

    def function(a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
        return a.tape.fresh(np.full(np.shape(a) if shape is None else shape, value, dtype=_kept(a, dtype)))

    return function


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """The same line; the copy may be filled."""
    other = TracedArray(a.tape, a.id)
    other.is_fresh = True
    return other


def filled_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True,
                shape: Any = None, **_: Any) -> Any:  # fmt: skip
    tape, wanted = taped(a, fill_value), np.shape(a) if shape is None else shape
    if isinstance(fill_value, TracedArray):
        return np.broadcast_to(fill_value, wanted)
    return tape.fresh(np.full(wanted, fill_value, dtype=_kept(a, dtype)))


def _kept(a: Any, dtype: Any) -> Any:
    return number(a).dtype if dtype is None else dtype
