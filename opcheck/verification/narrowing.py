"""Fewer cases: those that an implementation was written for.

A kernel of a benchmark has no choice of `dim`, and takes matrices of 32 columns. `narrowed(op, fixed, shapes)` is the
operator with cases of these only: its sampler draws no others, and what makes cases larger, smaller or simpler is
refused where it would leave them.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from opcheck.backends.torch_module import built, limits
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.choosers import Chooser, RandomChooser
from opcheck.operators.shapes import Letters, Size, Sizes, letters_in
from opcheck.operators.spec import Case, Op, Params, Shape
from opcheck.verification.widening import Sized, resized

T = TypeVar("T")
DRAWS = 400  # of a sampler, until one fits
CHANGES = 12  # of one size, to make a case fit
SIZES = (1, 2, 3, 4, 5, 6, 7)  # of a letter


@dataclass(frozen=True)
class Narrowing:
    """What cases are left: `fixed` parameters by name, and the declared shapes of arrays by name."""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)

    def of(self, op: Op) -> Op:
        """The operator with these cases only; itself where nothing is left out. Raises Refused where none is left."""
        if not self.fixed and not self.shapes:
            return op
        known: dict[str, Op] = op.__dict__.setdefault("_narrowed", {})
        key = repr((sorted(self.fixed.items()), sorted(self.shapes.items())))
        if key not in known:
            known[key] = narrowed(op, self.fixed, self.shapes)
        return known[key]

    def beside(self, ops: Sequence[Op], candidate: Any) -> "Narrowing":
        """These, and what a module that is built already, of the one operator, has no choice of; of a user's spec, if
        any case is left."""
        if len(ops) != 1 or (module := built(candidate)) is None:
            return self
        op = ops[0]
        fixed, shapes = limits(op, module)
        found = Narrowing({**fixed, **self.fixed}, {**shapes, **self.shapes})
        try:
            found.of(op)
        except Refused:
            if op.elsewhere:
                raise
            return self
        return found


EVERY_CASE = Narrowing()


def narrowed(op: Op, fixed: Mapping[str, Any], shapes: Mapping[str, str]) -> Op:
    """A copy of the operator that has these cases only; raises Refused where it has none."""
    arrays = {each.name for each in op.inputs}
    for name in shapes:
        if name not in arrays:
            names = ", ".join(sorted(arrays))
            raise Refused(
                say("{op} has no array {name}", op=op.title or op.name, name=name),
                fix=say("its arrays are {names}", names=names),
            )
    known = {each.name: each for each in op.params}
    for name in fixed:
        if name not in known:
            raise Refused(
                say("{op} has no parameter {name}", op=op.title or op.name, name=name),
                fix=say("its parameters are {names}", names=", ".join(known) or say("none")),
            )
    made: Any = copy.copy(op)
    made.__class__ = type(type(op).__name__, (_Narrowed, type(op)), {"refuses": False})
    made.declared = {name: Letters.parse(text) for name, text in shapes.items()}
    made.fixed = {name: known[name].kind.check(name, value) for name, value in fixed.items()}
    made.whole = op
    made.sample(RandomChooser(0))
    found: Op = made
    return found


class _Narrowed(Op):
    """What a narrowed operator does otherwise than the whole one."""

    declared: Mapping[str, Letters]
    whole: Op

    def sample(self, chooser: Chooser) -> Case:
        """A case of the whole operator, made to fit; where that cannot be, another one that its decisions lead to."""
        noting = _Noting(chooser)
        case = self.whole.sample(noting)
        for k in range(DRAWS):
            seeds = [*noting.taken, k] if any(noting.taken) or k else []
            found = (self._fitted(case, seeds) if seeds else None) or self._fitted(case)
            if found is not None:
                return found
            case = self.whole.sample(_Other(chooser, [*noting.taken, k]))
        given = [
            *(f"{name}={value!r}" for name, value in self.fixed.items()),
            *(f'{name} "{each.text}"' for name, each in self.declared.items()),
        ]
        raise Refused(
            say("no case of {op} fits", op=self.title or self.name),
            got=", ".join(given),
            fix=say("opcheck ops {op} shows its arrays and parameters", op=self.name),
        )

    def checked(self, case: Case) -> tuple[Params, dict[str, Shape]]:
        """A case outside these is refused as the operator itself refuses one."""
        p, shapes = super().checked(case)
        given = self.parameters(case.params)
        for name, value in self.fixed.items():
            if given[name] != value:
                raise Refused(say("{name} is fixed at {value}", name=name, value=value), got=repr(given[name]))
        self._sizes(case)
        return p, shapes

    def _sizes(self, case: Case) -> Sizes:
        """The sizes of the letters of these shapes; raises Refused where arrays have others, or a size is 0."""
        given = {name: case.arrays[name].shape for name in self.declared if name in case.arrays}
        sizes = Sizes.match(self.declared, given)
        empty = [name for name, shape in given.items() if 0 in shape]
        if empty:
            raise Refused(say("a letter stands for a size, at least 1"), got=f"{empty[0]} {given[empty[0]]}")
        return sizes

    def _fitted(self, case: Case, seeds: Sequence[int] = ()) -> Case | None:
        """The case with the parameters that are fixed and arrays of these shapes; None where that is no call. With
        `seeds` letters get other sizes than they have."""
        if any(name not in case.arrays or len(case.arrays[name].shape) < len(letters.sizes)
               for name, letters in self.declared.items()):  # fmt: skip
            return None
        case = case._replace(params={**case.params, **self.fixed})
        rng = np.random.default_rng([abs(seed) for seed in seeds])
        letters = letters_in(self.declared.values()) if seeds else []
        sizes = {letter: int(rng.choice(SIZES)) for letter in letters}
        for _ in range(CHANGES):  # one size at a time: of the whole operator, that may change others
            try:
                changed = self._resized(case, rng, dict(sizes))
                if changed is None:
                    self.checked(case)
                    return case
                if changed is case:
                    return None
                case = changed
            except Refused:
                return None
        return None

    def _resized(self, case: Case, rng: np.random.Generator, sizes: dict[str, int]) -> Case | None:
        """The case with the first size that is not as declared made so; None if there is none to change."""
        sized = Sized(self.whole, case)
        for name, letters in self.declared.items():
            shape = case.arrays[name].shape
            first = len(shape) - len(letters.sizes)
            for k, size in enumerate(letters.sizes):
                wanted = _wanted(size, shape[first + k], sizes)
                if wanted != shape[first + k]:
                    return resized(self.whole, case, sized.having(name, first + k, wanted), rng, legal=False)
        return None


def _wanted(size: Size, n: int, sizes: dict[str, int]) -> int:
    """What a dimension of `n` must be; a letter that is met for the first time takes what is there."""
    new = [letter for letter in size.letters if letter not in sizes]
    if new:
        solved = size.solved(n, sizes) if n else None
        for letter in new:
            sizes[letter] = solved[1] if solved is not None and solved[1] > 0 else max(1, n % 5)
    return size.value(sizes)


class _Noting:
    """A chooser that notes what another one decides."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser, self.taken = chooser, list[int]()
        self.array, self.unit, self.positive, self.classes = (
            chooser.array, chooser.unit, chooser.positive, chooser.classes,
        )  # fmt: skip

    def whole(self, low: int, high: int) -> int:
        self.taken.append(self.chooser.whole(low, high))
        return self.taken[-1]

    def choice(self, options: Sequence[T]) -> T:
        self.taken.append(self.chooser.whole(0, len(options) - 1))
        return options[self.taken[-1]]


class _Other(_Noting):
    """A chooser that decides at random, by decisions that were taken before: it takes none of its own."""

    def __init__(self, chooser: Chooser, seeds: Sequence[int]) -> None:
        super().__init__(chooser)
        self.rng = np.random.default_rng([abs(seed) for seed in seeds])

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]


__all__ = ["EVERY_CASE", "Narrowing", "narrowed"]
