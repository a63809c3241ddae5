"""Layouts: how arrays are converted between torch's layout and a convention's, all on the grader's side."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from opcheck.operators.spec import Array


class Layout(NamedTuple):
    """A pair of inverse functions: `give` makes the convention's array, `take` makes torch's again.

    `by` is what it multiplies the numbers by, which can be undone even where `take` cannot be: at another rank.
    """

    give: Callable[[Array], Array]
    take: Callable[[Array], Array]
    by: float = 1.0


def _axes(*order: int) -> Layout:
    """The axes in another order; an array with fewer or more of them stays as it is."""
    back = tuple(int(k) for k in np.argsort(order))
    return Layout(
        lambda a: a.transpose(order) if a.ndim == len(order) else a,
        lambda a: a.transpose(back) if a.ndim == len(order) else a,
    )


SAME = Layout(lambda a: a, lambda a: a)
TRANSPOSED = _axes(1, 0)  # a weight (Out, In) as (In, Out)
CHANNELS_LAST = _axes(0, 2, 3, 1)  # (N, C, H, W) as (N, H, W, C)
KERNEL_LAST = _axes(2, 3, 1, 0)  # (Cout, Cin, kH, kW) as (kH, kW, Cin, Cout)
COLUMN = Layout(lambda a: a[:, None], lambda a: a[:, 0] if a.shape[1:] == (1,) else a)  # (M,) as (M, 1)
# the same where examples are columns: a gradient that was not summed over them, (M, N), is torch's (N, M)
COLUMN_OF_COLUMNS = Layout(COLUMN.give, lambda a: a[:, 0] if a.shape[1:] == (1,) else a.T)
ROW = Layout(lambda a: a[None], lambda a: a[0] if len(a) == 1 else a)  # (M,) as (1, M)
FOUR = Layout(lambda a: a[None, None, None], lambda a: a[0, 0, 0] if a.shape[:3] == (1, 1, 1) else a)  # as (1, 1, 1, M)

UNBATCHED = Layout(lambda a: a[0], lambda a: a[None])  # (1, C, H, W) as (C, H, W); with `batch` = [1] in the ranges

_HALVES = Layout(  # (N, 2k) as (N, 2, k), (N, k) as (N, k, 1): what a layer has to flatten
    lambda a: a.reshape(len(a), 2, -1) if a.shape[1] % 2 == 0 else a[..., None],
    lambda a: a.reshape(len(a), -1),
)
FLATTENED = Layout(lambda a: _HALVES.give(a) if a.ndim == 2 else a, lambda a: _HALVES.take(a) if a.ndim == 3 else a)


def scaled(by: float, layout: Layout = SAME) -> Layout:
    """The convention's array is `by` times torch's: gradients that are divided by the batch size, say."""
    return Layout(lambda a: layout.give(a) * by, lambda a: layout.take(a) / by, layout.by * by)
