"""A submission as something that can be verified: its calls run in the sandbox, its results are plain arrays here.

It is a backend like torch or a kernel, so the verifier's comparison, shrinking and diagnosis serve the grader too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart, Outputs, Session
from opcheck.grading.assignment import Question
from opcheck.grading.calls import Desk, Failed, Job, Made, Wanted
from opcheck.grading.conventions import Reading, Request
from opcheck.grading.locate import Found
from opcheck.language import say
from opcheck.spec import Array, Case, Op
from opcheck.verification.casefile import Trial

Cotangent = Mapping[str, Array]


class Student(Backend):
    """One question's functions in one submission."""

    def __init__(self, desk: Desk, question: Question, found: Found) -> None:
        self.desk, self.question, self.found = desk, question, found
        self.name = found.forward
        self._kept: dict[int, tuple[Case, Cotangent, Job]] = {}
        self._places: dict[tuple[str, ...], str] = {}

    def lacks(self, op: Op, case: Case) -> str:
        """Not empty for a case that the assignment does not ask: shrinking stays within what was taught."""
        within = self.question.scope.holds(case) and all(array.size for array in case.arrays.values())
        return "" if within else "range"

    def prefetch(self, trials: Sequence[Trial], gradients: bool, seconds: float | None = None) -> None:
        """Make the calls of all these trials, in one round trip if all goes well."""
        jobs = []
        for trial in trials:
            jobs.append(self._job(trial.case, trial.cotangent if gradients else {}))
            self._kept[id(trial.case)] = trial.case, trial.cotangent, jobs[-1]
            if jobs[-1].undecided:  # which of the places that courses use this file has, the first case tells
                self.desk.carry_out(jobs, seconds)
                self._places |= jobs[-1].decided
        self.desk.carry_out(jobs, seconds)

    def made(self, case: Case, cotangent: Cotangent | None = None) -> Made:
        """What came of one case, with gradients if there is a cotangent."""
        if id(case) in self._kept:
            _, earlier, job = self._kept[id(case)]
            if job.made is not None and (cotangent is None or cotangent is earlier):
                return job.made
        return self.desk.one(self._job(case, cotangent or {}))

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        return Answers(self, case)

    def _job(self, case: Case, cotangent: Cotangent) -> Job:
        op, question = self.question.op, self.question
        p, shapes = op.checked(case)
        r = Request(op, case, p, self._number(case), self.found.forward, self.found.backward, self.found.definition,
                    question.arrays, question.convention.name)  # fmt: skip
        plan = question.convention.call(r)
        real = {each.name: each.differentiable for each in op.outputs}
        outputs = {name: Wanted(self._known(each), shapes[name], real[name]) for name, each in plan.readings.items()}
        job = Job(plan, outputs, may_change=question.entry.in_place,
                  tensors=question.arrays == "torch" and not question.convention.autograd)  # fmt: skip
        if cotangent and self.found.can_differentiate:
            job.backward = question.convention.gradients(r, cotangent)
            job.gradients = {
                name: Wanted(self._known(each), case.arrays[name].shape)
                for name, each in job.backward.readings.items()
                if name in case.arrays
            }
        return job

    def _known(self, reading: Reading) -> Reading:
        """The reading with its one place, where an earlier case has shown which that is."""
        places = reading.place
        return reading if isinstance(places, str) else reading._replace(place=self._places.get(places, places))

    def _number(self, case: Case) -> str:
        """Inputs are float64 and float32 in turns where float32's precision is asked."""
        odd = sum(array.size for array in case.arrays.values()) % 2
        return "float32" if self.question.dtype == "float32" and odd else "float64"


class Answers(Session):
    """The results of one case, as the verifier reads them."""

    def __init__(self, student: Student, case: Case) -> None:
        self._student, self._case = student, case
        self.dtypes = {}

    def attempt(self) -> None:
        self._student.made(self._case)

    def outputs(self) -> Outputs:
        return _arrays(self._student.made(self._case).outputs)

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        if not self._student.question.entry.upstream and any((each != 1).any() for each in cotangent.values()):
            raise NoCounterpart(say("it takes no upstream gradient"))
        return _arrays(self._student.made(self._case, cotangent).gradients)


def _arrays(found: Mapping[str, Array | Failed]) -> dict[str, Array]:
    """Arrays in the verifier's two types; raises the first failure."""
    arrays: dict[str, Array] = {}
    for name, each in found.items():
        if isinstance(each, Failed):
            raise each
        arrays[name] = each.astype(np.int64 if each.dtype.kind in "iu" else np.float64)
    return arrays
