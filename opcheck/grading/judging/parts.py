"""The parts of a question: for each, on which of the cases the submission is not right, and how."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from opcheck.backends.base import Outputs
from opcheck.grading.drawing.cases import Drawn, large
from opcheck.grading.drawing.conditions import PLAIN, conditions
from opcheck.grading.drawing.sizes import enlarged
from opcheck.grading.judging.calls import Made
from opcheck.grading.judging.graded import OTHER_DERIVATIVE, Accurate, Graded, Strict
from opcheck.grading.judging.own_forward import is_consistent
from opcheck.grading.judging.replies import Failed
from opcheck.grading.judging.student import Student
from opcheck.grading.results import Outcome
from opcheck.language import say
from opcheck.operators.spec import Array, Op
from opcheck.verification.casefile import Trial
from opcheck.verification.claims import correctness, repetition
from opcheck.verification.verdict import Status, Verdict, told_apart

UNUSED = 7  # a size that no other case has


@dataclass(frozen=True, slots=True)
class Wrong:
    """One trial on which a part is not right."""

    outcome: Outcome
    verdict: Verdict  # its trial is there
    adds_up: bool = False  # a second backward pass adds to the gradients of the first


class Kind(NamedTuple):
    """A kind of case, and whether all that the part asks is right on it."""

    name: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a part: its outcome, where it is not right, on how many trials it was, and what that is worth."""

    outcome: Outcome
    wrongs: tuple[Wrong, ...] = ()
    trials: int = 0
    kinds: tuple[Kind, ...] = ()  # where there is credit for a part of the cases
    share: float = 0.0  # of the points
    strict: bool = False  # whether forms of a right formula may be wrong in this part
    wavers: bool = False  # code that gives several answers to the same question, or one to several
    calls: tuple[Trial, ...] = ()  # that show this one after the other, where it takes several
    of_own_forward: bool = False  # right gradients of a forward pass that is wrong itself
    adds_up: bool = False  # gradients that a second backward pass adds to those of the first, as torch does

    @property
    def of_gradient(self) -> bool:
        return bool(self.wrongs) and self.wrongs[0].verdict.claim.startswith(("vjp", "repeat"))


def examine(part: str, student: Student, drawn: Drawn, seeds: Sequence[int]) -> Finding:
    """One part of a question on all of its trials."""
    kind, _, name = part.partition(":")
    if kind == "vjp" and not student.found.can_differentiate:
        return _missing(drawn, student.found.missing)
    if kind == "efficiency":
        trial = large(student.question.scope, student.question.dtype, seeds)
        return _all_or_nothing(_finding(list(_slow(student, trial)), 1))
    trials = trials_of(kind, student, drawn)
    wrongs: list[Wrong] = []
    for trial in trials if kind != "repeat" else ():
        those = [each for each in LOOKS[kind](student, trial) if not name or each.verdict.name in ("", name)]
        wrongs += those[:1] if kind != "vjp" else those
    if any(each.verdict.status is Status.DIFFERS for each in wrongs) and student.wavers(_trials(wrongs)):
        return _wavering(wrongs[0], len(trials))
    if any(each.verdict.status is Status.DIFFERS for each in wrongs) and (calls := _remembered(student, wrongs)):
        return _remembering(wrongs[0], len(trials), calls)
    repeats = kind == "repeat" or (kind == "vjp" and not wrongs)
    repeated = [each for each in (_repeated(student) if repeats else ()) if not name or each.verdict.name in ("", name)]
    if kind == "repeat":
        return _all_or_nothing(_finding(repeated, 1))
    if kind == "vjp" and not wrongs:
        wrongs = [each for each in repeated if not each.adds_up]
        if repeated and not wrongs:
            return Finding(Outcome.RIGHT, (), len(trials), share=1.0, adds_up=True)
    if kind == "vjp" and wrongs and _is_of_own_forward(student, drawn, wrongs, name):
        return Finding(Outcome.RIGHT, (), len(trials), share=1.0, of_own_forward=True)
    found = _finding(wrongs, len(trials), len(drawn.whole) if kind in ("shapes", "dtype") else 0)
    found = replace(found, strict=LOOKS[kind] in (_extreme, _accurate))
    more = {id(trial) for trial in drawn.beyond}
    unasked = all(id(each.verdict.trial) in more for each in wrongs)  # which never costs all of the points
    partly = kind in SHARED and (student.question.partial == "cases" or unasked)
    if partly and found.wrongs and found.outcome is not Outcome.NOT_ATTEMPTED:
        return _shared(found, student, drawn, trials, name)
    return _all_or_nothing(found)


def _is_of_own_forward(student: Student, drawn: Drawn, wrongs: Sequence[Wrong], name: str) -> bool:
    """Whether gradients that are wrong are right for a forward pass that is wrong, too."""
    if any(each.verdict.status is not Status.DIFFERS or each.verdict.expected is None for each in wrongs):
        return False
    if not any(each.verdict.expected is not None for trial in drawn.ordinary for each in _forward(student, trial)):
        return False
    return is_consistent(student, drawn.ordinary, name)


def _all_or_nothing(found: Finding) -> Finding:
    return replace(found, share=float(found.outcome is Outcome.RIGHT))


def _shared(found: Finding, student: Student, drawn: Drawn, trials: Sequence[Trial], name: str) -> Finding:
    """The finding with its share of the points: how many kinds of cases are right, on average over the gradients; of
    each gradient, among the kinds that have it."""
    kinds = _kinds(student, drawn, trials)
    by_trial: dict[int, set[str]] = {}
    for each in found.wrongs:
        by_trial.setdefault(id(each.verdict.trial), set()).add(each.verdict.name)
    given = {id(trial): differentiated(student, trial) for trial in trials} if found.of_gradient else {}
    gradients = [each for each in dict.fromkeys(each for names in given.values() for each in names)
                 if name in ("", each)]  # fmt: skip
    shares = []
    for one in gradients or [""]:
        there = [of for _, of in kinds if not one or any(one in given[id(trial)] for trial in of)]
        wrong = [_is_wrong(by_trial, of, one, found.of_gradient) for of in there]
        shares.append(1 - sum(wrong) / len(wrong))
    told = tuple(Kind(kind, not any(id(trial) in by_trial for trial in of)) for kind, of in kinds)
    return replace(found, kinds=told, share=sum(shares) / len(shares))


def differentiated(student: Student, trial: Trial) -> tuple[str, ...]:
    """The inputs whose gradients are asked on a trial: of a loss not that of the target, where code gives none."""
    return tuple(student.made(trial.case, trial.cotangent).gradients)


def _kinds(student: Student, drawn: Drawn, trials: Sequence[Trial]) -> list[tuple[str, list[Trial]]]:
    """The kinds of cases by name: each condition alone, and the others; of an optimiser, what its cases are about."""
    more = {id(trial) for trial in drawn.beyond}
    beyond = [each for each in trials if id(each) in more]
    last = [(say("what is not asked, but accepted"), beyond)] if beyond else []
    if drawn.separate:
        alone = {id(trial) for _, trial in drawn.separate}
        others = [each for each in trials if id(each) not in alone | more]
        return [*((kind, [trial]) for kind, trial in drawn.separate), (say("all of these together"), others), *last]
    found: dict[str, list[Trial]] = {}
    for trial in [each for each in trials if id(each) not in more]:
        names = " + ".join(each.name for each in conditions(student.question.op, trial.case))
        found.setdefault(names or PLAIN, []).append(trial)
    return [*found.items(), *last]


def _is_wrong(by_trial: Mapping[int, set[str]], trials: Sequence[Trial], name: str, gradient: bool) -> bool:
    """Whether a kind of case is wrong; of gradients, whether that one is, or all of them are."""
    names = [by_trial.get(id(trial), set()) for trial in trials]
    return any(bool(each) if not gradient else "" in each or name in each for each in names)


def trials_of(kind: str, student: Student, drawn: Drawn) -> tuple[Trial, ...]:
    """The trials of a part. What an input of integers becomes is asked with the shapes where no part is for types."""
    whole = () if "dtype" in student.question.points else drawn.whole
    more = [each for each in drawn.beyond if kind != "vjp" or student.differentiates(each)]
    usual = (*(trial for _, trial in drawn.separate), *drawn.ordinary, *more)
    return {
        "special values": drawn.special,
        "stability": drawn.special,
        "accuracy": drawn.accuracy,
        "shapes": (*usual, *drawn.special, *whole),
        "dtype": (*drawn.ordinary, *drawn.whole),
    }.get(kind, usual)


def _finding(wrongs: Sequence[Wrong], trials: int, forward_only: int = 0) -> Finding:
    """All not attempted is one outcome; a wrong answer weighs more than a crash on some inputs."""
    if not wrongs:
        return Finding(Outcome.RIGHT, (), trials)
    outcomes = {each.outcome for each in wrongs}
    failing = {id(each.verdict.trial) for each in wrongs}
    if outcomes == {Outcome.NOT_ATTEMPTED} and len(failing) >= trials - forward_only:
        return Finding(Outcome.NOT_ATTEMPTED, tuple(wrongs), trials)
    for outcome in (Outcome.WRONG, Outcome.TOO_SLOW):
        if outcome in outcomes:
            return Finding(outcome, tuple(wrongs), trials)
    outcome = Outcome.CRASHED if len(failing) < trials - forward_only else Outcome.CRASHED_ALWAYS
    return Finding(outcome, tuple(wrongs), trials)


def _trials(wrongs: Sequence[Wrong]) -> list[Trial]:
    return [*{id(trial): trial for each in wrongs if (trial := each.verdict.trial) is not None}.values()]


def _wavering(wrong: Wrong, trials: int) -> Finding:
    """What is right by chance is worth nothing."""
    message = say("called again with the same input, it gives a different result: it must depend only on its "
                  "arguments, not on chance or earlier calls")  # fmt: skip
    verdict = Verdict(Status.MALFORMED, "repeat", wrong.verdict.trial, message=message)
    return Finding(Outcome.WRONG, (Wrong(Outcome.WRONG, verdict),), trials, wavers=True)


def _remembered(student: Student, wrongs: Sequence[Wrong]) -> tuple[Trial, ...]:
    """Two calls of new shapes, of which the second gives what the first one did, though its numbers are others."""
    if student.remembered is None:
        first = min(_trials(wrongs), key=lambda each: sum(array.size for array in each.case.arrays.values()))
        student.remembered = _same_answers(student, first)
    return student.remembered


def _same_answers(student: Student, trial: Trial) -> tuple[Trial, ...]:
    op, name = student.question.op, next(iter(trial.case.arrays))
    case = enlarged(op, trial.case, UNUSED, np.random.default_rng(0), slice(-1, None))
    x = case.arrays[name]
    if x.dtype.kind != "f" or not x.ndim:
        return ()
    other = case._replace(arrays={**case.arrays, name: np.flip(x) / 2})
    calls = tuple(Trial(each, trial.dtype, trial.policy) for each in (case, other))
    student.prefetch(calls, gradients=False)
    one, two = (student.made(each.case).outputs for each in calls)
    if any(isinstance(each, Failed) for each in (*one.values(), *two.values())) or not _same(one, two):
        return ()
    return calls if is_right(student, calls[0]) and not is_right(student, calls[1]) else ()


def _remembering(wrong: Wrong, trials: int, calls: tuple[Trial, ...]) -> Finding:
    message = say("called again with different numbers of the same shapes, it returns its first result: compute it "
                  "only from the arguments, and keep nothing between calls")  # fmt: skip
    verdict = Verdict(Status.MALFORMED, "repeat", wrong.verdict.trial, message=message)
    return Finding(Outcome.WRONG, (Wrong(Outcome.WRONG, verdict),), trials, wavers=True, calls=calls)


def _missing(drawn: Drawn, message: str) -> Finding:
    trial = drawn.ordinary[0]
    wrong = Wrong(Outcome.NOT_ATTEMPTED, Verdict(Status.MALFORMED, "answers", trial, message=message))
    return Finding(Outcome.NOT_ATTEMPTED, (wrong,), len(drawn.ordinary))


def is_right(student: Student, trial: Trial) -> bool:
    """Whether the forward pass is right on a trial."""
    return not any(True for _ in _forward(student, trial))


def _forward(student: Student, trial: Trial, judged: type[Graded] = Graded) -> Iterator[Wrong]:
    made = student.made(trial.case)
    if failed := _first_failure(made.outputs):
        yield _without(failed, "answers", trial)
        return
    yield from (each for each in _misshapen(made, trial, gradients=False))
    check = judged(student.question.op, trial, student)
    if not _equal(check.got, check.expected):
        for finding in correctness.numbers(check):
            if finding.verdict is not None:
                yield Wrong(Outcome.WRONG, finding.verdict)
        student.wrote("forward", check.forms)
    if student.draws(trial.case):
        for finding in repetition.rate(check):
            if finding.verdict is not None:
                yield Wrong(Outcome.WRONG, finding.verdict)
    if made.changed:
        message = say("it changes its input, which the caller still needs: work on a copy")
        yield Wrong(Outcome.WRONG, Verdict(Status.DIFFERS, "pure", trial, message=message))


def _extreme(student: Student, trial: Trial) -> Iterator[Wrong]:
    return _forward(student, trial, Strict)


def _accurate(student: Student, trial: Trial) -> Iterator[Wrong]:
    return _forward(student, trial, Accurate)


def _vjp(student: Student, trial: Trial) -> Iterator[Wrong]:
    made = student.made(trial.case, trial.cotangent)
    if failed := _first_failure(made.outputs) or _first_failure(made.gradients):
        yield _without(failed, "vjp", trial)
        return
    yield from (each for each in _misshapen(made, trial, gradients=True))
    check = Graded(student.question.op, trial, student)
    expected = check.expected_gradients
    got = student.open(check.op, trial.case, trial.dtype).vjp(trial.cotangent)
    if _equal(got, {name: expected[name] for name in got}):
        return
    wrong, chosen = [], []
    for name, gradient in got.items():
        if not _equal({name: gradient}, expected):
            verdict = check.compare(f"vjp:{name}", "gradient", {name: gradient}).verdict
            student.wrote("vjp", check.forms)
            chosen += [name] if OTHER_DERIVATIVE in check.forms else []
            wrong += [replace(verdict, name=name)] if verdict is not None else []
    if len(chosen) > 1 and not wrong:  # each may be, but not all of them: both of two equal numbers are no maximum
        verdict = check.compare(f"vjp:{chosen[0]}", "gradient", {name: got[name] for name in chosen}).verdict
        wrong += [verdict] if verdict is not None else []
    yield from (Wrong(Outcome.WRONG, each) for each in wrong)


def _repeated(student: Student) -> Iterator[Wrong]:
    """Backward called a second time on what one forward call left: it must neither add up nor use it up."""
    found = student.again()
    if found is None:
        return
    trial, made = found
    if failed := _first_failure(made.outputs) or _first_failure(made.gradients):
        message = say("called a second time after one forward pass, backward fails: {reason}", reason=str(failed))
        yield Wrong(Outcome.CRASHED, Verdict(Status.MALFORMED, "repeat", trial, message=message))
        return
    check = Graded(student.question.op, trial, student)
    for name, expected in check.expected_gradients.items():
        got = made.gradients.get(name)
        if not isinstance(got, np.ndarray) or check.compare(f"vjp:{name}", "gradient", {name: got}).verdict is None:
            continue
        # the first upstream gradient was twice that of the second
        adds_up = (
            got.shape == expected.shape and check.compare(f"vjp:{name}", "gradient", {name: got / 3}).verdict is None
        )
        if adds_up:
            message = say(
                "a second call of backward adds to the gradient of {name} from the first: reset it", name=name
            )
        else:
            message = say("called a second time after one forward pass, backward gives a different gradient of "
                          "{name}: something that forward stored was changed", name=name)  # fmt: skip
        yield Wrong(Outcome.WRONG, Verdict(Status.DIFFERS, "repeat", trial, name, message=message), adds_up)


def _whole(student: Student, trial: Trial) -> Iterator[Wrong]:
    """The first array in an integer type: the results have fractions all the same.

    What is as wrong for the same numbers in a real type is the matter of another part."""
    made = student.made(trial.case)
    given = say("given {name} as integers", name=next(iter(trial.case.arrays)))
    if failed := _first_failure(made.outputs):
        message = say("{given}: {message}", given=given, message=str(failed))
        yield Wrong(failed.outcome, Verdict(Status.MALFORMED, "whole", trial, message=message))
        return
    for name, message in {**made.misshaped, **made.mistyped}.items():
        message = say("{given}: {message}", given=given, message=message)
        yield Wrong(Outcome.WRONG, Verdict(Status.DIFFERS, "whole", trial, name, message=message))
        return
    check = Graded(student.question.op, in_reals(student.question.op, trial), student)
    verdict = check.compare("whole", "output", made.outputs).verdict  # type: ignore[arg-type]  # no failure among them
    if verdict is not None and not _same(made.outputs, student.made(check.trial.case).outputs):
        assert verdict.got is not None and verdict.expected is not None
        got, right = told_apart(verdict.got, verdict.expected)
        message = say("{given}: {name} is {got}; it should be {right}: was it cut to whole numbers?", given=given,
                      name=_place(verdict), got=got, right=right)  # fmt: skip
        yield Wrong(Outcome.WRONG, replace(verdict, trial=trial, message=message))


def _same(got: "dict[str, Array | Failed]", other: "dict[str, Array | Failed]") -> bool:
    return all(np.array_equal(np.asarray(got[name]), np.asarray(other.get(name))) for name in got)


def in_reals(op: Op, trial: Trial) -> Trial:
    """The trial with its first array as real numbers again, if that is what it is meant to hold."""
    first, *_ = arrays = trial.case.arrays
    if op.input(first).whole:
        return trial
    return trial.replace(case=trial.case._replace(arrays={**arrays, first: arrays[first].astype(np.float64)}))


def _place(verdict: Verdict) -> str:
    return f"{verdict.name}[{', '.join(map(str, verdict.at))}]" if verdict.at else verdict.name


def _shapes(student: Student, trial: Trial) -> Iterator[Wrong]:
    if _holds_integers(student, trial):
        yield from _whole(student, trial)
        return
    made = student.made(trial.case, trial.cotangent if _differentiates(student) else None)
    if failed := _first_failure(made.outputs):
        yield _without(failed, "answers", trial)
        return
    if failed := _first_failure(made.gradients):
        yield _without(failed, "vjp", trial)
        return
    yield from _misshapen(made, trial, gradients=False)
    yield from _misshapen(made, trial, gradients=True)
    if "dtype" not in student.question.points:
        yield from _mistyped(made, trial)


def _dtype(student: Student, trial: Trial) -> Iterator[Wrong]:
    """The type of the results, whatever else is right or wrong of them."""
    if _holds_integers(student, trial):
        yield from _whole(student, trial)
        return
    made = student.made(trial.case, trial.cotangent if _differentiates(student) else None)
    if failed := _first_failure(made.outputs):
        yield _without(failed, "answers", trial)
        return
    yield from _mistyped(made, trial)


def _mistyped(made: Made, trial: Trial) -> Iterator[Wrong]:
    for name, message in made.mistyped.items():
        yield Wrong(Outcome.WRONG, Verdict(Status.DIFFERS, "type", trial, name.removeprefix("vjp:"), message=message))


def _holds_integers(student: Student, trial: Trial) -> bool:
    first = student.question.op.inputs[0]
    return not first.whole and trial.case.arrays[first.name].dtype.kind == "i"


def _slow(student: Student, trial: Trial) -> Iterator[Wrong]:
    """A larger case, within the seconds that the question allows."""
    student.prefetch([trial], gradients=_differentiates(student), seconds=student.question.seconds)
    made = student.made(trial.case)
    if made.lost:
        message = say("it needs more than {seconds:g} seconds for {sizes}", seconds=student.question.seconds,
                      sizes=_sizes(trial))  # fmt: skip
        yield Wrong(Outcome.WRONG, Verdict(Status.TIMED_OUT, "efficiency", trial, message=message))
        return
    yield from _forward(student, trial)


def _sizes(trial: Trial) -> str:
    return ", ".join(f"{name} {'×'.join(map(str, array.shape))}" for name, array in trial.case.arrays.items())


def _differentiates(student: Student) -> bool:
    return any(part.startswith("vjp") for part in student.question.points) and student.found.can_differentiate


def _misshapen(made: Made, trial: Trial, gradients: bool) -> Iterator[Wrong]:
    for name, message in made.misshaped.items():
        if name.startswith("vjp:") == gradients:
            name = name.removeprefix("vjp:")
            claim = f"vjp:{name}" if gradients else "shape"
            yield Wrong(Outcome.WRONG, Verdict(Status.DIFFERS, claim, trial, name, message=message))


def _without(failed: Failed, claim: str, trial: Trial) -> Wrong:
    return Wrong(failed.outcome, Verdict(Status.MALFORMED, claim, trial, message=str(failed)))


def _first_failure(results: "dict[str, Array | Failed]") -> Failed | None:
    return next((each for each in results.values() if isinstance(each, Failed)), None)


def _equal(got: Outputs, expected: Outputs) -> bool:
    """Whether all arrays are the reference's, bit for bit (NaN for NaN): then no bound has to be computed."""
    return all(
        each.shape == expected[name].shape and np.array_equal(each, expected[name], equal_nan=True)
        for name, each in got.items()
    )


SHARED = ("forward", "vjp", "shapes")  # parts of which a share of the cases may earn a share of the points
LOOKS = {
    "forward": _forward,
    "special values": _extreme,
    "stability": _extreme,
    "accuracy": _accurate,
    "shapes": _shapes,
    "dtype": _dtype,
    "vjp": _vjp,
}
