"""Larger cases: sizes near a vector width or a block size, of an input or of an output, and larger parameters.

A kernel that is right for small sizes may be wrong in its last, incomplete block, or beyond what one block holds.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.operators.params import Whole
from opcheck.operators.program import Program
from opcheck.operators.shapes import LEADING, Size
from opcheck.operators.spec import Array, Case, Op, Refused, Shape

WIDE = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
WIDE_PARAMETERS = (3, 4, 5, 7)
LARGE = (47, 64, 97, 127, 128, 129, 201, 256, 1025, 1501)
MOST_OUTPUTS, MOST_TRACED = 100_000, 300  # of a wide case; the second where bounds are traced one by one
MOST_PRODUCTS = 10_000_000
MOST_WORK = 3_000_000  # numbers that a program makes on the way to its outputs: a tenth of a second for all readings
FEW = 512  # numbers of a case of which the square is no long work
SMALLER = (8, 16, 32)  # sizes of which a larger one's work is foretold


def widened_sizes(op: Op, case: Case, rng: np.random.Generator, sizes: Sequence[int] = WIDE) -> Case:
    """The case with one of its sizes (a letter of the declared shapes) near a vector width, if that is legal."""
    sized = Sized(op, case)
    names = sized.letters()
    if not names:
        return case
    chosen = names[int(rng.integers(len(names)))]
    for size in (int(rng.choice(sizes)), int(rng.choice(WIDE))):  # the second if the first is too large
        shapes = sized.giving(chosen, size) if rng.integers(2) else sized.grown(chosen, size)
        if sized.is_moderate(shapes):
            return resized(op, case, shapes, rng)
    return case


def resized(op: Op, case: Case, shapes: dict[str, Shape], rng: np.random.Generator, legal: bool = True) -> Case:
    """The case with arrays of these shapes, filled with its own numbers; itself where that is not `legal`."""
    drawn: dict[Any, Array] = {}  # arrays of one shape stay together: a variance belongs to its mean
    arrays: dict[str, Array] = {}
    for name, array in case.arrays.items():
        shape = shapes[name]
        if not array.size and np.prod(shape):
            return case  # there are no numbers to draw from
        both = (array.shape, shape)
        if shape != array.shape and both not in drawn:
            drawn[both] = rng.integers(max(array.size, 1), size=shape)
        arrays[name] = array if shape == array.shape else _refilled(array, drawn[both], rng)
    wide = case._replace(arrays=arrays)
    if not legal or is_legal(op, wide):
        return wide
    wide = wide._replace(params=_following(case, shapes))
    # a padding that follows a wide kernel makes a large output of a small input
    return wide if is_legal(op, wide) and (not legal or Sized(op, wide).is_moderate(shapes)) else case


def is_legal(op: Op, case: Case) -> bool:
    """Whether the operator takes it."""
    try:
        op.checked(case)
    except Refused:
        return False
    return True


def _following(case: Case, shapes: dict[str, Shape]) -> dict[str, Any]:
    """The parameters, where what holds the last sizes of an input (normalized_shape) holds those of its new shape."""
    changed = dict(case.params)
    for name, value in case.params.items():
        sizes = value if isinstance(value, tuple) else (value,)
        for array, shape in shapes.items():
            if sizes and sizes == case.arrays[array].shape[-len(sizes) :]:
                last = shape[-len(sizes) :]
                changed[name] = last if isinstance(value, tuple) else last[0]
                break
    return changed


class Sized:
    """The shapes of a case with one of its sizes changed, by its letter in the declared shapes."""

    def __init__(self, op: Op, case: Case) -> None:
        self.op, self.case = op, case
        self.shapes = {name: array.shape for name, array in case.arrays.items()}
        self.rows = {
            each.name: letters_of(each.letters, len(self.shapes[each.name]))
            for each in op.inputs
            if each.name in self.shapes
        }
        for each in op.inputs:  # probabilities in place of class numbers have the shape of the first input
            if each.whole and each.name in self.rows and case.arrays[each.name].dtype.kind == "f":
                first = op.inputs[0].name
                alike = self.shapes[each.name] == self.shapes[first]
                self.rows[each.name] = self.rows[first] if alike else self.rows[each.name]
        sizes = {word: n for name, row in self.rows.items() for word, n in zip(row, self.shapes[name], strict=True)}
        self.sizes = {word: n for word, n in sizes.items() if word.isidentifier()}
        self.worked = {word: Size(word) for word in sizes if not word.isalnum() and "/" not in word}  # 4*H
        for word, size in self.worked.items():
            self.sizes.update([size.solved(sizes[word], self.sizes) or ("", 0)])
        # a word such as Cin/groups: how many times it goes into its letter
        self.parts = {word: sizes.get(word.partition("/")[0], 0) // n for word, n in sizes.items() if "/" in word and n}
        self.groups = max(self.parts.values(), default=1) or 1

    def is_moderate(self, shapes: dict[str, Shape], most: int = MOST_OUTPUTS) -> bool:
        """Whether a case of these shapes takes no long time, and has no more than `most` outputs."""
        if self._are_many(shapes):
            return False
        outputs = self._outputs(shapes) or {}
        many = sum(math.prod(shape) for shape in outputs.values())
        products = many * math.prod(shapes.get("weight", ())[1:])  # of a layer: a kernel for each output
        moderate = products < MOST_PRODUCTS and self._together(shapes) < most
        return moderate and many < (most if self.op.rounding else MOST_TRACED)

    def _are_many(self, shapes: dict[str, Shape]) -> bool:
        many = sum(math.prod(shape) for shape in shapes.values())
        return many >= 2 * MOST_OUTPUTS or (many > FEW and self.work(shapes) >= MOST_WORK)

    def work(self, shapes: Mapping[str, Shape]) -> float:
        """How many numbers a program makes for these shapes; foretold by the same with smaller ones where one size is
        large, since a program may make the square of what it is given."""
        if type(self.op).shape is not Program.shape:  # an operator of the catalogue, whose cases are known to be quick
            return 0
        sizes = {word: n for name, shape in shapes.items() for word, n in zip(self.rows[name], shape, strict=True)}
        letter = max(self.sizes, key=lambda each: sizes.get(each, 0) / max(1, self.sizes[each]), default="")
        if sizes.get(letter, 0) <= max(SMALLER[-1] + 1, self.sizes.get(letter, 0)):
            return self._work(shapes)
        first, second, third = (self._work(self.grown(letter, n)) for n in SMALLER)
        power = math.log2(max(third - second, 1) / max(second - first, 1)) if third > second else 0.0
        power = min(4.0, max(1.0, power))
        share = (third - second) / float(SMALLER[2] ** power - SMALLER[1] ** power)
        return third + share * float(float(sizes[letter]) ** power - SMALLER[2] ** power)

    def _work(self, shapes: Mapping[str, Shape]) -> int:
        op = self.op
        assert isinstance(op, Program)
        try:
            return op.work(op.settle(op.parameters(self.case.params), shapes), shapes)
        except Refused:
            return 0

    def _together(self, shapes: dict[str, Shape]) -> int:
        """The size to which inputs of any shape are broadcast."""
        free = [shape for name, shape in shapes.items() if self.op.input(name).letters == "*"]
        try:
            return math.prod(np.broadcast_shapes(*free))
        except ValueError:  # not to each other
            return 0

    def letters(self) -> list[str]:
        return sorted(self.sizes.keys() - {""})

    def having(self, name: str, axis: int, n: int) -> dict[str, Shape]:
        """With this dimension of that array `n`, and those that go with it; as they are where no letter gives it."""
        word = self.rows[name][axis]
        if word in self.parts:
            return self._with(word.partition("/")[0], n * self.parts[word])
        if word in self.worked:
            unknown = set(self.worked[word].letters)
            solved = self.worked[word].solved(n, {k: m for k, m in self.sizes.items() if k not in unknown})
            return self._with(*solved) if solved else self.shapes
        return self._with(word, n)

    def grown(self, letter: str, size: int) -> dict[str, Shape]:
        """With `size` for the letter, or in each group where that is what the operator takes."""
        in_groups = any(word.partition("/")[0] == letter for word in self.parts)
        whole = self._with(letter, size * self.groups if in_groups else size)
        legal = in_groups or self._outputs(whole) is not None
        return whole if legal else self._with(letter, size * self.groups)

    def giving(self, letter: str, size: int) -> dict[str, Shape]:
        """With the smallest size for the letter that gives an output of `size` there, where the two differ."""
        low, high = 1, 8 * size
        shared = any(letter in each.letters.split() for each in self.op.outputs)
        if not shared or not self._reaches(letter, high, size):
            return self.grown(letter, size)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._reaches(letter, middle, size) else (middle + 1, high)
        return self.grown(letter, low)

    def _reaches(self, letter: str, n: int, size: int) -> bool:
        outputs = self._outputs(self.grown(letter, n)) or {}
        return any(
            m >= size
            for each in self.op.outputs
            if each.name in outputs
            for word, m in zip(letters_of(each.letters, len(outputs[each.name])), outputs[each.name], strict=True)
            if word == letter
        )

    def _with(self, letter: str, n: int) -> dict[str, Shape]:
        sizes = {
            letter: n,
            **{word: n // k for word, k in self.parts.items() if word.partition("/")[0] == letter and k},
            **{word: each.value({**self.sizes, letter: n}) for word, each in self.worked.items()
               if letter in each.letters and all(other in self.sizes for other in each.letters)},
        }  # fmt: skip
        return {
            name: tuple(sizes.get(word, m) for word, m in zip(row, self.shapes[name], strict=True))
            for name, row in self.rows.items()
        }

    def _outputs(self, shapes: dict[str, Shape]) -> dict[str, Shape] | None:
        """The shapes of the outputs, or None where the operator refuses these; none at all where a program would have
        to be run on too many numbers to see them."""
        if type(self.op).shape is Program.shape and self._are_many(shapes):
            return {}
        try:
            return self.op.shape(self.op.settle(self.op.parameters(self.case.params), shapes), shapes)
        except Refused:
            return None


def widened_parameter(op: Op, case: Case, rng: np.random.Generator) -> Case:
    """The case with one whole-number parameter (a stride, a dilation) larger than samplers draw it, if that is legal.

    A dilated window may lie in the padding entirely: then it has no maximum, and torch's backward pass writes beyond
    the input, where it would have been. Such a case is left as it was.
    """
    names = [each.name for each in op.params if isinstance(each.kind, Whole) and each.name in case.params]
    if not names:
        return case
    name, number = names[int(rng.integers(len(names)))], int(rng.choice(WIDE_PARAMETERS))
    changed = case._replace(params={**case.params, name: number})
    try:
        _, shapes = op.checked(changed)
    except Refused:
        return case
    if sum(int(np.prod(shape)) for shape in shapes.values()) >= MOST_OUTPUTS:
        return case
    return changed if sees_its_input(op, changed) else case


def sees_its_input(op: Op, case: Case) -> bool:
    """Whether no window lies in the padding entirely: then an input of ones has finite results."""
    return all(np.isfinite(each).all() for each in of_ones(op, case))


def of_ones(op: Op, case: Case) -> list[Array]:
    """What becomes of an input of ones."""
    ones = {each: np.ones_like(array) if array.dtype.kind == "f" else array for each, array in case.arrays.items()}
    with np.errstate(all="ignore"):
        return list(op.run(case._replace(arrays=ones)).values())


def letters_of(declared: str, dimensions: int) -> list[str]:
    """One word for each dimension, from the right. What `*` or `...` stands for has numbers: from the right where it
    comes first, as arrays are broadcast, and from the left where it comes last."""
    words = declared.split()
    star = next((k for k, word in enumerate(words) if word in LEADING), None)
    before, after = (words, []) if star is None else (words[:star], words[star + 1 :])
    free = dimensions - len(before) - len(after)
    if free < 0:
        return [*before, *after][-dimensions:] if dimensions else []
    numbers = range(free) if before and star is not None else reversed(range(free))
    row = [f"d{k}" for k in numbers]
    return [*row, *before] if star is None else [*before, *row, *after]


def _refilled(array: Array, places: Array, rng: np.random.Generator) -> Array:
    """An array of another shape with the same kind of numbers: those at these places of the flat array."""
    taken = array.ravel()[places]
    signed = array.dtype.kind == "f" and (array < 0).any()
    return np.asarray(taken * rng.choice([1.0, -1.0], size=places.shape)) if signed else np.asarray(taken)
