"""A question as students get it: what they write, how it is called, and a few public cases with what comes out."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Assignment, Question, entry_of
from opcheck.grading.drawing.cases import draw
from opcheck.grading.handouts.example import Example, example
from opcheck.grading.handouts.stubs import Stub, known_class, stubs
from opcheck.grading.submissions.locate import Found
from opcheck.operators.spec import Array, Op
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.inline import Unasked

PUBLIC = 20_000_000_000_000_000_000  # a seed that no run draws: these cases are not those of the grades
CASES = 3
FILE = "submission.py"


@dataclass(frozen=True)
class Public:
    """A case that everybody may see, and what should come out, as the convention lays it out."""

    trial: Trial
    example: Example
    outputs: Mapping[str, Array]
    gradients: Mapping[str, Array]


@dataclass(frozen=True)
class Task:
    """One question, handed out."""

    question: Question
    stubs: Sequence[Stub]
    example: Example
    cases: Sequence[Public]

    @property
    def file(self) -> str:
        return self.question.file or FILE


def tasks(assignment: Assignment) -> list[Task]:
    """What each question asks for; a hidden one has no public cases."""
    return [task(question) for question in assignment.questions]


def task(question: Question) -> Task:
    question = written(question)
    entry, found = question.entry, known_class(question)
    if found is not None:  # the starter's constructor takes what that of the right solution does
        takes = question.convention.takes(question.op, found.definitions)
        question = replace(question, scope=question.scope.narrower(takes))
    drawn = draw(question.scope, question.dtype, [PUBLIC, zlib.crc32(question.name.encode())], special=False,
                 upstream=entry.upstream, separately=question.partial == "cases")  # fmt: skip
    shown = max(drawn.trials, key=lambda trial: (len(trial.case.arrays) + len(trial.case.params), -_size(trial)))
    made = example(question, shown, found)
    cases = [] if question.hidden else [_public(question, trial, found) for trial in _chosen(question.op, drawn.trials)]
    return Task(question, stubs(question, made, drawn.trials), made, cases)


def written(question: Question) -> Question:
    """What any convention may say is handed out as functions."""
    if question.convention.name != conventions.ANY:
        return question
    functional = conventions.get("functional")
    return replace(question, convention=functional, entry=entry_of(functional, question.op))


def _size(trial: Trial) -> int:
    return sum(array.size for array in trial.case.arrays.values())


def _chosen(op: Op, trials: Sequence[Trial]) -> list[Trial]:
    """The smallest case, then the smallest that give what no earlier one gives."""
    found: list[Trial] = []
    seen: set[object] = set()
    for trial in sorted([each for each in trials if _has_one_answer(op, each)], key=_size):
        given = {*trial.case.arrays, *((name, str(value)) for name, value in trial.case.params.items())}
        if not found or given - seen:
            found.append(trial)
            seen |= given
    return found[:CASES]


def _has_one_answer(op: Op, trial: Trial) -> bool:
    """Whether nothing is left to chance."""
    return not op.draws or op.draws in trial.case.arrays or op.is_identity(op.checked(trial.case)[0])


def _public(question: Question, trial: Trial, found: Found | None) -> Public:
    made = example(question, trial, found)
    check = Check(question.op, trial, Unasked())
    return Public(
        trial,
        made,
        {name: np.asarray(each.layout.give(check.expected[name])) for name, each in made.outputs.items()},
        {name: np.asarray(each.layout.give(check.expected_gradients[name])) for name, each in made.gradients.items()}
        if made.gradients
        else {},
    )
