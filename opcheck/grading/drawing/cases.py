"""The cases of a question: few, each after a kind of bug that students really make, with numbers drawn afresh.

Sizes differ from each other where a bug would hide in equal ones, and are equal where it would raise; strides leave
places over; pools overlap, hold ties and negative numbers only; batches have one row and several. Numbers are small
whole ones where the operator allows it, so that any order of summation is exact; then some real ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opcheck.grading.assignments.scope import Scope, is_optimiser
from opcheck.grading.drawing import telling
from opcheck.grading.drawing.conditions import separate
from opcheck.grading.drawing.families import Drawing, family
from opcheck.grading.drawing.sizes import enlarged
from opcheck.operators.choosers import ExactValues
from opcheck.operators.spec import Array, Case, Op
from opcheck.verification import streams
from opcheck.verification.casefile import Trial
from opcheck.verification.truth.formats import format_of

LARGE = (64, 48, 32, 24)  # the sizes of a case that is timed: the first of which no array has more than MOST numbers
MOST = 1 << 20
SPECIAL = 3  # cases of special values


@dataclass(frozen=True, slots=True)
class Drawn:
    """The trials of one question for one submission."""

    ordinary: tuple[Trial, ...]
    special: tuple[Trial, ...] = ()
    whole: tuple[Trial, ...] = ()  # whose first array has whole numbers in an integer type
    accuracy: tuple[Trial, ...] = ()  # on which a form with few digits is told from one with many
    separate: tuple[tuple[str, Trial], ...] = ()  # one condition each, with its name
    beyond: tuple[Trial, ...] = ()  # what nobody asks; but code that takes it must be right

    @property
    def trials(self) -> list[Trial]:
        """All that is asked but those for digits, the plainest first."""
        alone = [trial for _, trial in self.separate]
        return [*alone, *self.ordinary, *self.special, *self.whole]


def draw(
    scope: Scope, dtype: str, seed: Sequence[int], special: bool, upstream: bool = True, whole: bool = False,
    accuracy: bool = False, separately: bool = False,
) -> Drawn:  # fmt: skip
    """The trials of a question: the aims of its family on exact and real numbers, then, if wanted, special values,
    an input of an integer type, numbers on which digits are lost, and each condition by itself.

    Without `upstream` the cotangents are ones, for code that takes none.
    """
    aims, make = family(scope.op)
    trials, extreme = [], []
    for index, (aim, kind) in enumerate([*((aim, "exact") for aim in aims), *((aim, "real") for aim in aims[:3])]):
        rng = np.random.default_rng([*seed, index])
        case = make(Drawing(scope, rng, kind, dtype, index), aim)
        trials.append(_trial(scope, case, dtype, kind, rng))
    if divides_by_deviation(scope.op):
        trials.append(_constant(scope, trials[0], dtype, np.random.default_rng([*seed, 8000])))
    if special:
        for index in range(SPECIAL):
            rng = np.random.default_rng([*seed, 1000 + index])
            extreme.append(_special(scope, dtype, rng, index))
    if not upstream:
        trials, extreme = [[_of_itself(each) for each in found] for found in (trials, extreme)]
    integers = whole and not scope.op.inputs[0].whole and True in scope.options("integers")
    return Drawn(
        tuple(trials), tuple(extreme),
        (_whole(scope, dtype, seed),) if integers else (),
        _digits(scope, dtype, seed) if accuracy else (),
        _separate(scope, dtype, seed, upstream) if separately else (),
    )  # fmt: skip


def divides_by_deviation(op: Op) -> bool:
    """Whether it divides by how much its input varies: a normalisation."""
    return any(each.name == "eps" for each in op.params) and not is_optimiser(op)


def _constant(scope: Scope, trial: Trial, dtype: str, rng: np.random.Generator) -> Trial:
    """An input that does not vary: only an eps keeps this from a division by 0."""
    first, *others = trial.case.arrays
    arrays = {first: np.zeros(trial.case.arrays[first].shape), **{name: trial.case.arrays[name] for name in others}}
    return _trial(scope, trial.case._replace(arrays=arrays), dtype, "exact", rng)


def draw_beyond(
    scope: Scope, takes: tuple[str, ...], dtype: str, seed: Sequence[int], upstream: bool = True
) -> tuple[Trial, ...]:
    """What the assignment does not ask, of what the code takes: trials that bring out what is wrong there."""
    if not takes:
        return ()
    aims, make = family(scope.op)
    cases = (make(Drawing(scope, np.random.default_rng([k]), "exact", "float64", k), aim) for k, aim in enumerate(aims))
    kinds = frozenset(telling.kind(scope.op, case) for case in cases)
    found = []
    for k, (opened, number, mistakes) in enumerate(telling.beyond(telling.Asked(scope, kinds), takes)):
        rng = np.random.default_rng([*seed, 7000 + k])
        case = telling.drawn(opened, number, mistakes, ExactValues(rng, 9))
        if case is not None:
            found.append(_trial(scope, case, dtype, "exact", rng))
    return tuple(found if upstream else map(_of_itself, found))


def _separate(scope: Scope, dtype: str, seed: Sequence[int], upstream: bool) -> tuple[tuple[str, Trial], ...]:
    """A trial for each condition; of an optimiser, whose conditions belong together, there are none."""
    found = []
    for k, (name, case) in enumerate(separate(scope, lambda k: np.random.default_rng([*seed, 5000 + k]), dtype)):
        trial = _trial(scope, case, dtype, "exact", np.random.default_rng([*seed, 6000 + k]))
        found.append((name, trial if upstream else _of_itself(trial)))
    return tuple(found)


_HARD: tuple[Callable[[Array], Array], ...] = (
    lambda x: x * 2.0**-12,
    lambda x: 12 * x / np.abs(x).max(),
    lambda x: x + 256,
)


def _digits(scope: Scope, dtype: str, seed: Sequence[int]) -> tuple[Trial, ...]:
    """Tiny numbers, numbers up to a dozen, and numbers far from zero that are near each other: what cancels."""
    aims, make = family(scope.op)
    found = []
    for index, change in enumerate(_HARD):
        rng = np.random.default_rng([*seed, 4000 + index])
        case = make(Drawing(scope, rng, "real", dtype), aims[0])
        name = next(name for name, array in case.arrays.items() if array.dtype.kind == "f")
        if index and scope.op.input(name).default == "unit":  # a probability stays one
            continue
        arrays = {**case.arrays, name: change(case.arrays[name])}
        found.append(_trial(scope, case._replace(arrays=arrays), dtype, "real", rng))
    return tuple(found)


def _of_itself(trial: Trial) -> Trial:
    return trial.replace(cotangent={name: np.ones(each.shape) for name, each in trial.cotangent.items()})


def large(scope: Scope, dtype: str, seed: Sequence[int]) -> Trial:
    """A case of the size of a small training step, for the time that it takes."""
    rng = np.random.default_rng([*seed, 2000])
    aims, make = family(scope.op)
    trial = _trial(scope, make(Drawing(scope, rng, "exact", dtype), aims[0]), dtype, "exact", rng)
    for size in LARGE:
        case = enlarged(scope.op, trial.case, size, rng)
        if max(array.size for array in case.arrays.values()) <= MOST:
            break
    return _trial(scope, case, dtype, "exact", rng)


def _trial(scope: Scope, case: Case, dtype: str, policy: str, rng: np.random.Generator) -> Trial:
    """The case in the numbers of its format, with directions for the gradients."""
    op = scope.op
    if op.draws and scope.can_say(op.draws, True):  # what is drawn by chance is given, so that there is one answer
        case = op.completed(case, int(rng.integers(2**32)))
    case = streams.in_format(case, format_of(dtype), keep_infinities=policy == "special")
    return streams.with_directions(op, Trial(case, dtype, policy), rng)


def _special(scope: Scope, dtype: str, rng: np.random.Generator, index: int) -> Trial:
    """Logits of ±1000, probabilities of 0 and 1; for other operators NaN and infinities."""
    aims, make = family(scope.op)
    case = make(Drawing(scope, rng, "exact", dtype), aims[0])
    name = next(name for name, array in case.arrays.items() if array.dtype.kind == "f")
    x, policy = case.arrays[name].copy(), "real"
    if scope.op.extremes == "logits":
        x = _logits(x, rng, one_row_below=index > 0)
        target = case.arrays.get("target")
        if target is not None and target.dtype.kind == "i":  # the right class of a row lies far below another one
            x[0] = np.abs(x[0])
            x[0, target[0]] *= -1
    elif scope.op.extremes == "certainties":
        x = np.asarray(rng.integers(2, size=x.shape), dtype=np.float64)
    else:
        x.flat[rng.integers(x.size, size=2)] = (np.nan, np.inf, -np.inf)[index]
        policy = "special"
    return _trial(scope, Case(case.op, {**case.arrays, name: x}, case.params), dtype, policy, rng)


def _whole(scope: Scope, dtype: str, seed: Sequence[int]) -> Trial:
    """The first array of an integer type, the others with fractions: an array made like the first cannot hold the
    result. Forward only: an array of integers has no gradient."""
    rng = np.random.default_rng([*seed, 3000])
    aims, make = family(scope.op)
    case = make(Drawing(scope, rng, "exact", dtype), aims[0])
    first, *others = case.arrays
    arrays = {first: case.arrays[first].astype(np.int64), **{name: case.arrays[name] / 2 for name in others}}
    return Trial(Case(case.op, arrays, case.params), dtype, "exact")


def _logits(x: Array, rng: np.random.Generator, one_row_below: bool) -> Array:
    large = np.asarray(rng.choice([-1.0, 1.0], size=x.shape) * rng.integers(800, 1000, size=x.shape))
    if large.ndim > 1 and one_row_below:  # it underflows if the maximum of the whole array is subtracted
        large[0], large[-1] = np.abs(large[0]), -np.abs(large[-1])
    return large
