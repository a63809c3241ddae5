"""What each ATen operation of a captured torch program is over arrays: numpy's functions, or an operator of ours.

One entry per operation, called as torch calls it. Operations that are not here are named when a program is captured.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from opcheck import reference
from opcheck.programs.elementwise import erf, sigmoid
from opcheck.programs.tables import table

Function = Callable[..., Any]


def _axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def _scaled(sign: float) -> Function:
    def add(a: Any, b: Any, alpha: float = 1) -> Any:
        return a + (b if sign * alpha == 1 else b * (sign * alpha))

    return add


def _addmm(c: Any, a: Any, b: Any, beta: float = 1, alpha: float = 1) -> Any:
    product = a @ b if alpha == 1 else (a @ b) * alpha
    return product if beta == 0 else product + (c if beta == 1 else c * beta)


def _convolution(
    x: Any, weight: Any, bias: Any, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    transposed: bool, output_padding: Sequence[int], groups: int,
) -> Any:  # fmt: skip
    name = f"conv{'_transpose' if transposed else ''}{len(stride)}d"
    more = {"output_padding": tuple(output_padding)} if transposed else {}
    return reference.function(name)(
        x, weight, bias, stride=tuple(stride), padding=tuple(padding), dilation=tuple(dilation), groups=groups, **more
    )


def _pool(name: str) -> Function:
    def pool(x: Any, kernel_size: Any, stride: Any = (), *rest: Any) -> Any:
        given = dict(zip(_POOLS[name], rest, strict=False))
        options = {key: _axes(value) for key, value in given.items() if value is not None}
        return reference.function(name)(x, _axes(kernel_size), stride=_axes(stride) or None, **options)

    return pool


_POOLS = {
    "max_pool2d": ("padding", "dilation", "ceil_mode"), "max_pool1d": ("padding", "dilation", "ceil_mode"),
    "avg_pool1d": ("padding", "ceil_mode", "count_include_pad"),
    "avg_pool2d": ("padding", "ceil_mode", "count_include_pad", "divisor_override"),
}  # fmt: skip


def _normalised(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    mean = x.mean(axis=axes, keepdims=True)
    d = x - mean
    rstd = 1 / np.sqrt((d * d).mean(axis=axes, keepdims=True) + eps)
    return d * rstd, mean, rstd


def _layer_norm(x: Any, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    y, mean, rstd = _normalised(x, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias), mean, rstd


def _channels(x: Any, ndim: int) -> Any:
    return x.reshape(-1, *[1] * (ndim - 2))


def _affine(x: Any, mean: Any, rstd: Any, weight: Any, bias: Any) -> Any:
    """(x - mean)*rstd*weight + bias multiplied out, as torch computes it: that cancels more, and is as legal."""
    scale = rstd if weight is None else rstd * weight
    shift = -mean * scale
    return x * scale + (shift if bias is None else shift + bias)


def _group_norm(x: Any, weight: Any, bias: Any, n: int, c: int, hw: int, groups: int, eps: float) -> tuple[Any, ...]:
    _, mean, rstd = _normalised(x.reshape(n, groups, -1), (2,), eps)
    each = (n, groups, c // groups, -1)
    weight, bias = (None if part is None else part.reshape(1, groups, -1, 1) for part in (weight, bias))
    y = _affine(x.reshape(each), mean.reshape(n, groups, 1, 1), rstd.reshape(n, groups, 1, 1), weight, bias)
    return y.reshape(x.shape), mean, rstd


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    if training:
        _, mean, rstd = _normalised(x, tuple(k for k in range(x.ndim) if k != 1), eps)
    else:
        mean, rstd = _channels(mean, x.ndim), 1 / np.sqrt(_channels(var, x.ndim) + eps)
    weight, bias = (None if part is None else _channels(part, x.ndim) for part in (weight, bias))
    return _affine(x, mean, rstd, weight, bias), mean, rstd


def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x))) * 0.5
    return x * (1 + erf(x * np.sqrt(0.5))) * 0.5  # in torch's order: half of it is taken after it may overflow


def _var(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Any:
    d = x - x.mean(axis=_axes(dim), keepdims=True)
    count = x.size // max(1, d.mean(axis=_axes(dim)).size)
    return (d * d).sum(axis=_axes(dim), keepdims=keepdim) / (count - (1 if correction is None else correction))


def _softmax(x: Any, dim: int, *_: Any) -> Any:
    return reference.function("softmax")(x, dim=dim)


def _log_softmax(x: Any, dim: int, *_: Any) -> Any:
    return reference.function("log_softmax")(x, dim=dim)


def _nll_loss(x: Any, target: Any, weight: Any, reduction: int, ignore_index: int) -> tuple[Any, Any]:
    words = ("none", "mean", "sum")
    loss = reference.function("nll_loss")(x, target, weight, reduction=words[reduction], ignore_index=ignore_index)
    return loss, None


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[(*[slice(None)] * (dim % x.ndim), slice(start, end, step))]


def _scattered(x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """x with `source` in place of that slice."""
    places = np.arange(x.shape[dim])
    places[start:end:step] = x.shape[dim] + np.arange(source.shape[dim])
    return np.take(np.concatenate([x, source], axis=dim), places, axis=dim)


def _select(x: Any, dim: int, index: int) -> Any:
    return x[(*[slice(None)] * (dim % x.ndim), index)]


def _expand(x: Any, size: Sequence[int], implicit: bool = False) -> Any:
    own = (1,) * (len(size) - x.ndim) + tuple(x.shape)
    return np.broadcast_to(x.reshape(own), tuple(m if n == -1 else n for n, m in zip(size, own, strict=True)))


def _clamp(x: Any, low: Any = None, high: Any = None) -> Any:
    return np.clip(x, low, high)


def _split(x: Any, size: Any, dim: int = 0) -> list[Any]:
    n = x.shape[dim]
    sizes = list(size) if isinstance(size, (list, tuple)) else [min(size, n - k) for k in range(0, n, size)]
    ends = np.cumsum([0, *sizes])
    return [_slice(x, dim, int(a), int(b)) for a, b in pairwise(ends)]


def _index(x: Any, indices: Sequence[Any]) -> Any:
    return x[tuple(slice(None) if each is None else each for each in indices)]


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    negative = (np.exp(np.minimum(x, 0.0) * input_scale) - 1) * alpha
    return np.where(x > 0, x, negative) * scale


def _safe_softmax(x: Any, dim: int, *_: Any) -> Any:
    """A row of only -inf becomes zeros, as attention wants for fully masked rows."""
    hidden = np.all(np.equal(x, -np.inf), axis=dim, keepdims=True)
    return np.where(hidden, 0.0, _softmax(np.where(hidden, 0.0, x), dim))


def _linear_mode(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    """torch's softplus: the identity where beta*x is large."""
    scaled = x * beta
    return np.where(scaled > threshold, x, np.logaddexp(0.0, np.where(scaled > threshold, 0.0, scaled)) / beta)


def _padded(x: Any, pad: Sequence[int], value: float = 0) -> Any:
    """Pairs from the last dimension on; a negative one cuts."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[0::2], pad[1::2], strict=True))[::-1]
    cut = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(pairs, x.shape, strict=True))
    return np.pad(x[cut], [(max(0, a), max(0, b)) for a, b in pairs], constant_values=value)


def _vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    return np.linalg.norm(x if dim is not None else np.reshape(x, -1), ord, axis=_norm_axes(dim), keepdims=keepdim)


def _norm_axes(dim: Any) -> Any:
    axes = _axes(dim)
    return axes[0] if isinstance(axes, tuple) and len(axes) == 1 else 0 if axes is None else axes


def _largest(function: Function, place: Function) -> Function:
    def largest(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return function(x)
        return function(x, axis=dim, keepdims=keepdim), place(x, axis=dim)

    return largest


def _sorted(x: Any, dim: int = -1, descending: bool = False) -> tuple[Any, Any]:
    order = np.argsort(-x if descending else x, axis=dim, kind="stable")
    return np.take_along_axis(x, order, axis=dim), order


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, *_: Any) -> tuple[Any, Any]:
    values, places = _sorted(x, dim, largest)
    return _slice(values, dim, 0, k), _slice(places, dim, 0, k)


def _arange(*args: Any, **_: Any) -> Any:
    return table(np.arange(*args))


def _repeated(x: Any, repeats: Sequence[int]) -> Any:
    return np.tile(x, tuple(repeats))


def _rolled(x: Any, shifts: Sequence[int], dims: Sequence[int] = ()) -> Any:
    return np.roll(x, tuple(shifts), axis=tuple(dims) or None)


def _within(x: Any, low: float, high: float) -> Any:
    """Between the bounds; at a bound itself the gradient is the bound's, where torch.clamp has the number's."""
    return np.minimum(high, np.maximum(low, x))


def _first(x: Any, *_: Any, **__: Any) -> Any:
    return x


def _swapped(x: Any, a: int, b: int) -> Any:
    return np.swapaxes(x, a, b)


def _reduced(function: Function) -> Function:
    return lambda x, dim=None, keepdim=False, **_: function(x, axis=_axes(dim) if dim != [] else None, keepdims=keepdim)


ATEN: dict[str, Function] = {
    "add": _scaled(1), "sub": _scaled(-1), "rsub": lambda a, b, alpha=1: b - (a if alpha == 1 else a * alpha),
    "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": np.negative, "reciprocal": lambda x: 1 / x,
    "pow": lambda a, b: np.power(a, b), "square": lambda x: x * x, "abs": np.absolute, "sign": np.sign,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "sigmoid": sigmoid, "erf": erf,
    "softplus": _linear_mode, "hardswish": lambda x: x * _within(x + 3, 0.0, 6.0) / 6,
    "hardsigmoid": lambda x: _within(x + 3, 0.0, 6.0) / 6, "mish": lambda x: x * np.tanh(np.logaddexp(0.0, x)),
    "log_sigmoid_forward": lambda x: (-np.logaddexp(0.0, -x), None), "log2": np.log2, "log10": np.log10, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "atan2": np.arctan2, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "exp2": np.exp2, "floor": np.floor, "ceil": np.ceil,
    "xlogy": lambda x, y: x * np.log(y), "logaddexp": np.logaddexp, "erfc": lambda x: 1 - erf(x),
    "relu": lambda x: np.maximum(0.0, x), "silu": lambda x: x * sigmoid(x), "gelu": _gelu, "elu": _elu,
    "leaky_relu": lambda x, slope=0.01: np.where(x > 0, x, x * slope),
    "hardtanh": lambda x, low=-1.0, high=1.0: _within(x, low, high),
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1 / alpha), "clamp": _clamp,
    "clamp_min": lambda x, low: np.maximum(x, low), "clamp_max": lambda x, high: np.minimum(x, high),
    "maximum": np.maximum, "minimum": np.minimum,
    "mm": lambda a, b: a @ b, "bmm": lambda a, b: a @ b, "matmul": lambda a, b: a @ b, "mv": lambda a, b: a @ b,
    "dot": lambda a, b: a @ b, "addmm": _addmm, "baddbmm": _addmm,
    "sum": _reduced(np.sum), "mean": _reduced(np.mean), "amax": _reduced(np.max), "amin": _reduced(np.min),
    "max": _largest(np.max, np.argmax), "min": _largest(np.min, np.argmin),
    "prod": lambda x, dim=None, keepdim=False, **_: np.prod(x, axis=dim, keepdims=keepdim),
    "cumsum": lambda x, dim, **_: np.cumsum(x, axis=dim), "cumprod": lambda x, dim, **_: np.cumprod(x, axis=dim),
    "linalg_vector_norm": _vector_norm, "sort": _sorted, "topk": _topk,
    "argmax": lambda x, dim=None, keepdim=False: np.argmax(x, axis=dim, keepdims=keepdim),
    "_safe_softmax": _safe_softmax, "var": _var, "_softmax": _softmax, "_log_softmax": _log_softmax,
    "native_layer_norm": _layer_norm, "native_group_norm": _group_norm, "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm, "_native_batch_norm_legit_no_training":
        lambda x, weight, bias, mean, var, momentum, eps: _batch_norm(x, weight, bias, mean, var, False, momentum, eps),
    "convolution": _convolution, "max_pool2d_with_indices": lambda *args: (_pool("max_pool2d")(*args), None),
    "avg_pool1d": _pool("avg_pool1d"), "avg_pool2d": _pool("avg_pool2d"),
    "_adaptive_avg_pool2d": lambda x, size: reference.function("adaptive_avg_pool2d")(x, _axes(size)),
    "embedding": lambda weight, index, *_: weight[index],
    "nll_loss_forward": _nll_loss,
    "view": lambda x, size: x.reshape(tuple(size)), "_unsafe_view": lambda x, size: x.reshape(tuple(size)),
    "reshape": lambda x, size: x.reshape(tuple(size)), "permute": lambda x, dims: np.transpose(x, tuple(dims)),
    "transpose": _swapped, "t": lambda x: x.T, "expand": _expand, "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
    "squeeze": lambda x, dim=None: np.squeeze(x, _axes(dim)), "slice_scatter": _scattered, "select": _select,
    "select_scatter": lambda x, source, dim, k: _scattered(x, np.expand_dims(source, dim), dim, k, k + 1 or None),
    "slice": _slice, "index": _index,
    "cat": lambda parts, dim=0: np.concatenate(list(parts), axis=dim),
    "stack": lambda parts, dim=0: np.stack(list(parts), axis=dim),
    "split": _split, "split_with_sizes": _split,
    "unbind": lambda x, dim=0: [_select(x, dim, k) for k in range(x.shape[dim])],
    "clone": _first, "alias": _first, "detach": _first, "lift_fresh_copy": _first, "contiguous": _first,
    "_to_copy": _first,
    "flip": lambda x, dims: np.flip(x, _axes(dims)), "roll": _rolled, "repeat": _repeated,
    "constant_pad_nd": _padded, "index_select": lambda x, dim, index: np.take(x, index, axis=dim),
    "gather": lambda x, dim, index, **_: np.take_along_axis(x, index, axis=dim),
    "tril": lambda x, k=0: np.tril(x, k), "triu": lambda x, k=0: np.triu(x, k), "arange": _arange,
    "diagonal": lambda x, offset=0, a=0, b=1: np.diagonal(x, offset, a, b),
    "copy": lambda x, source, *_: np.broadcast_to(source, np.shape(x)),
    "any": lambda x, dim=None, keepdim=False: np.any(x, axis=_axes(dim), keepdims=keepdim),
    "all": lambda x, dim=None, keepdim=False: np.all(x, axis=_axes(dim), keepdims=keepdim),
    "logical_not": np.logical_not, "bitwise_not": np.logical_not, "logical_and": np.logical_and,
    "bitwise_and": np.logical_and, "logical_or": np.logical_or, "bitwise_or": np.logical_or,
    "where": np.where, "masked_fill": lambda x, mask, value: np.where(mask, value, x),
    "gt": lambda a, b: a > b, "lt": lambda a, b: a < b, "ge": lambda a, b: a >= b, "le": lambda a, b: a <= b,
    "eq": np.equal, "ne": lambda a, b: ~np.equal(a, b),
    "full": lambda size, value, **_: np.full(tuple(size), value), "zeros": lambda size, **_: np.zeros(tuple(size)),
    "ones": lambda size, **_: np.ones(tuple(size)), "scalar_tensor": lambda value, **_: np.asarray(value),
    "full_like": lambda x, value, **_: np.full(np.shape(x), value), "zeros_like": lambda x, **_: np.zeros(np.shape(x)),
    "empty": lambda size, **_: np.zeros(tuple(size)), "empty_like": lambda x, **_: np.zeros(np.shape(x)),
    "empty_permuted": lambda size, *_, **__: np.zeros(tuple(size)), "fmod": np.fmod, "remainder": np.remainder,
    "ones_like": lambda x, **_: np.ones(np.shape(x)),
}  # fmt: skip
