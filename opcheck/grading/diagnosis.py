"""What a wrong answer looks like: mistakes of the catalogue, and relations, that explain everything that came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opcheck.backends.base import Backend, Outputs, Session
from opcheck.grading.replies import Failed
from opcheck.grading.student import Student
from opcheck.language import say
from opcheck.spec import Array, Case, Mistake, Op, Shape
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.diagnosis.diagnose import resemblances
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.verdict import Status, Verdict


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Named mistakes, the likeliest first, and sentences about relations that hold where no mistake has a name."""

    mistakes: tuple[Mistake, ...] = ()
    relations: tuple[str, ...] = ()


def diagnose(student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial]) -> Diagnosis:
    """What explains all of these failures and, for mistakes, why the other trials were right.

    Where nothing explains all gradients together, each wrong one is explained by itself.
    """
    differing = [each for each in verdicts if each.status is Status.DIFFERS and each.claim not in ("pure", "repeat")]
    if not differing:
        return Diagnosis()
    gradient = differing[0].claim.startswith("vjp")
    named = _named(student, differing, trials, gradient, "")
    if not named and gradient:
        for name in dict.fromkeys(each.name for each in differing):
            own = [each for each in differing if each.name == name]
            named += [each for each in _named(student, own, trials, True, name) if each not in named]
    if named:
        return Diagnosis(tuple(named))
    return Diagnosis((), tuple(_relations(student, differing, gradient)))


def _named(
    student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool, only: str
) -> list[Mistake]:  # fmt: skip
    """The mistakes that predict what came on every trial; with `only`, of that gradient alone."""
    op = student.question.op
    names = resemblances(op, verdicts, Only(student, only) if only else student)
    wrong = {id(each.trial) for each in verdicts}
    right = [trial for trial in trials if id(trial) not in wrong]
    found = [each for each in op.mistakes if each.name in names]
    return [each for each in found if all(_harmless(op, each, trial, gradient, only) for trial in right)]


class Only(Backend):
    """A submission of which one gradient is looked at."""

    def __init__(self, student: Student, name: str) -> None:
        self.student, self.name = student, name

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        return _OnlySession(self.student.open(op, case, dtype), self.name)


class _OnlySession(Session):
    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        self.dtypes = {}

    def attempt(self) -> None:
        self._session.attempt()

    def outputs(self) -> Outputs:
        return self._session.outputs()

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        return {self._name: self._session.vjp(cotangent)[self._name]}


def _harmless(op: Op, mistake: Mistake, trial: Trial, gradient: bool, only: str) -> bool:
    """Whether the mistake makes no difference, beyond the bound, on a trial that came out right."""
    check, kind = Check(op, trial, _NOTHING), "gradient" if gradient else "output"
    with np.errstate(all="ignore"):
        try:
            predicted, expected = _predicted(check, mistake, gradient), check.expected_of(kind)
        except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError):  # the variant has no answer here
            return False
        arrays = {
            name: _without_ones(np.asarray(each), expected[name].shape)
            for name, each in predicted.items()
            if name in expected and only in ("", name)
        }
        if all(np.array_equal(each, expected[name], equal_nan=True) for name, each in arrays.items()):
            return True
        if any(each.shape != expected[name].shape for name, each in arrays.items()):
            return False
        return check.compare("rounding", kind, arrays).verdict is None


def _without_ones(array: Array, shape: Shape) -> Array:
    """In that shape if only sizes of one tell them apart: a layout such as a column for a bias does not show these."""
    spread = [[n for n in each if n != 1] for each in (array.shape, shape)]
    return array.reshape(shape) if spread[0] == spread[1] else array


def _predicted(check: Check, mistake: Mistake, gradient: bool) -> Mapping[str, Any]:
    if gradient and mistake.vjp is not None:
        return mistake.vjp(check.op, check.p, one_or_dict(check.op, check.trial.cotangent), **check.arrays)
    if not gradient and mistake.forward is not None:
        return check.op.by_name(mistake.forward(check.op, check.p, **check.arrays), check.shapes)
    return check.expected_of("gradient" if gradient else "output")


def _near(a: Any, b: Array, u: float) -> bool:
    """Whether two arrays are equal up to the rounding of a few operations."""
    a = np.asarray(a)
    if a.shape != b.shape:
        return False
    room = 64 * u * float(np.max(np.abs(b), initial=0.0))
    return bool(np.all((np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b))))


class _Nothing(Backend):
    """For what needs no answers."""

    name = ""

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        raise NotImplementedError


_NOTHING = _Nothing()


# --- relations ------------------------------------------------------------------------------------------------------


def _relations(student: Student, verdicts: Sequence[Verdict], gradient: bool) -> list[str]:
    """What has no name but a rule: a constant factor, the batch size, a transposition."""
    op = student.question.op
    names = list(dict.fromkeys(each.name for each in verdicts)) if gradient else [""]
    sentences: list[str] = []
    for name in names:
        own = [each for each in verdicts if not name or each.name == name]
        what = say("the gradient of {name}", name=name) if name else say("your result")
        by_batch = _factor_of_batch(student, own, gradient)
        known = {mistake.name for mistake in op.mistakes}
        relations = [
            each for each in resemblances(op, own, Only(student, name) if name else student) if each not in known
        ]
        if by_batch:
            sentences.append(say("{what} is {relation}", what=what, relation=by_batch))
        elif relations:
            sentences.append(say("{what} is {relation}", what=what, relation=_put(relations[0])))
    return sentences


def _put(relation: str) -> str:
    """A relation as it reads after "your result is"."""
    return {
        "zero everywhere": say("zero everywhere"),
        "NaN everywhere": say("not a number (NaN) everywhere"),
        "negated": say("the right one with the other sign"),
        "the last two axes transposed": say("the right one transposed"),
    }.get(relation, say("{relation} (compared with the right one)", relation=relation))


def _factor_of_batch(student: Student, verdicts: Sequence[Verdict], gradient: bool) -> str:
    """Whether everything is N times the right answer, or 1/N times, where N is the size of the batch."""
    factors = set()
    for verdict in verdicts:
        assert verdict.trial is not None
        trial, made = verdict.trial, student.made(verdict.trial.case, verdict.trial.cotangent if gradient else None)
        batch = next(iter(trial.case.arrays.values())).shape[:1]
        check = Check(student.question.op, trial, _NOTHING)
        name = verdict.name or next(iter(check.expected))
        got = (made.gradients if gradient else made.outputs).get(name)
        right = check.expected_of("gradient" if gradient else "output").get(name)
        if got is None or right is None or isinstance(got, Failed) or not batch or batch[0] < 2:
            return ""
        u = check.f.u
        times, by = _near(got, right * batch[0], u), _near(got, right / batch[0], u)
        factors.add(1 if times else -1 if by else 0)
    if factors == {1}:
        return say("exactly N times the right one, N the size of the batch: a sum where the mean belongs?")
    return (
        say("the right one divided by N, the size of the batch: a mean where the sum belongs?")
        if factors == {-1}
        else ""
    )
