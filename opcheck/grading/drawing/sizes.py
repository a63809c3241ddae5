"""Cases with other sizes: a size is a letter of the declared shapes, and changes in every array that has it."""

from collections.abc import Callable

import numpy as np

from opcheck.errors import Refused
from opcheck.operators.spec import Array, Case, Op


def sizes(op: Op, case: Case) -> dict[str, int]:
    """Each letter of the declared shapes and its size in this case; leading dimensions are d0, d1, ..."""
    return {
        letter: n
        for name, words in _words(op, case).items()
        for letter, n in zip(words, case.arrays[name].shape, strict=True)
    }


def cut(op: Op, case: Case, letter: str, size: int) -> Case | None:
    """The case with the first `size` places along a letter; None where that is not legal."""
    return _resized(op, case, letter, lambda array, axis: array.take(range(min(size, array.shape[axis])), axis))


def enlarged(op: Op, case: Case, size: int, rng: np.random.Generator, letters: slice = slice(None)) -> Case:
    """The case with each size of its first array (or some) grown to `size` where that is legal, filled from its own
    numbers."""
    main = next(iter(_words(op, case).values()))
    for letter in main[letters]:
        grown = _resized(op, case, letter, lambda array, axis: _grown(array, axis, size, rng))
        case = grown or case
    return case


def _grown(array: Array, axis: int, size: int, rng: np.random.Generator) -> Array:
    shape = tuple(size if k == axis else n for k, n in enumerate(array.shape))
    return np.asarray(rng.choice(array.ravel(), size=shape))


def _resized(op: Op, case: Case, letter: str, change: Callable[[Array, int], Array]) -> Case | None:
    arrays = {
        name: change(case.arrays[name], words.index(letter)) if letter in words else case.arrays[name]
        for name, words in _words(op, case).items()
    }
    changed = Case(case.op, arrays, case.params)
    try:
        op.checked(changed)
    except Refused:
        return None
    return changed


def _words(op: Op, case: Case) -> dict[str, list[str]]:
    """A letter for each dimension of each array; what `*` stands for, wherever it stands, is d0, d1, ...

    Where it stands for fewer dimensions than in the first array, it is for the last of them, as in broadcasting. An
    array with more dimensions than letters (probabilities instead of class numbers) has those of the first array.
    """
    found: dict[str, list[str]] = {}
    most = 0  # dimensions that `*` stands for in the first array that has it
    for each in op.inputs:
        if each.name in case.arrays:
            words = [word for word in each.letters.split() if word != "*"]
            dims = case.arrays[each.name].ndim
            first = next(iter(found.values()), [])
            words = first if len(words) < dims == len(first) else words
            star = each.letters.split().index("*") if "*" in each.letters.split() and len(words) < dims else 0
            stars = max(0, dims - len(words))
            most = most or stars
            others = [f"d{k}" for k in range(most - stars, most)]
            found[each.name] = [*words[:star], *others, *words[max(star, len(words) - dims) :]]
    return found
