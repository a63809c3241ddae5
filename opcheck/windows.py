"""Window index arithmetic of the fast references: sizes, padding, strided views and their adjoint.

The definitions in ops/ do their own arithmetic, one index at a time, and share nothing with this file.
Throughout, the spatial dimensions are the last `len(kernel)` ones of an array.
"""

from collections.abc import Sequence

from typing import Any

import numpy as np

from opcheck.spec import Array, Shape


def output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """How many windows fit: floor((size + before + after - dilation*(kernel-1) - 1) / stride) + 1, 0 if none."""
    return max(0, (size + before + after - dilation * (kernel - 1) - 1) // stride + 1)


def pad(x: Array, before: Sequence[int], after: Sequence[int], value: float = 0.0, mode: str = "constant") -> Array:
    """`x` with `before` and `after` more places along its last dimensions."""
    if not any(before) and not any(after):
        return x
    widths = [(0, 0)] * (x.ndim - len(before)) + list(zip(before, after, strict=True))
    if mode == "constant":
        return np.pad(x, widths, constant_values=value)
    return np.pad(x, widths, mode=mode)  # type: ignore[call-overload, no-any-return]  # numpy types the modes one by one


def crop(x: Array, before: Sequence[int], sizes: Sequence[int]) -> Array:
    """The adjoint of zero padding: the `sizes` places after `before`."""
    places: tuple[Any, ...] = (..., *(slice(b, b + n) for b, n in zip(before, sizes, strict=True)))
    return x[places]


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


def tap(x: Array, at: Shape, stride: Shape, dilation: Shape, out: Shape) -> Array:
    """The view of `x` that the kernel position `at` meets, of shape (... out...); writing to it writes to `x`."""
    places: tuple[Any, ...] = (
        ...,
        *(slice(a * d, a * d + s * (n - 1) + 1, s) for a, s, d, n in zip(at, stride, dilation, out, strict=True)),
    )
    return x[places]
