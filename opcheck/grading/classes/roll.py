"""A class's results as they are written: with names from the roster, adjustments and late penalties."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

from opcheck.grading.assignments.late import Late
from opcheck.grading.classes.lateness import days_late, with_penalty
from opcheck.grading.classes.people import HANDED_IN, People, Person
from opcheck.grading.results import Adjustment, Check, Outcome, Result
from opcheck.language import say


class Roll(Sequence[Result]):
    """Results that are finished when they are looked at; `absent` are those of the roster who handed in nothing."""

    def __init__(
        self,
        results: Sequence[Result],
        finish: Callable[[Result], Result],
        absent: Sequence[Person] = (),
        order: Sequence[int] | None = None,
    ) -> None:
        self._results, self._finish, self.absent = results, finish, tuple(absent)
        self._order = range(len(results)) if order is None else order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> "Roll": ...

    def __getitem__(self, index: "int | slice") -> "Result | Roll":
        if isinstance(index, slice):
            return Roll(self._results, self._finish, self.absent, self._order[index])
        return self._finish(self._results[self._order[index]])


@dataclass(frozen=True)
class Finish:
    """Completes a result before it is written: adds names, adjustments and late penalties."""

    roster: People | None = None
    late: Late | None = None
    adjustments: Mapping[str, Sequence[Adjustment]] | None = None  # by the name of the submission

    def __call__(self, result: Result) -> Result:
        student = result.student
        if self.roster is not None:
            result = named(result, self.roster.of(student))
        for each in (self.adjustments or {}).get(student, ()):
            result = adjusted(result, each)
        if self.late is not None and (days := max((days_late(self.late, each) for each in result.people), default=0)):
            result = with_penalty(result, self.late, days)
        return result


def named(result: Result, people: Sequence[Person]) -> Result:
    """The result of these people; where the roster knows none of them, as it was."""
    if not people:
        return result
    handed_in = next(filter(None, (each.cell(HANDED_IN) for each in people)), "")
    return replace(result, student=" + ".join(each.label for each in people), people=tuple(people),
                   handed_in=handed_in)  # fmt: skip


def adjusted(result: Result, adjustment: Adjustment) -> Result:
    """The result with a check for the adjustment; the total never drops below 0."""
    points = max(adjustment.points, -result.score)
    question = adjustment.question or say("all questions")
    check = Check(question, say("adjustment"), Outcome.ADJUSTED, 0.0, points, adjustment.reason)
    return result.with_check(check)


def absent(roster: People, students: Iterable[str]) -> list[Person]:
    """Who is in the roster and handed in nothing."""
    there = {id(person) for student in students for person in roster.of(student)}
    return [person for person in roster.everyone if id(person) not in there]
