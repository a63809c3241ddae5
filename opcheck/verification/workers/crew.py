"""Worker processes, watched and replaced: the run survives segmentation faults, aborts, hangs and memory exhaustion.

The trials before the one that a worker died of are run again, that one is reported, and the run goes on behind it.
"""

import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any

import opcheck
from opcheck import catalog
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Finding
from opcheck.verification.report import Report
from opcheck.verification.run import Found, Progress, Shard, hopeless, trials
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.workers.worker import EXPLAINING, STARTING, Target, work

START = 60.0  # seconds, at least, that a worker has until its first case: it imports torch and the candidate
GRACE = 2.0  # seconds in which an interrupted worker hands over what it has
MOST_PRINTED = 2**26  # bytes that one call may print
LAST_WORDS = 12  # lines of them that a report shows
# lines of a fatal error that tell nothing about the implementation
NOT_THEIRS = (str(Path(opcheck.__file__).parent), "/multiprocessing/", 'File "<string>"', "Extension modules:")


class Worker:
    """A process, the pipe to it, the task that it has, which trial it said it would run, and what that one printed."""

    def __init__(self, context: Any, target: Target, options: Mapping[str, Any], share: float) -> None:
        self.connection, other = context.Pipe()
        self.index = context.Value("q", STARTING, lock=False)
        self.since = context.Value("d", 0.0, lock=False)
        self.stopping = context.Value("b", 0, lock=False)
        self.printed = tempfile.NamedTemporaryFile(prefix="opcheck-", suffix=".txt")  # noqa: SIM115  closed by stop()
        self.running = tempfile.NamedTemporaryFile(prefix="opcheck-", suffix=".trial")  # noqa: SIM115  the same
        self.process = context.Process(
            target=work,
            args=(
                other,
                target,
                dict(options),
                self.index,
                self.since,
                self.stopping,
                self.printed.name,
                self.running.name,
                share,
            ),
            daemon=True,
        )
        with unbroken():
            self.process.start()
        other.close()
        self.task: Shard | None = None

    def give(self, task: Shard) -> None:
        self.task, self.index.value, self.since.value = task, STARTING, time.time()
        self.connection.send(task)

    def answer(self) -> Any:
        """What it sent, if it sent something."""
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def size_of_printed(self) -> int:
        return os.fstat(self.printed.fileno()).st_size

    def last_words(self) -> str:
        """The end of what it printed: of a crash, where it was."""
        self.printed.seek(max(0, self.size_of_printed() - 8192))
        lines = self.printed.read().decode(errors="replace").splitlines()
        shown = [line[:300] for line in lines if line.strip() and not any(each in line for each in NOT_THEIRS)]
        return "\n".join(shown[-LAST_WORDS:])

    def trial(self) -> Trial | None:
        """The last trial of which the implementation does not take all, as it ran; None if there was none."""
        try:
            found: Trial = pickle.loads(Path(self.running.name).read_bytes())
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        return found

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()
        self.printed.close()
        self.running.close()


class Crew:
    """Some workers, replaced when they die; what they find is appended to `found` as it comes."""

    def __init__(self, target: Target, options: Mapping[str, Any], count: int, patience: float, found: Found) -> None:
        self.context = multiprocessing.get_context("spawn")
        # cases are small and workers share the cores: more threads only wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.target, self.options, self.patience, self.found = target, options, patience, found
        self.share = 1 / max(1, count)
        self.waiting: list[Shard] = []
        self.started: dict[tuple[str, str], float] = {}
        self.workers = [self._hire() for _ in range(count)]

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is KeyboardInterrupt:
                self._hand_over()
        finally:
            for worker in self.workers:
                worker.stop()

    def _hire(self) -> Worker:
        return Worker(self.context, self.target, self.options, self.share)

    def run(self, tasks: list[Shard], progress: Progress) -> None:
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
                self._attend(worker, progress)

    def _attend(self, worker: Worker, progress: Progress) -> None:
        """Take a worker's answer, or replace it if it is gone, silent for too long or printing without end."""
        task = worker.task
        assert task is not None
        progress(task.op, task.dtype, worker.index.value)
        answer = worker.answer()
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            self._take(worker, task, answer)
        elif not worker.process.is_alive():
            self._replace(worker, Status.CRASHED, _death(worker.process.exitcode))
        elif worker.size_of_printed() > MOST_PRINTED:
            self._replace(worker, Status.CRASHED, say("it printed more than {n} MB", n=MOST_PRINTED // 10**6))
        else:
            patience = self.patience if worker.index.value != STARTING else max(self.patience, START)
            if time.time() - worker.since.value > patience:
                self._replace(worker, Status.TIMED_OUT, say("no answer after {n} s", n=f"{patience:g}"))

    def _take(self, worker: Worker, task: Shard, answer: Any) -> None:
        """A report, and after it the same failures, minimal and named."""
        if worker.index.value != EXPLAINING:
            self.found.append((task, answer))
            worker.index.value = EXPLAINING
            return
        next(part for each, part in reversed(self.found) if each == task).failures = answer
        worker.task = None

    def _replace(self, worker: Worker, status: Status, how: str) -> None:
        """Report the trial that a worker died of, and put the rest of its task back."""
        task, index, words, ran = worker.task, int(worker.index.value), worker.last_words(), worker.trial()
        assert task is not None
        worker.stop()
        self.workers[self.workers.index(worker)] = self._hire()
        if index == EXPLAINING:  # it died of a smaller case than those that it had found: they stay as they are
            return
        if index == STARTING:
            raise CouldNotRun(say("the worker process ended before its first case: {how}", how=f"{how}\n{words}"))
        alone = replace(task, first=index, last=index + 1)
        _, made = next(trials(catalog.get(task.op), alone, bool(self.options.get("exhaustive"))))
        part = Report(trials=1)
        made = ran if ran is not None and ran.address == made.address else made
        verdict = Verdict(status, "answers", made, message=how, details={"printed": words} if words else {})
        part.add(task.op, task.dtype, Finding("answers", verdict=verdict))
        self.found.append((alone, part))
        self.waiting += [replace(task, first=index + 1), replace(task, last=index)]

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
            worker.stopping.value = 1
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


@contextmanager
def unbroken() -> Iterator[None]:
    """Keeps Ctrl-C back for a moment: a process that is started meanwhile never gets it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return say("the process was killed by {signal}", signal=signal.Signals(-code).name)
    return say("the process ended with exit code {code}", code=code)
