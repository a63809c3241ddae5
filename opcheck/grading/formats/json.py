"""All of every result as JSON, and back: also what the journal keeps."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opcheck.errors import Refused
from opcheck.grading.results import Check, Outcome, Result
from opcheck.language import say
from opcheck.render import json as steps

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

SCHEMA = "opcheck.grades/1"


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One document with every result, which `load` reads back; without times, so that a seed gives the same bytes."""
    untimed = [encoded(each, timed=False) for each in results]
    document = {"schema": SCHEMA, "assignment": assignment.title, "results": untimed}
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)


def load(text: str) -> list[Result]:
    """The results that `render` wrote; raises Refused for anything else."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise ValueError
        return [decoded(each) for each in document["results"]]
    except (ValueError, KeyError, TypeError):
        raise Refused(say("this is not a results file (schema {schema})", schema=SCHEMA)) from None


def encoded(result: Result, timed: bool = True) -> dict[str, Any]:
    """A result as JSON's types. A student's strings are escaped by JSON itself (ASCII only)."""
    seconds = {"seconds": round(result.seconds, 3)} if timed else {}
    return {
        "student": result.student,
        "path": result.path,
        "score": result.score,
        "points": result.points,
        "seed": result.seed,
        **seconds,
        **({"late_days": result.late_days} if result.late_days else {}),
        "notes": [*result.notes],
        "checks": [_encoded_check(each, timed) for each in result.checks],
    }


def decoded(document: dict[str, Any]) -> Result:
    """The result that `encoded` described. Raises ValueError, KeyError or TypeError if it did not."""
    return Result(
        student=document["student"],
        path=document["path"],
        checks=tuple(map(_decoded_check, document["checks"])),
        seed=document["seed"],
        seconds=document.get("seconds", 0.0),
        notes=tuple(document["notes"]),
        late_days=document.get("late_days", 0.0),
    )


def _encoded_check(check: Check, timed: bool) -> dict[str, Any]:
    seconds = {"seconds": round(check.seconds, 3)} if timed else {}
    return {
        "question": check.question,
        "part": check.part,
        "outcome": check.outcome.value,
        "points": check.points,
        "score": check.score,
        "message": check.message,
        "detail": None if check.detail is None else json.loads(steps.render(check.detail)),
        "mistakes": [*check.mistakes],
        "hidden": check.hidden,
        **seconds,
    }


def _decoded_check(document: dict[str, Any]) -> Check:
    detail = document["detail"]
    return Check(
        question=document["question"],
        part=document["part"],
        outcome=Outcome(document["outcome"]),
        points=document["points"],
        score=document["score"],
        message=document["message"],
        detail=None if detail is None else steps.load(json.dumps(detail)),
        mistakes=tuple(document["mistakes"]),
        hidden=document["hidden"],
        seconds=document.get("seconds", 0.0),
    )
