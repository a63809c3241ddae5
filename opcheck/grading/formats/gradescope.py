"""Gradescope's results.json: https://gradescope-autograders.readthedocs.io/en/latest/specs/"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opcheck.grading.formats import Files, clean, wording
from opcheck.grading.results import EXTRA, Check, Result
from opcheck.language import say

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

LARGEST = 1_000_000  # bytes; it shows the whole file in one page


def render(results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The results.json of one submission, or one file for each student."""
    shown = {each.name: each.visibility for each in assignment.questions}
    return wording.per_student(results, ".json", lambda result: wording.within(LARGEST, partial(_page, result, shown)))


def _visibility(check: Check, shown: Mapping[str, str]) -> str:
    return "hidden" if check.hidden else shown.get(check.question, "visible")


def _page(result: Result, shown: Mapping[str, str], most: int) -> str:
    document: dict[str, Any] = {
        "score": result.score,
        "execution_time": round(result.seconds, 3),
        "output": _score(result, shown),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # what opcheck tells the teacher
        "tests": [
            _test(place, check, _visibility(check, shown), most) for place, check in enumerate(result.checks, start=1)
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _score(result: Result, shown: Mapping[str, str]) -> str:
    """The score; where some checks are not shown yet, without theirs: Gradescope shows this to the student at once."""
    visible = [check for check in result.checks if _visibility(check, shown) == "visible"]
    if len(visible) == len(result.checks):
        return wording.score(result)
    return say("{score}, not counting hidden checks", score=wording.score(replace(result, checks=tuple(visible))))


def _test(place: int, check: Check, visibility: str, most: int) -> dict[str, Any]:
    scored = {"score": check.score, "max_score": check.points}  # of what is not negative: the score is above
    return {
        **({} if check.outcome in EXTRA else scored),
        "status": "passed" if wording.is_right(check) else "failed",
        "name": wording.name(check),
        "number": str(place),
        "output": _output(check, most),
        "tags": [clean.line(check.question), clean.line(check.part)],
        "visibility": visibility,
        "extra_data": {"outcome": say(check.outcome.value)},
    }


def _output(check: Check, most: int) -> str:
    if check.outcome not in EXTRA:
        return wording.told(check, most)
    return say("{points} points: {reason}", points=wording.signed(check.score), reason=wording.message(check))
