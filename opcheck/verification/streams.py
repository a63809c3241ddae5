"""Where trials come from: a trial is a pure function of (operator, dtype, seed, index), so any shard repeats anywhere.

The operator's sampler asks a chooser; ours notes every decision, so that a failing trial can be taken back to simpler
decisions. Values are drawn by a policy: `exact` (small whole numbers: equality is demanded), `real` (several scales:
the rounding bound is demanded) and `special` (NaN, infinities, zeros, subnormals among real numbers).
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from opcheck.choosers import ExactValues, RealValues, Values, every_case
from opcheck.spec import Array, Case, Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.formats import Format, format_of

T = TypeVar("T")

# One period of the stream. Wide trials have one size near a vector width or a block size.
POLICIES = ("exact", "real", "exact", "real", "special", "exact wide", "real", "real wide")
WIDE = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
LARGEST_WHOLE = {"float64": 64, "float32": 64, "float16": 8, "bfloat16": 3}


class Exact(ExactValues):
    """Whole numbers small enough for the format: the sum of a few dozen products is representable."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng, LARGEST_WHOLE[f.name])


class Real(RealValues):
    """Numbers of the format on several scales; float16 keeps away from its overflow."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng)
        self.f = f
        if f.highest < 100:
            self.scales = (1.0, 1.0, 1.0, 0.125, 8.0)

    def array(self, *shape: int) -> Array:
        return self.f.round(super().array(*shape))

    def unit(self, *shape: int) -> Array:
        most = 1 - 2.0**-self.f.digits  # the largest number of the format below one
        return np.clip(self.f.round(super().unit(*shape)), 2.0**-10, most)

    def positive(self, *shape: int) -> Array:
        return self.f.round(super().positive(*shape))


class Special(Real):
    """Real numbers of which some are special; only the first array that is asked for has them."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng, f)
        self.first = True
        subnormal = () if f.name == "bfloat16" else (f.smallest, -f.smallest)  # see Format.eta
        extreme = (*subnormal, f.largest, -f.largest, f.largest / 2, 2.0**f.lowest, 0.0, -0.0)
        infinite = (np.nan, np.nan, np.inf, -np.inf, 0.0)
        # not both in one case: where an overflow meets an infinity, the order of summation decides
        self.numbers = infinite if rng.integers(2) else extreme

    def array(self, *shape: int) -> Array:
        x = super().array(*shape)
        if not self.first or not x.size:
            return x
        self.first = False
        how_many = int(self.rng.integers(1, 3, endpoint=True))
        places = self.rng.integers(x.size, size=how_many)
        x.flat[places] = self.rng.choice(np.asarray(self.numbers), size=how_many)
        if x.ndim and self.rng.integers(4) == 0:
            x[0] = self.rng.choice(np.asarray(self.numbers))  # a whole row: all -inf, all NaN, all equal
        return x


VALUES = {"exact": Exact, "real": Real, "special": Special}


class NotingChooser:
    """Takes the decisions that it is given and then decides at random (or always for the simplest), noting each."""

    def __init__(self, rng: np.random.Generator, values: Values, decisions: Sequence[int] = (), rest: str = "random"):
        self.rng, self.rest = rng, rest
        self.decisions = list(decisions)
        self.taken: list[int] = []
        self.array, self.unit = values.array, values.unit
        self.positive, self.classes = values.positive, values.classes

    def _decide(self, count: int) -> int:
        k = len(self.taken)
        if k < len(self.decisions):
            choice = min(self.decisions[k], count - 1)
        else:
            choice = int(self.rng.integers(count)) if self.rest == "random" else 0
        self.taken.append(choice)
        return choice

    def whole(self, low: int, high: int) -> int:
        return low + self._decide(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self._decide(len(options))]


def trial(op: Op, dtype: str, seed: int, index: int) -> Trial:
    """The trial of that address."""
    made, _ = noted_trial(op, dtype, seed, index)
    return made


def noted_trial(
    op: Op, dtype: str, seed: int, index: int, decisions: Sequence[int] = (), rest: str = "random"
) -> tuple[Trial, list[int]]:
    """The trial of an address with some decisions replaced, and the decisions that it took."""
    f = format_of(dtype)
    policy, _, wide = POLICIES[index % len(POLICIES)].partition(" ")
    seeds = [seed, zlib.crc32(op.name.encode()), zlib.crc32(dtype.encode()), index]
    values = VALUES[policy](np.random.default_rng([*seeds, 1]), f)
    chooser = NotingChooser(np.random.default_rng(seeds), values, decisions, rest)
    with np.errstate(all="ignore"):  # a sampler may scale what it is given beyond the largest number
        case = in_format(op.sample(chooser), f, keep_infinities=policy == "special")
    rng = np.random.default_rng([*seeds, 2])
    if wide and rest == "random" and not decisions:
        case = widened_sizes(op, case, rng)
    address = (op.name, dtype, seed, index)
    return with_directions(op, Trial(case, dtype, policy, address=address), rng), chooser.taken


def every_trial(op: Op, dtype: str, seed: int = 0) -> Iterator[Trial]:
    """Every combination of the sampler's decisions, on exact inputs."""
    f = format_of(dtype)
    for index, case in enumerate(every_case(op.sample, seed, lambda rng: Exact(rng, f))):
        rng = np.random.default_rng([seed, index])
        yield with_directions(op, Trial(case, dtype, "exact", address=(op.name, dtype, index)), rng)


def in_format(case: Case, f: Format, keep_infinities: bool = False) -> Case:
    """The case with every real number one of the format (a sampler may have scaled what it was given)."""
    arrays = {}
    for name, array in case.arrays.items():
        if array.dtype.kind == "f":
            array = f.round(array)
            array = array if keep_infinities else np.clip(array, -f.largest, f.largest)
        arrays[name] = array
    return Case(case.op, arrays, case.params)


def with_directions(op: Op, made: Trial, rng: np.random.Generator) -> Trial:
    """The trial with a random cotangent for each differentiable output and a tangent for each such input."""
    f = format_of(made.dtype)
    _, shapes = op.checked(made.case)
    values = Exact(rng, f) if made.policy == "exact" else Real(rng, f)
    cotangent = {
        each.name: values.array(*shapes[each.name])
        for each in op.outputs
        if each.differentiable and each.name in shapes
    }
    tangents = {name: values.array(*made.case.arrays[name].shape) for name in differentiable(op, made.case)}
    return made.replace(cotangent=cotangent, tangents=tangents)


def differentiable(op: Op, case: Case) -> list[str]:
    """The inputs of this case that have a gradient."""
    return [
        each.name
        for each in op.inputs
        if each.differentiable and each.name in case.arrays and case.arrays[each.name].dtype.kind == "f"
    ]


def widened_sizes(op: Op, case: Case, rng: np.random.Generator) -> Case:
    """The case with one of its sizes (a letter of the declared shapes) near a vector width, if that is legal."""
    letters = {
        each.name: _letters(each.letters, case.arrays[each.name].ndim) for each in op.inputs if each.name in case.arrays
    }
    names = sorted({letter for row in letters.values() for letter in row if letter.isalnum()})
    if not names:
        return case
    chosen, size = names[int(rng.integers(len(names)))], int(rng.choice(WIDE))
    arrays: dict[str, Array] = {}
    for name, array in case.arrays.items():
        shape = tuple(size if letter == chosen else n for letter, n in zip(letters[name], array.shape, strict=True))
        arrays[name] = array if shape == array.shape else _refilled(array, shape, rng)
    wide = Case(case.op, arrays, case.params)
    try:
        _, shapes = op.checked(wide)
    except Refused:
        return case
    many = sum(int(np.prod(shape)) for shape in shapes.values())
    return wide if many < 100_000 else case


def _letters(declared: str, dimensions: int) -> list[str]:
    """One word for each dimension, from the right; what `*` stands for is counted from the left: d0, d1, ..."""
    words = [word for word in declared.split() if word != "*"]
    leading = [f"d{k}" for k in range(dimensions - len(words))]
    return [*leading, *words[max(0, len(words) - dimensions) :]]


def _refilled(array: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """An array of another shape with the same kind of numbers."""
    if not array.size:
        return np.ones(shape, dtype=array.dtype)
    drawn = rng.choice(array.ravel(), size=shape)
    signed = array.dtype.kind == "f" and (array < 0).any()
    return np.asarray(drawn * rng.choice([1.0, -1.0], size=shape)) if signed else np.asarray(drawn)
