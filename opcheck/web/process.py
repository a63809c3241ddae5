"""A process that answers one address after the other, within limits of time, of processor time and of memory."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

from opcheck.language import say
from opcheck.web.reply import WRITTEN, Reply, sentence

START = 60.0  # seconds until a process is ready: it imports numpy, and the programs that were named
MEMORY = 2**30  # bytes that a process may take beyond what it has when it begins
LOOKED = 0.25  # seconds after which it is looked whether anybody still waits for an answer
PRELOADED = ["opcheck.web.warm", "opcheck.explanation.pictures"]
Asked = tuple[str, str, dict[str, str]]  # the first word of an address, its name and its query


class Process:
    """One process and the pipe to it; it begins when it is first asked. `nice`: how far it stands back for others."""

    def __init__(self, programs: tuple[str, ...], nice: int = 0) -> None:
        self.programs, self.nice = programs, nice
        self.process: Any = None
        self.connection: Any = None

    def start(self) -> None:
        context = _context()
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, self.programs, self.nice), daemon=True)
        self.process.start()
        other.close()
        if not self.connection.poll(START):
            self.stop()
            raise RuntimeError("the process that computes answers did not start")
        self.connection.recv()

    def ask(self, asked: Asked, seconds: float, allowance: float, dropped: Event) -> Reply | None:
        """What the process answers; a sentence where it takes longer than `seconds` or dies. With an allowance of some
        seconds of processor time (0: none), None where that is not enough; None for what was `dropped`."""
        try:
            if self.process is None or not self.process.is_alive():
                self.stop()
                self.start()
            self.connection.send((asked, allowance))
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and not dropped.is_set():
                if self.connection.poll(min(left, LOOKED)):
                    found: Reply | None = self.connection.recv()
                    return found
        except (EOFError, OSError):
            self.stop()
            if asked[0] in WRITTEN:
                return sentence(500, say("The process that writes this page has ended: the terminal may say why."))
            return sentence(413, say("This ended the process that computed it: try smaller arrays."))
        self.stop()
        if allowance or dropped.is_set():
            return None
        return sentence(413, late(asked[0], seconds))

    def stop(self) -> None:
        if self.process is not None:
            if self.process.pid is not None:  # an interruption may come before it has started
                self.process.kill()
                self.process.join()
            self.connection.close()
        self.process = None


def late(what: str, seconds: float) -> str:
    """What is said of an answer that takes too long."""
    n = f"{seconds:g}"
    if what.startswith("learn"):
        return say("The code of this lesson takes longer than {n} s on this machine.", n=n)
    if what.startswith("practice"):
        return say("This takes longer than {n} s: try again in a moment.", n=n)
    if what.startswith("trace"):
        return say("This takes longer than {n} s: try a shorter expression or smaller arrays.", n=n)
    return say("This takes longer than {n} s: try smaller arrays.", n=n)


def _context() -> Any:
    """Processes that begin as copies of one that has imported everything, where there is such."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class _Costly(BaseException):
    """The answer takes more processor time than it may."""


def _work(connection: Any, programs: tuple[str, ...], nice: int) -> None:
    """Answers until nobody asks any more."""
    from opcheck.web import named
    from opcheck.web.answers import answer

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the one that asks, and it ends us
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  what a program prints is no matter of the terminal
        os.dup2(nowhere.fileno(), 1)
    named.load(programs)
    _limit_memory()
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    connection.send("ready")
    while True:
        try:
            asked, allowance = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_answered(answer, asked, allowance))


def _answered(answer: Callable[..., Reply], asked: Asked, allowance: float) -> Reply | None:
    try:
        with _at_most(allowance):
            return answer(*asked)
    except _Costly:
        return None
    except Exception as error:
        print(f"opcheck: {asked[0]} {asked[1]}: {error!r}", file=sys.stderr, flush=True)
        return sentence(500, say("This is a bug in opcheck: {error}.", error=type(error).__name__))


@contextlib.contextmanager
def _at_most(allowance: float) -> Iterator[None]:
    """Raises _Costly after so many seconds of processor time, where the system can measure them: seconds by the clock
    would depend on what else the machine does."""
    if not allowance or not hasattr(signal, "setitimer"):
        yield
        return

    def spent(number: int, frame: Any) -> None:
        raise _Costly

    signal.signal(signal.SIGPROF, spent)
    signal.setitimer(signal.ITIMER_PROF, allowance, 1.0)  # once more, should somebody swallow it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory() -> None:
    """What asks for more gets a MemoryError, which is answered with a sentence."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
