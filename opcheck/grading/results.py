"""What grading one submission gives: one list of checks, which every format prints.

A check is one part of one question (the forward pass of conv2d). Scores follow from its points; what a student may
read of it is decided when it is written, by the assignment's feedback level, so that no format can leak more.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from opcheck.steps import Step

if TYPE_CHECKING:
    from opcheck.grading.classes.people import Person


class Outcome(StrEnum):
    """How a check ended. Kinds that a teacher tells apart, and the skipped ones."""

    RIGHT = "right"
    WRONG = "wrong"
    OTHER_CONVENTION = "another convention"  # right up to a constant factor or a transposition that has a name
    CRASHED = "crashed on some inputs"  # or ran out of memory there
    CRASHED_ALWAYS = "crashed"
    TOO_SLOW = "too slow or endless"
    NOT_ATTEMPTED = "not attempted"  # the template returns None or raises NotImplementedError
    DOES_NOT_LOAD = "does not load"
    SKIPPED = "skipped"  # another question comes first, and that one is not right
    ADJUSTED = "adjusted by hand"  # points that a person gave or took
    LATE = "handed in late"  # points that this costs


EXTRA = (Outcome.ADJUSTED, Outcome.LATE)  # checks that are no part of a question: they add points, or take some


@dataclass(frozen=True, slots=True)
class Check:
    """One part of one question."""

    question: str  # the name in the assignment
    part: str  # forward, vjp, shapes, special values, efficiency
    outcome: Outcome
    points: float  # that it is worth
    score: float  # that it earned
    message: str = ""  # one sentence for the student
    detail: Step | None = None  # counterexample, diagnosis, worked calculation: as much as the feedback level allows
    mistakes: tuple[str, ...] = ()  # named mistakes that explain all wrong outputs, the likeliest first
    hidden: bool = False  # shown to the teacher only
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One submission, graded."""

    student: str
    path: str
    checks: tuple[Check, ...]
    seed: int
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())  # for the teacher: what the file printed, forbidden imports
    people: tuple["Person", ...] = field(default=(), compare=False)  # who they are, where a roster says so
    handed_in: str = ""  # when, as the roster says it
    late_days: float = 0.0

    @property
    def score(self) -> float:
        return total(check.score for check in self.checks)

    @property
    def points(self) -> float:
        return total(check.points for check in self.checks)

    def with_check(self, check: Check, late_days: float = 0.0) -> "Result":
        """The same with one more check: beside those of its question, or after all of them."""
        same = [place for place, each in enumerate(self.checks, start=1) if each.question == check.question]
        place = same[-1] if same else len(self.checks)
        checks = (*self.checks[:place], check, *self.checks[place:])
        return replace(self, checks=checks, late_days=late_days or self.late_days)


WHOLE = ""  # the question of an adjustment of the whole submission


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Points that a person gave or took, for a question or (WHOLE) for the submission."""

    student: str  # as the submission is called
    question: str
    points: float
    reason: str


def total(numbers: Iterable[float]) -> float:
    """A sum of points without binary noise: 0.1 + 0.2 is 0.3."""
    return round(math.fsum(numbers), 10)
