"""One submission against one assignment: loads it, asks each question, and compares on this side of the pipe."""

import secrets
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from opcheck.grading.assignments.assignment import Assignment, Question
from opcheck.grading.drawing.cases import Drawn, draw, draw_beyond
from opcheck.grading.judging import feedback, purpose
from opcheck.grading.judging.calls import Desk
from opcheck.grading.judging.parts import Finding, examine
from opcheck.grading.judging.settling import NAMED, Readings, settled
from opcheck.grading.judging.student import Student
from opcheck.grading.results import Check, Outcome, Result, total
from opcheck.grading.submissions.loading import Loaded, load
from opcheck.grading.submissions.locate import Found, Missing, Unfit
from opcheck.grading.submissions.submission import Submission
from opcheck.language import say
from opcheck.sandbox import choose

# The rules by which code earns points. Whoever changes them so that the same code may get other points by the same seed
# counts this up, and a journal does not mix the results of both (2: forms, shares of the kinds of cases, types apart;
# 3: what code takes beside what is asked, and chance; 4: classes of any layer, only the dimensions that code is for;
# 5: optimisers as classes, more mistakes of normalisations and optimisers; 6: subgradients,
# more of d2l and of recurrent layers).
RULES = 6
PLACES = 2  # of a share of the points, as a teacher would give it


def grade_source(source: Submission, assignment: Assignment, seed: int | None = None, unsafe: bool = False) -> Result:
    """Grade one submission. The seed is drawn after its code was read, unless the call or the assignment gives one.

    Raises NoSandbox where strangers' code cannot be isolated and `unsafe` does not allow it to run all the same.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        loaded = load(source, assignment, choose(unsafe), stack)
        seed = next((each for each in (seed, assignment.seed) if each is not None), None)
        seed = secrets.randbelow(2**63) if seed is None else seed
        desk = Desk(loaded.worker, assignment.limits.seconds, assignment.limits.total_seconds)
        checks: dict[str, list[Check]] = {}
        readings = Readings()
        for question in assignment.questions if loaded.readable else ():
            checks[question.name] = ask(question, assignment, loaded, desk, seed, checks, readings)
    told = shown(checks.values(), assignment) if loaded.readable else unreadable(loaded.problem, assignment)
    convention = assignment.questions[0].convention.name  # one for all, or any
    everything = assignment.only_found and len(assignment.questions) > 1
    left = tuple(readings.left_out(loaded.definitions, convention)) if everything else ()
    notes = (*(readings.told() if told else () if left else (_nothing(loaded),)), *left)
    return Result(source.student, str(source.path), told, seed, time.monotonic() - began, (*loaded.notes, *notes))


def _nothing(loaded: Loaded) -> str:
    """What is said where a submission has nothing that is known."""
    own = dict.fromkeys(each.name for each in loaded.definitions if each.kind != "value" and each.own)
    return say("nothing in it has the name of a known operator; it defines {names}",
               names=", ".join([*own][:NAMED]) or say("nothing"))  # fmt: skip


def unreadable(problem: str, assignment: Assignment) -> tuple[Check, ...]:
    """The checks of a submission whose code cannot be read."""
    asked = assignment.questions if not assignment.only_found or len(assignment.questions) == 1 else ()
    return shown([_all(each, Outcome.DOES_NOT_LOAD, problem) for each in asked], assignment)


def shown(checks: Iterable[list[Check]], assignment: Assignment) -> tuple[Check, ...]:
    """The checks of all questions; those of a question are one where the assignment shows scores and nothing else."""
    of = {each.name: assignment.for_question(each) for each in assignment.questions}
    told = (each if of[each[0].question].shows("part") else [_whole(each)] for each in checks if each)
    return tuple(check for each in told for check in each)


def ask(
    question: Question,
    assignment: Assignment,
    loaded: Loaded,
    desk: Desk,
    seed: int,
    before: Mapping[str, list[Check]],
    readings: Readings,
) -> list[Check]:
    """One question, part by part; adds to the readings how it was understood."""
    for other in question.depends_on:
        if not _passed(before[other]):
            return _all(
                question, Outcome.SKIPPED, say("skipped: {other} comes first and is not right yet", other=other)
            )
    seeds = [seed, zlib.crc32(question.name.encode())]
    try:
        question, found = settled(question, assignment, loaded, desk, seeds, readings)
    except Missing as missing:
        if isinstance(missing, Unfit):
            readings.unfit.setdefault(missing.name, []).append(question.name)
        if assignment.only_found and len(assignment.questions) > 1:
            return []
        if loaded.problem:
            return _all(question, Outcome.DOES_NOT_LOAD, loaded.problem)
        return _all(question, Outcome.NOT_ATTEMPTED, str(missing))
    assignment = assignment.for_question(question)
    needs_gradients = any(part.startswith("vjp") for part in question.points)
    student, drawn = _answers(question, found, desk, seeds)
    lost = any(student.made(each.case).lost for each in drawn.trials)  # each further call would cost its time again
    for narrow in () if lost else purpose.EVERY if assignment.only_found else purpose.ALWAYS:
        if (narrower := narrow(student, drawn.trials, readings, assignment.only_found)) is not question:
            question = narrower
            student, drawn = _answers(question, found, desk, seeds)
    more = draw_beyond(question.scope, student.takes, question.dtype, seeds, question.entry.upstream)
    drawn = replace(drawn, beyond=student.answered(more, needs_gradients))
    checks: list[Check] = []
    for part in question.points:
        check = _examined(part, student, drawn, seeds, loaded, assignment)
        told = any(each.message == check.message and each.detail for each in checks)  # a case that is shown already
        checks.append(replace(check, detail=None) if told else check)
    return checks


def _answers(question: Question, found: Found, desk: Desk, seeds: Sequence[int]) -> tuple[Student, Drawn]:
    """The cases of a question, and the student who has answered them."""
    student = Student(desk, question, found)
    drawn = draw(question.scope, question.dtype, seeds, *asked(question))
    student.prefetch(drawn.trials, any(part.startswith("vjp") for part in question.points), own_type=drawn.accuracy)
    return student, drawn


def _examined(
    part: str, student: Student, drawn: Drawn, seeds: Sequence[int], loaded: Loaded, assignment: Assignment
) -> Check:
    """One part of a question, with what the student reads about it."""
    began, question = time.monotonic(), student.question
    finding = examine(part, student, drawn, seeds)
    if finding.outcome is Outcome.RIGHT:
        text = feedback.right(student, part, finding, assignment)
    else:
        text = feedback.write(student, part, finding, drawn, assignment)
    return Check(
        question.name,
        part,
        text.outcome or finding.outcome,
        question.points[part],
        round(question.points[part] * finding.share, PLACES),
        _with_problem(text.message, finding, loaded),
        text.detail,
        text.mistakes,
        question.hidden,
        time.monotonic() - began,
    )


def asked(question: Question) -> tuple[bool, bool, bool, bool, bool]:
    """What `draw` is told: whether special values are asked, an upstream gradient is taken, types and digits count, and
    each condition earns its share."""
    special = "special values" in question.points or "stability" in question.points
    typed = "shapes" in question.points or "dtype" in question.points
    whole = typed and question.arrays == "numpy"  # torch does not mix types
    return special, question.entry.upstream, whole, "accuracy" in question.points, question.partial == "cases"


def _with_problem(message: str, finding: Finding, loaded: Loaded) -> str:
    """A crash may come of what the file did not get to, such as an import that fails."""
    problem, crashed = loaded.problem, (Outcome.CRASHED, Outcome.CRASHED_ALWAYS)
    if finding.outcome not in crashed or not problem or not message or message.startswith(problem):
        return message
    if loaded.refused:
        return say("{problem}; {message}", problem=problem, message=message)
    return say("{message}; part of the file failed: {problem}", message=message, problem=problem)


def _whole(checks: list[Check]) -> Check:
    """The parts of a question as one, which ends as the first that is not right."""
    worst = next((check for check in checks if check.outcome is not Outcome.RIGHT), checks[0])
    return replace(
        worst,
        part=say("all parts"),
        points=total(check.points for check in checks),
        score=total(check.score for check in checks),
        mistakes=tuple(dict.fromkeys(name for check in checks for name in check.mistakes)),
        seconds=sum(check.seconds for check in checks),
    )


def _all(question: Question, outcome: Outcome, message: str) -> list[Check]:
    return [
        Check(question.name, part, outcome, points, 0.0, message, hidden=question.hidden)
        for part, points in question.points.items()
    ]


def _passed(checks: list[Check]) -> bool:
    """Whether what depends on these may be asked: the forward pass is right, or where none was asked, everything."""
    forward = [check for check in checks if check.part == "forward"]
    return all(check.outcome is Outcome.RIGHT for check in forward or checks)
