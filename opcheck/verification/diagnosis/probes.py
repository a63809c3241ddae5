"""Questions to an implementation that tell its arithmetic: is its structure right, how many digits has it, is it local?

They hold for sums of products (linear, convolutions) and are asked on the very call that failed: its sizes, its
parameters, its memory layout, and the outputs, gradients or tangents that were wrong.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opcheck.backends.base import Malformed, Outputs
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from opcheck.verification.truth.bounds import one_or_dict

DRAWS = 4  # of small whole numbers: each product is nonzero in some of them
TINY = 2.0**-20  # numbers below it are replaced by ordinary ones
LEAST = 1e-3  # the smallest share of the places that have a number
WHOLE = 2.0**8  # sums of them that every format holds (bfloat16 has 8 digits)
TRIES = 8  # random places of a short sum
SPIKE = 2.0**20  # added to one pixel: what it touches changes in float32, whatever the rounding
WIDE = 16  # pixels a side, so that a spike is far from most
STRUCK = (2, 5)  # places in a row that share a tile with others


Place = tuple[str, str]  # a field of a trial, and a name in it


@dataclass(frozen=True, slots=True)
class Ladder:
    """Binary digits that an implementation keeps: of each factor, of a running sum, of a sum inside some block.

    >>> Ladder(24, 8, 24).blocked  # partial sums are stored in bfloat16, what is inside of one is not
    True
    """

    factors: int
    sums: int
    neighbours: int

    @property
    def blocked(self) -> bool:
        return self.neighbours > self.sums


def small_integers(check: Check, kind: str, error: Callable[[Check, str], Array | float]) -> bool:
    """Whether small whole numbers give the right answers, up to `error(check, name)` (0: to the bit).

    Rounding plays no part in them, whatever the precision, so a wrong answer is a wrong structure.
    """
    rng, made = check.kept.setdefault(("whole", kind), (np.random.default_rng(1), []))
    for turn in range(DRAWS):
        if turn == len(made):  # most bugs show in the first
            made.append(_with_integers(check, kind, rng, turn))
        whole: Check = made[turn]
        expected = whole.expected_of(kind)
        for name, each in _answered(whole, kind).items():
            if name in expected and not np.all(np.abs(each - expected[name]) <= error(whole, name)):
                return False
    return True


def _with_integers(check: Check, kind: str, rng: np.random.Generator, turn: int) -> Check:
    """The same call on whole numbers whose products add up to at most 2**8: fewer of them where there are many.

    One factor after the other has few, and these also where the failing call has its smallest numbers: a term that is
    left out there is too small to show in the answer. The others have numbers everywhere, or few of them as well where
    that does not suffice.
    """
    few = _factors(check, kind)[turn % len(_factors(check, kind))]
    for chosen in ((few,), _factors(check, kind)):
        share = 1.0
        while share > LEAST:

            def draw(place: Place, array: Array, chosen: Any = chosen, share: float = share) -> Array:
                return _whole(array, share if place in chosen else 1.0, rng)

            made = _with_numbers(check, draw)
            if max((float(each.max(initial=0.0)) for each in _sizes(made, kind)), default=0.0) <= WHOLE:
                return made
            share /= 2
    return made


def right_without_tiny(check: Check, kind: str) -> bool:
    """Whether the call is right where ordinary numbers stand in place of the tiny ones: else these are not what it is
    wrong about, but where they stand."""
    rng = np.random.default_rng(4)

    def larger(place: Place, array: Array) -> Array:
        numbers = check.f.round(rng.uniform(1, 2, size=array.shape) * rng.choice([-1.0, 1.0], size=array.shape))
        return np.where((array != 0) & (np.abs(array) < TINY), numbers, array)

    try:
        made = _with_numbers(check, larger)
    except Refused:  # a variance below 0
        return True
    if made.trial.policy == "exact":  # of whole numbers no longer
        made = other(made, made.trial.replace(policy="real"))
    free = correctness.undecided(made) if made.trial.policy == "special" and kind == "output" else None
    return made.compare(kind, kind, _answered(made, kind), free).verdict is None


def _factors(check: Check, kind: str) -> tuple[Place, ...]:
    """What is multiplied in a result of that kind: a field of the trial and a name in it."""
    more = {"gradient": "cotangent", "tangent": "tangents"}.get(kind, "")
    names = [("arrays", name) for name, a in check.trial.case.arrays.items() if a.dtype.kind == "f" and name != "bias"]
    return (*names, *((more, name) for name in (getattr(check.trial, more) if more else ())))


def _whole(array: Array, share: float, rng: np.random.Generator) -> Array:
    """Whole numbers at that share of the places: half of them where the smallest numbers are."""
    numbers = rng.integers(1, 3, size=array.shape, endpoint=True) * rng.choice([-1.0, 1.0], size=array.shape)
    if share == 1.0:
        return np.asarray(numbers)
    kept = np.asarray(rng.random(array.shape) < share / 2)
    size = np.where(array == 0, np.inf, np.abs(array))  # what is 0 stands nowhere
    kept.flat[np.argsort(size, axis=None, kind="stable")[: math.ceil(array.size * share / 2)]] = True
    return np.asarray(numbers * kept)


def _with_numbers(check: Check, draw: Callable[[Place, Array], Array]) -> Check:
    """The same call on numbers that are drawn for each of its arrays, by its field and name."""
    trial = check.trial
    arrays = {name: draw(("arrays", name), a) if a.dtype.kind == "f" else a for name, a in trial.case.arrays.items()}
    return other(
        check,
        trial.replace(
            case=Case(trial.case.op, arrays, trial.case.params),
            cotangent={name: draw(("cotangent", name), a) for name, a in trial.cotangent.items()},
            tangents={name: draw(("tangents", name), a) for name, a in trial.tangents.items()},
        ),
    )


def other(check: Check, trial: Trial) -> Check:
    """Another trial of the same implementation."""
    return Check(check.op, trial, check.backend)


def _answered(check: Check, kind: str) -> Outputs:
    """What came of another call; raises Malformed if it has another shape than it should: that tells no arithmetic."""
    got, expected = check.got_of(kind), check.expected_of(kind)
    for name, each in got.items():
        if name in expected and each.shape != expected[name].shape:
            raise Malformed(say("{name} has a different shape", name=name))
    return got


def _sizes(check: Check, kind: str) -> list[Array]:
    """The sums of the absolute values of all products."""
    found = [bound.partial for bound in check.bounds_of(kind, check.f).values()]
    return [each for each in found if each is not None]


# --- the ladder -------------------------------------------------------------------------------------------------------


def ladder(check: Check, kind: str, name: str) -> Ladder | None:
    """How many digits survive, by short sums in which every other factor is 1.

    2^k, 1, -2^k need k+1 digits of the running sum wherever they stand; so do 2^k, 1 where there are two terms, and
    2^k + 1 if there is one, in a format whose results have enough digits to tell (None in others).
    """
    places, at = field(check, kind, name)
    if not places or (len(places) < 3 and check.f.digits < 24):
        return None
    rng = np.random.default_rng(2)
    scattered = [rng.choice(len(places), size=min(3, len(places)), replace=False).tolist() for _ in range(TRIES)]
    starts = rng.permutation(max(len(places) - 2, 0))[:TRIES].tolist()

    def survives(spots: Sequence[int], numbers: Sequence[float]) -> bool:
        array = np.zeros(_designed(check, kind).shape)
        for spot, number in zip(spots, numbers, strict=True):
            array[places[spot]] = number
        return bool(_answered(_with_designed(check, kind, array), kind)[name][at] == sum(numbers))

    def sums(k: int) -> bool:
        numbers = {1: (2.0**k + 1,), 2: (2.0**k, 1.0)}.get(len(places), (2.0**k, 1.0, -(2.0**k)))
        return all(survives(spots, numbers) for spots in scattered)

    def neighbours(k: int) -> bool:
        inside = ((2.0**k, 1.0, -(2.0**k)), (1.0, 2.0**k, -(2.0**k)))  # a plain running sum loses the 1 in both
        return any(all(survives(range(s, s + 3), numbers) for numbers in inside) for s in starts)

    most = min(24 if check.f.digits <= 24 else 53, check.f.highest)
    return Ladder(
        _digits(lambda k: survives(scattered[0][:1], (2.0**k + 1,)), min(most, check.f.digits)),
        _digits(sums, most),
        _digits(neighbours, most),
    )


def _digits(survives: Callable[[int], bool], most: int) -> int:
    """One more than the largest k that survives: by halving, as the digits below a lost one are there."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if survives(middle) else (low, middle)
    return low + 1


def field(check: Check, kind: str, name: str) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """The element of a result that most numbers reach, and where in the designed array these stand."""
    arrays = _ones(check)
    counts = np.abs(_counts(check, kind, name))
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(counts)), counts.shape))
    one = np.zeros(counts.shape)
    one[at] = 1.0
    if kind == "gradient":
        reached = check.op.by_name(check.op.jvp(check.p, {name: one}, **arrays), check.shapes)
        touched = next(iter(reached.values()))
    else:
        touched = check.op.vjp(check.p, one, **arrays)[check.op.inputs[0].name]
    return [tuple(int(i) for i in place) for place in np.argwhere(touched)], at


def _ones(check: Check) -> dict[str, Array]:
    """Ones for every factor, and no bias."""
    return {name: np.zeros(a.shape) if name == "bias" else np.ones(a.shape) for name, a in check.arrays.items()}


def _designed(check: Check, kind: str) -> Array:
    """The array in which a short sum is laid out: the cotangent of a gradient, else the input (or its tangent)."""
    if kind == "gradient":
        return next(iter(check.trial.cotangent.values()))
    return check.arrays[check.op.inputs[0].name]


def _with_designed(check: Check, kind: str, array: Array) -> Check:
    """The same call with that array, ones for the other factors, and nothing else to add."""
    trial, first = check.trial, check.op.inputs[0].name
    arrays = _ones(check)
    cotangent = {name: np.zeros(a.shape) for name, a in trial.cotangent.items()}
    tangents = {name: np.zeros(a.shape) for name, a in trial.tangents.items()}
    if kind == "gradient":
        cotangent[next(iter(cotangent))] = array
    elif kind == "tangent":
        tangents[first] = array
    else:
        arrays[first] = array
    case = Case(trial.case.op, arrays, trial.case.params)
    return other(check, trial.replace(case=case, cotangent=cotangent, tangents=tangents))


def _counts(check: Check, kind: str, name: str) -> Array:
    """How many numbers of the designed array reach each element."""
    full = _with_designed(check, kind, np.ones(_designed(check, kind).shape))
    return full.expected_of(kind)[name]


# --- locality ---------------------------------------------------------------------------------------------------------


def is_local(check: Check) -> bool:
    """Whether a number that is added to one pixel leaves every output that it does not reach as it was, to the bit.

    A transform (Winograd, FFT) mixes the pixels of a tile and separates them again, up to rounding. It is asked on a
    larger image and kernels with a single tap, so that there is much that a pixel does not reach.
    """
    case, first = check.trial.case, check.op.inputs[0].name
    x, weight = case.arrays[first], case.arrays["weight"]
    axes = weight.ndim - 2
    if axes < 1 or not x.size or not weight.size:
        return True
    rng = np.random.default_rng(3)
    leading = x.shape[: x.ndim - axes]
    calm = check.f.round(rng.normal(size=(*leading, *(max(n, WIDE) for n in x.shape[x.ndim - axes :]))))
    tap = np.zeros(weight.shape)
    first_tap: tuple[Any, ...] = (slice(None), slice(None), *(0,) * axes)
    tap[first_tap] = check.f.round(rng.normal(size=weight.shape[:2]))
    case = Case(case.op, {**case.arrays, first: calm, "weight": tap}, case.params)
    try:
        before = other(check, check.trial.replace(case=case, cotangent={}, tangents={}))
    except Refused:
        return True
    return all(_stays(before, first, (0,) * len(leading) + (place,) * axes) for place in STRUCK)


def _stays(before: Check, first: str, spot: tuple[int, ...]) -> bool:
    """Whether what `spot` does not reach has the same bits when it is struck."""
    blow = np.zeros(before.arrays[first].shape)
    blow[spot] = min(SPIKE, before.f.largest / 4)
    arrays = {**before.trial.case.arrays, first: before.arrays[first] + blow}
    after = other(before, before.trial.replace(case=Case(before.trial.case.op, arrays, before.trial.case.params)))
    reach = before.op.by_name(before.op.jvp(before.p, {first: blow}, **before.arrays), before.shapes)
    calm, struck = _answered(before, "output"), _answered(after, "output")
    return all(np.array_equal(each[reach[name] == 0], struck[name][reach[name] == 0]) for name, each in calm.items())


# --- statistics -------------------------------------------------------------------------------------------------------


def error_statistic(check: Check, kind: str, name: str) -> float:
    """log2 of T = rms of error / sqrt(sum of squared products): float32 -24 to -21, TF32 -11.75 (rounded) or -10.3
    (truncated), bfloat16 -8.7, whatever the number of terms is."""
    trial = check.trial
    arrays = {n: a * a for n, a in check.arrays.items()}
    if kind == "gradient":
        found = check.op.vjp(check.p, one_or_dict(check.op, {n: g * g for n, g in trial.cotangent.items()}), **arrays)
    elif kind == "tangent":
        made = check.op.jvp(check.p, {n: t * t for n, t in trial.tangents.items()}, **arrays)
        found = check.op.by_name(made, check.shapes)
    else:
        found = check.op.by_name(check.op.forward(check.p, **arrays), check.shapes)
    with np.errstate(all="ignore"):
        t = (check.got_of(kind)[name] - check.expected_of(kind)[name]) / np.sqrt(found[name])
        finite = t[np.isfinite(t)]
        return float(np.log2(np.sqrt(np.mean(finite * finite)))) if finite.size else float("nan")
