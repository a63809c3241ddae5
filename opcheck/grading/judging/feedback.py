"""What a student reads about a part that is not right, as much of it as the assignment's feedback level allows."""

import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.drawing.cases import Drawn
from opcheck.grading.drawing.conditions import Condition, conditions
from opcheck.grading.judging import counterexample
from opcheck.grading.judging.diagnosis import Diagnosis, diagnose
from opcheck.grading.judging.parts import Finding, differentiated, trials_of
from opcheck.grading.judging.student import Student
from opcheck.grading.results import Outcome
from opcheck.language import say
from opcheck.operators.spec import Mistake
from opcheck.steps import Block, Prose, Step
from opcheck.verification.casefile import Trial
from opcheck.verification.verdict import Status, Verdict, told_apart

FORMS = ("accuracy", "stability", "special values")  # parts in which a right formula may lose points
_RAISED = re.compile(r"it raises (\w+)")
_CRASHED = (Outcome.CRASHED, Outcome.CRASHED_ALWAYS, Outcome.TOO_SLOW)


@dataclass(frozen=True, slots=True)
class Text:
    """The sentence, the details, and the mistakes that explain everything that is wrong (for the teacher)."""

    message: str
    detail: Step | None = None
    mistakes: tuple[str, ...] = ()
    outcome: Outcome | None = None  # where the diagnosis knows better: another convention


def write(student: Student, part: str, finding: Finding, drawn: Drawn, assignment: Assignment) -> Text:
    """The feedback on one part. Inputs and numbers appear from the level "counterexample" on, and no sooner."""
    if finding.wavers:
        message = finding.wrongs[0].verdict.message if assignment.shows("part") else ""
        blocks = (
            counterexample.one_after_the_other(student, finding.calls) if assignment.shows("counterexample") else []
        )
        return Text(message, Step("", tuple(blocks)) if blocks else None)
    verdicts = [each.verdict for each in finding.wrongs]
    trials = trials_of(part.partition(":")[0], student, drawn)
    values = part.startswith("vjp") or part in ("forward", "special values", "stability", "accuracy")
    found = diagnose(student, verdicts, trials) if values else Diagnosis()
    names = tuple(mistake.name for mistake in found.mistakes)
    if not assignment.shows("part"):
        return Text("", None, names)
    if not assignment.shows("counterexample"):
        return Text(_brief(student, part, finding), None, names)
    if finding.outcome is Outcome.NOT_ATTEMPTED:
        return Text(finding.wrongs[0].verdict.message, None, names)
    smallest = counterexample.smallest(student, finding, _others(student, found))
    text = Text(_sentence(student, smallest.verdict), None, names)
    blocks = [*counterexample.shown(student, smallest)]
    if assignment.shows("diagnosis"):
        text, above, below = _explained(text, student, part, finding, found, smallest.verdict, trials, drawn.beyond)
        blocks = [*above, *blocks, *below]
    if finding.kinds:
        blocks.append(Prose(_shared(finding), "note"))
    if assignment.shows("worked calculation"):
        blocks += counterexample.worked(student, smallest.verdict)
    return replace(text, detail=Step("", tuple(blocks)) if blocks else None)


def _explained(
    text: Text,
    student: Student,
    part: str,
    finding: Finding,
    found: Diagnosis,
    shown: Verdict,
    trials: Sequence[Trial],
    more: Sequence[Trial],
) -> tuple[Text, list[Block], list[Block]]:
    """The text with the reason in the place of the first wrong number, and what stands above and below the case."""
    above: list[Block] = []
    below: list[Block] = []
    sentences = _sentences(student, part, found)
    message, outcome = text.message, None
    if where := _where(student, finding, trials):
        if sentences or shown.expected is None:
            told = say("Right without {without}; wrong whenever {whenever}.", without=where.without,
                       whenever=where.whenever)  # fmt: skip
            above.append(Prose(told))
        else:
            above.append(Prose(message))
            message = say("right without {without}; wrong whenever {whenever}", without=where.without,
                          whenever=where.whenever)  # fmt: skip
    if sentences:
        message = sentences[0]
        if found.together:
            message = say("Two mistakes at once: {first} {second}", first=sentences[0], second=sentences[1])
        elif found.apart:
            below += [Prose(say("Also: {other}", other=other)) for other in sentences[1:]]
        else:
            below += [Prose(say("Or: {other}", other=other)) for other in sentences[1:2]]
    kept_otherwise = bool(found.mistakes) and found.mistakes[0].is_convention
    if kept_otherwise:
        above.append(Prose(say("That would be right for weights stored the other way round: a different convention "
                               "from the one this assignment asks for.")))  # fmt: skip
    of_convention = bool(found.relations) and all(each.is_convention for each in found.relations)
    if (kept_otherwise or of_convention) and finding.outcome is Outcome.WRONG:
        outcome = Outcome.OTHER_CONVENTION
    if all(any(each.verdict.trial is trial for trial in more) for each in finding.wrongs):
        below.append(Prose(say("The assignment does not ask for this, but your code accepts it, so it must be right: "
                               "fix it, remove it, or raise NotImplementedError."), "note"))  # fmt: skip
    if right := _right(student, finding):
        below.append(Prose(right, "note"))
    return replace(text, message=message, outcome=outcome), above, below


def _sentences(student: Student, part: str, found: Diagnosis) -> list[str]:
    """One for each mistake or relation that was found, the likeliest first."""
    op, convention = student.question.op, student.question.convention
    forms = {each.name for each in op.forms} if part in FORMS else set()
    sentences = [
        say("right, but {sentence}", sentence=say(mistake.sentence))
        if mistake.name in forms
        else say(convention.sentence(op, mistake))
        for mistake in found.mistakes
    ]
    return [*sentences, *(each.sentence for each in found.relations)]


def right(student: Student, part: str, finding: Finding, assignment: Assignment) -> Text:
    """That a part is right, and of a form of it where it is worse, which costs nothing here."""
    if not assignment.shows("diagnosis"):
        return Text(say("right"))
    if finding.of_own_forward:
        return Text(
            say(
                "right for your own forward pass: the gradients match what it computes, so only the forward pass is "
                "wrong"
            )
        )
    if finding.adds_up:
        return Text(say("right; a second backward pass adds to the gradients of the first, as in torch: reset them "
                        "before each step"))  # fmt: skip
    forms = student.forms.get(part.partition(":")[0], ())
    if not forms or part.partition(":")[0] not in ("forward", "vjp"):
        return Text(say("right"))
    return Text(say("right, but {sentence}", sentence=say(forms[0].sentence)))


def _others(student: Student, found: Diagnosis) -> list[Mistake]:
    """The mistakes from which a case should tell those that were found; two made at once from each of them, too."""
    if not found.mistakes or found.apart:
        return []
    names = set() if found.together else {each.name for each in found.mistakes}
    return [each for each in student.question.op.mistakes if each.name not in names]


def _brief(student: Student, part: str, finding: Finding) -> str:
    """That a part is not right, and nothing that was computed: a message of the student's own code may hold inputs, and
    so may the file and the line that it makes up for its exception."""
    message, trial = finding.wrongs[0].verdict.message, finding.wrongs[0].verdict.trial
    assert trial is not None
    if finding.outcome is Outcome.NOT_ATTEMPTED:
        return say("it raises {kind}", kind="NotImplementedError") if "NotImplementedError" in message else message
    if finding.outcome in _CRASHED and (raised := _RAISED.search(message)):
        known = isinstance(getattr(builtins, raised[1], None), type)  # any other name may hold inputs
        return say("it raises {kind}", kind=raised[1]) if known else say("it raises an exception")
    if finding.outcome in _CRASHED and student.made(trial.case, trial.cotangent).lost:
        return say("it does not finish on every case")
    return say("{part} is not right yet", part=_called(part))


def _sentence(student: Student, verdict: Verdict) -> str:
    """What is wrong, in one line: the first wrong number, or the message of the failure."""
    if verdict.status is not Status.DIFFERS or verdict.claim == "whole":
        return verdict.message
    gradient = verdict.claim.startswith("vjp")
    if verdict.expected is None:
        assert verdict.trial is not None
        made = student.made(verdict.trial.case, verdict.trial.cotangent if gradient else None)
        return made.misshaped.get(f"vjp:{verdict.name}" if gradient else verdict.name, verdict.message)
    what = say("the gradient of {name}", name=verdict.name) if gradient else verdict.name
    place = f"[{', '.join(map(str, verdict.at))}]" if verdict.at else ""
    assert verdict.got is not None
    got, right = told_apart(verdict.got, verdict.expected)
    line = say("{what}{at} is {got}; it should be {right}", what=what, at=place, got=got, right=right)
    if verdict.wrong < verdict.elements:
        line += say(" ({wrong} of {n} numbers are wrong)", wrong=verdict.wrong, n=verdict.elements)
    return line


def _called(part: str) -> str:
    kind, _, name = part.partition(":")
    if name:
        return say("the gradient of {name}", name=name)
    return {
        "forward": say("the forward pass"),
        "vjp": say("the backward pass"),
        "shapes": say("a shape or a type"),
        "dtype": say("the type of a result"),
        "accuracy": say("the accuracy"),
        "stability": say("the handling of large and small numbers"),
        "repeat": say("a second backward pass"),
        "special values": say("the handling of special values"),
        "efficiency": say("the running time"),
    }[kind]


def _where(student: Student, finding: Finding, trials: Sequence[Trial]) -> Condition | None:
    """The condition that all failing cases have and no right one."""
    op, wrong = student.question.op, {id(each.verdict.trial) for each in finding.wrongs}
    shared: dict[str, Condition] | None = None
    elsewhere: set[str] = set()
    for trial in trials:
        found = {each.name: each for each in conditions(op, trial.case)}
        if id(trial) not in wrong:
            elsewhere |= found.keys()
        else:
            shared = found if shared is None else {name: each for name, each in shared.items() if name in found}
    elsewhere |= {each.verdict.name for each in finding.wrongs}  # a gradient is wrong if there is one: no news
    telling = [each for name, each in (shared or {}).items() if name not in elsewhere]
    return telling[0] if telling and len(wrong) < len(trials) else None


def _shared(finding: Finding) -> str:
    """Which kinds of cases are right, where each earns its share of the points."""
    right = [say(each.name) for each in finding.kinds if each.is_right]
    wrong = [say(each.name) for each in finding.kinds if not each.is_right]
    if not right:
        return say("None of the {n} kinds of cases is right.", n=len(wrong))
    return say("Right: {right}. Wrong: {wrong}.", right=", ".join(right), wrong=", ".join(wrong))


def _right(student: Student, finding: Finding) -> str:
    """What was right, so that nobody looks for the bug there."""
    if finding.wrongs[0].verdict.claim == "repeat":
        return say("The first call of backward was right.")
    wrong, trials = len({id(each.verdict.trial) for each in finding.wrongs}), finding.trials
    parts = []
    if wrong < trials and not finding.kinds:
        parts.append(say("{n} of {all} cases", n=trials - wrong, all=trials))
    names = {each.verdict.name for each in finding.wrongs}
    if all(each.verdict.claim.startswith("vjp:") for each in finding.wrongs):
        trial = finding.wrongs[0].verdict.trial
        assert trial is not None
        others = [name for name in differentiated(student, trial) if name not in names]
        if others:
            parts.append(say("the gradients: {names}", names=", ".join(others)))
    return say("Right so far: {parts}.", parts="; ".join(parts)) if parts else ""
