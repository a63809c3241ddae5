"""Shards in worker processes that may crash, hang or run out of memory, or in any concurrent.futures.Executor.

A trial is a function of its address, so a lost worker costs nothing: the trials before the one that killed it are run
again, that one is reported, and the run goes on behind it.
"""

import multiprocessing
import os
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from opcheck import backends, catalog
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say
from opcheck.verification.check import Finding
from opcheck.verification.report import Report, key_of
from opcheck.verification.run import Progress, Shard, hopeless, quiet, run_shard, trials
from opcheck.verification.shrink import explain_failures
from opcheck.verification.verdict import Status, Verdict

TRIALS = 100  # of one task: small enough to spread, large enough to be cheap
PATIENCE = 60.0  # seconds for one trial
EXPLAINING = -2  # in place of a trial's index: the worker makes what it found minimal
EXPLAINING_TIME = 120.0  # seconds more that it has for that


@dataclass(frozen=True)
class Target:
    """What is verified, so that another process can load it."""

    candidate: Any
    arrays: str = ""
    device: str = "cpu"

    def load(self) -> backends.Backend:
        return backends.load(self.candidate, self.arrays, self.device)


def run_task(target: Target, shard: Shard, options: Mapping[str, Any]) -> Report:
    """One shard, wherever it runs: an Executor's worker, a machine of a cluster."""
    backend = target.load()
    report = run_shard(catalog.get(shard.op), shard, backend, **options)
    explain_failures(report, backend)
    return report


def run(
    shards: list[Shard],
    target: Target,
    options: Mapping[str, Any],
    jobs: int = 1,
    executor: Executor | None = None,
    progress: Progress = quiet,
) -> Report:
    """Every shard's findings, merged."""
    tasks = [part for shard in shards for part in split(shard, options.get("seconds") is not None)]
    report = Report(seed=shards[0].seed if shards else 0)
    if executor is not None:
        for done in [executor.submit(run_task, target, task, dict(options)) for task in tasks]:
            report.merge(done.result())
        return report
    crew = Crew(target, options, max(1, min(jobs, len(tasks))))
    try:
        crew.run(tasks, progress)
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        crew.stop()
    assemble(report, crew.found, shards)
    return report


def assemble(report: Report, found: list[tuple[Shard, Report]], shards: list[Shard]) -> None:
    """Merge in the order of the trials, whatever the order in which they were done: a seed finds the same each time.

    What lies behind the failures that are kept is left away; a worker may have done it or not.
    """
    place = {(shard.op, shard.dtype): k for k, shard in enumerate(shards)}
    for task, part in sorted(found, key=lambda each: (place[each[0].op, each[0].dtype], each[0].first)):
        if not hopeless(report, task.op, task.dtype):
            agree_on_resemblance(report, part)
            report.merge(part)


def agree_on_resemblance(report: Report, part: Report) -> None:
    """A mistake explains a claim's failures only if it explains those of every part."""
    explained = {key_of(verdict): verdict for verdict in reversed(part.failures)}
    for k, verdict in enumerate(report.failures):
        other = explained.get(key_of(verdict))
        if other is not None and verdict.resembles:
            common = tuple(name for name in verdict.resembles if name in other.resembles)
            report.failures[k] = replace(verdict, resembles=common)


def split(shard: Shard, timed: bool) -> list[Shard]:
    """A shard in tasks of TRIALS; a shard that ends by time stays whole."""
    if timed:
        return [shard]
    starts = range(shard.first, shard.last, TRIALS)
    return [replace(shard, first=start, last=min(start + TRIALS, shard.last)) for start in starts]


class Worker:
    """A process, the pipe to it, the task that it has, and which trial it said it would run."""

    def __init__(self, context: Any, target: Target, options: Mapping[str, Any]) -> None:
        self.connection, other = context.Pipe()
        self.index = context.Value("q", -1, lock=False)
        self.since = context.Value("d", 0.0, lock=False)
        self.process = context.Process(
            target=_work, args=(other, target, dict(options), self.index, self.since), daemon=True
        )
        self.process.start()
        other.close()
        self.task: Shard | None = None

    def give(self, task: Shard) -> None:
        self.task, self.index.value, self.since.value = task, -1, time.time()
        self.connection.send(task)

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()


class Crew:
    """Some workers, replaced when they die."""

    def __init__(self, target: Target, options: Mapping[str, Any], count: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        # cases are small and workers share the cores: more threads only wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.target, self.options = target, options
        self.found: list[tuple[Shard, Report]] = []
        self.waiting: list[Shard] = []
        self.workers = [self._hire() for _ in range(count)]

    def _hire(self) -> Worker:
        return Worker(self.context, self.target, self.options)

    def run(self, tasks: list[Shard], progress: Progress) -> None:
        """Do every task; what was found is in `found`, also if this is interrupted."""
        self.waiting = list(reversed(tasks))
        while True:
            for worker in self.workers:
                while self.waiting and worker.task is None:
                    next_task = self.waiting.pop()
                    if not self._lost(next_task):
                        worker.give(next_task)
            busy = [worker for worker in self.workers if worker.task]
            if not busy:
                return
            wait([*(worker.connection for worker in busy), *(worker.process.sentinel for worker in busy)], timeout=0.5)
            for worker in busy:
                self._attend(worker, progress)

    def _attend(self, worker: Worker, progress: Progress) -> None:
        """Take a worker's answer, or replace it if it is gone or has been silent for too long."""
        task = worker.task
        assert task is not None
        progress(task.op, task.dtype, worker.index.value)
        answer = _answer(worker.connection)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            if worker.index.value == EXPLAINING:
                self._explained(task, answer)
                worker.task = None
            else:
                self.found.append((task, answer))
                worker.index.value = EXPLAINING
        elif not worker.process.is_alive():
            self._replace(worker, Status.CRASHED, _death(worker.process.exitcode))
        elif time.time() - worker.since.value > PATIENCE:
            self._replace(worker, Status.TIMED_OUT, say("no answer after {n} s", n=int(PATIENCE)))

    def _explained(self, task: Shard, failures: list[Verdict]) -> None:
        """The same failures, minimal and named, in place of those that were found."""
        part = next(part for each, part in reversed(self.found) if each == task)
        part.failures = failures

    def _replace(self, worker: Worker, status: Status, how: str) -> None:
        """Report the trial that a worker died of, and put the rest of its task back."""
        task, index = worker.task, int(worker.index.value)
        assert task is not None
        worker.stop()
        self.workers[self.workers.index(worker)] = self._hire()
        if index == EXPLAINING:  # it died of a smaller case than those that it had found: they stay as they are
            return
        if index < 0:
            raise CouldNotRun(say("the worker process ended before its first case: {how}", how=how))
        alone = replace(task, first=index, last=index + 1)
        _, made = next(trials(catalog.get(task.op), alone, bool(self.options.get("exhaustive"))))
        part = Report(trials=1)
        part.add(task.op, task.dtype, Finding("answers", verdict=Verdict(status, "answers", made, message=how)))
        self.found.append((alone, part))
        self.waiting += [replace(task, first=index + 1), replace(task, last=index)]

    def _lost(self, task: Shard) -> bool:
        """Whether a task is empty, or of an operator that has failed often enough before it."""
        before = Report()
        for each, part in self.found:
            if (each.op, each.dtype) == (task.op, task.dtype) and each.first < task.first:
                before.merge(part)
        return task.first >= task.last or hopeless(before, task.op, task.dtype)

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()


def _answer(connection: Connection) -> Any:
    try:
        return connection.recv() if connection.poll() else None
    except (EOFError, OSError):
        return None


def _death(code: int | None) -> str:
    import signal

    if code is not None and code < 0:
        return say("the process was killed by {signal}", signal=signal.Signals(-code).name)
    return say("the process ended with exit code {code}", code=code)


def _work(connection: Connection, target: Target, options: dict[str, Any], index: Any, since: Any) -> None:
    """What a worker process does: tasks in, reports out."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    limit_memory()

    def about_to(trial: int) -> None:
        index.value, since.value = trial, time.time()

    backend = None
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            backend = backend or target.load()
            report = run_shard(catalog.get(task.op), task, backend, about_to=about_to, **options)
            connection.send(report)
            since.value = time.time() + EXPLAINING_TIME
            explain_failures(report, backend)
            connection.send(report.failures)
        except (Refused, CouldNotRun) as error:
            connection.send(error)
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def limit_memory() -> None:
    """At most three quarters of the machine's memory for data, so that exhaustion is an error, not a dead machine."""
    try:
        import resource

        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ImportError, ValueError, OSError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (physical * 3 // 4, hard))
