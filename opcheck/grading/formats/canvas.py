"""A table for Canvas: Grades, Import. It looks at the first five columns, then for columns that are called as
assignments are, "Homework 1 (123)" for the one with that number; below them stands what each is worth."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opcheck.grading.formats import clean, wording
from opcheck.grading.formats.csv import persons, table
from opcheck.grading.results import Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POINTS = "    Points Possible"


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One table. With a roster that Canvas exported, its own numbers and the assignment's full name."""
    title = _title(results, assignment.title)
    rows = [[*COLUMNS, clean.cell(title)], [POINTS, "", "", "", "", wording.number(assignment.points)]]
    for result in results:
        for k, (identifier, first, last, email) in enumerate(persons(result)):
            known: Mapping[str, str] = result.people[k].row if result.people else {}
            rows.append([*_who(known, identifier, first, last, email), wording.number(result.score)])
    return table(rows)


def _who(known: Mapping[str, str], identifier: str, first: str, last: str, email: str) -> list[str]:
    if "SIS Login ID" in known or ("ID" in known and "Section" in known):
        return [clean.kept(known.get(name, "")) for name in COLUMNS]
    name = f"{last}, {first}" if first and last else first or last or identifier
    number = identifier if identifier.isdigit() and not known else ""  # the folder of a submission names Canvas' own
    return [*map(clean.cell, (name, number, "" if number else identifier, email.partition("@")[0], ""))]


def _title(results: Sequence[Result], title: str) -> str:
    """The assignment's column in the roster, which has a number after the title."""
    for result in results:
        for person in result.people:
            pattern = re.compile(rf"{re.escape(title.strip())}( \(\d+\))?", re.IGNORECASE)
            return next((name for name in person.row if pattern.fullmatch(name.strip())), title)
    return title
