"""A class is graded: in processes, or on any Executor, with every result in the journal as soon as it is there."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import opcheck
from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.classes.journal import Journal, Key, Results
from opcheck.grading.classes.processes import pool
from opcheck.grading.classes.progress import Progress
from opcheck.grading.judging import judge
from opcheck.grading.results import Result
from opcheck.grading.submissions import roster
from opcheck.grading.submissions.roster import Entry
from opcheck.language import say
from opcheck.sandbox import NoSandbox, choose


@dataclass
class ClassResult:
    """What was graded, in the order of the roster. Its results live in the journal: use it in a `with` block."""

    results: Results
    journal: Journal
    reused: int = 0  # how many of them an earlier run had graded
    failed: list[tuple[str, str]] = field(default_factory=list)  # student, and why opcheck could not grade the code
    interrupted: bool = False
    seconds: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.journal.close()


def grade_class(
    paths: Iterable[Path],
    assignment: Assignment,
    *,
    jobs: int = 1,
    journal: Path | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    seed: int | None = None,
    unsafe: bool = False,
    student: str = "",
    within: Path | None = None,
    check: Callable[[int], None] = lambda submissions: None,
) -> ClassResult:
    """Grade every submission at these paths (see `roster.opened`), as many at a time as there are jobs.

    With a journal, what it holds is not graded again, unless the submission, the assignment, the seed, the rules of
    grading or opcheck has changed. An `executor` takes the place of our own processes; its workers must see the same
    files. `progress` shows a bar on stderr (None: if that is a terminal). `check` is called with the number of
    submissions before any of them is graded, and may refuse. Ctrl-C ends the run; what was graded until then is in the
    result.

    Raises Refused for paths that hold no submission and for a journal that is none, CouldNotRun without a sandbox.

    >>> from opcheck.grading.assignments import assignment
    >>> with grade_class([Path("submissions")], assignment.read(Path("hw2.toml")), jobs=2) as graded:
    ...     {result.student: result.score for result in graded.results}
    {'ada': 9.0}
    """
    began = time.monotonic()
    if jobs < 1:
        raise Refused(say("jobs must be a whole number, at least 1"), got=str(jobs))
    try:
        choose(unsafe)  # before hours of work, rather than with the first submission
    except NoSandbox as error:
        raise CouldNotRun(str(error)) from None
    with roster.opened(paths, student, assignment.names, assignment.files, within, assignment.teachers) as entries:
        check(len(entries))
        kept = Journal(journal)
        try:
            run = _Run(entries, assignment, seed, unsafe, kept)
            with Progress(len(entries), progress) as bar:
                run.go(jobs, executor, bar)
        except BaseException:
            kept.close()
            raise
    numbers = [run.numbers[index] for index in sorted(run.numbers)]
    results = Results(kept, numbers)
    return ClassResult(results, kept, run.reused, run.failed, run.interrupted, time.monotonic() - began)


def grade_entry(entry: Entry, assignment: Assignment, seed: int | None, unsafe: bool) -> Result:
    """One line of the roster, graded; code that cannot be read gets the checks of code that does not load."""
    submission = entry.submission
    if entry.problem:
        checks = judge.unreadable(entry.problem, assignment)
        known = seed if seed is not None else assignment.seed
        return Result(
            submission.student, str(submission.path), checks, secrets.randbits(32) if known is None else known
        )
    result = judge.grade_source(submission, assignment, seed, unsafe)
    return replace(result, notes=(*entry.notes, *result.notes))


class _Run:
    """One run over a roster: which entries are left, what is known of the others."""

    def __init__(
        self, entries: Sequence[Entry], assignment: Assignment, seed: int | None, unsafe: bool, journal: Journal
    ) -> None:
        self.entries, self.assignment, self.seed, self.unsafe, self.journal = entries, assignment, seed, unsafe, journal
        first = assignment.seed if seed is None else seed
        asked = (opcheck.__version__, judge.RULES, assignment.digest, first, unsafe)
        digest = hashlib.sha256("\0".join(map(str, asked)).encode()).hexdigest()
        self.keys = [Key(each.submission.student, each.digest, digest) for each in entries]
        self.numbers: dict[int, int] = {}  # place in the roster -> number in the journal
        self.reused = 0
        self.failed: list[tuple[str, str]] = []
        self.interrupted = False

    def go(self, jobs: int, executor: Executor | None, bar: Progress) -> None:
        left = []
        for index, key in enumerate(self.keys):
            if (number := self.journal.find(key)) is None:
                left.append(index)
            else:
                self.numbers[index] = number
                self.reused += 1
                bar.reused()
        try:
            if executor is not None:
                self._through(left, executor, os.cpu_count() or 1, bar)
            elif min(jobs, len(left)) <= 1:
                self._through(left, _Here(), 1, bar)
            else:
                self._in_processes(left, min(jobs, len(left)), bar)
        except KeyboardInterrupt:
            self.interrupted = True

    def _in_processes(self, left: list[int], jobs: int, bar: Progress) -> None:
        """Each process that dies takes the pool with it; whose code was in it is tried once more, alone."""
        while left:
            with pool(jobs, self.assignment.language) as executor:
                suspects = self._through(left, executor, jobs, bar)
            for index in suspects:
                with pool(1, self.assignment.language) as executor:
                    if self._through([index], executor, 1, bar):
                        self._fail(index, say("the process that graded it was killed"), bar)
            seen = {*suspects, *self.numbers}
            left = [index for index in left if index not in seen and not self._has_failed(index)]

    def _through(self, left: Sequence[int], executor: Executor, jobs: int, bar: Progress) -> list[int]:
        """Grade these; returns those that were in work when the executor broke."""
        waiting = iter(left)
        in_work: dict[Future[Result], int] = {}
        suspects: list[int] = []
        try:
            while True:
                # A few more than there are workers: none of them waits, and Ctrl-C has little to call back.
                while not suspects and len(in_work) < 2 * jobs and (index := next(waiting, None)) is not None:
                    try:
                        task = executor.submit(
                            grade_entry, self.entries[index], self.assignment, self.seed, self.unsafe
                        )
                    except BrokenExecutor:
                        suspects.append(index)
                    else:
                        in_work[task] = index
                if not in_work:
                    return suspects
                done, _ = wait(in_work, return_when=FIRST_COMPLETED)
                for task in done:
                    index = in_work.pop(task)
                    if isinstance(task.exception(), BrokenExecutor):
                        suspects.append(index)
                    else:
                        self._take(index, task, bar)
        except KeyboardInterrupt:
            for task, index in in_work.items():
                if not task.cancel() and task.done() and task.exception() is None:
                    self._take(index, task, bar)
            raise

    def _take(self, index: int, task: Future[Result], bar: Progress) -> None:
        """Write down how the grading of one submission ended."""
        error = task.exception()
        if error is None:
            result = task.result()
            self.numbers[index] = self.journal.record(self.keys[index], result)
            bar.graded(result)
        elif isinstance(error, NoSandbox):
            raise CouldNotRun(str(error))
        elif isinstance(error, (KeyboardInterrupt, Refused, CouldNotRun)):
            raise error
        else:  # a defect of ours must not cost the others their grades
            self._fail(index, f"{type(error).__name__}: {error}", bar)

    def _fail(self, index: int, reason: str, bar: Progress) -> None:
        self.failed.append((self.entries[index].submission.student, reason))
        bar.failed()

    def _has_failed(self, index: int) -> bool:
        return any(student == self.entries[index].submission.student for student, _ in self.failed)


class _Here(Executor):
    """The calling thread as an executor."""

    def submit(self, function, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        task: Future[Result] = Future()
        try:
            task.set_result(function(*args, **kwargs))
        except Exception as error:
            task.set_exception(error)
        return task
