"""Single trials in their own process: those that end processes are run again, and made smaller."""

import time
from dataclasses import replace
from multiprocessing.connection import wait
from types import TracebackType

import numpy as np

from opcheck.errors import CouldNotRun
from opcheck.verification.casefile import Trial
from opcheck.verification.diagnosis.shrink import Search
from opcheck.verification.report import Report, key_of
from opcheck.verification.streams import with_directions
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.workers.process import Worker, context, found_of
from opcheck.verification.workers.worker import Again, Target

TIME = 30.0  # seconds in which the crashes of a run are made smaller: each smaller one costs a new process


class Alone:
    """A process for one trial after the other; another one takes its place where it dies."""

    def __init__(self, target: Target, patience: float) -> None:
        self.target, self.patience = target, patience
        self.context = context()
        self.worker: Worker | None = None

    def __enter__(self) -> "Alone":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def check(self, trial: Trial, claim: str = "", known: bool = False) -> Report:
        """What is found of a saved trial, which may be that the process died of it."""
        worker = self._given(Again(trial, claim, known))
        once_more = True  # what dies before its case may have been killed from outside
        while True:
            wait([worker.connection, worker.process.sentinel], timeout=0.25)
            answer = worker.answer()
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                report: Report = answer
                return report
            ended = worker.ended(self.patience)
            if ended and worker.is_stillborn and once_more:
                self._stop()
                worker, once_more = self._given(Again(trial, claim, known)), False
            elif ended:
                return self._death(worker, trial, *ended, known)

    def _given(self, task: Again) -> Worker:
        worker = self.worker = self.worker or Worker(self.context, self.target, {}, 1.0)
        worker.give(task)
        return worker

    def _death(self, worker: Worker, trial: Trial, status: Status, how: str, known: bool) -> Report:
        verdict = worker.verdict(trial, status, how, known)
        self._stop()
        report = Report(*worker.loaded, trials=1)
        report.add(trial.case.op, trial.dtype, found_of(verdict))
        return report

    def _stop(self) -> None:
        if self.worker is not None:
            self.worker.stop()
            self.worker = None


def minimise_crashes(report: Report, target: Target, patience: float) -> None:
    """Of each claim that a process died of, the first case as small as it was found in the time."""
    end, seen = time.monotonic() + TIME, set()
    with Alone(target, patience) as process:
        for k, verdict in enumerate(list(report.failures)):
            if verdict.status in (Status.CRASHED, Status.MEMORY) and key_of(verdict) not in seen:
                seen.add(key_of(verdict))
                report.failures[k] = smaller(verdict, process, end - time.monotonic())


def smaller(verdict: Verdict, process: Alone, seconds: float = TIME) -> Verdict:
    """The verdict of the smallest trial found of which a process dies in the same way."""
    assert verdict.trial is not None

    def dies(trial: Trial) -> Verdict | None:
        try:
            found = process.check(trial, known=True).failures
        except (CouldNotRun, RuntimeError):
            return None
        same = (each for each in found if each.status is verdict.status and each.message == verdict.message)
        return next((replace(each, claim=verdict.claim) for each in same), None)

    op, trial = process.target.spec(verdict.trial.case.op), verdict.trial
    if trial.before is not None:  # the other call may be what it dies of
        other = trial.replace(case=trial.before, before=None, address=())
        verdict = dies(with_directions(op, other, np.random.default_rng(0))) or verdict
    return Search(op, verdict, dies, seconds).run()
