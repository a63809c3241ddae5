"""What a wrong answer looks like: mistakes of the catalogue, and relations, that explain everything that came."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from opcheck.backends.base import Backend, Malformed, Outputs, Session
from opcheck.grading.judging.factors import Pair, in_words
from opcheck.grading.judging.graded import EPS, Graded
from opcheck.grading.judging.replies import Failed
from opcheck.grading.judging.student import Student
from opcheck.language import say
from opcheck.operators.params import Params
from opcheck.operators.spec import Array, Case, Mistake, Op, Shape
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.diagnosis.diagnose import RELATIONS, resemblances
from opcheck.verification.mutation.mutants import joined
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.verdict import Status, Verdict


class Relation(NamedTuple):
    """A rule between what came and the right answer; another course may ask for that (`is_convention`) or not."""

    sentence: str
    is_convention: bool


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Named mistakes, and where no mistake has a name, the relations that hold.

    Each of several mistakes explains everything, the likeliest first; or else, `apart`, each explains another gradient,
    as relations do.
    """

    mistakes: tuple[Mistake, ...] = ()
    relations: tuple[Relation, ...] = ()
    apart: bool = False
    together: bool = False  # two mistakes were made at once


def diagnose(student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial]) -> Diagnosis:
    """What explains all of these failures and, for mistakes, why the other trials were right.

    Where nothing explains all gradients together, each wrong one is explained by itself.
    """
    differing = [each for each in verdicts if each.status is Status.DIFFERS and each.claim not in ("pure", "repeat")]
    if not differing:
        return Diagnosis()
    gradient = differing[0].claim.startswith("vjp")
    crashed = [each.trial for each in verdicts if each.status is Status.MALFORMED and each.trial is not None]
    if named := _named(student, differing, trials, gradient, "", crashed):
        return Diagnosis(tuple(named))
    apart: list[Mistake] = []
    for name in dict.fromkeys(each.name for each in differing) if gradient else ():
        own = [each for each in differing if each.name == name]
        apart += _named(student, own, trials, True, name, crashed)[:1]
    if apart:
        return Diagnosis(tuple(dict.fromkeys(apart)), apart=True)
    if crashed:  # a relation says what comes in every case, and there nothing came
        return Diagnosis()
    if relations := _relations(student, differing, trials, gradient):
        return Diagnosis((), tuple(relations), apart=True)
    both = _two_at_once(student, differing, trials, gradient)
    wrong = tuple(each for each in both if not each.is_subgradient)
    return Diagnosis(wrong, together=len(wrong) == len(both))


def _named(
    student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool, only: str,
    crashed: Sequence[Trial],
) -> list[Mistake]:  # fmt: skip
    """The mistakes that predict what came on every trial; with `only`, of that gradient alone.

    Where a call raised, those that have an answer for it come last, and one such case alone does not speak for them.
    """
    for eps in (None, *EPS) if student.hides_eps else (None,):
        if found := _named_with(student, verdicts, trials, gradient, only, crashed, eps):
            return found
    return []


def _named_with(
    student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool, only: str,
    crashed: Sequence[Trial], eps: float | None,
) -> list[Mistake]:  # fmt: skip
    """The same of code that has this eps, if it hides one."""
    op = student.question.op
    backend = Only(student, only) if only else student
    mistakes = [_sized(each, student, verdicts[0], backend) for each in op.mistakes]
    mistakes = [_led(student, _with_eps(each, eps) if eps is not None else each) for each in mistakes]
    names = resemblances(op, verdicts, backend, mistakes)
    wrong = {id(each.trial) for each in (*verdicts, *(Verdict(Status.MALFORMED, "", trial) for trial in crashed))}
    right = [each for each in trials if id(each) not in wrong and (not gradient or student.differentiates(each))]
    found = [each for each in mistakes if each.name in names]
    found = [each for each in found if all(_harmless(student, each, trial, gradient, only) for trial in right)]
    refuted = [each for each in found if any(_answers(op, each, trial, gradient) for trial in crashed)]
    if len({id(each.trial) for each in verdicts}) < 2:
        found = [each for each in found if each not in refuted]
    forms = [Mistake(each.name, each.sentence) for each in op.forms if each.name in names]
    return sorted(found, key=lambda each: each in refuted) or forms


def _sized(mistake: Mistake, student: Student, verdict: Verdict, backend: Backend) -> Mistake:
    """A mistake that may have any size, in the size that gives what came: by halving, as more of it is further off."""
    if mistake.sized is None or verdict.trial is None or verdict.claim.startswith("vjp"):
        return mistake
    check = Check(student.question.op, verdict.trial, backend)
    try:
        got = float(next(iter(check.got.values())).sum())
    except Malformed:
        return mistake
    expected = float(next(iter(check.expected.values())).sum())
    low, high = -9.0, 0.0  # powers of ten
    for _ in range(40):
        middle = (low + high) / 2
        with np.errstate(all="ignore"):
            made = float(np.asarray(mistake.sized(10.0**middle, check.op, check.p, **check.arrays)).sum())
        low, high = (low, middle) if abs(made - expected) > abs(got - expected) else (middle, high)
    return mistake.of_size(10.0**low)


def _with_eps(mistake: Mistake, eps: float) -> Mistake:
    """A mistake in code that has an eps of its own."""
    forward, vjp = mistake.forward, mistake.vjp
    return mistake._replace(
        forward=forward and (lambda op, p, **arrays: forward(op, p.replace(eps=eps), **arrays)),
        vjp=vjp and (lambda op, p, g, **arrays: vjp(op, p.replace(eps=eps), g, **arrays)),
    )


def _led(student: Student, mistake: Mistake) -> Mistake:
    """A mistake as it shows in code that keeps its own state, which was made with the same mistake."""
    op, prepared, forward = student.question.op, student.question.scope.prepared, mistake.forward
    if prepared is None or forward is None:
        return mistake
    other = copy(op)
    other.forward = lambda p, **arrays: forward(op, p, **arrays)  # type: ignore[method-assign]

    def made(_: Op, p: Params, **arrays: Array) -> Any:
        led = prepared(other, Case(op.name, arrays, dict(p)))
        return forward(op, p, **{name: np.asarray(array, np.float64) for name, array in led.arrays.items()})

    return mistake._replace(forward=made)


def _answers(op: Op, mistake: Mistake, trial: Trial, gradient: bool) -> bool:
    """Whether somebody who makes this mistake gets an answer on a trial."""
    with np.errstate(all="ignore"):
        try:
            _predicted(Check(op, trial, _NOTHING), mistake, gradient)
        except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError):
            return False
    return True


# --- two mistakes at once -------------------------------------------------------------------------------------------


def _two_at_once(
    student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool
) -> tuple[Mistake, ...]:
    """Two mistakes that explain together what neither explains alone: one made in what the other one gives."""
    op = student.question.op
    candidates = [each for each in op.mistakes if (each.vjp if gradient else each.forward) is not None]
    first, *others = sorted(verdicts, key=_size)
    wrong = {id(each.trial) for each in verdicts}
    right = [each for each in trials if id(each) not in wrong and (not gradient or student.differentiates(each))]
    pairs = {(a, b): _led(student, joined(op, a, b, gradient)) for a in candidates for b in candidates if a is not b}
    for some in ([first], others):  # few are left by the first case, the smallest
        names = set(resemblances(op, some, student, [*pairs.values()], relations=False)) if some and pairs else None
        pairs = {both: made for both, made in pairs.items() if names is None or made.name in names}
    for both, made in pairs.items():
        if all(_harmless(student, made, trial, gradient, "") for trial in right):
            return both
    return ()


def _size(verdict: Verdict) -> int:
    return sum(array.size for array in verdict.trial.case.arrays.values()) if verdict.trial is not None else 0


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


def _harmless(student: Student, mistake: Mistake, trial: Trial, gradient: bool, only: str) -> bool:
    """Whether the mistake makes no difference, beyond twice the bound, on a trial that came out right."""
    # what was drawn is read off what came, and an eps that the code hides may be any
    backend = student if student.draws(trial.case) or student.hides_eps else _NOTHING
    check, kind = Graded(student.question.op, trial, backend), "gradient" if gradient else "output"
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
        if student.hides_eps and check.compare("rounding", kind, arrays).verdict is None:
            return True
        halfway = {name: (each + expected[name]) / 2 for name, each in arrays.items()}
        return check.compare("rounding", kind, halfway).verdict is None


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


def _relations(
    student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool
) -> list[Relation]:
    """What has no name but a rule: a constant factor, the batch size, a transposition, no upstream gradient."""
    names = list(dict.fromkeys(each.name for each in verdicts)) if gradient else [""]
    # of losses and of gradients courses take other factors; the output of a layer has none
    scales = gradient or any(each.name == "reduction" for each in student.question.op.params)
    found: list[Relation] = []
    for name in names:
        own = [each for each in verdicts if not name or each.name == name]
        what = say("the gradient of {name}", name=name) if name else say("your result")
        if precision := _precision(student, own, gradient):
            told = say("{what} has only the precision of {precision}: something is converted to it along the "
                       "way", what=what,
                       precision=precision)  # fmt: skip
            found.append(Relation(told, False))
        elif factor := _factor(student, own, trials, gradient):
            found.append(Relation(say("{what} is {relation}", what=what, relation=factor), scales))
        elif gradient and (other := _of_another(student, own)):
            found.append(Relation(say("{what} is that of {other}: gradients are returned in the order of the inputs",
                                      what=what, other=other), False))  # fmt: skip
        elif gradient and _ignores_upstream(student, own):
            found.append(Relation(say("{what} is the right one for an upstream gradient of ones: it must be multiplied "
                                      "by the upstream gradient", what=what), False))  # fmt: skip
        elif relations := _general(student, own, name):
            text, is_convention = _worded(relations[0], scales)
            found.append(Relation(say("{what} is {relation}", what=what, relation=text), is_convention))
    return found


def _general(student: Student, verdicts: Sequence[Verdict], name: str) -> list[str]:
    """The relations that hold for results of any operator; with a name, for that gradient."""
    op = student.question.op
    mistakes = {mistake.name for mistake in op.mistakes}
    found = resemblances(op, verdicts, Only(student, name) if name else student)
    return [each for each in found if each not in mistakes]


def _worded(relation: str, scales: bool) -> tuple[str, bool]:
    """A relation as it reads after "your result is", and whether a convention may differ by it: by a factor only where
    it `scales`."""
    match relation:
        case "zero everywhere":
            return say("zero everywhere"), False
        case "NaN everywhere":
            return say("not a number (NaN) everywhere"), False
        case "negated":
            return say("the right one with the sign flipped"), scales
        case "the last two axes transposed":
            return say("the right one transposed"), True
    if relation in RELATIONS:
        return say("{relation} (compared with the right one)", relation=relation), False
    return relation, scales  # a constant factor


def _of_another(student: Student, verdicts: Sequence[Verdict]) -> str:
    """The other input whose gradient was returned in the place of this one, in any orientation; empty if none."""
    others: set[str] | None = None
    for verdict in verdicts:
        assert verdict.trial is not None
        got = student.made(verdict.trial.case, verdict.trial.cotangent).gradients.get(verdict.name)
        if not isinstance(got, np.ndarray):
            return ""
        check = Check(student.question.op, verdict.trial, _NOTHING)
        alike = {
            name
            for name, right in check.expected_gradients.items()
            if name != verdict.name and (_near(got, right, check.f.u) or _near(got, right.T, check.f.u))
        }
        others = alike if others is None else others & alike
    return min(others or {""})


def _ignores_upstream(student: Student, verdicts: Sequence[Verdict]) -> bool:
    """Whether a gradient is what an upstream gradient of ones would give."""
    for verdict in verdicts:
        trial = verdict.trial
        assert trial is not None
        ones = trial.replace(cotangent={name: np.ones(each.shape) for name, each in trial.cotangent.items()})
        check = Check(student.question.op, ones, _NOTHING)
        got = student.made(trial.case, trial.cotangent).gradients.get(verdict.name)
        right = check.expected_gradients.get(verdict.name)
        if got is None or right is None or isinstance(got, Failed) or not _near(got, right, check.f.u):
            return False
    return True


def _precision(student: Student, verdicts: Sequence[Verdict], gradient: bool) -> str:
    """The lower precision whose numbers all results are, as near to the right ones as they can be."""
    for name, u in (("float16", 2.0**-11), ("float32", 2.0**-24)):
        if name == student.question.dtype:
            break
        if all(_has_precision(student, each, gradient, name, u) for each in verdicts):
            return name
    return ""


def _has_precision(student: Student, verdict: Verdict, gradient: bool, precision: str, u: float) -> bool:
    assert verdict.trial is not None
    check = Check(student.question.op, verdict.trial, _NOTHING)
    made = student.made(verdict.trial.case, verdict.trial.cotangent if gradient else None)
    name = verdict.name or next(iter(check.expected))
    got = (made.gradients if gradient else made.outputs).get(name)
    right = check.expected_of("gradient" if gradient else "output").get(name)
    if not isinstance(got, np.ndarray) or right is None or got.shape != right.shape:
        return False
    with np.errstate(all="ignore"):
        return np.array_equal(got.astype(precision), got) and _near(got, right, u)


def _factor(student: Student, verdicts: Sequence[Verdict], trials: Sequence[Trial], gradient: bool) -> str:
    """What everything was multiplied by, said by what it is."""
    pairs, name = [], ""
    for verdict in verdicts:
        assert verdict.trial is not None
        check = Check(student.question.op, verdict.trial, _NOTHING)
        name = verdict.name or next(iter(check.expected))
        made = student.made(verdict.trial.case, verdict.trial.cotangent if gradient else None)
        got = (made.gradients if gradient else made.outputs).get(name)
        right = check.expected_of("gradient" if gradient else "output").get(name)
        if got is None or right is None or isinstance(got, Failed):
            return ""
        pairs.append(Pair(verdict.trial.case, got, right))
    wrong = {id(verdict.trial) for verdict in verdicts}
    fine = [each.case for each in trials if id(each) not in wrong and (not gradient or name in each.case.arrays)]
    return in_words(student.question.op, pairs, fine, 2.0**-24)
