"""nbgrader's table of grades, a line for each person, and a column for each question and each of its parts: what
spreadsheets import."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from opcheck.grading.classes.people import Person
from opcheck.grading.classes.roll import Roll
from opcheck.grading.classes.summary import by_question, score_of
from opcheck.grading.formats import clean, wording
from opcheck.grading.results import EXTRA, Check, Outcome, Result, total
from opcheck.grading.submissions.exports import people
from opcheck.language import say

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)
# What keeps a question from being graded: of what crashes on some inputs, the others count.
FAILED = (Outcome.DOES_NOT_LOAD, Outcome.CRASHED_ALWAYS, Outcome.TOO_SLOW, Outcome.NOT_ATTEMPTED, Outcome.SKIPPED)
FURTHER = ("status", "late_days", "adjustment")


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One table; a group's result stands once for each of its members, and who handed in nothing has a line, too."""
    parts = _parts(results)
    heads = [clean.cell(f"{question}: {wording.name_of(part)}" if part else question) for question, part in parts]
    rows = [[*COLUMNS, *FURTHER, *heads]]
    for result in results:
        for identifier, first, last, email in persons(result):
            rows.append(_row(result, (identifier, last, first, email), assignment, parts))
    for person in results.absent if isinstance(results, Roll) else ():
        rows.append(_absent(person, assignment, len(parts)))
    return table(rows)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV."""
    page = io.StringIO()
    csv.writer(page, lineterminator="\n").writerows(rows)
    return page.getvalue()


def persons(result: Result) -> list[tuple[str, str, str, str]]:
    """(identifier, first name, last name, email) of each person, by the roster or by the submission's name."""
    if result.people:
        return [(each.identifier, each.first, each.last, each.email) for each in result.people]
    found = []
    for identifier, name in people(result.student):
        first, _, last = name.rpartition(" ")
        found.append((identifier, first, last, identifier if "@" in identifier[1:] else ""))
    return found


def _parts(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Each question, and after it each of its parts, in the order of the assignment."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for check in result.checks:
            if check.outcome not in EXTRA:
                found.setdefault(check.question, {})[check.part] = None
    return [(question, part) for question, parts in found.items() for part in ("", *parts)]


def _row(result: Result, who: tuple[str, ...], assignment: "Assignment", parts: Sequence[tuple[str, str]]) -> list[str]:
    penalty = _sum(result.checks, Outcome.LATE)
    score, points = wording.number(result.score), wording.number(result.points)
    known = [*map(clean.cell, (assignment.title, _due(assignment), result.handed_in, *who))]
    further = [
        clean.cell(_status(result)),
        wording.number(result.late_days),
        wording.number(_sum(result.checks, Outcome.ADJUSTED)),
    ]
    graded = by_question(result)
    marks = []
    for question, part in parts:
        checks = [each for each in graded.get(question, []) if not part or each.part == part]
        marks.append(wording.number(score_of(checks)) if checks else "")
    return [*known, wording.number(total((result.score, -penalty))), wording.number(-penalty or 0), score, points,
            *further, *marks]  # fmt: skip


def _status(result: Result) -> str:
    """That it was graded, or what kept all of it, or these questions, from being graded."""
    checks = [each for each in result.checks if each.outcome not in EXTRA]
    failed: dict[Outcome, dict[str, None]] = {}
    for each in checks:
        if each.outcome in FAILED:
            failed.setdefault(each.outcome, {})[each.question] = None
    if not failed:
        return say("graded") if checks else say("nothing to grade")
    if len({each.outcome for each in checks}) == 1:
        return say(checks[0].outcome.value)
    told = [say("{questions} {outcome}", questions=", ".join(questions), outcome=say(outcome.value))
            for outcome, questions in failed.items()]  # fmt: skip
    return say("graded; {told}", told="; ".join(told))


def _sum(checks: Iterable[Check], outcome: Outcome) -> float:
    return total(check.score for check in checks if check.outcome is outcome)


def _absent(person: Person, assignment: "Assignment", parts: int) -> list[str]:
    who = person.identifier, person.last, person.first, person.email
    known = [*map(clean.cell, (assignment.title, _due(assignment), "", *who))]
    points = wording.number(assignment.points)
    return [*known, "0", "0", "0", points, say("not handed in"), "0", "0", *[""] * parts]


def _due(assignment: "Assignment") -> str:
    late = assignment.late
    return late.due.isoformat(" ") if late is not None and late.due is not None else ""
