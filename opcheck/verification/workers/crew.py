"""Worker processes, watched and replaced: the run survives segmentation faults, aborts, hangs and memory exhaustion.

The trials before the one that a worker died of are run again, that one is reported, and the run goes on behind it.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

from opcheck.verification.report import Report
from opcheck.verification.run import Found, Shard, hopeless, trials
from opcheck.verification.verdict import Status
from opcheck.verification.workers.process import Worker, context, found_of, unbroken
from opcheck.verification.workers.tally import Tally
from opcheck.verification.workers.worker import EXPLAINING, STARTING, Target

GRACE = 2.0  # seconds in which an interrupted worker hands over what it has


class Crew:
    """Some workers, replaced when they die; what they find is appended to `found` as it comes."""

    def __init__(self, target: Target, options: Mapping[str, Any], count: int, patience: float, found: Found) -> None:
        self.context = context()
        # cases are small and workers share the cores: more threads only wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.target, self.options, self.patience, self.found = target, options, patience, found
        self.share = 1 / max(1, count)
        self.waiting: list[Shard] = []
        self.begun = False  # whether any of them has come to a case
        self.tried: set[Shard] = set()  # tasks of which a worker died before it came to a case
        self.started: dict[tuple[str, str], float] = {}
        self.workers: list[Worker] = []
        self.count = count

    def __enter__(self) -> "Crew":
        try:
            while len(self.workers) < self.count:
                with unbroken():  # no worker is left out of the list that is stopped in the end
                    self.workers.append(self._hire())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is KeyboardInterrupt:
                self._hand_over()
        finally:
            self._stop()

    def _stop(self) -> None:
        for worker in self.workers:
            worker.stop()

    def _hire(self) -> Worker:
        return Worker(self.context, self.target, self.options, self.share)

    def run(self, tasks: list[Shard], tally: Tally) -> None:
        """Do every task."""
        self.waiting = list(reversed(tasks))
        while True:
            for worker in self.workers:
                while self.waiting and worker.task is None:
                    next_task = self.waiting.pop()
                    if not self._dropped(next_task):
                        worker.give(next_task)
            busy = [worker for worker in self.workers if worker.task]
            if not busy:
                return
            wait([*(worker.connection for worker in busy), *(worker.process.sentinel for worker in busy)], timeout=0.25)
            for worker in busy:
                self._attend(worker, tally)

    def _attend(self, worker: Worker, tally: Tally) -> None:
        """Take a worker's answer, or replace it if it is gone, silent for too long or printing without end."""
        task = worker.task
        assert task is not None
        tally.at(task, worker.index - task.first)
        self.begun |= worker.index != STARTING
        answer = worker.answer()
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            self._take(worker, task, answer)
        elif ended := worker.ended(self.patience):
            self._replace(worker, *ended)

    def _take(self, worker: Worker, task: Shard, answer: Any) -> None:
        """A report, and after it the same failures, minimal and named."""
        if worker.index != EXPLAINING:
            self.found.append((task, answer))
            worker.explains()
            return
        next(part for each, part in reversed(self.found) if each == task).failures = answer
        worker.task = None

    def _replace(self, worker: Worker, status: Status, how: str) -> None:
        """Report the trial that a worker died of, and put the rest of its task back."""
        task, index = worker.task, worker.index
        assert task is not None
        try:
            if index == EXPLAINING:  # it died of a smaller case than those that it had found: they stay as they are
                return
            if worker.is_stillborn and task not in self.tried:  # perhaps it was killed from outside
                self.tried.add(task)
                self.waiting.append(task)
                return
            index = max(task.first, index)
            alone = replace(task, first=index, last=index + 1)
            _, made = next(trials(self.target.spec(task.op), alone, bool(self.options.get("exhaustive"))))
            verdict = worker.verdict(made, status, how, bool(self.options.get("known", True)), self.begun)
            part = Report(failing=int(verdict.status.failed))
            part.count(index, made)
            part.add(task.op, task.dtype, found_of(verdict))
            self.found.append((alone, part))
            self.waiting += [replace(task, first=index + 1), replace(task, last=index)]
        finally:
            worker.stop()
            with unbroken():
                self.workers[self.workers.index(worker)] = self._hire()

    def _dropped(self, task: Shard) -> bool:
        """Whether a task is empty, out of time, or of an operator that has failed often enough before it."""
        key, seconds = (task.op, task.dtype), self.options.get("seconds")
        started = self.started.setdefault(key, time.time())
        late = seconds is not None and task.first > 0 and time.time() - started > seconds
        before = Report()
        for each, part in self.found:
            if (each.op, each.dtype) == key and each.first < task.first:
                before.merge(part)
        return task.first >= task.last or late or hopeless(before, task.op, task.dtype)

    def _hand_over(self) -> None:
        """What the workers have found in the tasks that they are at; those that do not answer soon are left."""
        for worker in self.workers:
            worker.marks.stopping = True
        end = time.time() + GRACE
        while time.time() < end and any(worker.task for worker in self.workers):
            busy = [worker for worker in self.workers if worker.task]
            wait([worker.connection for worker in busy], timeout=0.1)
            for worker in busy:
                answer = worker.answer()
                if isinstance(answer, Report) and worker.task is not None:
                    self.found.append((worker.task, answer))
                if answer is not None or not worker.process.is_alive():
                    worker.task = None
        for worker in self.workers:  # a call takes longer than we wait: what came before it
            part = worker.found() if worker.task is not None and worker.index != EXPLAINING else None
            self.found += [(worker.task, part)] if isinstance(part, Report) else []
