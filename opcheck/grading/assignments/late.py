"""The [late] table of an assignment: what handing in late costs."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from opcheck.grading.assignments.reader import Reader
from opcheck.language import say

OF = ("points", "score")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Late:
    """The [late] table of an assignment: percent of the points, or of the score, for each day begun."""

    per_day: float
    due: datetime | None = None
    free_days: float = 0.0
    most: float = 100.0  # percent
    grace: float = 0.0  # minutes that cost nothing
    of: str = OF[0]

    def percent(self, days: float) -> float:
        return min(self.most, self.per_day * max(0.0, days - self.free_days))

    def days(self, late: timedelta) -> int:
        """Days begun after the deadline and its grace."""
        return max(0, math.ceil((late - timedelta(minutes=self.grace)) / DAY))


def read(reader: Reader) -> Late:
    """The table, checked field by field."""
    due = None
    if reader.has("due"):
        due = moment(reader.value("due"))
        if due is None:
            raise reader.refuse("due", say("must be a date or a time without quotes, such as 2026-12-01 23:59:00"),
                                repr(reader.value("due")))  # fmt: skip
    found = Late(
        per_day=reader.number("per_day", 10.0),
        due=due,
        free_days=reader.number("free_days", 0.0),
        most=reader.number("most", 100.0),
        grace=reader.number("grace", 0.0),
        of=reader.word("of", OF, OF[0]),
    )
    reader.finish()
    return found


def moment(found: Any) -> datetime | None:
    """A TOML date or time as a moment: a day ends at its last second. None for anything else."""
    if isinstance(found, datetime):
        return found
    return datetime.combine(found, time(23, 59, 59)) if isinstance(found, date) else None
