"""A process that answers, one request after the other, within limits of time and memory; another one takes its place
where it dies or takes too long."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from opcheck.language import say
from opcheck.web.reply import HTML, Reply, sentence

TIME = 10.0  # seconds for one answer
START = 60.0  # seconds until a process is ready: it imports numpy, and the programs that were named
MEMORY = 2**30  # bytes that a process may take beyond what it has when it begins
MOST_WAITING = 64  # requests; more are told to come again
PRELOADED = [
    "opcheck.web.answers", "opcheck.explanation.board", "opcheck.explanation.pictures", "opcheck.explanation.plots",
    "opcheck.render.html", "opcheck.render.plots", "opcheck.render.svg", "markupsafe",
]  # fmt: skip
MOST_KEPT, LARGEST_KEPT = 128, 2**20  # answers that are kept, and the bytes of one


class Workroom:
    """`workers` processes behind one queue. `programs`: the places FILE.py:NAME that the command line names."""

    def __init__(self, programs: Sequence[str] = (), workers: int = 2, time: float = TIME) -> None:
        self.programs, self.time = tuple(programs), time
        self.context = _context()
        self.free: asyncio.Queue[_Process] = asyncio.Queue()
        self.processes = [_Process(self.context, self.programs) for _ in range(workers)]
        for each in self.processes:
            self.free.put_nowait(each)
        self.waiting = 0
        self.kept: OrderedDict[Any, Reply] = OrderedDict()

    async def ask(self, what: str, name: str, query: Sequence[tuple[str, str]]) -> Reply:
        """The answer to one address."""
        key = (what, name, *query)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        if self.waiting >= MOST_WAITING:
            return sentence(429, say("Too many requests at once: try again in a moment."))
        self.waiting += 1
        try:
            process = await self.free.get()
            try:
                found = await asyncio.shield(asyncio.to_thread(process.ask, (what, name, dict(query)), self.time))
            finally:
                self.free.put_nowait(process)
        finally:
            self.waiting -= 1
        if found.page:
            self.keep((what.replace("form", "page"), name, *query), Reply(200, HTML, found.page, kept=True))
        self.keep(key, found._replace(page=""))
        return found

    def keep(self, key: Any, found: Reply) -> None:
        """Keeps an answer for a while: a page is asked for right after its form, and undo asks again."""
        if found.kept and len(found.text) <= LARGEST_KEPT:
            self.kept[key] = found
        while len(self.kept) > MOST_KEPT:
            self.kept.popitem(last=False)

    def close(self) -> None:
        for each in self.processes:
            each.stop()


class _Process:
    """One process and the pipe to it; it begins when it is first asked."""

    def __init__(self, context: Any, programs: tuple[str, ...]) -> None:
        self.context, self.programs = context, programs
        self.process: Any = None
        self.connection: Any = None

    def start(self) -> None:
        self.connection, other = self.context.Pipe()
        self.process = self.context.Process(target=_work, args=(other, self.programs), daemon=True)
        self.process.start()
        other.close()
        if not self.connection.poll(START):
            self.stop()
            raise RuntimeError("the process that computes answers did not start")
        self.connection.recv()

    def ask(self, request: tuple[str, str, dict[str, str]], time: float) -> Reply:
        """What the process answers; a sentence where it takes too long or dies."""
        try:
            if self.process is None or not self.process.is_alive():
                self.stop()
                self.start()
            self.connection.send(request)
            if self.connection.poll(time):
                found: Reply = self.connection.recv()
                return found
        except (EOFError, OSError):
            self.stop()
            return sentence(413, say("This ended the process that computed it: try smaller arrays."))
        self.stop()
        return sentence(413, say("This takes longer than {n} s: try smaller arrays.", n=f"{time:g}"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
        self.process = None


def _context() -> Any:
    """Processes that begin as copies of one that has imported everything, where there is such."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _work(connection: Any, programs: tuple[str, ...]) -> None:
    """Answers until nobody asks any more."""
    from opcheck.web import named
    from opcheck.web.answers import answer

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the one that asks, and it ends us
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  what a program prints is no matter of the terminal
        os.dup2(nowhere.fileno(), 1)
    named.load(programs)
    _limit_memory()
    connection.send("ready")
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        try:
            found = answer(*request)
        except Exception as error:
            print(f"opcheck: {request[0]} {request[1]}: {error!r}", file=sys.stderr, flush=True)
            found = sentence(500, say("This is a bug in opcheck: {error}.", error=type(error).__name__))
        connection.send(found)


def _limit_memory() -> None:
    """What asks for more gets a MemoryError, which is answered with a sentence."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
