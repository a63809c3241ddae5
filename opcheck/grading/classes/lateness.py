"""Lateness from a column of the roster, and its penalty by the assignment's [late] table."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opcheck.errors import Refused
from opcheck.grading.assignments.late import Late
from opcheck.grading.classes.people import HANDED_IN, LATE_DAYS, LATENESS, Person
from opcheck.grading.results import Check, Outcome, Result
from opcheck.language import counted, say

_FORMATS = (
    "%Y-%m-%d %H:%M:%S %z", "%A, %d %B %Y, %I:%M %p", "%A, %B %d, %Y, %I:%M %p", "%A, %d %B %Y, %H:%M",
    "%d/%m/%Y, %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y, %H:%M",
)  # fmt: skip  # Gradescope's, Moodle's, and what spreadsheets make of them


def days_late(late: Late, person: Person) -> float:
    """How many days late somebody was; raises Refused for a cell that says no such thing."""
    if text := person.cell(LATE_DAYS):
        return _number(text, person)
    if (text := person.cell(LATENESS)) and (found := re.fullmatch(r"(\d+):(\d+):(\d+)", text)):
        hours, minutes, seconds = map(int, found.groups())
        return late.days(timedelta(hours=hours, minutes=minutes, seconds=seconds))
    if late.due is not None and (text := person.cell(HANDED_IN)) not in ("", "-"):
        return late.days(_apart(moment(text, person), late.due))
    return 0.0


def by_metadata(result: Result, late: Late, told: Mapping[str, Any]) -> Result:
    """The result with what lateness costs by Gradescope's submission_metadata.json: when it was handed in, and when it
    was due, for the one of a group who had the longest. Where that says nothing, the assignment's own date holds."""
    own = [told.get("assignment"), *(each.get("assignment") for each in told.get("users", []))]
    dates = [str(each["due_date"]) for each in own[1:] if each and each.get("due_date")]
    dates = dates or [str(each["due_date"]) for each in own[:1] if each and each.get("due_date")]
    due = max(map(datetime.fromisoformat, dates), default=late.due)
    handed_in = str(told.get("created_at") or "")
    if due is None or not handed_in:
        return result
    days = late.days(_apart(datetime.fromisoformat(handed_in), due))
    result = replace(result, handed_in=handed_in)
    return with_penalty(result, late, days) if days else result


def _number(text: str, person: Person) -> float:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found < 10_000:
        raise Refused(say("late days of {who} must be a number, at least 0", who=person.label), got=repr(text))
    return found


def moment(text: str, person: Person) -> datetime:
    """A time as platforms and people write it."""
    for read in _readings():
        try:
            return read(text.strip())
        except ValueError:
            continue
    raise Refused(say("{who} was handed in at a time that cannot be read", who=person.label), got=repr(text),
                  fix=say("write it as 2026-12-01 23:59"))  # fmt: skip


def _readings() -> Iterator[Callable[[str], datetime]]:
    yield datetime.fromisoformat
    for each in _FORMATS:
        yield lambda text, form=each: datetime.strptime(text, form)  # type: ignore[misc]


def _apart(handed_in: datetime, due: datetime) -> timedelta:
    """How long after; where one of them names no time zone, both are clocks on the same wall."""
    if (handed_in.tzinfo is None) != (due.tzinfo is None):
        handed_in, due = handed_in.replace(tzinfo=None), due.replace(tzinfo=None)
    return handed_in - due


def with_penalty(result: Result, late: Late, days: float) -> Result:
    """The result with a check that subtracts the late penalty, at most the points earned."""
    score, points = result.score, result.points
    cost = min(score, late.percent(days) / 100 * (points if late.of == "points" else score))
    part = counted(math.ceil(days), "{n} day", "{n} days")
    told = say("{percent:g} % for handing in late", percent=late.percent(days))
    if late.free_days:
        told = say("{percent:g} %: {free:g} late days are free", percent=late.percent(days), free=late.free_days)
    check = Check(say("late"), part, Outcome.LATE, 0.0, -round(cost, 2) or 0.0, told)
    return result.with_check(check, late_days=days)
