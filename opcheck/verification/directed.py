"""Directed cases: what is not left to chance comes once for every operator, before anything random.

*Planted*: each special number at each kind of place (first, last, everywhere, tied, beside another one), points where
branches meet (0, one half, 1, two inputs that are equal), and scales up to the edge of overflow. They stand only in
inputs in which the operator's sampler puts any real number.

*Wide*: each size that an operator declares, beyond one block of any kernel, with a structure along it that blocks cut:
rising and falling rows, one maximum, one NaN, a half of nothing but -inf. One row that rises over 8,192 places shows
every block size at once whose result is not carried over to the next; other sizes differ from run to run.

Their addresses are -count(op) to -1: the same number of them for every seed and every number of random cases.
"""

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from opcheck.operators.choosers import Values
from opcheck.operators.spec import Array, Case, Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.draws import VALUES
from opcheck.verification.patterns import FIRST_INPUT, OTHER_INPUTS, STRUCTURES, Pattern
from opcheck.verification.streams import NotingChooser, in_format, scope_place, with_directions
from opcheck.verification.streams import trial as random_trial
from opcheck.verification.truth.definition import Definition
from opcheck.verification.truth.formats import Format, format_of
from opcheck.verification.widening import Sized, resized

BLOCKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
MANY = 65_536  # rows or channels: beyond what one axis of a GPU's grid, or an index of 16 bits, counts
PROBES = 24  # draws of a sampler that show what it can make
DRAWS = 8  # of which the smallest case that has room for a pattern is taken
SLIM = 2  # the other sizes of a wide case, at most
INPUTS = 3  # that are planted
LETTERS = 6  # sizes that become wide
MOST_TRACED = 12_000  # nodes of a wide case with special numbers: their truth is traced
MARK = 0.7109375  # a number that no sampler makes

# along each size: what stands there, and the largest block: 0 for one that differs from run to run
ALONG = (
    ("rising", 4096), ("random", 0), ("falling", 0), ("maximum", 4096), ("first half -inf", 1024), ("special", 0),
)  # fmt: skip


class Planted(NamedTuple):
    """A pattern of numbers in one of the inputs."""

    input: str
    pattern: Pattern


class Wide(NamedTuple):
    """One size beyond a block, and what stands along it."""

    letter: int
    structure: str
    block: int


class Probe(NamedTuple):
    """What the cases of a sampler have: inputs for any real number, and how many sizes."""

    inputs: tuple[str, ...]
    letters: int


@cache
def plans(op: Op) -> tuple[Planted | Wide, ...]:
    """The directed cases of an operator."""
    probe = probed(op)
    planted = [
        Planted(name, pattern)
        for k, name in enumerate(probe.inputs[:INPUTS])
        for pattern in (OTHER_INPUTS if k else FIRST_INPUT)
    ]
    letters = min(probe.letters, LETTERS)
    wide = [Wide(k, structure, block) for structure, block in ALONG for k in range(letters)]
    many = [Wide(0, "random", MANY)] if letters else []
    return (*planted, *wide, *many)


def count(op: Op) -> int:
    """How many directed cases it has."""
    return len(plans(op))


@cache
def probed(op: Op) -> Probe:
    """What some draws of an operator's sampler show."""
    found: dict[str, None] = {}
    letters = 0
    for k in range(PROBES):
        case = op.sample(NotingChooser(Marked(np.random.default_rng(k)), scope_place(op, k)))
        letters = max(letters, len(Sized(op, case).letters()))
        found |= {name: None for name, array in case.arrays.items() if array.size and (np.abs(array) == MARK).all()}
    return Probe(tuple(each.name for each in op.inputs if each.name in found), letters)


class Marked(Values):
    """Arrays of one number by which they are known again."""

    def array(self, *shape: int) -> Array:
        return np.full(shape, MARK)

    def unit(self, *shape: int) -> Array:
        return np.full(shape, 0.5)

    def positive(self, *shape: int) -> Array:
        return np.full(shape, 2.0)


def trial(op: Op, dtype: str, seed: int, index: int) -> Trial:
    """The trial of an address: directed below 0, random from 0 on."""
    return random_trial(op, dtype, seed, index) if index >= 0 else next(directed(op, dtype, seed, index))


def directed(op: Op, dtype: str, seed: int, index: int) -> Iterator[Trial]:
    """The directed trial of an address, and after it the same with other parameters."""
    plan, f = plans(op)[index], format_of(dtype)
    for attempt in range(DRAWS):
        seeds = [seed, zlib.crc32((op.title or op.name).encode()), zlib.crc32(dtype.encode()), -index, attempt]
        rng = np.random.default_rng(seeds)
        place = seed + DRAWS * (-index + attempt)
        if isinstance(plan, Planted):
            case, policy, block = *planted(op, plan, f, place, rng), 0
        else:
            case, policy, block = widened(op, plan, f, place, rng, seed - index)
        case = in_format(case, f, keep_infinities=policy == "special")
        address = (op.name, dtype, seed, index)
        made = Trial(case, dtype, policy, address=address, fixed=tuple(op.fixed), block=block)
        yield with_peak(with_directions(op, made, rng), index) if block else with_directions(op, made, rng)


def drawn(op: Op, policy: str, f: Format, place: int, rng: np.random.Generator, fits: Callable[[Case], bool]) -> Case:
    """One of the smaller of some cases of the sampler that fit; the largest of them if none does."""
    cases = []
    for k in range(DRAWS):
        with np.errstate(all="ignore"):
            cases.append(op.sample(NotingChooser(VALUES[policy](rng, f), scope_place(op, place + k))))
    fitting = sorted(filter(fits, cases), key=size_of)
    return fitting[place % (len(fitting) // 2 + 1)] if fitting else max(cases, key=size_of)


def size_of(case: Case) -> int:
    return sum(array.size for array in case.arrays.values())


# --- planted ----------------------------------------------------------------------------------------------------------


def planted(op: Op, plan: Planted, f: Format, place: int, rng: np.random.Generator) -> tuple[Case, str]:
    """A case with the pattern in its input, or as it was drawn where that is no legal call; and its policy."""

    def has_room(case: Case) -> bool:
        array = case.arrays.get(plan.input)
        return array is not None and array.size > 1 and min(array.shape, default=0) > 1

    drawn_as = "real" if plan.pattern.policy == "special" else plan.pattern.policy
    case = drawn(op, drawn_as, f, place, rng, has_room)
    if plan.input not in case.arrays or not case.arrays[plan.input].size:
        return case, drawn_as
    changed = case._replace(arrays=plan.pattern.put(dict(case.arrays), plan.input, f))
    return (changed, plan.pattern.policy) if is_legal(op, changed) else (case, drawn_as)


def is_legal(op: Op, case: Case) -> bool:
    try:
        op.checked(case)
    except Refused:
        return False
    return True


# --- wide -------------------------------------------------------------------------------------------------------------


def widened(
    op: Op, plan: Wide, f: Format, place: int, rng: np.random.Generator, turn: int
) -> tuple[Case, str, int]:  # fmt: skip
    """A case with one size beyond a block and a structure along it; its policy; and the block, 0 if it stays small."""
    names = ("maximum first", "maximum in the middle", "maximum last") if plan.structure == "maximum" else (
        ("nan in the middle", "nan last", "inf first", "-inf last", "last half -inf")
        if plan.structure == "special" else (plan.structure,)
    )  # fmt: skip
    structure = STRUCTURES.get(names[turn % len(names)])
    policy = "special" if structure and structure.special else "real" if structure or turn % 2 else "exact"
    drawn_as = "real" if policy == "special" else policy

    def has_letter(case: Case) -> bool:
        return all(a.size for a in case.arrays.values()) and len(Sized(op, case).letters()) > plan.letter

    case = slim(op, drawn(op, drawn_as, f, place, rng, has_letter), rng)
    letters = Sized(op, case).letters()
    if not letters:
        return case, drawn_as, 0
    letter = letters[(plan.letter if plan.block < MANY else turn) % len(letters)]
    wide, block = grown(op, case, letter, plan.block or BLOCKS[turn * 13 % len(BLOCKS)], turn, rng)
    if structure is None or not block:
        return wide, drawn_as, block
    for numbers in structure.choices:
        along = put_along(op, wide, letter, numbers, rng)
        if along is not wide and is_legal(op, along) and (policy != "special" or nodes_of(op, along) <= MOST_TRACED):
            return along, policy, block
    return wide, drawn_as, block


def slim(op: Op, case: Case, rng: np.random.Generator) -> Case:
    """The case with each size as small as it is legal and may matter."""
    for letter in Sized(op, case).letters():
        sized = Sized(op, case)
        if sized.sizes[letter] > SLIM:
            case = resized(op, case, sized.grown(letter, SLIM), rng)
    return case


def grown(op: Op, case: Case, letter: str, block: int, turn: int, rng: np.random.Generator) -> tuple[Case, int]:
    """The case with that size beside twice the block, of an output where that differs; the block is the largest up to
    this one for which the case is moderate."""
    sized = Sized(op, case)
    for smaller in sorted({each for each in (*BLOCKS, block) if each <= block}, reverse=True):
        n = smaller + 1 if smaller == MANY else 2 * smaller + (-1, 0, 1, 3 + turn % max(1, smaller - 3))[turn % 4]
        shapes = sized.giving(letter, n) if turn % 3 == 0 and smaller < MANY else sized.grown(letter, n)
        if sized.is_moderate(shapes):
            wide = resized(op, case, shapes, rng)
            return wide, smaller if wide is not case else 0
    return case, 0


def put_along(
    op: Op, case: Case, letter: str, numbers: Callable[[Array, np.random.Generator], Array], rng: np.random.Generator
) -> Case:  # fmt: skip
    """The case with these numbers along that size of the first input that has it."""
    rows = Sized(op, case).rows
    for name in (each.name for each in op.inputs if each.name in rows):
        array = case.arrays[name]
        axes = [k for k, word in enumerate(rows[name]) if letter in (word, word.partition("/")[0])]
        if axes and array.dtype.kind == "f":
            changed = np.moveaxis(numbers(np.moveaxis(array, axes[0], -1), rng), -1, axes[0])
            return case._replace(arrays={**case.arrays, name: np.ascontiguousarray(changed)})
    return case


def nodes_of(op: Op, case: Case) -> int:
    """About how many nodes the definition of all outputs has: what the first takes, and each further one takes anew."""
    definition, total = Definition(op, op.completed(case)), 0
    for name, shape in definition.shapes.items():
        if op.output(name).whole or not np.prod(shape):
            continue
        before = len(definition.tape.nodes)
        definition.node(name, (0,) * len(shape))
        first = len(definition.tape.nodes)
        definition.node(name, tuple(n - 1 for n in shape))
        total += first - before + (int(np.prod(shape)) - 1) * (len(definition.tape.nodes) - first)
    return total


def with_peak(made: Trial, index: int) -> Trial:
    """The trial with the largest number of its cotangent in the first, a middle or the last block."""
    cotangent = {}
    for name, g in made.cotangent.items():
        cotangent[name] = g.copy()
        if g.size:
            cotangent[name].flat[(0, g.size // 2, g.size - 1)[index % 3]] *= 4.0
    return made.replace(cotangent=cotangent)
