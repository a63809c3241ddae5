"""A worker process as its parent sees it: the tasks that it is given, what it answers, how it ended."""

import itertools
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import opcheck
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Finding
from opcheck.verification.known import recognised
from opcheck.verification.raised import is_exhaustion
from opcheck.verification.report import sentence
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.workers.worker import EXPLAINING, STARTING, Marks, Target, found_in, work

START = 60.0  # seconds, at least, that a worker has until its first case: it imports torch and the candidate
MOST_PRINTED = 2**26  # bytes that one call may print
ASKED = 2.0  # seconds that it has to say where it is
THEIRS = str(Path(opcheck.__file__).parent / "backends")  # the implementation is called from there, and nothing else is
LAST_WORDS = 12  # lines of them that a report shows
# lines of a fatal error that tell nothing about the implementation
NOT_THEIRS = (
    str(Path(opcheck.__file__).parent), "/multiprocessing/", "/functools.py", 'File "<string>"', "Extension modules:"
)  # fmt: skip


def context() -> Any:
    """How worker processes begin: as copies of one that has imported what each of them needs, where there is such.

    A worker that replaces another one begins at once; nothing of the implementation was imported before it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["opcheck.verification.workers.worker"])
    resource_tracker.ensure_running()  # as it starts, it lets SIGTERM through again
    with unbroken():  # what ends the group must not end the one that says which worker has died
        try:
            forkserver.ensure_running()
        except OSError:  # such as a temporary folder whose name is too long for a socket
            return multiprocessing.get_context("spawn")
    return found


class Worker:
    """A process, the pipe to it, the task that it has, which trial it said it would run, and what that one printed."""

    def __init__(self, context: Any, target: Target, options: Mapping[str, Any], share: float) -> None:
        self.connection, other = context.Pipe()
        self.marks = context.Value(Marks, STARTING, lock=False)
        self.printed = tempfile.NamedTemporaryFile(prefix="opcheck-", suffix=".txt")  # noqa: SIM115  closed by stop()
        self.running = tempfile.NamedTemporaryFile(prefix="opcheck-", suffix=".trial")  # noqa: SIM115  the same
        self.process = context.Process(
            target=work,
            args=(
                other,
                target,
                dict(options),
                self.marks,
                self.printed.name,
                self.running.name,
                share,
                dict(os.environ),
            ),
            daemon=True,
        )
        with unbroken():
            self.process.start()
            # it ignores SIGTERM, by which multiprocessing ends what is left over before it waits for it
            Finalize(self, self.process.kill, exitpriority=10)
        other.close()
        self.task: Any = None

    @property
    def index(self) -> int:
        """Of the trial that it runs, STARTING or EXPLAINING."""
        return int(self.marks.index)

    @property
    def is_stillborn(self) -> bool:
        """Whether it is gone before it came to a case."""
        return self.index == STARTING and not self.process.is_alive()

    @property
    def loaded(self) -> tuple[str, str]:
        """The name and the version of what it runs."""
        return self.marks.backend.decode(errors="replace"), self.marks.version.decode(errors="replace")

    def give(self, task: Any) -> None:
        found_in(Path(self.running.name)).unlink(missing_ok=True)
        self.task, self.marks.index, self.marks.since = task, STARTING, time.time()
        self.connection.send(task)

    def explains(self) -> None:
        """Its report came; what it found is made minimal now."""
        self.marks.index = EXPLAINING

    def answer(self) -> Any:
        """What it sent, if it sent something."""
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def ended(self, patience: float) -> tuple[Status, str] | None:
        """How it is gone, silent for too long or printing without end; None while it works."""
        if not self.process.is_alive():
            status = Status.MEMORY if is_exhaustion(self.last_words()) else Status.CRASHED
            return status, _death(self.process.exitcode)
        if self._size_of_printed() > MOST_PRINTED:
            return Status.CRASHED, say("it printed more than {n} MB", n=MOST_PRINTED // 10**6)
        patience = max(patience, START) if self.index == STARTING else patience
        if time.time() - self.marks.since > patience:
            where = self.where_it_is()
            if self.index not in (STARTING, EXPLAINING) and where and THEIRS not in where:
                return Status.NOT_RUN, say("opcheck itself takes more than {n} s for this case", n=f"{patience:g}")
            return Status.TIMED_OUT, say("no answer after {n} s", n=f"{patience:g}")
        return None

    def where_it_is(self) -> str:
        """Which lines it is at, in all of its threads, as it prints them itself; empty if it does not answer."""
        if not hasattr(signal, "SIGUSR1") or self.process.pid is None:
            return ""
        before, end = self._size_of_printed(), time.monotonic() + ASKED
        os.kill(self.process.pid, signal.SIGUSR1)
        while self._size_of_printed() == before and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.05)  # for the rest of it
        self.printed.seek(before)
        return self.printed.read().decode(errors="replace")

    def verdict(self, made: Trial, status: Status, how: str, known: bool, begun: bool = False) -> Verdict:
        """The verdict on the trial that it died of; the claim and the memory are those that it was asked about.

        Raises CouldNotRun where there was no trial yet, of no process that has `begun`.
        """
        if self.index == STARTING and not begun:
            words = f"{how}\n{self.last_words()}"
            if status is Status.TIMED_OUT:  # importing a library on a machine that is busy
                raise CouldNotRun(say("the worker process was not ready in time: {how}\n  --timeout gives it more, and "
                                      "--in-process needs none", how=words.strip()))  # fmt: skip
            raise CouldNotRun(say("the worker process ended before its first case: {how}", how=words))
        claim, layout = self.marks.claim.decode(), self.marks.layout.decode()
        words, ran = self.last_words(), self._trial()
        made = ran if ran is not None and ran.address == made.address else made
        if layout not in ("", "contiguous"):
            made, how = made.replace(layout=layout), say("{how}, for {layout} memory", how=how, layout=layout)
        frozen = tuple(filter(None, self.marks.frozen.decode(errors="replace").split(",")))
        if frozen and set(frozen) <= set(made.case.arrays):  # more names than there is room for are not told
            made = made.replace(frozen=frozen)
            how = say("{how}, where {names} needs no gradient", how=how, names=", ".join(frozen))
        verdict = Verdict(status, claim or "answers", made, message=how, details={"printed": words} if words else {})
        return recognised(verdict, *self.loaded) if known else verdict

    def found(self) -> Any:
        """What it had found a moment ago, if it left that; None if it found nothing yet."""
        try:
            return pickle.loads(found_in(Path(self.running.name)).read_bytes())
        except (EOFError, OSError, pickle.UnpicklingError):
            return None

    def last_words(self) -> str:
        """The end of what it printed: of a crash, where it was."""
        self.printed.seek(max(0, self._size_of_printed() - 8192))
        lines = self.printed.read().decode(errors="replace").splitlines()
        shown = [line[:300] for line in lines if line.strip() and not any(each in line for each in NOT_THEIRS)]
        rows = itertools.pairwise([*shown, ""])
        shown = [line for line, after in rows if "thread 0x" not in line.lower() or "File" in after]  # empty stacks
        return "\n".join(shown[-LAST_WORDS:])

    def _size_of_printed(self) -> int:
        return os.fstat(self.printed.fileno()).st_size

    def _trial(self) -> Trial | None:
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
        for each in (found_in(Path(self.running.name)), Path(self.running.name).with_suffix(".new")):
            each.unlink(missing_ok=True)


def found_of(verdict: Verdict) -> Finding:
    """The finding of a verdict; a case that takes opcheck too long says nothing about the implementation."""
    if verdict.status is Status.NOT_RUN:
        return Finding(verdict.claim, left_out=sentence(verdict))
    return Finding(verdict.claim, verdict=verdict)


@contextmanager
def unbroken() -> Iterator[None]:
    """Keeps Ctrl-C and SIGTERM back for a moment: a process that is started meanwhile never gets them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return say("the process was killed by {signal}", signal=signal.Signals(-code).name)
    return say("the process ended with exit code {code}", code=code)
