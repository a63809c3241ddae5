"""Whether gradients are those of the student's own forward pass: where that one is wrong, they may be right after all.

The forward pass is called at points near a case; its slope along a direction, by differences, is what the gradient must
give. A forward pass that does nothing (its result is its input, or never changes, or is a straight line where a curve
was asked) has no gradient that shows anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.judging.calls import Job, Made
from opcheck.grading.judging.student import Student
from opcheck.operators.spec import Array, Case
from opcheck.verification.casefile import Trial

STEP = 2.0**-8
SAME = 1e-3  # of the sizes that are added up: far more than differences lose, far less than any mistake
CURVED = 1e-9
TRIALS, DIRECTIONS = 2, 2
PLACES = (-STEP, -STEP / 2, 0.0, STEP / 2, STEP)


class Line(NamedTuple):
    """Five calls on a line through a case, along a direction of one of its inputs."""

    trial: Trial
    name: str
    direction: Array
    jobs: tuple[Job, ...]


def is_consistent(student: Student, trials: Sequence[Trial], only: str = "") -> bool:
    """Whether all gradients, or the one of `only`, are those of what the forward pass really computes."""
    chosen = [each for each in trials if each.policy != "special"][:TRIALS]
    rng = np.random.default_rng(0)
    lines = [line for trial in chosen for line in _lines(student, trial, only, rng)]
    if not lines:
        return False
    student.desk.carry_out([job for line in lines for job in line.jobs])
    found = [_slopes(student, line) for line in lines]
    if any(each is None for each in found):
        return False
    curved = any(each is not None and each.curved for each in found) or bool(student.question.op.degree)
    return curved and all(each is not None and each.agree for each in found) and _does_something(student, chosen)


def _lines(student: Student, trial: Trial, only: str, rng: np.random.Generator) -> Iterable[Line]:
    for name in student.made(trial.case, trial.cotangent).gradients:
        if only not in ("", name):
            continue
        array = trial.case.arrays[name]
        for _ in range(DIRECTIONS):
            direction = rng.choice([-1.0, 1.0], size=array.shape) * rng.uniform(0.5, 1.0, size=array.shape)
            try:
                jobs = tuple(student.forward_job(_moved(trial.case, name, direction * h)) for h in PLACES)
            except Refused:  # out of what the operator takes
                return
            yield Line(trial, name, direction, jobs)


def _moved(case: Case, name: str, by: Array) -> Case:
    return case._replace(arrays={**case.arrays, name: case.arrays[name] + by})


class _Slopes(NamedTuple):
    agree: bool
    curved: bool


def _slopes(student: Student, line: Line) -> _Slopes | None:
    """The slope by differences (Richardson's) beside the one by the gradient; None where there is no number."""
    gradient = student.made(line.trial.case, line.trial.cotangent).gradients.get(line.name)
    values = [_value(job.made, line.trial.cotangent) for job in line.jobs]
    if not isinstance(gradient, np.ndarray) or gradient.shape != line.direction.shape or None in values:
        return None
    a, b, middle, c, d = (each for each in values if each is not None)
    wide, narrow = (d - a) / (2 * STEP), (c - b) / STEP
    slope = (4 * narrow - wide) / 3
    products = np.asarray(gradient, dtype=np.float64) * line.direction
    size = float(np.abs(products).sum()) + abs(slope)
    if not np.isfinite(size) or size == 0:
        return None
    scale = max(abs(each) for each in (a, b, middle, c, d))
    return _Slopes(abs(slope - float(products.sum())) <= SAME * size, abs(a + d - 2 * middle) > CURVED * scale)


def _value(made: Made | None, cotangent: Mapping[str, Array]) -> float | None:
    """What the outputs come to, weighed by the upstream gradient."""
    total = 0.0
    for name, g in cotangent.items():
        output = made.outputs.get(name) if made is not None else None
        if not isinstance(output, np.ndarray) or output.shape != g.shape or not np.isfinite(output).all():
            return None
        total += float((g * output).sum())
    return total


def _does_something(student: Student, trials: Sequence[Trial]) -> bool:
    """Whether no output is just one of the inputs."""
    for trial in trials:
        outputs = student.made(trial.case, trial.cotangent).outputs.values()
        for output in outputs:
            if any(np.array_equal(np.asarray(output), each) for each in trial.case.arrays.values()):
                return False
    return True
