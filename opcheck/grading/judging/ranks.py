"""Of how many dimensions the inputs are that code is for: rows or images, where torch takes any."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.assignments.assignment import Question
from opcheck.grading.conventions.base import only
from opcheck.grading.drawing.cases import draw
from opcheck.grading.drawing.telling import RANKS
from opcheck.grading.judging.parts import is_right
from opcheck.grading.judging.settling import Readings
from opcheck.grading.judging.student import Student
from opcheck.language import say
from opcheck.verification.casefile import Trial

MOST = 0.5  # of the cases: with a single number, any code may be right
SECONDS = 3.0  # for inputs of one number of dimensions


class Known(NamedTuple):
    """What became of the inputs of one number of dimensions: whether all have an answer, and how many a right one."""

    answered: bool
    share: float

    @property
    def mostly_right(self) -> bool:
        return self.share > MOST


def within_its_ranks(student: Student, trials: Sequence[Trial], readings: Readings, only_found: bool) -> Question:
    """The question as it is, or without inputs of other numbers of dimensions than the code is for.

    It is not for those of which it raises on some and is right on few, if there are others that it always answers; nor,
    where `only_found` code is asked, for those of which it is right on few, if there are others that it has right.
    """
    question = student.question
    if "*" not in question.op.inputs[0].letters or "dims" in question.scope.ranges:
        return question
    by_rank = {rank: of for rank in RANKS if (of := [each for each in trials if _rank(each) == rank])}
    known = {rank: _known(student, of) for rank, of in by_rank.items()}
    if all(each.mostly_right or (each.answered and not only_found) for each in known.values()):
        return question
    for rank in RANKS:
        if rank not in known and (asked := _of_rank(question, rank)) is not None:
            answered = Student(student.desk, asked, student.found)
            found = draw(asked.scope, asked.dtype, [rank], special=False).ordinary
            answered.prefetch(found, gradients=False, seconds=min(SECONDS, student.desk.seconds))
            known[rank] = _known(answered, found)
    right = only_found and any(each.share == 1 for each in known.values())
    own = sorted(rank for rank, each in known.items() if each.mostly_right or (each.answered and not right))
    narrower = _of_rank(question, *own) if 0 < len(own) < len(known) else None
    if narrower is None:
        return question
    note = say("{question}: {name} is written for inputs of {dims} dimensions, so only these were "
               "asked", question=question.name,
               name=student.found.definition.name, dims=", ".join(map(str, own)))  # fmt: skip
    readings.notes.append(note)
    return narrower


def _rank(trial: Trial) -> int:
    return next(iter(trial.case.arrays.values())).ndim


def _known(student: Student, trials: Sequence[Trial]) -> Known:
    right = sum(is_right(student, each) for each in trials)
    return Known(all(student.answers(each.case) for each in trials), right / len(trials))


def _of_rank(question: Question, *ranks: int) -> Question | None:
    """The question of inputs of these numbers of dimensions; None where it has none."""
    try:
        asked = replace(question, scope=question.scope.narrower({"dims": only(*ranks)}))
        draw(asked.scope, asked.dtype, [0], special=False)
    except (Refused, CouldNotRun):
        return None
    return asked
