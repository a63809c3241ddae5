"""check50's JSON: https://cs50.readthedocs.io/projects/check50/en/latest/json_specification/"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opcheck.grading.formats import Files, wording
from opcheck.grading.results import Check, Outcome, Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

VERSION = "3.3.11"  # of check50, whose structure this is


def render(results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The document of one submission, or one file for each student. It is the student's: without hidden checks."""
    slug = _slug(assignment.title)

    def page(result: Result) -> str:
        document = {"slug": slug, "version": VERSION, "results": [_result(check) for check in wording.shown(result)]}
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)

    return wording.per_student(results, ".json", page)


def _result(check: Check) -> dict[str, Any]:
    passed = None if check.outcome is Outcome.SKIPPED else wording.is_right(check)
    cause = None if passed else {"rationale": wording.message(check), "help": wording.detail(check) or None}
    return {
        "name": _slug(f"{check.question}_{check.part}"),
        "description": wording.name(check),
        "passed": passed,
        "log": [],
        "cause": cause,
        "data": {"score": check.score, "points": check.points},
        "dependency": None,
    }


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.casefold()).strip("_")
