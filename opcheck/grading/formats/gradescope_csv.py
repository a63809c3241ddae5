"""The table that Gradescope exports of an assignment (Download Grades), for scripts that read it.

Gradescope itself takes scores from an autograder's results.json, which is the format gradescope.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opcheck.grading.classes.people import Person
from opcheck.grading.classes.roll import Roll
from opcheck.grading.classes.summary import by_question, score_of
from opcheck.grading.formats import clean, wording
from opcheck.grading.formats.csv import persons, table
from opcheck.grading.results import Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

COLUMNS = ("First Name", "Last Name", "SID", "Email", "Total Score", "Max Points", "Status", "Submission ID",
           "Submission Time", "Lateness (H:M:S)")  # fmt: skip


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One table, with a column for each question and what it is worth."""
    questions = {each.name: sum(each.points.values()) for each in assignment.questions}
    heads = [clean.cell(f"{place}: {name} ({points:.1f} pts)")
             for place, (name, points) in enumerate(questions.items(), start=1)]  # fmt: skip
    rows = [[*COLUMNS, *heads]]
    for result in results:
        graded = by_question(result)
        marks = [wording.number(score_of(graded[name])) if name in graded else "" for name in questions]
        late = f"{int(24 * result.late_days):02}:00:00"
        for identifier, first, last, email in persons(result):
            who = [*map(clean.cell, (first, last, identifier, email))]
            rows.append([*who, wording.number(result.score), wording.number(result.points), "Graded", "",
                         clean.cell(result.handed_in), late, *marks])  # fmt: skip
    for person in results.absent if isinstance(results, Roll) else ():
        rows.append(_missing(person, assignment.points, len(heads)))
    return table(rows)


def _missing(person: Person, points: float, questions: int) -> list[str]:
    who = [*map(clean.cell, (person.first, person.last, person.identifier, person.email))]
    return [*who, "", wording.number(points), "Missing", "", "", "", *[""] * questions]
