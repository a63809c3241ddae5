"""One submission against one assignment: loads it, asks each question, and compares on this side of the pipe."""

import secrets
import time
import zlib
from collections.abc import Mapping
from contextlib import ExitStack

from opcheck.grading import feedback
from opcheck.grading.assignment import Assignment, Question
from opcheck.grading.calls import Desk
from opcheck.grading.cases import Drawn, draw
from opcheck.grading.loading import Loaded, load
from opcheck.grading.locate import Missing, locate
from opcheck.grading.parts import Finding, examine
from opcheck.grading.results import Check, Outcome, Result
from opcheck.grading.student import Student
from opcheck.grading.submission import Submission
from opcheck.language import say
from opcheck.sandbox import choose


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
        for question in assignment.questions:
            checks[question.name] = ask(question, assignment, loaded, desk, seed, checks)
    flat = tuple(check for each in checks.values() for check in each)
    return Result(source.student, str(source.path), flat, seed, time.monotonic() - began, loaded.notes)


def ask(
    question: Question, assignment: Assignment, loaded: Loaded, desk: Desk, seed: int, before: Mapping[str, list[Check]]
) -> list[Check]:
    """One question, part by part."""
    for other in question.depends_on:
        if not _passed(before[other]):
            return _all(
                question, Outcome.SKIPPED, say("skipped: {other} comes first, and is not right yet", other=other)
            )
    try:
        found = locate(loaded.definitions, question.entry)
    except Missing as missing:
        if loaded.problem:
            return _all(question, Outcome.DOES_NOT_LOAD, loaded.problem)
        return _all(question, Outcome.NOT_ATTEMPTED, str(missing))
    student = Student(desk, question, found)
    needs_gradients = any(part.startswith("vjp") for part in question.points)
    seeds = [seed, zlib.crc32(question.name.encode())]
    special = "special values" in question.points
    whole = "shapes" in question.points and question.arrays == "numpy"  # torch does not mix types
    drawn = draw(question.scope, question.dtype, seeds, special, question.entry.upstream, whole)
    student.prefetch([*drawn.ordinary, *drawn.special, *drawn.whole], needs_gradients)
    checks = []
    for part, points in question.points.items():
        spent = time.monotonic()
        finding = examine(part, student, drawn, seeds)
        checks.append(_check(question, part, points, finding, drawn, student, assignment, spent))
    return checks


def _check(
    question: Question,
    part: str,
    points: float,
    finding: Finding,
    drawn: Drawn,
    student: Student,
    assignment: Assignment,
    began: float,
) -> Check:
    if finding.outcome is Outcome.RIGHT:
        text = feedback.Text(say("right"))
    else:
        text = feedback.write(student, part, finding, drawn, assignment)
    return Check(
        question.name,
        part,
        text.outcome or finding.outcome,
        points,
        points if finding.outcome is Outcome.RIGHT else 0.0,
        text.message,
        text.detail,
        text.mistakes,
        question.hidden,
        time.monotonic() - began,
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
