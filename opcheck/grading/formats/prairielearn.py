"""PrairieLearn's external grading results: https://prairielearn.readthedocs.io/en/latest/externalGrading/"""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from opcheck.grading.formats import Files, wording
from opcheck.grading.results import Check, Outcome, Result, total
from opcheck.language import say

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

LARGEST = 1_000_000  # bytes that it reads


def render(results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The results.json of one submission, or one file for each student."""
    return wording.per_student(results, ".json", lambda result: wording.within(LARGEST, partial(_page, result)))


def _page(result: Result, most: int) -> str:
    loads = any(check.outcome is not Outcome.DOES_NOT_LOAD for check in result.checks)
    problem = wording.message(result.checks[0]) if result.checks and not loads else ""
    document = {
        "gradable": loads,  # what is not gradable costs no attempt
        "score": min(max(result.score / result.points, 0.0), 1.0) if result.points else 0.0,
        "message": problem or wording.score(result),
        "output": "",
        "tests": [*(_test(check, most) for check in wording.shown(result)), *_hidden(result)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _test(check: Check, most: int) -> dict[str, Any]:
    return {
        "name": wording.name(check),
        "description": wording.outcome(check),
        "points": check.score,
        "max_points": check.points,
        "message": wording.message(check),
        "output": wording.detail(check, most),
    }


def _hidden(result: Result) -> list[dict[str, Any]]:
    """All hidden checks as one line: it shows every test to the student, and the points must add up."""
    hidden = [check for check in result.checks if check.hidden]
    if not hidden:
        return []
    return [
        {
            "name": say("hidden checks"),
            "description": "",
            "points": total(check.score for check in hidden),
            "max_points": total(check.points for check in hidden),
            "message": "",
            "output": "",
        }
    ]
