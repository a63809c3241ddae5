"""Autolab's output: text for the student, and on the last line the scores: https://docs.autolabproject.com/lab/"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opcheck.grading.classes.summary import by_question, score_of
from opcheck.grading.formats import Files, text, wording
from opcheck.grading.results import EXTRA, Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment


def render(results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The output for one submission, or one file for each student. Its problems are named as the questions are."""
    return wording.per_student(results, ".txt", _page)


def _page(result: Result) -> str:
    questions = by_question(result).items()
    asked = {name: checks for name, checks in questions if any(each.outcome not in EXTRA for each in checks)}
    scores = {question: score_of(checks) for question, checks in asked.items()}  # what is late it knows itself
    last = json.dumps({"scores": scores, "scoreboard": [result.score]}, ensure_ascii=True, allow_nan=False)
    return f"{text.report(result, wording.shown(result))}\n\n{last}"
