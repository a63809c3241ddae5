"""Where trials come from: a trial is a pure function of (operator, dtype, seed, index), so any shard repeats anywhere.

The operator's sampler asks a chooser; ours notes every decision, so that a failing trial can be taken back to simpler
decisions. Values are drawn by a policy: `exact` (small whole numbers: equality is demanded), `real` (several scales:
the rounding bound is demanded) and `special` (NaN, infinities, zeros, subnormals among real numbers).

What a sampler can decide is its small scope: every combination of parameters at sizes up to about 5. A part of the
stream walks through it in an order that is spread evenly from the first trial on and comes to every combination;
`every_trial` is that walk alone.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import gcd
from typing import TypeVar

import numpy as np

from opcheck.operators.choosers import ExactValues, Values
from opcheck.operators.spec import Case, Op
from opcheck.verification.blocks import blocked
from opcheck.verification.casefile import Trial
from opcheck.verification.draws import VALUES, Exact, Real
from opcheck.verification.truth.formats import Format, format_of
from opcheck.verification.widening import LARGE, WIDE, widened_parameter, widened_sizes

T = TypeVar("T")

# One period of the stream. Scope: the next combination of the small scope; wide: one size near a vector width or a
# block size; large: several sizes, some of them beyond 1024.
POLICIES = (
    "exact scope", "real", "exact", "real", "special", "exact wide", "real scope", "real large",
    "exact scope", "real", "exact", "real", "special", "exact wide", "real scope", "real large",
)  # fmt: skip
SCOPES = sum(each.endswith("scope") for each in POLICIES)  # of one period
SCOPED = [
    sum(each.endswith("scope") for each in POLICIES[:k]) for k in range(len(POLICIES))
]  # before each of its trials
BLOCKED = (2, 3, 10, 11)  # exact and real ones that are large where the sampler of a spec from outside draws small ones


class NotingChooser:
    """Takes the decisions that it is given and then asks `otherwise(how many)`, noting each."""

    def __init__(self, values: Values, otherwise: Callable[[int], int], decisions: Sequence[int] = ()) -> None:
        self.otherwise = otherwise
        self.decisions = list(decisions)
        self.taken: list[int] = []
        self.array, self.unit = values.array, values.unit
        self.positive, self.classes = values.positive, values.classes

    def _decide(self, count: int) -> int:
        k = len(self.taken)
        choice = min(self.decisions[k], count - 1) if k < len(self.decisions) else self.otherwise(count)
        self.taken.append(choice)
        return choice

    def whole(self, low: int, high: int) -> int:
        return low + self._decide(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self._decide(len(options))]


class Chance:
    """Decides at random."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seeds)

    def __call__(self, count: int) -> int:
        return int(self.rng.integers(count))


def simplest(count: int) -> int:
    """Decides for the first option, which samplers put first because it is the simplest."""
    return 0


class Place:
    """Decides as the combination at one place of a small scope does: each decision divides what is left evenly."""

    def __init__(self, place: int, size: int) -> None:
        self.rest, self.size = place, size

    def __call__(self, count: int) -> int:
        choice, self.rest = divmod(self.rest * count, self.size)
        return choice


@cache
def scope_size(op: Op) -> int:
    """So many places that each combination of an operator's decisions has at least one.

    That is the largest product of the numbers of options that one case is asked for, as random cases show it.
    """
    rng = np.random.default_rng(0)
    largest = 1
    for _ in range(500):
        counts: list[int] = []

        def otherwise(count: int, counts: list[int] = counts) -> int:
            counts.append(count)
            return int(rng.integers(count))

        op.sample(NotingChooser(ExactValues(rng), otherwise))
        largest = max(largest, int(np.prod(counts, dtype=object)))
    return largest


def scope_place(op: Op, k: int) -> Place:
    """The k-th place of a walk that visits all of them once, each part of it spread over the whole scope."""
    size = scope_size(op)
    step = max(1, round(size * 0.6180339887498949))  # the golden section: neighbours in time are far apart
    while gcd(step, size) > 1:
        step += 1
    return Place(k * step % size, size)


def trial(op: Op, dtype: str, seed: int, index: int) -> Trial:
    """The trial of that address."""
    made, _ = noted_trial(op, dtype, seed, index)
    return made


def noted_trial(
    op: Op, dtype: str, seed: int, index: int, decisions: Sequence[int] = (), rest: str = "random"
) -> tuple[Trial, list[int]]:
    """The trial of an address with some decisions replaced, and the decisions that it took; `rest`: "first" takes the
    simplest for all that follow."""
    f = format_of(dtype)
    policy, _, kind = POLICIES[index % len(POLICIES)].partition(" ")
    seeds = [seed, zlib.crc32((op.title or op.name).encode()), zlib.crc32(dtype.encode()), index]
    values = VALUES[policy](np.random.default_rng([*seeds, 1]), f)
    otherwise: Callable[[int], int] = Chance(seeds)
    if rest == "first":
        otherwise = simplest
    elif kind == "scope" and not decisions:
        otherwise = scope_place(op, seed + index // len(POLICIES) * SCOPED[-1] + SCOPED[index % len(POLICIES)])
    chooser = NotingChooser(values, otherwise, decisions)
    with np.errstate(all="ignore"):  # a sampler may scale what it is given beyond the largest number
        case = in_format(op.sample(chooser), f, keep_infinities=policy == "special")
    rng = np.random.default_rng([*seeds, 2])
    if rest == "random" and not decisions:
        changes: dict[str, list[Sequence[int]]] = {"wide": [WIDE], "large": [WIDE, LARGE, LARGE]}
        for sizes in changes.get(kind, []):
            case = widened_sizes(op, case, rng, sizes)
        if kind in changes:
            case = widened_parameter(op, case, np.random.default_rng([*seeds, 3]))
        if not op.elsewhere and index % len(POLICIES) in BLOCKED:
            period, place = divmod(index, len(POLICIES))
            turn = seed + 2 * period + place // 8
            case = in_format(blocked(op, case, rng, turn, outlier=policy == "real"), f)
    address = (op.name, dtype, seed, index)
    made = Trial(case, dtype, policy, address=address, fixed=tuple(op.fixed))
    return with_directions(op, made, rng), chooser.taken


def every_trial(op: Op, dtype: str, seed: int = 0, first: int = 0, last: int | None = None) -> Iterator[Trial]:
    """Every combination of the sampler's decisions, on exact inputs: places `first` to `last` of the walk."""
    f = format_of(dtype)
    for index in range(first, min(scope_size(op), scope_size(op) if last is None else last)):
        rng = np.random.default_rng([seed, zlib.crc32((op.title or op.name).encode()), index])
        case = in_format(op.sample(NotingChooser(Exact(rng, f), scope_place(op, index))), f)
        made = Trial(case, dtype, "exact", address=(op.name, dtype, index), fixed=tuple(op.fixed))
        yield with_directions(op, made, rng)


def in_format(case: Case, f: Format, keep_infinities: bool = False) -> Case:
    """The case with every real number one of the format (a sampler may have scaled what it was given)."""
    arrays = {}
    for name, array in case.arrays.items():
        if array.dtype.kind == "f":
            array = f.round(array)
            array = array if keep_infinities else np.clip(array, -f.largest, f.largest)
        arrays[name] = array
    return case._replace(arrays=arrays)


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
