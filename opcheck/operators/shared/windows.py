"""Window index arithmetic of the fast references: sizes, padding, strided views and their adjoints.

The definitions of convolutions do their own arithmetic, one index at a time, and share nothing with this file.
Throughout, the spatial dimensions are the last `len(kernel)` ones of an array.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcheck.operators.spec import Array, Shape

Places = tuple[Any, ...]  # an index of slices

BLOCK = 2**17  # numbers gathered at a time, 1 MiB: what a core caches, and no large input blows up memory
FEWEST = 256  # windows gathered at a time: each time the whole weight is read


def output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """How many windows fit: floor((size + before + after - dilation*(kernel-1) - 1) / stride) + 1, 0 if none."""
    return max(0, (size + before + after - dilation * (kernel - 1) - 1) // stride + 1)


# --- padding ------------------------------------------------------------------------------------------------------


def pad(x: Array, before: Sequence[int], after: Sequence[int], value: float = 0.0, mode: str = "zeros") -> Array:
    """`x` with `before` and `after` more places along its last dimensions, filled as torch's padding_mode says."""
    if not any(before) and not any(after):
        return x
    if mode == "zeros":
        lead, sizes = x.shape[: -len(before)], x.shape[-len(before) :]
        shape = (*lead, *(b + n + a for b, n, a in zip(before, sizes, after, strict=True)))
        padded = np.full(shape, value) if value else np.zeros(shape)  # the kernel has zeros ready
        crop(padded, before, sizes)[...] = x
        return padded
    for axis, b, a in zip(range(-len(before), 0), before, after, strict=True):
        x = np.take(x, source(np.arange(-b, x.shape[axis] + a), x.shape[axis], mode), axis)
    return x


def pad_adjoint(x: Array, before: Sequence[int], sizes: Sequence[int], mode: str = "zeros") -> Array:
    """The adjoint of `pad`: the `sizes` places after `before`, and on them what the padding was read from."""
    if mode == "zeros":
        return crop(x, before, sizes)
    for axis, b, n in zip(range(-len(before), 0), before, sizes, strict=True):
        x = np.moveaxis(x, axis, -1)
        inner = x[..., b : b + n].copy()
        for place, read in enumerate(source(np.arange(-b, x.shape[-1] - b), n, mode)):
            if not b <= place < b + n:
                inner[..., read] += x[..., place]
        x = np.moveaxis(inner, -1, axis)
    return x


def source(place: Array, n: int, mode: str) -> Array:
    """Which of the places 0..n-1 each place of a padded dimension, counted from the first of these, is read from."""
    if mode == "reflect":
        return np.asarray((n - 1) - abs((n - 1) - abs(place)))
    return place % n if mode == "circular" else place.clip(0, n - 1)


def crop(x: Array, before: Sequence[int], sizes: Sequence[int]) -> Array:
    """The view of the `sizes` places after `before`: the adjoint of padding with zeros."""
    places: Places = (..., *(slice(b, b + n) for b, n in zip(before, sizes, strict=True)))
    return x[places]


# --- windows ------------------------------------------------------------------------------------------------------


def windows(x: Array, kernel: Shape, stride: Shape, dilation: Shape, out: Shape) -> Array:
    """A read-only view of shape (... out... kernel...): every window of `x`, without a copy."""
    dims = len(kernel)
    lead, steps = x.strides[:-dims], x.strides[-dims:]
    return np.lib.stride_tricks.as_strided(
        x,
        shape=(*x.shape[:-dims], *out, *kernel),
        strides=(
            *lead,
            *(step * s for step, s in zip(steps, stride, strict=True)),
            *(step * d for step, d in zip(steps, dilation, strict=True)),
        ),
        writeable=False,
    )


def met(out: int, kernel: int, stride: int, dilation: int, before: int) -> Array:
    """The places along a dimension that each window meets, (out, kernel), counted from the first behind the padding."""
    return np.asarray(np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - before)


def gathered(x: Any, places: Sequence[Array]) -> Any:
    """The windows (... out... kernel...) of an array that may record; `places` (out, kernel) for each dimension."""
    return x[(..., *along_axes(places))]


def along_axes(tables: Sequence[Array]) -> list[Array]:
    """Tables (out, kernel), one for each dimension, as arrays that broadcast to (out... kernel...)."""
    dims = len(tables)
    return [
        table.reshape([table.shape[d // dims] if d % dims == k else 1 for d in range(2 * dims)])
        for k, table in enumerate(tables)
    ]


def tap(x: Array, at: Shape, stride: Shape, dilation: Shape, out: Shape) -> Array:
    """The view of `x` that the kernel position `at` meets, of shape (... out...); writing to it writes to `x`."""
    places: Places = (
        ...,
        *(slice(a * d, a * d + s * n, s) for a, s, d, n in zip(at, stride, dilation, out, strict=True)),
    )
    return x[places]


def blocks(
    x: Array, kernel: Shape, stride: Shape, dilation: Shape, out: Shape
) -> Iterator[tuple[Places, Places, Shape]]:
    """Cuts the windows of images `x` (N, C, ...) into blocks of about BLOCK numbers; yields the places of each block in
    `x` and in the output, and how many windows it has along each dimension.

    A block is all windows of some images or, where that is too much, some rows of windows of one image.
    """
    if 0 in out:
        return
    count = max(FEWEST, BLOCK // max(1, x.shape[1] * math.prod(kernel)))
    images = max(1, count // math.prod(out))
    rows = max(1, min(out[0], count // math.prod(out[1:])))
    span = dilation[0] * (kernel[0] - 1) + 1
    for n, first in itertools.product(range(0, len(x), images), range(0, out[0], rows)):
        image, last = slice(n, n + images), min(first + rows, out[0]) - 1
        read = slice(first * stride[0], last * stride[0] + span)
        yield (image, slice(None), read), (image, slice(None), slice(first, last + 1)), (last + 1 - first, *out[1:])


class Scratch:
    """Memory that the blocks of one call use one after the other: touching a fresh page costs more than the arithmetic
    on it, and used pages are in the cache."""

    def __init__(self) -> None:
        self._numbers = np.empty(0)

    def array(self, *shape: int) -> Array:
        """An array of any numbers; it ends the use of the one before."""
        size = math.prod(shape)
        if size > self._numbers.size:
            self._numbers = np.empty(size)
        return self._numbers[:size].reshape(shape)


def columns(
    x: Array, kernel: Shape, stride: Shape, dilation: Shape, out: Shape, groups: int = 1, scratch: Scratch | None = None
) -> Array:
    """The windows of images `x` (N, C, ...) as columns: (groups, C / groups * kernel places, N * out places)."""
    dims = len(kernel)
    view = windows(x, kernel, stride, dilation, out)  # (N, C, out..., kernel...)
    view = view.transpose(1, *range(2 + dims, 2 + 2 * dims), 0, *range(2, 2 + dims))
    gathers = len(x) * math.prod(kernel) > 1  # else the image itself is the matrix
    if scratch is not None and gathers:
        gathered = scratch.array(*view.shape)
        gathered[...] = view
        view = gathered
    return view.reshape(groups, x.shape[1] // groups * math.prod(kernel), len(x) * math.prod(out))


def columns_adjoint(matrices: Array, x: Array, kernel: Shape, stride: Shape, dilation: Shape, out: Shape) -> None:
    """Add each number of such matrices to the place of `x` that `columns` reads it from."""
    taps = matrices.reshape(x.shape[1], *kernel, len(x), *out)
    for at in itertools.product(*map(range, kernel)):
        here: Places = (slice(None), *at)
        there = tap(x, at, stride, dilation, out)
        there += taps[here].swapaxes(0, 1)
