"""Layouts: how an array of torch's is turned for a convention, and back. All of it happens on the grader's side."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from opcheck.spec import Array


class Layout(NamedTuple):
    """A pair of inverse functions: `give` makes the convention's array, `take` makes torch's again."""

    give: Callable[[Array], Array]
    take: Callable[[Array], Array]


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
COLUMN = Layout(lambda a: a[:, None], lambda a: a[:, 0])  # (M,) as (M, 1)
ROW = Layout(lambda a: a[None], lambda a: a[0])  # (M,) as (1, M)
FOUR = Layout(lambda a: a[None, None, None], lambda a: a[0, 0, 0])  # (M,) as (1, 1, 1, M)
