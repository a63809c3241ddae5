"""Failures by cause, and what the failing cases of a cause share that the agreeing ones lack.

The search is small: a condition is reported if it holds in every failing case and in no agreeing one (or, where many
fail, in very few: a bug may not always show). One that may be chance (few failing cases, many conditions) is not
reported.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from operator import eq, gt, lt, ne
from typing import Any, NamedTuple

import numpy as np

from opcheck.language import counted, say
from opcheck.operators.spec import Array, Op
from opcheck.verification.casefile import Trial
from opcheck.verification.widening import letters_of

BLOCKS = (32, 64, 16, 128, 8, 256, 4, 2)  # of which a size may have to be a multiple, the most usual first
CHANCE = (1e-3, 1e-6)  # how probable one condition, or two together, may be if cases fail at random
HIDDEN = 8  # failing cases for each agreeing one that may meet the condition too: a bug does not always show
REMEMBERED = 1000  # cases of one operator in one dtype
FEW = 64  # that is small: more than it is no limit from above
MOST_COMPARED = 256  # elements that are searched for equal ones
VALUES = ("exact", "rounding", "special")  # one claim, by the kind of numbers
LATER = ("repeat", "state")  # claims about a call after another one
TELLING = ("shape", "dtype", "values", "vjp", "jvp", "answers")


Facts = Mapping[str, Any]


class Seen(NamedTuple):
    """One case that ran: what may decide whether it fails, the cause of each claim that failed, what agreed."""

    facts: Facts
    failed: Mapping[str, str]
    agreed: frozenset[str]


class Cause(NamedTuple):
    """Failures that look alike, or fail in the same cases: (claim, cause) of each, the most telling first."""

    members: tuple[tuple[str, str], ...]
    failing: int  # cases
    agreeing: int  # cases of the same claims
    condition: str  # what the failing cases share and the agreeing ones lack; empty where nothing simple is
    hidden: int = 0  # agreeing cases that meet the condition too

    def sentence(self) -> str:
        """What the failing cases share, in words; empty if nothing simple distinguishes them."""
        if not self.condition:
            return ""
        fine = say("none") if not self.hidden else str(self.hidden)
        return counted(
            self.failing, "only where {condition}: the failing case, {k} of {m} agreeing ones",
            "only where {condition}: all {n} failing cases, {k} of {m} agreeing ones",
            condition=self.condition, k=fine, m=self.agreeing,
        )  # fmt: skip


class Condition(NamedTuple):
    words: str
    holds: Callable[[Facts], bool]


def facts(op: Op, trial: Trial) -> dict[str, Any]:
    """What may decide whether a case fails: sizes, parameters, arrays that may be missing, memory, special numbers."""
    arrays = trial.case.arrays
    found: dict[str, Any] = {}
    for each in op.inputs:
        if each.name in arrays:
            letters = letters_of(each.letters, arrays[each.name].ndim)
            found |= {f"size {k.partition('/')[0]}": n for k, n in zip(letters, arrays[each.name].shape, strict=False)}
            found[f"rank {each.name}"] = arrays[each.name].ndim
            found |= {f"special {name}": True for name in _specials(arrays[each.name], trial.dtype)}
        if each.optional:
            found[f"given {each.name}"] = each.name in arrays
    found |= {f"param {each.name}": trial.case.params.get(each.name, each.default) for each in op.params}
    found["layout"] = trial.layout
    if any(map(_has_ties, arrays.values())):
        found[f"special {say('equal numbers')}"] = True
    return found


def _specials(array: Array, dtype: str) -> Iterator[str]:
    if not array.size:
        yield say("no numbers")
    if array.dtype.kind != "f":
        return
    if np.isnan(array).any():
        yield "NaN"
    if np.isposinf(array).any():
        yield "+inf"
    if np.isneginf(array).any():
        yield "-inf"
    lowest = {"float64": -1022, "float16": -14}.get(dtype, -126)
    if ((array != 0) & (np.abs(array) < 2.0**lowest)).any():
        yield say("subnormal numbers")


def _has_ties(array: Array) -> bool:
    return array.dtype.kind == "f" and 1 < array.size <= MOST_COMPARED and np.unique(array).size < array.size


def grouped(seen: Sequence[Seen]) -> list[Cause]:
    """The causes of the failures of one operator in one dtype: what fails in the same cases, or under the same
    condition, is one cause."""
    failing: dict[tuple[str, str], set[int]] = {}
    claims: dict[tuple[str, str], dict[str, None]] = {}
    for k, each in enumerate(seen):
        for claim, cause in each.failed.items():
            failing.setdefault((_family(claim), cause), set()).add(k)
            claims.setdefault((_family(claim), cause), {})[claim] = None
    found: list[tuple[list[tuple[str, str]], set[int], Cause]] = []
    for key in sorted(failing, key=lambda each: _telling(each[0])):
        family, cause = key
        agreeing = [k for k, each in enumerate(seen) if each.agreed.intersection(claims[key])
                    and family not in map(_family, each.failed)]  # fmt: skip
        condition, hidden = shared([seen[k].facts for k in sorted(failing[key])], [seen[k].facts for k in agreeing])
        if not condition and family in LATER and all(not _alone(seen[k]) for k in failing[key]):
            condition = say("another call came before")
        members = [(claim, cause) for claim in claims[key]]
        home = next(
            (row for row in found if failing[key] <= row[1] or (condition and condition == row[2].condition)), None
        )
        if home is not None:
            home[0].extend(members)
            continue
        made = Cause((), len(failing[key]), len(agreeing), condition, hidden)
        found.append((members, failing[key], made))
    return [made._replace(members=tuple(members)) for members, _, made in found]


def _alone(each: Seen) -> bool:
    """Whether the call fails without another one before it."""
    return any(_family(claim) not in LATER for claim in each.failed)


def _family(claim: str) -> str:
    return "values" if claim in VALUES else claim


def _telling(family: str) -> int:
    kind = family.partition(":")[0]
    return TELLING.index(kind) if kind in TELLING else len(TELLING)


# --- the search -------------------------------------------------------------------------------------------------------


def shared(failing: Sequence[Facts], agreeing: Sequence[Facts]) -> tuple[str, int]:
    """The simplest condition, or two of them together, that every failing case meets and (nearly) no agreeing one; and
    how many agreeing cases meet it too.

    >>> failing, agreeing = (33, 40, 50, 70, 98, 99, 101, 111), (*range(1, 33), 64, 96, 128, 160, 192)
    >>> shared([{"size K": k} for k in failing], [{"size K": k} for k in agreeing])
    ('K > 32 and K % 32 != 0', 0)
    >>> shared([{"size K": 3}], [{"size K": 4}])
    ('', 0)
    """
    if not failing or not agreeing:
        return "", 0
    conditions = list(_conditions(failing, agreeing))
    kept = [frozenset(k for k, each in enumerate(agreeing) if one.holds(each)) for one in conditions]
    choices = math.comb(len(failing) + len(agreeing), len(failing))
    most = len(failing) // HIDDEN
    # a second condition has to keep out more than two agreeing cases that may hide the bug
    for many, hidden in sorted(product((1, 2), range(most + 1)), key=lambda each: 3 * each[0] + each[1]):
        likely = choices / math.comb(len(failing) + hidden, hidden)
        if math.comb(len(conditions), many) > CHANCE[many - 1] * likely:
            continue
        for rows in combinations(range(len(conditions)), many):
            if len(frozenset.intersection(*(kept[k] for k in rows))) == hidden:
                return say(" and ").join(conditions[k].words for k in rows), hidden
    return "", 0


def _conditions(failing: Sequence[Facts], agreeing: Sequence[Facts]) -> Iterator[Condition]:
    """The conditions that every failing case meets, the plainest first."""
    names = list(dict.fromkeys(name for each in failing for name in each))
    for name in names:
        values = [each.get(name) for each in failing]
        if all(value == values[0] for value in values) and (words := _equal(name, values[0])):
            yield Condition(words, _fact(name, partial(eq, values[0])))
    for name in names:
        yield from _of_numbers(name, failing, agreeing)
    sizes = [name for name in names if name.startswith("size ") and all(name in each for each in failing)]
    for a, b in combinations(sizes, 2):
        for sign, compare in (("<", lt), (">", gt), ("=", eq), ("!=", ne)):
            if all(compare(each[a], each[b]) for each in failing):
                words = f"{a.partition(' ')[2]} {sign} {b.partition(' ')[2]}"
                yield Condition(words, partial(_compared, a, b, compare))


def _equal(name: str, value: Any) -> str:
    """The words for a fact that has this value in every failing case; empty for what is told otherwise."""
    kind, _, word = name.partition(" ")
    match kind:
        case "special":
            return say("the input has {what}", what=word)
        case "given":
            return say("{name} is given", name=word) if value else say("{name} is not given", name=word)
        case "rank":
            return counted(value, "{name} has {n} dimension", "{name} has {n} dimensions", name=word)
        case "size":
            return ""
    return f"{word or name} = {value}"


def _fact(name: str, test: Callable[[Any], Any]) -> Callable[[Facts], bool]:
    return lambda each: name in each and bool(test(each[name]))


def _compared(a: str, b: str, compare: Callable[[Any, Any], bool], each: Facts) -> bool:
    return a in each and b in each and compare(each[a], each[b])


def _of_numbers(name: str, failing: Sequence[Facts], agreeing: Sequence[Facts]) -> Iterator[Condition]:
    """Above or below what agrees, and (no) multiples of a block."""
    kind, _, word = name.partition(" ")
    values = [number for each in failing if (number := _number(each.get(name))) is not None]
    if kind not in ("size", "param") or len(values) < len(failing):
        return
    fine = sorted({number for each in agreeing if (number := _number(each.get(name))) is not None})
    below = [number for number in fine if number < min(values)]
    if below:
        limit = _plain(below[-1], min(values))
        yield Condition(f"{word} > {limit:g}", _fact(name, partial(_above, limit)))
    if max(values) <= FEW and any(number > max(values) for number in fine):
        yield Condition(f"{word} <= {max(values):g}", _fact(name, partial(_at_most, max(values))))
    for block in BLOCKS if kind == "size" else ():
        if all(number % block for number in values):
            yield Condition(f"{word} % {block} != 0", _fact(name, partial(_modulo, block)))
        elif all(number % block == 0 and number for number in values):
            yield Condition(f"{word} % {block} = 0", _fact(name, partial(_multiple, block)))


def _above(limit: float, value: Any) -> bool:
    return (number := _number(value)) is not None and number > limit


def _at_most(limit: float, value: Any) -> bool:
    return (number := _number(value)) is not None and number <= limit


def _modulo(block: int, size: int) -> bool:
    return size % block != 0


def _multiple(block: int, size: int) -> bool:
    return size % block == 0


def _number(value: Any) -> float | None:
    """A number, or the largest of several."""
    if isinstance(value, (tuple, list)) and value and all(isinstance(each, (int, float)) for each in value):
        return float(max(value))
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _plain(low: float, high: float) -> float:
    """A limit between what agrees and what fails (not included): a power of two where one lies there."""
    powers = [2.0**k for k in range(1, 24) if low <= 2.0**k < high]
    return powers[0] if powers else low
