"""What the tests of the judge share: submissions as files beside this one, graded in the real sandbox."""

from pathlib import Path

from opcheck.grading.assignments.assignment import Assignment, parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.judging.judge import grade_source
from opcheck.grading.results import Check, Outcome, Result
from opcheck.grading.submissions.submission import Submission
from opcheck.sandbox import Source

FOLDER = Path(__file__).parent / "student_code"


def solution(convention: str) -> str:
    """A right submission in a convention."""
    return (FOLDER / f"{convention}.py").read_text(encoding="utf-8")


def assignment(
    *ops: str, convention: str = "functional", changes: dict[str, str] | None = None, partial: str = "none"
) -> Assignment:
    """What `opcheck grade --init` prints for these operators, with some of its text replaced; all or nothing."""
    text = scaffold(ops, convention).replace('partial = "cases"', f'partial = "{partial}"')
    for old, new in (changes or {}).items():
        assert old in text, f"{old} is not in\n{text}"
        text = text.replace(old, new)
    return parse(text)


def graded(code: str, asked: Assignment, seed: int | None = 1) -> Result:
    return grade_source(Submission("Ann", Path("hw.py"), Source(code)), asked, seed)


def part(result: Result, name: str, question: str = "") -> Check:
    """The check of one part."""
    return next(check for check in result.checks if check.part == name and question in ("", check.question))


def outcomes(result: Result) -> set[Outcome]:
    return {check.outcome for check in result.checks}


def complaints(code, asked, seed=None):
    """What loses marks."""
    return [(c.question, c.part, c.message) for c in graded(code, asked, seed).checks if c.score != c.points]
