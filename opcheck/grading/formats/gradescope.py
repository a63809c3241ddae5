"""Gradescope's results.json: https://gradescope-autograders.readthedocs.io/en/latest/specs/"""

import json
from collections.abc import Sequence
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
    return wording.per_student(results, ".json", _sized)


def _sized(result: Result) -> str:
    return wording.within(LARGEST, partial(_page, result))


def _page(result: Result, most: int) -> str:
    document: dict[str, Any] = {
        "score": result.score,
        "execution_time": round(result.seconds, 3),
        "output": _score(result),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # what opcheck tells the teacher
        "tests": [_test(place, check, most) for place, check in enumerate(result.checks, start=1)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _score(result: Result) -> str:
    """The score; where there are hidden checks, without theirs: Gradescope shows this to the student at once."""
    visible = wording.shown(result)
    if len(visible) == len(result.checks):
        return wording.score(result)
    return say("{score}, not counting hidden checks", score=wording.score(replace(result, checks=tuple(visible))))


def _test(place: int, check: Check, most: int) -> dict[str, Any]:
    scored = {"score": check.score, "max_score": check.points}  # of what is not negative: the score is above
    return {
        **({} if check.outcome in EXTRA else scored),
        "status": "passed" if wording.is_right(check) else "failed",
        "name": wording.name(check),
        "number": str(place),
        "output": _output(check, most),
        "tags": [clean.line(check.question), clean.line(check.part)],
        "visibility": "hidden" if check.hidden else "visible",
        "extra_data": {"outcome": say(check.outcome.value)},
    }


def _output(check: Check, most: int) -> str:
    if check.outcome not in EXTRA:
        return wording.told(check, most)
    return say("{points} points: {reason}", points=wording.signed(check.score), reason=wording.message(check))
