"""What code is for, where torch has more: rows or images, square windows, one of two formulas.

Each of these gives the question as it is, or without what the code is not for, and a note on that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.assignments.assignment import Question
from opcheck.grading.assignments.scope import is_optimiser
from opcheck.grading.conventions.base import only, whole
from opcheck.grading.drawing.cases import divides_by_deviation, draw
from opcheck.grading.drawing.telling import RANKS
from opcheck.grading.judging.parts import is_right
from opcheck.grading.judging.settling import Readings
from opcheck.grading.judging.student import Student
from opcheck.language import say
from opcheck.operators.spec import Case
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
    if "*" not in question.op.inputs[0].letters or "dims" in question.scope.ranges or is_optimiser(question.op):
        return question
    by_rank = {rank: of for rank in RANKS if (of := [each for each in trials if _rank(each) == rank])}
    known = {rank: _known(student, of) for rank, of in by_rank.items()}
    if all(each.mostly_right or (each.answered and not only_found) for each in known.values()):
        return question
    for rank in RANKS:
        if rank not in known and (asked := _asked(student, rank, [rank])) is not None:
            known[rank] = asked
        elif only_found and rank in known and known[rank].answered and known[rank].share < 1:
            more = _asked(student, rank, [rank, 1]) or known[rank]  # some sizes fit together by chance
            known[rank] = Known(more.answered, min(known[rank].share, more.share))
    right = only_found and any(each.share == 1 for each in known.values())
    always = [rank for rank, each in known.items() if each.answered and not right]  # where nothing is right for certain
    own = sorted(always or (rank for rank, each in known.items() if each.mostly_right))
    if own == [1] and divides_by_deviation(question.op):
        return question  # over what it takes its mean is what a normalisation is about, and one row does not show it
    narrower = _of_rank(question, *own) if 0 < len(own) < len(known) else None
    if narrower is None:
        return question
    note = say("{code} is written for inputs of {dims} dimensions, so only these were asked", code=_named(student),
               dims=", ".join(map(str, own)))  # fmt: skip
    readings.notes.append(note)
    return narrower


def with_square_windows(student: Student, trials: Sequence[Trial], readings: Readings, only_found: bool) -> Question:
    """Without pairs of numbers where the code raises on all of them and on nothing else."""
    question = student.question
    pairs = [name for name, values in question.scope.ranges.items() if any(isinstance(each, tuple) for each in values)]
    paired = [any(not _is_square(each.case, name) for name in pairs) for each in trials]
    answered = [student.answers(each.case) for each in trials]
    if not any(paired) or all(paired) or any(a is b for a, b in zip(paired, answered, strict=True)):
        return question
    try:
        narrower = replace(question, scope=question.scope.narrower(dict.fromkeys(pairs, whole)))
    except Refused:
        return question
    note = say("{code} takes one number for height and width, so no pairs were asked", code=_named(student))
    readings.notes.append(note)
    return narrower


def by_its_formula(student: Student, trials: Sequence[Trial], readings: Readings, only_found: bool) -> Question:
    """By the other formula of the same name, where the code has no parameter for it and is right by that one."""
    question = student.question
    scope, takes = question.scope, question.convention.takes(question.op, student.found.definitions)
    for param in question.op.params:
        fixed = param.name in question.op.formulas and param.name in takes and param.name not in scope.taught
        if not fixed or all(is_right(student, each) for each in trials):
            continue
        for value in getattr(param.kind, "words", ()):
            asked = replace(question, scope=scope.fixed(param.name, value))
            other, cases = (
                Student(student.desk, asked, student.found),
                draw(asked.scope, asked.dtype, [0], special=False),
            )
            other.prefetch(cases.ordinary, gradients=False, seconds=min(SECONDS, student.desk.seconds))
            if value != param.default and all(is_right(other, each) for each in cases.ordinary):
                note = say("{code} uses the formula that torch calls {param}={value}", code=_named(student),
                           param=param.name, value=repr(value))  # fmt: skip
                readings.notes.append(note)
                return asked
    return question


ALWAYS = (within_its_ranks, by_its_formula)
EVERY = (*ALWAYS, with_square_windows)  # where nothing more is asked than what is there


def _named(student: Student) -> str:
    """The question, and what the code calls it."""
    question, name = student.question.name, student.found.definition.name
    return question if question == name else f"{question} ({name})"


def _is_square(case: Case, name: str) -> bool:
    """Whether a parameter of a case, or the kernel that its weight is, is one number for all directions."""
    if name == "kernel_size" and name not in case.params:
        return len({*case.arrays["weight"].shape[2:]}) == 1
    return not isinstance(case.params.get(name), tuple)


def _rank(trial: Trial) -> int:
    return next(iter(trial.case.arrays.values())).ndim


def _known(student: Student, trials: Sequence[Trial]) -> Known:
    right = sum(is_right(student, each) for each in trials)
    return Known(all(student.answers(each.case) for each in trials), right / len(trials))


def _asked(student: Student, rank: int, seed: Sequence[int]) -> Known | None:
    """What becomes of other inputs of that number of dimensions; None where there are none."""
    if (asked := _of_rank(student.question, rank)) is None:
        return None
    other = Student(student.desk, asked, student.found)
    found = draw(asked.scope, asked.dtype, seed, special=False).ordinary
    other.prefetch(found, gradients=False, seconds=min(SECONDS, student.desk.seconds))
    return _known(other, found)


def _of_rank(question: Question, *ranks: int) -> Question | None:
    """The question of inputs of these numbers of dimensions; None where it has none."""
    try:
        asked = replace(question, scope=question.scope.narrower({"dims": only(*ranks)}))
        draw(asked.scope, asked.dtype, [0], special=False)
    except (Refused, CouldNotRun):
        return None
    return asked
