"""A submission as something that can be verified: its calls run in the sandbox, its results are plain arrays here.

It is a backend like torch or a kernel, so the verifier's comparison, shrinking and diagnosis serve the grader too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart, Outputs, Session
from opcheck.grading.assignments.assignment import Question
from opcheck.grading.conventions import Reading, Request
from opcheck.grading.conventions.base import has
from opcheck.grading.judging.calls import Desk, Job, Made, Wanted
from opcheck.grading.judging.replies import Failed
from opcheck.grading.submissions.locate import Found
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Form, Op
from opcheck.sandbox import Call
from opcheck.verification.casefile import Trial

Cotangent = Mapping[str, Array]
MOST = np.iinfo(np.int64).max
NUMBERS = ("float64", "float32")
ASKED_AGAIN, TIMES = 3, 4  # trials that are not right, to find out whether they ever are, and how often
LIBRARIES = ("numpy.", "torch.")  # what a convention itself calls, to bring a result into shape
BEYOND = 3.0  # seconds for what the assignment does not ask


class Student(Backend):
    """One question's functions in one submission."""

    def __init__(self, desk: Desk, question: Question, found: Found) -> None:
        self.desk, self.question, self.found = desk, question, found
        self.name = found.forward
        self._kept: dict[int, tuple[Case, Cotangent, Job]] = {}
        self._again: tuple[Trial, Job] | None = None
        self._places: dict[tuple[str, ...], str] = {}
        self._wavers: bool | None = None
        self.remembered: tuple[Trial, ...] | None = None  # calls that show what it keeps from one to the next
        self.forms: dict[str, tuple[Form, ...]] = {}  # by part: what explains why numbers were as far off as they were

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """The parameters and optional arrays that the code has, whether they are asked or not."""
        question = self.question
        if not question.convention.says_all:
            return ()
        code = self.found.definition
        lacking = question.convention.takes(question.op, self.found.definitions)
        lacks = {each.name for each in question.op.inputs if not lacking.get(each.name, bool)(True)}
        if code.parameters:  # a mask under a name that is not torch's need not mean what torch's does
            lacks |= {each.name for each in question.op.inputs if not has(code, each.name)}
        return tuple(name for name in question.scope.free() if name not in lacks)

    @cached_property
    def hides_eps(self) -> bool:
        """Whether an eps stands in the code as a number, so that nobody can say which one is meant."""
        lacking = self.question.convention.takes(self.question.op, self.found.definitions)
        return "eps" in lacking and not lacking["eps"](0.5)

    def lacks(self, op: Op, case: Case) -> str:
        """Not empty for a case that the assignment does not ask: shrinking stays within what was taught."""
        scope = self.question.scope.opened(*self.takes)
        within = scope.holds(case) and all(array.size for array in case.arrays.values())
        return "" if within else "range"

    def prefetch(
        self, trials: Sequence[Trial], gradients: bool, seconds: float | None = None, own_type: Sequence[Trial] = ()
    ) -> None:
        """Make the calls of all these trials, in one round trip if all goes well.

        With gradients, backward is also called twice on what the first trial's forward call leaves, where the
        convention says that this gives the same and no seconds count. Inputs come as float64 and as float32 in turns;
        those of `own_type`, where digits count, in the type of the question.
        """
        jobs = []
        for index, trial in enumerate((*trials, *own_type)):
            number = NUMBERS[index % 2] if index < len(trials) else self.question.dtype
            jobs.append(self._job(trial.case, trial.cotangent if gradients else {}, number=number))
            self._kept[id(trial.case)] = trial.case, trial.cotangent, jobs[-1]
            if jobs[-1].undecided:  # which of the places that courses use this file has, the first case tells
                self.desk.carry_out(jobs, seconds)
                self._places |= jobs[-1].decided
        repeats = gradients and trials and seconds is None and self.question.convention.repeats
        if repeats and not self.draws(trials[0].case) and (twice := self._twice(trials[0])):
            self._again = trials[0], twice
            jobs.append(twice)
        self.desk.carry_out(jobs, seconds)

    def answered(self, trials: Sequence[Trial], gradients: bool) -> tuple[Trial, ...]:
        """Those of the trials that the code has an answer to: nobody asks it, so it may refuse them."""
        if trials:
            self.prefetch(trials, gradients, min(BEYOND, self.desk.seconds))
        return tuple(trial for trial in trials if _is_answer(self.made(trial.case, trial.cotangent).outputs))

    def draws(self, case: Case) -> bool:
        """Whether the code draws by chance what the case does not give; it is read off what comes out."""
        return bool(self.question.op.draws) and self.question.op.draws not in case.arrays

    def answers(self, case: Case) -> bool:
        """Whether the forward pass gives an array of the right shape."""
        made = self.made(case)
        failed = any(isinstance(each, Failed) for each in made.outputs.values())
        return not failed and all(name.startswith("vjp:") for name in made.misshaped)

    def differentiates(self, trial: Trial) -> bool:
        """Whether there are gradients of a trial."""
        found = self.made(trial.case, trial.cotangent).gradients
        return bool(found) and not any(isinstance(each, Failed) for each in found.values())

    def wavers(self, trials: Sequence[Trial]) -> bool:
        """Whether the code gives several answers to one of these trials: there is chance in it, or something that it
        keeps from call to call. Of an operator that draws by chance itself nobody can say."""
        if self._wavers is None:
            self._wavers = not self.question.op.draws and self._gives_several(trials)
        return self._wavers

    def _gives_several(self, trials: Sequence[Trial]) -> bool:
        asked = [each for each in trials if not self.made(each.case, each.cotangent).lost][:ASKED_AGAIN]
        backward = any(part.startswith("vjp") for part in self.question.points)
        jobs = [self._job(each.case, each.cotangent if backward else {}) for each in asked for _ in range(TIMES)]
        self.desk.carry_out(jobs)
        made = [job.made for job in jobs if job.made is not None and not job.made.lost]
        if len(made) < len(jobs):
            return False
        return any(not _agree(one, made[k - k % TIMES]) for k, one in enumerate(made))

    def wrote(self, part: str, forms: tuple[Form, ...]) -> None:
        """Numbers of a part were right as far as any of these forms is."""
        if forms:
            known = self.forms.get(part, forms)
            self.forms[part] = tuple(form for form in known if form in forms) or known

    def again(self) -> tuple[Trial, Made] | None:
        """The trial whose backward was called twice, and what the second call gave; None where it was not."""
        return None if self._again is None or self._again[1].made is None else (self._again[0], self._again[1].made)

    def made(self, case: Case, cotangent: Cotangent | None = None) -> Made:
        """What came of one case, with gradients if there is a cotangent."""
        if id(case) in self._kept:
            _, earlier, job = self._kept[id(case)]
            if job.made is not None and (cotangent is None or cotangent is earlier):
                return job.made
        return self.desk.one(self._job(case, cotangent or {}))

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        return Answers(self, case)

    def _job(self, case: Case, cotangent: Cotangent, number: str = "") -> Job:
        op, question = self.question.op, self.question
        r, shapes = self._request(case, number), op.checked(case)[1]
        plan = question.convention.call(r)
        real = {each.name: not each.whole for each in op.outputs}
        outputs = {name: Wanted(self._known(each), shapes[name], real[name]) for name, each in plan.readings.items()}
        job = Job(plan, outputs, may_change=question.entry.in_place or bool(op.updated(shapes)),
                  tensors=question.arrays == "torch" and not question.convention.autograd)  # fmt: skip
        if cotangent and self.found.can_differentiate:
            job.backward = question.convention.gradients(r, cotangent)
            job.gradients = {
                name: Wanted(self._known(each), case.arrays[name].shape)
                for name, each in job.backward.readings.items()
                if name in case.arrays
            }
        return job

    def forward_job(self, case: Case) -> Job:
        """The forward call of another case, in full precision where that may be sent."""
        return self._job(case, {}, number=NUMBERS[0])

    def _twice(self, trial: Trial) -> Job | None:
        """The first trial's job with its backward steps done before for another upstream gradient."""
        job = self._job(trial.case, trial.cotangent)
        if job.backward is None or not job.backward.steps:
            return None
        doubled = {name: each * 2 if self.question.entry.upstream else each for name, each in trial.cotangent.items()}
        before = self.question.convention.gradients(self._request(trial.case), doubled)
        # what the first call returns is not kept, so that nothing is read of it where the second one fails
        own = [each for each in before.steps if not isinstance(each, Call) or not each.function.startswith(LIBRARIES)]
        first = [replace(step, keep="") if isinstance(step, Call) else step for step in own]
        job.backward = job.backward._replace(steps=[*first, *job.backward.steps])
        return job

    def _request(self, case: Case, number: str = "") -> Request:
        question, found = self.question, self.found
        return Request(question.op, case, question.op.checked(case)[0], self._number(case, number), found.forward,
                       found.backward, found.definition, question.arrays, question.convention.name,
                       found.gradient, question.entry.variant)  # fmt: skip

    def _known(self, reading: Reading) -> Reading:
        """The reading with its one place, where an earlier case has shown which that is."""
        places = reading.place
        return reading if isinstance(places, str) else reading._replace(place=self._places.get(places, places))

    def _number(self, case: Case, number: str) -> str:
        """The number type of real arrays: float64 and float32 occur where float32's precision is asked."""
        if self.question.dtype != "float32":
            return "float64"
        if type(self.question.op).typed is not Op.typed:  # what is right depends on the type
            return case.dtype or self.question.dtype
        return number or NUMBERS[sum(array.size for array in case.arrays.values()) % 2]


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


def _agree(one: Made, other: Made) -> bool:
    """Whether two calls with the same arguments gave the same; the last digits may depend on where an array lies.

    No bound: nothing is said here of what is right, and what is drawn by chance or counted differs by far more."""
    pairs = [(one.outputs[name], other.outputs[name]) for name in one.outputs]
    pairs += [(one.gradients[name], other.gradients[name]) for name in one.gradients]
    for first, second in pairs:
        if isinstance(first, Failed) or isinstance(second, Failed):
            if not (isinstance(first, Failed) and isinstance(second, Failed)):
                return False
        elif first.shape != second.shape or not np.allclose(first, second, rtol=1e-3, atol=1e-6, equal_nan=True):
            return False
    return True


def _is_answer(found: Mapping[str, Array | Failed]) -> bool:
    return not any(isinstance(each, Failed) or np.isnan(each).any() for each in found.values())


def _arrays(found: Mapping[str, Array | Failed]) -> dict[str, Array]:
    """Arrays in the verifier's two types; raises the first failure."""
    arrays: dict[str, Array] = {}
    for name, each in found.items():
        if isinstance(each, Failed):
            raise each
        fits = each.dtype.kind in "iu" and not (each > MOST).any()  # a larger one would come out negative
        arrays[name] = each.astype(np.int64 if fits else np.float64)
    return arrays
