"""A sheet: exercises of one operator or network, level after level."""

from typing import NamedTuple

import numpy as np

from opcheck.learning.worksheets import exercise
from opcheck.learning.worksheets.exercise import LEVELS, Exercise
from opcheck.operators.spec import Op

FORMATS = ("html", "latex", "markdown")


class Sheet(NamedTuple):
    """Exercises from a seed: the same seed gives the same sheet."""

    op: Op
    exercises: tuple[Exercise, ...]
    seed: int


def drawn(op: Op, count: int, seed: int, level: int | None = None) -> Sheet:
    """`count` exercises, of all levels in their order, or of one."""
    found = []
    for k in range(count):
        wanted = 1 + k * len(LEVELS) // count if level is None else level
        found.append(exercise.drawn(op, wanted, np.random.default_rng([seed, k])))
    return Sheet(op, tuple(sorted(found, key=lambda each: each.level)), seed)  # a level may have none that fits
