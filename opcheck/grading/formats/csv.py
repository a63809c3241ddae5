"""nbgrader's table of grades, a line for each person: what learning platforms and spreadsheets import."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opcheck.grading.formats import clean, wording
from opcheck.grading.results import Result
from opcheck.grading.submissions.exports import people

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


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One table; a group's result stands once for each of its members."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for identifier, name in people(result.student):
            writer.writerow(_row(result, identifier, name, assignment.title))
    return page.getvalue()


def _row(result: Result, identifier: str, name: str, title: str) -> list[str]:
    first, _, last = name.rpartition(" ")
    email = identifier if "@" in identifier[1:] else ""
    score, points = wording.number(result.score), wording.number(result.points)
    known = [*map(clean.cell, (title, "", "", identifier, last, first, email))]
    return [*known, score, "0", score, points]
