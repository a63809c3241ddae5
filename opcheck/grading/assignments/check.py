"""Checks an assignment: the correct solution must get full marks, and every mistake of the catalogue must lose some."""

from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import FEEDBACK, Assignment, Question, entry_of
from opcheck.grading.classes.processes import pool
from opcheck.grading.judging.calls import Desk
from opcheck.grading.judging.judge import ask
from opcheck.grading.judging.settling import Readings
from opcheck.grading.results import Check, total
from opcheck.grading.submissions.loading import Loaded
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Mistake
from opcheck.sandbox import Call, Definition, Isolation, Limits, Module, Status, Worker

BRIEF = "part"  # the level of feedback that names mistakes, and looks for no smallest case
SEEDS = 250  # that a process takes at a time

_ENGINE = "opcheck.grading.solutions.engine.choose"


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of one mistake (none: the correct solution) in one question."""

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
        """Whether its name would be the first or second that the student reads."""
        return self.mistake is not None and any(self.mistake.name in check.mistakes[:2] for check in self.checks)


def check(
    assignment: Assignment, seed: int = 0, only: Container[str] | None = None, feedback: str = BRIEF
) -> Iterator[Caught]:
    """Grades the correct solution and every mistake for each question; raises Refused if there are no solutions.

    only: the names of the mistakes (default all); feedback: the level of what is written about them.
    """
    for question in map(solvable, assignment.questions):
        wrong = [each for each in question.op.mistakes if not each.is_subgradient]
        mistakes = [each for each in wrong if only is None or each.name in only]
        with _solution(question) as loaded:
            yield one(question, replace(assignment, feedback=FEEDBACK[-1]), loaded, None, seed)
            for mistake in mistakes:
                yield one(question, replace(assignment, feedback=feedback), loaded, mistake, seed)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A question graded with some seeds, and those where the correct solution loses marks: there should be none."""

    seeds: range
    wrong: tuple[tuple[int, Caught], ...]


def repeat(assignment: Assignment, seeds: int, first: int = 0, jobs: int = 1) -> Iterator[Repeated]:
    """Grades the correct solution of each question with `seeds` consecutive seeds, from `first` on."""
    parts = [range(k, min(k + SEEDS, first + seeds)) for k in range(first, first + seeds, SEEDS)]
    tasks = [(assignment, place, part) for place in range(len(assignment.questions)) for part in parts]
    with ExitStack() as stack:
        jobs = min(jobs, len(tasks))
        each = map if jobs == 1 else stack.enter_context(pool(jobs, assignment.language)).map
        yield from each(_repeated, *zip(*tasks, strict=True))


def _repeated(assignment: Assignment, place: int, seeds: range) -> Repeated:
    question = solvable(assignment.questions[place])
    with _solution(question) as loaded:
        graded = ((seed, one(question, assignment, loaded, None, seed)) for seed in seeds)
        return Repeated(seeds, tuple((seed, found) for seed, found in graded if found.caught))


def one(question: Question, assignment: Assignment, loaded: Loaded, mistake: Mistake | None, seed: int) -> Caught:
    """One question with one mistake."""
    loaded.worker.run([Call(_ENGINE, (question.op.name, mistake.name if mistake else ""))], {})
    alone = replace(question, depends_on=(), feedback="")
    desk = Desk(loaded.worker, 60.0, None)
    return Caught(question.name, mistake, tuple(ask(alone, assignment, loaded, desk, seed, {}, Readings())))


@contextmanager
def _solution(question: Question) -> Iterator[Loaded]:
    """The solutions of a question's convention, in a trusted process of their own."""
    name = question.convention.name
    if name not in (*conventions.NAMES, *conventions.COURSES) or question.arrays != question.convention.arrays:
        raise Refused(
            say(
                "the convention {name} has no solutions to check {question} with",
                question=question.name,
                name=name,
            ),
            fix=say("write one and grade it as a student's"),
        )
    with Worker(
        Module(f"opcheck.grading.solutions.{name}"), Isolation.TRUSTED, Limits(seconds=60, memory=None)
    ) as worker:
        outcome = worker.load()
        if outcome.status is not Status.OK:
            reason = outcome.failure.message if outcome.failure else str(outcome.status)
            raise CouldNotRun(say("the solutions do not load: {reason}", reason=reason))
        found = (*outcome.definitions, *_defined(question, worker))
        yield Loaded(worker, found, torch=question.arrays == "torch")


def _defined(question: Question, worker: Worker) -> tuple[Definition, ...]:
    """The solution that follows from a teacher's own spec: its value and its gradients."""
    if question.op in catalog.every():
        return ()
    outcome = worker.run([Call("module.define", (question.op.name,))], {})
    if outcome.status is not Status.OK:
        reason = outcome.failure.message if outcome.failure else str(outcome.status)
        raise CouldNotRun(say("there is no solution to check {question} with: {reason}", question=question.name,
                              reason=reason))  # fmt: skip
    title = question.op.title or question.op.name
    return tuple(Definition(name, "function", True) for name in (title, f"{title}_backward"))


def solvable(question: Question) -> Question:
    """The question as it is checked: what your own spec asks, and what any convention may say, is written as
    functions."""
    name = question.convention.name
    if name != conventions.ANY and question.op in catalog.every():
        return question
    if name != "functional" and question.arrays == "numpy":
        functional = conventions.get("functional")
        entry = entry_of(functional, question.op)
        question = replace(question, convention=functional, entry=entry)
    return question
