"""Moodle's grading worksheet, filled in: Assignment, View all submissions, Upload grading worksheet.

It wants the columns Identifier ("Participant 12345", as in the folders of its zip of submissions), Grade and Last
modified (grade), in commas and UTF-8. With the worksheet as the roster, all of its columns come back as they were.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opcheck.grading.formats import clean, wording
from opcheck.grading.formats.csv import persons, table
from opcheck.grading.results import Outcome, Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

COLUMNS = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum grade", "Grade can be changed",
           "Last modified (submission)", "Last modified (grade)", "Feedback comments")  # fmt: skip
# In the language of the site; the first is English.
GRADE = ("Grade", "Bewertung", "Note", "Calificación", "Nota", "Cijfer")
FEEDBACK = (
    "Feedback comments",
    "Feedback als Kommentar",
    "Feedback par commentaires",
    "Comentarios de retroalimentación",
)
MOST = ("Maximum grade", "Maximum Grade", "Bestwertung", "Note maximale", "Calificación máxima")


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One table. A group's result stands once for each of its members."""
    worksheet = next((each.row for result in results for each in result.people if _is_worksheet(each.row)), None)
    columns = [*(worksheet or COLUMNS)]
    rows = [columns]
    for result in results:
        for k, (identifier, first, last, email) in enumerate(persons(result)):
            known: Mapping[str, str] = result.people[k].row if result.people else {}
            if not _is_worksheet(known):
                known = _row(identifier, f"{first} {last}".strip(), email, assignment.points)
            filled = {**known, **_filled(known, result)}
            rows.append([clean.kept(filled.get(name, "")) for name in columns])
    return table(rows)


def _is_worksheet(row: Mapping[str, str]) -> bool:
    return _named(row, GRADE) != "" and any(value.rpartition(" ")[2].isdigit() for value in [*row.values()][:1])


def _named(row: Mapping[str, str], names: Sequence[str]) -> str:
    """The first of these columns that is there; "" if none."""
    return next((name for name in row if name.strip() in names), "")


def _row(identifier: str, name: str, email: str, points: float) -> dict[str, str]:
    participant = f"Participant {identifier}" if identifier.isdigit() else identifier
    known = (participant, name or identifier, email, "", "", wording.number(points), "Yes", "-", "-", "")
    return dict(zip(COLUMNS, known, strict=True))


def _filled(row: Mapping[str, str], result: Result) -> dict[str, str]:
    """The grade, on the worksheet's own scale, and what the student reads."""
    most = row.get(_named(row, MOST), "").replace(",", ".")
    decimal = "," if "," in row.get(_named(row, MOST), "") else "."
    try:
        scale = float(most) / result.points if result.points else 1.0
    except ValueError:  # the worksheet of an assignment without a maximum
        scale = 1.0
    found = {_named(row, GRADE): wording.number(result.score * scale).replace(".", decimal)}
    if comments := _named(row, FEEDBACK):
        found[comments] = _told(result)
    return found


def _told(result: Result) -> str:
    """A line for each check that the student may see; Moodle takes it for HTML."""
    from html import escape

    lines = []
    for check in wording.shown(result):
        told = wording.said(check) if check.outcome is not Outcome.RIGHT else ""
        lines.append(": ".join(filter(None, (wording.name(check), wording.points(check), told))))
    return "<br>".join(map(escape, lines))
