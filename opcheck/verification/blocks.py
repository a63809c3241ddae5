"""Cases of a user's spec beyond a block: its sampler knows only small sizes, but kernels work in blocks.

One letter after the other gets a size that is one more than a multiple of all usual block sizes, so that the last block
is incomplete, whatever the block size. Among real numbers one is much larger there, so that errors in rescaling to a
new maximum, clamping or skipping the last block show.
"""

from typing import Any

import numpy as np

from opcheck.operators.spec import Array, Case, Op
from opcheck.verification.widening import Sized, letters_of, resized

SIZES = (257, 65, 129)
OUTLIER = 2.0**12


def blocked(op: Op, case: Case, rng: np.random.Generator, turn: int, outlier: bool) -> Case:
    """The case with the next letter's size beyond a block; unchanged if that makes it too large."""
    sized = Sized(op, case)
    letters = sized.letters()
    if not letters:
        return case
    letter, first = letters[turn % len(letters)], turn // len(letters)
    for k in range(len(SIZES)):
        shapes = sized.grown(letter, SIZES[(first + k) % len(SIZES)])
        if sized.is_moderate(shapes):
            wide = resized(op, case, shapes, rng)
            return _standing_out(op, wide, letter) if outlier else wide
    return case


def _standing_out(op: Op, case: Case, letter: str) -> Case:
    """With the last numbers along a letter larger than all others."""
    arrays: dict[str, Any] = {}
    for name, array in case.arrays.items():
        row = letters_of(op.input(name).letters, array.ndim)
        arrays[name] = _last_larger(array, row.index(letter)) if letter in row and array.dtype.kind == "f" else array
    return case._replace(arrays=arrays)


def _last_larger(array: Array, axis: int) -> Array:
    found = np.moveaxis(array.copy(), axis, 0)
    found[-1:] *= OUTLIER
    return np.moveaxis(found, 0, axis)
