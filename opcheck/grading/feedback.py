"""What a student reads about a part that is not right, as much of it as the assignment's feedback level allows."""

from dataclasses import dataclass

from opcheck.grading.assignment import Assignment
from opcheck.grading.parts import Finding
from opcheck.grading.results import Outcome
from opcheck.grading.student import Student
from opcheck.steps import Step


@dataclass(frozen=True, slots=True)
class Text:
    """The sentence, the details, and the mistakes that explain everything that is wrong."""

    message: str
    detail: Step | None = None
    mistakes: tuple[str, ...] = ()
    outcome: Outcome | None = None  # where the diagnosis knows better: another convention


def write(student: Student, part: str, finding: Finding, assignment: Assignment) -> Text:
    """The feedback on one part."""
    return Text(finding.wrongs[0].verdict.message)
