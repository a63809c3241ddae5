"""Who answers which address: nobody who asks for little waits for those who ask for much.

Three queues, each before processes of its own (`process`). Pages that hold a form or a text are written in the first.
Everything else begins in the second, where an answer may take a little processor time; what needs more is computed
again in the third, which stands back for the others and takes few. Who hangs up is no longer waited for.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from threading import Event
from typing import Any

from opcheck.language import say
from opcheck.web.process import LOOKED, Asked, Process
from opcheck.web.reply import HTML, WRITTEN, Reply, sentence

TIME = 10.0  # seconds for one answer
LESSON = 70.0  # at least, where code of a lesson runs, which has a limit of its own
QUICK = 0.25  # seconds of processor time after which an answer is none of the quick ones
RUN = ("learn-answer",)  # runs what somebody wrote, which takes its time
MOST_WAITING, MOST_SLOW = 64, 16  # requests in a queue; more are told to come again
NICE = 10
MOST_KEPT, LARGEST_KEPT = 128, 2**20  # answers that are kept, and the bytes of one
Gone = Callable[[], Awaitable[bool]]  # whether who asked has hung up


async def _waits() -> bool:
    return False


class Workroom:
    """`programs`: the places FILE.py:NAME that the command line names; `workers`: processes of the two long queues."""

    def __init__(self, programs: Sequence[str] = (), workers: int = 2, time: float = TIME) -> None:
        named = tuple(programs)
        self.written = Line([Process(named)], time, QUICK)
        self.quick = Line([Process(named) for _ in range(workers)], time, QUICK)
        self.slow = Line([Process(named, NICE) for _ in range(workers)], time, most=MOST_SLOW)
        self.kept: OrderedDict[Any, Reply] = OrderedDict()

    async def ask(self, what: str, name: str, query: Sequence[tuple[str, str]], gone: Gone = _waits) -> Reply:
        """The answer to one address."""
        key = (what, name, *query)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        asked = what, name, dict(query)
        found = None
        if what not in RUN:
            found = await (self.written if what in WRITTEN else self.quick).ask(asked, gone)
        if found is None:
            found = await self.slow.ask(asked, gone, LESSON if what in RUN else 0.0)
        if found is None:
            return sentence(499, say("Nobody waits for this answer."))
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

    async def begin(self) -> None:
        """Starts all processes before anybody asks, those of the first page first."""
        for line in (self.written, self.quick, self.slow):
            await line.begin()

    def close(self) -> None:
        for line in (self.written, self.quick, self.slow):
            line.close()


class Line:
    """Processes behind one queue. `allowance`: seconds of processor time for one answer; 0 is as much as it likes."""

    def __init__(self, processes: list[Process], time: float, allowance: float = 0.0, most: int = MOST_WAITING) -> None:
        self.processes, self.time, self.allowance, self.most = processes, time, allowance, most
        self.free: asyncio.Queue[Process] = asyncio.Queue()
        for each in processes:
            self.free.put_nowait(each)
        self.waiting = 0

    async def begin(self) -> None:
        """Starts the processes; who asks meanwhile waits for one that is ready."""
        await asyncio.gather(*(self._begun(self.free.get_nowait()) for _ in range(self.free.qsize())))

    async def _begun(self, process: Process) -> None:
        with suppress(RuntimeError, EOFError, OSError):  # then it is started once more when it is asked
            await asyncio.to_thread(process.start)
        self.free.put_nowait(process)

    async def ask(self, asked: Asked, gone: Gone, least: float = 0.0) -> Reply | None:
        """The answer, within `least` seconds where the line has fewer; None where it takes more than the allowance, or
        nobody waits for it any more."""
        if self.waiting >= self.most:
            return sentence(429, say("Too many requests at once: try again in a moment."))
        self.waiting += 1
        try:
            process = await self._process(gone)
            if process is None:
                return None
            try:
                return await self._answer(process, asked, gone, max(self.time, least))
            finally:
                self.free.put_nowait(process)
        finally:
            self.waiting -= 1

    async def _process(self, gone: Gone) -> Process | None:
        """The next free process, unless who asked hangs up before."""
        while True:
            try:
                return await asyncio.wait_for(self.free.get(), LOOKED)
            except TimeoutError:
                if await gone():
                    return None

    async def _answer(self, process: Process, asked: Asked, gone: Gone, time: float) -> Reply | None:
        dropped = Event()
        answering = asyncio.ensure_future(asyncio.to_thread(process.ask, asked, time, self.allowance, dropped))
        while not answering.done():
            await asyncio.wait({answering}, timeout=LOOKED)
            if not answering.done() and await gone():
                dropped.set()
        return answering.result()

    def close(self) -> None:
        for each in self.processes:
            each.stop()
