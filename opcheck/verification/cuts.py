"""A part of a case: what each letter of the declared shapes stands for, cut."""

from collections.abc import Iterator, Mapping

import numpy as np

from opcheck.operators.spec import Case, Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.streams import with_directions
from opcheck.verification.widening import letters_of


def size_of(trial: Trial) -> int:
    return sum(array.size for array in trial.case.arrays.values())


def letters(declared: str, dims: int) -> list[str]:
    return [word.partition("/")[0] for word in letters_of(declared, dims)]


def sizes(op: Op, trial: Trial) -> dict[str, int]:
    """The sizes of the letters of the declared shapes."""
    arrays = trial.case.arrays
    return {
        letter: n
        for each in op.inputs if each.name in arrays
        for letter, n in zip(letters(each.letters, arrays[each.name].ndim), arrays[each.name].shape, strict=True)
    }  # fmt: skip


def cut(op: Op, trial: Trial, parts: Mapping[str, slice]) -> Iterator[Trial]:
    """The case with a part of what each of these letters stands for; nothing where that is all, or no call."""
    arrays = trial.case.arrays
    words = {each.name: letters(each.letters, arrays[each.name].ndim) for each in op.inputs if each.name in arrays}
    found = {
        name: np.asarray(array[tuple(parts.get(each, slice(None)) for each in words[name])])  # () gives no array
        for name, array in arrays.items()
    }
    if sum(array.size for array in found.values()) == size_of(trial):
        return
    try:
        made = trial.replace(case=Case(op.name, found, trial.case.params))
        yield with_directions(op, made, np.random.default_rng(0))
    except Refused:
        return
