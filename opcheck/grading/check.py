"""Grades an assignment itself: the right solution must get full marks, and every mistake of the catalogue must not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import conventions
from opcheck.grading.assignment import Assignment, Question
from opcheck.grading.calls import Desk
from opcheck.grading.judge import ask
from opcheck.grading.loading import Loaded
from opcheck.grading.results import Check, total
from opcheck.language import say
from opcheck.sandbox import Call, Isolation, Limits, Module, Status, Worker
from opcheck.spec import Mistake

_ENGINE = "opcheck.grading.solutions.engine.choose"


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of one mistake (none: the right solution) in one question."""

    question: str
    mistake: Mistake | None
    checks: tuple[Check, ...]

    @property
    def score(self) -> float:
        return total(check.score for check in self.checks)

    @property
    def points(self) -> float:
        return total(check.points for check in self.checks)

    @property
    def caught(self) -> bool:
        """Whether it lost marks."""
        return self.score < self.points

    @property
    def named(self) -> bool:
        """Whether the student would read its name first or second."""
        return self.mistake is not None and any(self.mistake.name in check.mistakes[:2] for check in self.checks)


def check(assignment: Assignment, seed: int = 0) -> Iterator[Caught]:
    """Each question with the right solution and with every mistake; raises Refused where there are no solutions."""
    assignment = replace(assignment, feedback="worked calculation")
    for question in assignment.questions:
        with _solution(question) as loaded:
            for mistake in (None, *question.op.mistakes):
                yield one(question, assignment, loaded, mistake, seed)


def repeat(assignment: Assignment, seeds: int, first: int = 0) -> Iterator[tuple[int, Caught]]:
    """The right solution graded by many seeds; yields those by which it does not get full marks: there are none."""
    for question in assignment.questions:
        with _solution(question) as loaded:
            for seed in range(first, first + seeds):
                found = one(question, assignment, loaded, None, seed)
                if found.caught:
                    yield seed, found


def one(question: Question, assignment: Assignment, loaded: Loaded, mistake: Mistake | None, seed: int) -> Caught:
    """One question with one mistake."""
    loaded.worker.run([Call(_ENGINE, (question.op.name, mistake.name if mistake else ""))], {})
    alone = replace(question, depends_on=())
    desk = Desk(loaded.worker, 60.0, None)
    return Caught(question.name, mistake, tuple(ask(alone, assignment, loaded, desk, seed, {})))


@contextmanager
def _solution(question: Question) -> Iterator[Loaded]:
    """The solutions of a question's convention, in a trusted process of their own."""
    name = question.convention.name
    if name not in conventions.NAMES or question.arrays != question.convention.arrays:
        raise Refused(
            say(
                "there are no solutions to check {question} by in the convention {name}",
                question=question.name,
                name=name,
            ),
            fix=say("write one and grade it like a student's"),
        )
    with Worker(
        Module(f"opcheck.grading.solutions.{name}"), Isolation.TRUSTED, Limits(seconds=60, memory=None)
    ) as worker:
        outcome = worker.load()
        if outcome.status is not Status.OK:
            reason = outcome.failure.message if outcome.failure else str(outcome.status)
            raise CouldNotRun(say("the solutions do not load: {reason}", reason=reason))
        yield Loaded(worker, outcome.definitions)
