"""Kernels as engineers write them, wrong and right, that other tests do not have: for hunts over many seeds.

Each is (operator, function, what it takes). A wrong one is wrong in one place; a right one is none of opcheck's forms.
"""

import math
from typing import Any

import numpy as np

from opcheck.operators import catalog
from tests.verification.test_directed import (
    FlatAtZero,
    clamped,
    nan_becomes_zero,
    online_softmax,
    seventeenth_row_lost,
    sixteen_bits,
    without_its_last_block,
    zeros_skipped,
)


def check(op, *arguments, **params):
    """Refuse what torch refuses."""
    catalog.get(op).case(
        *(each.astype(np.float64) if hasattr(each, "astype") else each for each in arguments), **params
    )


def linear(input, weight, bias=None):
    check("linear", input, weight, bias)
    y = input @ weight.T
    return (y if bias is None else y + bias).astype(input.dtype)


packed: dict[Any, Any] = {}


def linear_of_a_pointer(input, weight, bias=None):
    """The weight is packed once for each place in memory."""
    check("linear", input, weight, bias)
    key = (weight.__array_interface__["data"][0], weight.shape, weight.dtype)
    y = input @ packed.setdefault(key, np.array(weight.T, order="C"))
    return (y if bias is None else y + bias).astype(input.dtype)


def linear_in_half(input, weight, bias=None):
    return linear(input.astype(np.float16).astype(input.dtype), weight, bias)


def last_row_of_a_tile(tile, rest):
    def kernel(input, weight, bias=None):
        y = linear(input, weight, bias)
        if y.ndim == 2 and len(y) > tile and len(y) % tile == rest:
            y[-1] = 0
        return y

    return kernel


def softmax_64(input, dim=None):
    """Online in blocks, as flash attention has it; what is masked altogether is NaN."""
    return online_softmax(64)(input, dim)


def max_pool(padded_with):
    def max_pool2d(input, kernel_size, stride=None, padding=0):
        check("max_pool2d", input, kernel_size, stride, padding)
        (kh, kw), (ph, pw) = pair(kernel_size), pair(padding)
        sh, sw = (kh, kw) if stride is None else pair(stride)
        edges = ((0, 0),) * (input.ndim - 2) + ((ph, ph), (pw, pw))
        x = np.pad(input, edges, constant_values=padded_with)
        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(-2, -1))[..., ::sh, ::sw, :, :]
        return windows.max(axis=(-2, -1))

    return max_pool2d


def pair(value):
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    check("layer_norm", input, normalized_shape, weight, bias, eps)
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    d = input - input.mean(axes, keepdims=True, dtype=input.dtype) if input.size else input
    y = d / np.sqrt((d * d).mean(axes, keepdims=True, dtype=input.dtype) + input.dtype.type(eps)) if d.size else d
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias).astype(input.dtype)


def cross_entropy(divided_by_all):
    def kernel(input, target, reduction="mean", ignore_index=-100):
        if input.ndim != 2 or target.ndim != 1:
            raise NotImplementedError("rows of classes only")
        catalog.get("cross_entropy").case(
            input.astype(np.float64), target, reduction=reduction, ignore_index=ignore_index
        )
        kept = target != ignore_index
        top = input.max(1, keepdims=True)
        scores = input - top - np.log(np.exp(input - top).sum(1, keepdims=True))
        losses = np.where(kept, -scores[np.arange(len(target)), np.where(kept, target, 0)], 0).astype(input.dtype)
        count = len(kept) if divided_by_all else kept.sum()
        found = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / input.dtype.type(count)}[reduction]
        return np.asarray(found, input.dtype)

    return kernel


def gelu(always_by_tanh):
    erf = np.vectorize(math.erfc, otypes=[float])

    def kernel(input, approximate="none"):
        if approximate == "tanh" or always_by_tanh:
            inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
            return (0.5 * input * (1 + np.tanh(inner))).astype(input.dtype)
        x = input.astype(np.float64)
        return (0.5 * x * erf(-x / math.sqrt(2))).astype(input.dtype)

    return kernel


def layer_norm_of_a_weight(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Adds the bias only where there is a weight."""
    return layer_norm(input, normalized_shape, weight, None if weight is None else bias, eps)


WRONG = {
    "a bias only beside a weight": ("layer_norm", layer_norm_of_a_weight, "numpy"),
    "online softmax, not rescaled, 64": ("softmax", online_softmax(64, rescaled=False), "numpy"),
    "online softmax, not rescaled, 512": ("softmax", online_softmax(512, rescaled=False), "numpy"),
    "NaN to 0 in relu": ("relu", nan_becomes_zero, "numpy"),
    "a loss clamped at 1e15": ("mse_loss", clamped, "numpy"),
    "no gradient at a logit of 0": ("binary_cross_entropy_with_logits", FlatAtZero(), "numpy"),
    "packed by pointer": ("linear", linear_of_a_pointer, "numpy"),
    "float16 inside": ("linear", linear_in_half, "numpy"),
    "last K % 32": ("linear", without_its_last_block(32), "numpy"),
    "a 17th row": ("matmul", seventeenth_row_lost, "numpy"),
    "M % 64 = 63": ("linear", last_row_of_a_tile(64, 63), "numpy"),
    "zeros skipped in matrices": ("matmul", zeros_skipped, "numpy"),
    "padded with zeros": ("max_pool2d", max_pool(0.0), "numpy"),
    "ignored targets counted": ("cross_entropy", cross_entropy(True), "numpy"),
    "always by tanh": ("gelu", gelu(True), "numpy"),
    "65,536 rows": ("relu", sixteen_bits, "numpy"),
}
RIGHT = {
    "online softmax": ("softmax", softmax_64, "numpy"),
    "relu": ("relu", lambda input: np.maximum(input, 0), "numpy"),
    "linear": ("linear", linear, "numpy"),
    "matmul": ("matmul", np.matmul, "numpy"),
    "max_pool2d": ("max_pool2d", max_pool(-np.inf), "numpy"),
    "layer_norm": ("layer_norm", layer_norm, "numpy"),
    "cross_entropy": ("cross_entropy", cross_entropy(False), "numpy"),
    "gelu": ("gelu", gelu(False), "numpy"),
}
