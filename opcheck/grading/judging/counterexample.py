"""The smallest case on which a submission is wrong, side by side, and the calculation of its first wrong number."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from opcheck.errors import Refused
from opcheck.explanation import explain
from opcheck.explanation.gradient import meaning
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import barred
from opcheck.grading.drawing.sizes import cut, sizes
from opcheck.grading.judging import rebuild
from opcheck.grading.judging.graded import Graded, Strict
from opcheck.grading.judging.parts import Finding, in_reals
from opcheck.grading.judging.replies import Failed
from opcheck.grading.judging.student import Student
from opcheck.grading.results import Outcome
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Mistake, Op, widened
from opcheck.steps import Block, Grid, Grids, Prose, Step
from opcheck.tracing.arithmetic import as_fraction
from opcheck.verification.casefile import Trial
from opcheck.verification.diagnosis.diagnose import resemblances
from opcheck.verification.diagnosis.shrink import SameFailure, Search
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.verdict import Status, Verdict

ATTEMPTS = 80  # smaller cases that are tried
MOST = 64  # elements of an array that is drawn
READ = 1000  # numbers of a case whose calculation is still worth reading


class Smallest(NamedTuple):
    """A failure, whether smaller cases were tried, and the arrays that a line draws again."""

    verdict: Verdict
    searched: bool
    recipes: rebuild.Recipes = {}


def smallest(student: Student, finding: Finding, others: Sequence[Mistake] = ()) -> Smallest:
    """The verdict of the smallest case that fails in the same way and does not look like these other mistakes."""
    op = student.question.op
    ended = Outcome.CRASHED if finding.outcome is Outcome.CRASHED_ALWAYS else finding.outcome
    verdict = min((each.verdict for each in finding.wrongs if each.outcome is ended), key=_size,
                  default=finding.wrongs[0].verdict)  # fmt: skip
    assert verdict.trial is not None
    lost = student.made(verdict.trial.case, verdict.trial.cotangent).lost
    if (
        lost
        or student.draws(verdict.trial.case)
        or verdict.claim in ("pure", "efficiency", "repeat", "type", "whole")
        or finding.wrongs[0].outcome is not ended
    ):
        return Smallest(verdict, False)  # each attempt would cost the time limit again
    strict = verdict.claim in ("exact", "rounding", "special") and finding.strict
    same = Telling(op, verdict, student, Strict if strict else Graded, others)
    search = Search(op, verdict, same)
    search.left = ATTEMPTS
    search.steps(_smaller)
    search.steps(_simpler)
    best = Search(op, search.best, search.fails).run()
    if best.expected is not None and all(each.verdict.expected is None for each in finding.wrongs):
        return Smallest(verdict, False)  # of a wrong shape nothing was left but wrong numbers
    best, recipes = rebuild.redrawn(student, best, same)
    return Smallest(best, True, recipes)


class Telling(SameFailure):
    """The same failure, where it does not look like other mistakes as well: a single number looks like many."""

    def __init__(
        self, op: Op, verdict: Verdict, student: Student, judged: type[Graded], others: Sequence[Mistake]
    ) -> None:
        super().__init__(op, verdict, student, judged)
        self.student, self.others = student, others

    def __call__(self, trial: Trial) -> Verdict | None:
        verdict = super().__call__(trial)
        if verdict is None or not self.others:
            return verdict
        alike = resemblances(self.op, [verdict], self.student, self.others, relations=False)
        return None if alike else verdict


def _size(verdict: Verdict) -> int:
    assert verdict.trial is not None
    return sum(array.size for array in verdict.trial.case.arrays.values())


def _smaller(op: Op, trial: Trial) -> Iterator[Trial]:
    """One size halved, or one less; arrays and directions are cut, so that nothing is drawn again."""
    for letter, n in sizes(op, trial.case).items():
        for size in dict.fromkeys((n // 2, n - 1)):
            if size > 0 and (case := cut(op, trial.case, letter, size)) is not None:
                yield from _directed(op, trial, case)


def _simpler(op: Op, trial: Trial) -> Iterator[Trial]:
    """A whole-number parameter that is smaller."""
    for name, value in trial.case.params.items():
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            for other in range(value):
                yield from _directed(op, trial, Case(op.name, trial.case.arrays, {**trial.case.params, name: other}))


def _directed(op: Op, trial: Trial, case: Case) -> Iterator[Trial]:
    """The trial with this case if it is legal and not empty, its directions fitted to the new shapes."""
    try:
        _, shapes = op.checked(case)
    except Refused:
        return
    if not all(np.prod(shape) for shape in shapes.values()):
        return
    cotangent = {name: _fitted(each, shapes[name]) for name, each in trial.cotangent.items()}
    tangents = {name: _fitted(each, case.arrays[name].shape) for name, each in trial.tangents.items()}
    yield trial.replace(case=case, cotangent=cotangent, tangents=tangents)


def _fitted(array: Array, shape: tuple[int, ...]) -> Array:
    """An array of that shape, cut from this one or, where it grows, with ones."""
    fitted = np.ones(shape)
    common = tuple(slice(min(a, b)) for a, b in zip(array.shape, shape, strict=True))
    fitted[common] = array[common]
    return fitted


# --- what is shown --------------------------------------------------------------------------------------------------


def shown(student: Student, found: Smallest) -> list[Block]:
    """The call, its arrays, and what was expected beside what came."""
    verdict, trial = found.verdict, found.verdict.trial
    assert trial is not None
    if verdict.claim == "efficiency":  # the sentence names the sizes, and no number is wrong
        return []
    op = student.question.op
    gradient = verdict.claim.startswith("vjp")
    call = _call(trial)
    title = say("The smallest case that fails: {call}", call=call) if found.searched else ""
    blocks: list[Block] = [Prose(title or say("A case that fails: {call}", call=call))]
    arrays = {op.input(name).symbol: array for name, array in trial.case.arrays.items()}
    upstream = gradient and student.question.entry.upstream
    symbols = {name: op.output(name).symbol for name in trial.cotangent} if upstream else {}
    arrays |= {barred(symbol): trial.cotangent[name] for name, symbol in symbols.items()}
    drawn = _row(arrays, ())
    blocks += drawn
    blocks += [Prose(meaning(symbol), "note") for symbol in symbols.values()]
    if verdict.name and verdict.claim != "repeat":
        made = student.made(trial.case, trial.cotangent if gradient else None)
        got = (made.gradients if gradient else made.outputs).get(verdict.name)
        right = _right(op, trial, verdict.name, gradient)
        if got is not None and not isinstance(got, Failed) and right is not None:
            blocks += _row({say("expected"): right, say("yours"): got}, verdict.at)
    # what code keeps of earlier steps cannot be given to it: the steps are shown that lead there
    led = student.question.scope.prepared is not None and any(op.input(name).optional for name in trial.case.arrays)
    return blocks if _are_whole(drawn, arrays) and not led else [*blocks, *rebuild.shown(student, trial, found.recipes)]


def one_after_the_other(student: Student, calls: Sequence[Trial]) -> list[Block]:
    """Calls that fail in this order only: what each was given, and what came of the last one."""
    op, blocks = student.question.op, list[Block]()
    for number, trial in enumerate(calls, start=1):
        blocks.append(Prose(say("Call {number}: {call}", number=number, call=_call(trial))))
        blocks += _row({op.input(name).symbol: array for name, array in trial.case.arrays.items()}, ())
    if calls:
        made = student.made(calls[-1].case).outputs
        name = next(iter(made))
        got, right = made[name], _right(op, calls[-1], name, gradient=False)
        if right is not None and not isinstance(got, Failed):
            blocks += _row({say("expected"): right, say("yours"): got}, ())
    return blocks


def _are_whole(drawn: Sequence[Block], arrays: Mapping[str, Array]) -> bool:
    """Whether every number of the arrays is drawn: of one with many slices not all are."""
    cells = sum(len(row) for block in drawn if isinstance(block, Grids) for grid in block.grids for row in grid.rows)
    return cells >= sum(max(array.size, 1) for array in arrays.values())


def worked(student: Student, verdict: Verdict) -> list[Block]:
    """The calculation of the first wrong element."""
    trial, op = verdict.trial, student.question.op
    assert trial is not None
    if (
        verdict.status is not Status.DIFFERS
        or not verdict.name
        or verdict.expected is None
        or trial.policy == "special"
        or _size(verdict) > READ
    ):
        return []
    written = op.parameters(trial.case.params)
    typed = op.typed(written, trial.dtype)  # a default that depends on the type is written out
    params = trial.case.params | {
        each.name: typed[each.name] for each in op.params if typed[each.name] != written[each.name]
    }
    arguments = {**trial.case.arrays, **params}
    try:
        if not verdict.claim.startswith("vjp"):
            return [Step(say("How this number is computed"), explain(op, cell=verdict.at, given=arguments).step.blocks)]
        upstream = next(iter(trial.cotangent.values()))
        explanation = explain(op, grad=True, upstream=upstream, cell=verdict.at, given=arguments)
    except (Refused, ValueError):  # too large to be written down
        return []
    title = say("gradient of {name}", name=verdict.name)
    blocks = [each for each in explanation.step.blocks if isinstance(each, Step) and each.title == title]
    return [Step(say("How this number is computed"), tuple(blocks))] if blocks else []


def _call(trial: Trial) -> str:
    shapes = [
        f"{name} {'×'.join(map(str, array.shape)) or say('a number')}" for name, array in trial.case.arrays.items()
    ]
    return ", ".join([*shapes, *(f"{name}={value!r}" for name, value in trial.case.params.items())])


def _right(op: Op, trial: Trial, name: str, gradient: bool) -> Array | None:
    p, shapes = op.checked(trial.case)
    arrays = widened(in_reals(op, trial).case.arrays)
    with np.errstate(all="ignore"):
        if gradient:
            found: Any = op.vjp(p, one_or_dict(op, trial.cotangent), **arrays)
        else:
            found = op.by_name(op.forward(p, **arrays), shapes)
    right: Array | None = found.get(name)
    return right


def _row(arrays: dict[str, Array], at: tuple[int, ...]) -> list[Block]:
    """Small arrays side by side; of one with several slices, the slice that holds `at`."""
    grids: list[Grid] = []
    for title, array in arrays.items():
        if array.ndim and array.size <= MOST:
            marks = [at] if len(at) == array.ndim and all(i < n for i, n in zip(at, array.shape, strict=True)) else []
            grids += draw(title, array.shape, _reader(array), marks)
        elif not array.ndim:
            grids += draw(title, (1,), _reader(array.reshape(1)), [])
    return [Grids(tuple(grids))] if grids else []


def _reader(array: Array) -> Any:
    def value(place: tuple[int, ...]) -> Any:
        number = float(array[place])
        return as_fraction(number) if np.isfinite(number) else number

    return value
