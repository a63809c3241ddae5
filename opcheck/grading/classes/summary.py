"""A class summary: the distribution of scores, and the questions and mistakes worth revisiting.

Wrong answers are counted by the mistake that explains them, never compared with each other.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nlargest
from itertools import groupby
from statistics import fmean, median

from opcheck.grading.results import EXTRA, Check, Outcome, Result, total

TENTHS = 10
SLOWEST = 5
FEWEST, SUSPICIOUS = 5, 0.8  # students who attempted a part, and the share of them who lose it, that make one wonder


class Standing(StrEnum):
    """How one student did on one question."""

    FULL = "full marks"
    PARTLY = "part of the points"
    NONE = "no points"
    NOT_ATTEMPTED = "not attempted"


@dataclass
class Question:
    """A question over the class; `mistakes` counts the students whose wrong results a named mistake explains."""

    name: str
    points: float
    standings: Counter[Standing] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=list)
    mistakes: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)  # part: students who attempted it
    lost: Counter[str] = field(default_factory=Counter)  # part: those of them who lost points there
    # places of students in the class: by how they did, and by the mistake that explains theirs
    standing: dict[Standing, list[int]] = field(default_factory=dict)
    mistaken: dict[str, list[int]] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return fmean(self.scores)

    @property
    def suspicious(self) -> list[tuple[str, int]]:
        """(part, percent): what so many lose that the assignment may be at fault, and not they."""
        shares = [(part, self.lost[part] / n) for part, n in self.asked.items() if n >= FEWEST]
        return [(part, int(100 * share)) for part, share in shares if share >= SUSPICIOUS]


@dataclass
class Summary:
    """A class. Students are named as in their results; seconds are those of grading."""

    points: float = 0.0
    scores: list[float] = field(default_factory=list)
    histogram: list[int] = field(default_factory=lambda: [0] * (TENTHS + 1))
    tenths: dict[int, list[int]] = field(default_factory=dict)  # bar of the histogram: places of its students
    questions: dict[str, Question] = field(default_factory=dict)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    not_loading: list[str] = field(default_factory=list)

    @property
    def students(self) -> int:
        return len(self.scores)

    @property
    def mean(self) -> float:
        return fmean(self.scores) if self.scores else 0.0

    @property
    def median(self) -> float:
        return median(self.scores) if self.scores else 0.0

    @property
    def mistakes(self) -> list[tuple[int, str, str]]:
        """(students, question, mistake), the most common first."""
        found = [(n, name, mistake) for name, each in self.questions.items() for mistake, n in each.mistakes.items()]
        return sorted(found, key=lambda row: (-row[0], row[1], row[2]))


def summary(results: Iterable[Result]) -> Summary:
    """Summarises the results in one pass, keeping only counts and a few names."""
    found = Summary()
    for place, result in enumerate(results):
        found.points = max(found.points, result.points)
        found.scores.append(result.score)
        bar = tenth(result.score, result.points)
        found.histogram[bar] += 1
        found.tenths.setdefault(bar, []).append(place)
        found.slowest = nlargest(SLOWEST, [*found.slowest, (result.seconds, result.student)])
        outcomes = {check.outcome for check in result.checks}
        if outcomes & {Outcome.CRASHED, Outcome.CRASHED_ALWAYS, Outcome.TOO_SLOW}:
            found.crashed.append(result.student)
        if outcomes and outcomes <= {Outcome.DOES_NOT_LOAD, Outcome.SKIPPED}:
            found.not_loading.append(result.student)
        for name, checks in by_question(result).items():
            if all(check.outcome in EXTRA for check in checks):
                continue
            _count(found.questions.setdefault(name, Question(name, points_of(checks))), checks, place)
    return found


def by_question(result: Result) -> dict[str, list[Check]]:
    """The checks of each question, in the order of the assignment."""
    order = {name: place for place, name in enumerate(dict.fromkeys(check.question for check in result.checks))}
    ordered = sorted(result.checks, key=lambda check: order[check.question])
    return {name: list(checks) for name, checks in groupby(ordered, key=lambda check: check.question)}


def score_of(checks: Iterable[Check]) -> float:
    return total(check.score for check in checks)


def points_of(checks: Iterable[Check]) -> float:
    return total(check.points for check in checks)


def standing(checks: list[Check]) -> Standing:
    """The overall outcome of one question's checks."""
    score, points = score_of(checks), points_of(checks)
    if all(check.outcome is Outcome.RIGHT for check in checks) or (points and score >= points):
        return Standing.FULL
    if score > 0:
        return Standing.PARTLY
    if all(check.outcome in (Outcome.NOT_ATTEMPTED, Outcome.SKIPPED) for check in checks):
        return Standing.NOT_ATTEMPTED
    return Standing.NONE


def tenth(score: float, points: float) -> int:
    """Which bar of the histogram: 0 is below 10 %, 9 is from 90 % to just below all, 10 is all the points."""
    if points <= 0 or score >= points:
        return TENTHS
    return max(0, min(int(TENTHS * score / points), TENTHS - 1))


def _count(question: Question, checks: list[Check], place: int) -> None:
    stands = standing(checks)
    question.standings[stands] += 1
    question.standing.setdefault(stands, []).append(place)
    question.scores.append(score_of(checks))
    for check in checks:
        if check.points and check.outcome not in _UNTRIED:
            question.asked[check.part] += 1
            question.lost[check.part] += check.score < check.points
    # The likeliest explanation of each part, and each of them once a student: who has it forward has it backward.
    for name in {check.mistakes[0] for check in checks if check.mistakes}:
        question.mistakes[name] += 1
        question.mistaken.setdefault(name, []).append(place)


_UNTRIED = (Outcome.NOT_ATTEMPTED, Outcome.SKIPPED, Outcome.DOES_NOT_LOAD)
