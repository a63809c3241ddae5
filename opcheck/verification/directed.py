"""Directed cases: what is not left to chance comes once for every operator, before anything random.

*Planted*: each special number at each kind of place (first, last, everywhere, tied, beside another one), points where
branches meet (0, one half, 1, two inputs that are equal), and scales up to the edge of overflow. They stand only in
inputs in which the operator's sampler puts any real number.

*Wide*: each size that an operator declares, beyond one block of any kernel, with a structure along it that blocks cut:
rising and falling rows, one maximum, one NaN, a half of nothing but -inf. One row that rises over 8,192 places shows
every block size at once whose result is not carried over to the next; other sizes differ from run to run.

*Around*: each size one above and one below a tile, for arrays of each number of dimensions.

Their addresses are -count(op) to -1: the same number of them for every seed and every number of random cases.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from opcheck.operators.choosers import Values
from opcheck.operators.spec import Array, Case, Op
from opcheck.verification.casefile import Trial
from opcheck.verification.draws import VALUES
from opcheck.verification.patterns import FIRST_INPUT, INF, NAN, OTHER_INPUTS, STRUCTURES, Pattern
from opcheck.verification.streams import NotingChooser, in_format, scope_place, simplest, with_directions
from opcheck.verification.streams import trial as random_trial
from opcheck.verification.truth.formats import Format, format_of
from opcheck.verification.widening import Sized, is_legal, of_ones, resized, sees_its_input

BLOCKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
MANY = 65_536  # rows or channels: beyond what one axis of a GPU's grid, or an index of 16 bits, counts
PROBES = 24  # draws of a sampler that show what it can make
DRAWS = 8  # of which the smallest case that has room for a pattern is taken
INPUTS = 3  # that are planted
LETTERS = 6  # sizes that become wide
MOST_UNSEEN = 2  # numbers of a case with a window that sees none: beyond them lies what an allocator leaves free
MOST_SPECIAL = 1024  # the largest block of a wide case with special numbers
MOST_SPECIAL_NUMBERS = 16_000  # of such a case: where they may be wrong, the definition is read
SMALL = 7  # numbers of a wide case of whole numbers
MARK = 0.7109375  # a number that no sampler makes

# along each size: what stands there, and the largest block: 0 for one that differs from run to run
ALONG = (
    ("rising", 4096), ("whole numbers", 4096), ("falling", 0), ("whole numbers", 0), ("maximum", 4096),
    ("first half -inf", 1024), ("special", 0),
)  # fmt: skip
AROUND = (17, 33, 65, 129, 15, 31, 63, 127)  # a tile and one more, one less
MOST_AROUND = 16  # cases of them
MOST_AROUND_NUMBERS = 20_000  # of one
RANKED_DRAWS = 128  # draws that show where the sampler makes which ranks
RANKS = 4  # numbers of dimensions, of all inputs together, that get cases of their own
RANKS_AROUND = 2  # of them that get sizes around blocks
RANKED = (("last", NAN), ("over zeros", INF), ("over zeros", NAN))  # patterns that each gets; without others, the first
FAMILIES = {
    "maximum": ("maximum first", "maximum in the middle", "maximum last"),
    "special": ("nan in the middle", "nan last", "inf first", "-inf last", "last half -inf"),
}


Ranks = tuple[tuple[str, int], ...]  # how many dimensions each input has that is always there


class Planted(NamedTuple):
    """A pattern of numbers in one of the inputs, of arrays of these ranks where some are given."""

    input: str
    pattern: Pattern
    ranks: Ranks = ()


class Wide(NamedTuple):
    """One size beyond a block, and what stands along it."""

    letter: int
    structure: str
    block: int
    rest: int  # which of 2B - 1, 2B, 2B + 1, 2B + k it is; one further in the next run


class Around(NamedTuple):
    """Some sizes, each beside a block."""

    ranks: Ranks
    sizes: tuple[tuple[str, int], ...]


class Unseen(NamedTuple):
    """A window that lies in the padding entirely: what reads or writes there may end the process."""


class Probe(NamedTuple):
    """What the cases of a sampler have: inputs for any real number, how many sizes, windows without numbers."""

    inputs: tuple[str, ...]
    letters: int
    unseen: bool
    ranks: tuple[Ranks, ...]


@cache
def plans(op: Op) -> tuple[Planted | Wide | Around | Unseen, ...]:
    """The directed cases of an operator."""
    probe = probed(op)
    planted = [
        Planted(name, pattern)
        for k, name in enumerate(probe.inputs[:INPUTS])
        for pattern in (OTHER_INPUTS if k else FIRST_INPUT)
    ]
    planted += [
        Planted(name, Pattern(place, (number,)), ranks)
        for ranks in probe.ranks if len(probe.ranks) > 1
        for name in probe.inputs[:INPUTS]
        for place, number in RANKED[: len(RANKED) if len(probe.inputs) > 1 else 1]
        if dict(ranks).get(name)
    ]  # fmt: skip
    planted.sort(key=lambda plan: plan.pattern.policy == "special")  # what is wrong at plain numbers is told first
    letters = min(probe.letters, LETTERS)
    wide = [Wide(k, *along, rest) for rest, along in enumerate(ALONG) for k in range(letters)]
    many = [Wide(0, "whole numbers", MANY, 2)] if letters else []
    return (*planted, *wide, *around(op, probe.ranks), *many, *[Unseen()] * (2 if probe.unseen else 0))


def count(op: Op) -> int:
    """How many directed cases it has."""
    return len(plans(op))


@cache
def probed(op: Op) -> Probe:
    """What some draws of an operator's sampler show."""
    found: dict[str, None] = {}
    letters, unseen = 0, False
    for k in range(PROBES):
        case = op.sample(NotingChooser(Marked(np.random.default_rng(k)), scope_place(op, k)))
        letters = max(letters, len(Sized(op, case).letters()))
        unseen |= is_unseen(op, slim(op, case, 0, np.random.default_rng(k), seen=False))
        found |= {name: None for name, array in case.arrays.items() if array.size and (np.abs(array) == MARK).all()}
    inputs = tuple(each.name for each in op.inputs if each.name in found)
    plain = ranks_of(op, op.sample(NotingChooser(Marked(np.random.default_rng(0)), simplest)))
    often = sorted(  # the plainest first, and what most kernels are written for: matrices
        places_of(op),
        key=lambda ranks: (ranks != plain, any(n != 2 for _, n in ranks), -len(places_of(op)[ranks])),
    )
    return Probe(inputs, letters, unseen, tuple(ranks for ranks in often if any(n for _, n in ranks))[:RANKS])


@cache
def places_of(op: Op) -> dict[Ranks, list[int]]:
    """Where in the small scope an operator's sampler makes arrays of which ranks."""
    found: dict[Ranks, list[int]] = {}
    for k in range(RANKED_DRAWS):
        case = op.sample(NotingChooser(Marked(np.random.default_rng(0)), scope_place(op, k)))
        if _is_full(case):
            found.setdefault(ranks_of(op, case), []).append(k)
    return found


def ranks_of(op: Op, case: Case) -> Ranks:
    """How many dimensions the inputs of real numbers have that every case has."""
    always = [each.name for each in op.inputs if not each.optional and not each.whole]
    return tuple((name, case.arrays[name].ndim) for name in always if name in case.arrays)


class Marked(Values):
    """Arrays of one number by which they are known again."""

    def array(self, *shape: int) -> Array:
        return np.full(shape, MARK)

    def unit(self, *shape: int) -> Array:
        return np.full(shape, 0.5)

    def positive(self, *shape: int) -> Array:
        return np.full(shape, 2.0)


@lru_cache(maxsize=64)  # a call of another shape, in between, is that of the next trial; all mutants have the same
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
        elif isinstance(plan, Unseen):
            case, policy, block = unseen(op, f, place, rng), "real", 0
        elif isinstance(plan, Around):
            case, policy, block = beside(op, plan, f, place, rng), "exact", 0
        else:
            case, policy, block = widened(op, plan, f, place, rng, seed)
        case = in_format(case, f, keep_infinities=policy == "special")
        address = (op.name, dtype, seed, index)
        made = Trial(
            case, dtype, policy, address=address, fixed=tuple(op.fixed), block=block, alone=isinstance(plan, Unseen)
        )
        yield with_peak(with_directions(op, made, rng), index) if block else with_directions(op, made, rng)


def size_of(case: Case) -> int:
    return sum(array.size for array in case.arrays.values())


def drawn(
    op: Op, policy: str, f: Format, place: int, rng: np.random.Generator, fits: Callable[[Case], bool],
    key: Callable[[Case], int] = size_of, ranks: Ranks = (),
) -> Case:  # fmt: skip
    """One of the smaller of some cases of the sampler that fit; the largest of them if none does. Where `ranks` are
    given, all of them have these."""
    cases, places = [], places_of(op).get(ranks, [])
    for k in range(place, place + DRAWS):
        where = places[k % len(places)] if places else k
        with np.errstate(all="ignore"):
            cases.append(op.sample(NotingChooser(VALUES[policy](rng, f), scope_place(op, where))))
    fitting = [case for case in cases if fits(case)]
    least = min(map(key, fitting), default=0)
    small = [case for case in fitting if key(case) <= least] if key is not size_of else sorted(fitting, key=key)
    return small[place % (len(small) // 2 + 1)] if small else max(cases, key=key)


# --- planted ----------------------------------------------------------------------------------------------------------


def planted(op: Op, plan: Planted, f: Format, place: int, rng: np.random.Generator) -> tuple[Case, str]:
    """A case with the pattern in its input, or as it was drawn where that is no legal call; and its policy."""

    def has_room(case: Case) -> bool:
        array = case.arrays.get(plan.input)
        return array is not None and array.size > 1 and min(array.shape, default=0) > 1

    drawn_as = "real" if plan.pattern.policy == "special" else plan.pattern.policy
    case = drawn(op, drawn_as, f, place, rng, has_room, ranks=plan.ranks)
    if plan.input not in case.arrays or not case.arrays[plan.input].size:
        return case, drawn_as
    changed = case._replace(arrays=plan.pattern.put(dict(case.arrays), plan.input, f))
    return (changed, plan.pattern.policy) if is_legal(op, changed) else (case, drawn_as)


# --- around blocks ----------------------------------------------------------------------------------------------------


def around(op: Op, ranks: tuple[Ranks, ...]) -> list[Around]:
    """Cases in which each size of an operator is each of AROUND once, for arrays of each number of dimensions; several
    sizes in one case, as far as it stays small. Of a spec from outside, as many as there are sizes: its random cases
    go beyond blocks as well."""
    found: list[Around] = []
    most = MOST_AROUND if op.elsewhere else len(AROUND)
    for each in ranks[: RANKS_AROUND if op.elsewhere else 1]:
        rng = np.random.default_rng(0)
        case = slim(op, drawn(op, "exact", format_of("float32"), 0, rng, _is_full, ranks=each), 0, rng)
        letters = Sized(op, case).letters()
        left = {(letter, n) for letter in letters for n in AROUND}
        for turn in range(most):
            order = [*letters[turn % len(letters) :], *letters[: turn % len(letters)]] if letters else []
            wanted = [(letter, next((n for n in (*AROUND[k:], *AROUND) if (letter, n) in left), 0))
                      for k, letter in enumerate(order, turn % len(AROUND))]  # fmt: skip
            _, taken = enlarged(op, case, [(letter, n) for letter, n in wanted if n], rng)
            left -= set(taken)
            found += [Around(each, tuple(taken))] if taken else []
    return found


def _is_full(case: Case) -> bool:
    return all(array.size for array in case.arrays.values())


def enlarged(
    op: Op, case: Case, sizes: Iterable[tuple[str, int]], rng: np.random.Generator
) -> tuple[Case, list[tuple[str, int]]]:
    """The case with each of these sizes that leaves it legal and small, and those that did."""
    taken = []
    for letter, n in sizes:
        sized = Sized(op, case)
        shapes = sized.grown(letter, n) if letter in sized.sizes else sized.shapes
        if shapes == sized.shapes or not sized.is_moderate(shapes, MOST_AROUND_NUMBERS):
            continue
        larger = resized(op, case, shapes, rng)
        if larger is not case:
            case = larger
            taken.append((letter, n))
    return case, taken


def beside(op: Op, plan: Around, f: Format, place: int, rng: np.random.Generator) -> Case:
    """A case of these ranks with those sizes."""
    case = slim(op, drawn(op, "exact", f, place, rng, _is_full, ranks=plan.ranks), place, rng)
    case, taken = enlarged(op, case, plan.sizes, rng)
    return in_sight(op, case, taken[0][0]) if taken else case


# --- wide -------------------------------------------------------------------------------------------------------------


def widened(op: Op, plan: Wide, f: Format, place: int, rng: np.random.Generator, seed: int) -> tuple[Case, str, int]:
    """A case with one size beyond a block and a structure along it; its policy; and the block, 0 if it stays small."""
    turn = seed + 5 * plan.letter + plan.rest
    names = FAMILIES.get(plan.structure, (plan.structure,))
    structure = STRUCTURES.get(names[turn % len(names)])
    special = structure is not None and structure.special
    drawn_as = "exact" if structure is None else "real"

    def how_many_letters(case: Case) -> int:
        return len(Sized(op, case).letters())

    def has_letter(case: Case) -> bool:
        return _is_full(case) and how_many_letters(case) > plan.letter

    case = slim(op, drawn(op, drawn_as, f, place, rng, has_letter, how_many_letters), turn, rng)
    letters = Sized(op, case).letters()
    if not letters:
        return case, drawn_as, 0
    letter = letters[(plan.letter if plan.block < MANY else turn) % len(letters)]
    blocks = [block for block in BLOCKS if block <= (MOST_SPECIAL if special else BLOCKS[-1])]
    block = plan.block or blocks[turn * 13 % len(blocks)]
    wide, block = grown(op, case, letter, block, plan.rest + seed, rng)
    if structure is None and block:
        wide = in_sight(op, wide, letter)
    if structure is None or not block or (special and not has_first(op, wide, letter)):
        return wide, drawn_as, block
    for numbers in structure.choices:
        along = put_along(op, wide, letter, numbers, rng)
        if is_legal(op, along) and (not special or size_of(along) <= MOST_SPECIAL_NUMBERS):
            return along, "special" if special else drawn_as, block
    return wide, drawn_as, block


def slim(op: Op, case: Case, turn: int, rng: np.random.Generator, seen: bool = True) -> Case:
    """The case with each size 1, and one of them 2, as far as that is legal (and windows see numbers, if they must)."""
    letters = Sized(op, case).letters()
    for k, letter in enumerate(letters):
        sized = Sized(op, case)
        smaller = resized(op, case, sized.grown(letter, 2 if k == turn % len(letters) else 1), rng)
        case = smaller if smaller is not case and (not seen or sees_its_input(op, smaller)) else case
    return case


def is_unseen(op: Op, case: Case) -> bool:
    """Whether a window lies in the padding, of a case so small that what a library writes beyond it does no harm."""
    return 0 < size_of(case) <= MOST_UNSEEN and any(np.isneginf(each).any() for each in of_ones(op, case))


def unseen(op: Op, f: Format, place: int, rng: np.random.Generator) -> Case:
    """A smallest case with a window that lies in the padding entirely; one without where that is not met."""
    for k in range(PROBES):
        case = drawn(op, "real", f, place + k, rng, _is_full)
        for turn in range(2):
            smaller = slim(op, case, turn, rng, seen=False)
            if is_unseen(op, smaller):
                return smaller
    return case


def grown(op: Op, case: Case, letter: str, block: int, rest: int, rng: np.random.Generator) -> tuple[Case, int]:
    """The case with that size beside twice the block, of an output where that differs; the block is the largest up to
    this one for which the case is moderate."""
    sized = Sized(op, case)
    for smaller in sorted({each for each in (*BLOCKS, block) if each <= block}, reverse=True):
        beyond = int(rng.integers(2, max(3, smaller)))
        n = smaller + 1 if smaller == MANY else 2 * smaller + (-1, 0, 1, beyond)[rest % 4]
        shapes = sized.giving(letter, n) if rng.integers(3) == 0 and smaller < MANY else sized.grown(letter, n)
        if sized.is_moderate(shapes):
            wide = resized(op, case, shapes, rng)
            return wide, smaller if wide is not case else 0
    return case, 0


def put_along(
    op: Op, case: Case, letter: str, numbers: Callable[[Array, np.random.Generator], Array], rng: np.random.Generator
) -> Case:
    """The case with these numbers along that size of the first input of real numbers that has it."""
    for name, axis in axes_of(op, case, letter):
        changed = np.moveaxis(numbers(np.moveaxis(case.arrays[name], axis, -1), rng), -1, axis)
        return case._replace(arrays={**case.arrays, name: np.ascontiguousarray(changed)})
    return case


def in_sight(op: Op, case: Case, letter: str) -> Case:
    """The case with numbers so small that long sums stay exact, and those at the last place along that size above 0:
    else a block of that place alone would not be missed, by relu for one."""
    arrays = {name: np.where(np.abs(array) > SMALL, np.sign(array) * (1 + np.abs(array) % SMALL), array)
              if array.dtype.kind == "f" else array for name, array in case.arrays.items()}  # fmt: skip
    for name, axis in axes_of(op, case, letter):
        last = np.moveaxis(arrays[name], axis, 0)[-1:]
        last[...] = np.where(last == 0, 1.0, np.abs(last))
    changed = case._replace(arrays=arrays)
    return changed if is_legal(op, changed) else case


def has_first(op: Op, case: Case, letter: str) -> bool:
    """Whether it is a size of the first input of real numbers: elsewhere the truth takes too long to trace."""
    first = next((name for name, array in case.arrays.items() if array.dtype.kind == "f"), "")
    return next((name == first for name, _ in axes_of(op, case, letter)), False)


def axes_of(op: Op, case: Case, letter: str) -> Iterator[tuple[str, int]]:
    """The axes of that size, in inputs of real numbers."""
    for name, row in Sized(op, case).rows.items():
        for axis, word in enumerate(row):
            if letter in (word, word.partition("/")[0]) and case.arrays[name].dtype.kind == "f":
                yield name, axis


def with_peak(made: Trial, index: int) -> Trial:
    """The trial with the largest number of its cotangent in the first, a middle or the last block."""
    cotangent = {}
    for name, g in made.cotangent.items():
        cotangent[name] = g.copy()
        if g.size:
            cotangent[name].flat[(0, g.size // 2, g.size - 1)[index % 3]] *= 4.0
    return made.replace(cotangent=cotangent)
