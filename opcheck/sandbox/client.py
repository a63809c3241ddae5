"""The parent's end: asks a worker process, believes only plain values, and outlives whatever happens to it."""

import os
import re
import secrets
import select
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from opcheck.language import say
from opcheck.sandbox import visible
from opcheck.sandbox.inside import wire
from opcheck.sandbox.launch import Isolation, Launched, Limits, NoSandbox, launch
from opcheck.sandbox.protocol import (
    Call,
    Failure,
    File,
    Module,
    Outcome,
    Place,
    Set,
    Source,
    Status,
    decoded,
    printable,
)
from opcheck.sandbox.waiting import LONGEST, waited, waits
from opcheck.sandbox.watcher import WATCHER, end

START_SECONDS = 60.0  # for python and numpy to start, on a busy machine
NO_ARRAYS = 0  # bytes of them, in an answer to anything but a run
_CHUNK = 1 << 20
_ABSENT = re.compile(r"No module named '(\w+)")


class Ended(Exception):
    """The process closed its end of the pipe."""


class Expired(Exception):
    """The time limit passed."""


class Worker:
    """One module in its own process. The process starts at the first request, and again after it has died.

    A worker belongs to the thread that first used it: the kernel ends the process when that thread ends.

    >>> from opcheck.sandbox import choose
    >>> with Worker(Source("def twice(x): return 2 * x"), choose()) as worker:
    ...     worker.run([Call("module.twice", (21,), keep="y")], want={"y": "y"}).values["y"]
    42
    """

    def __init__(
        self,
        code: File | Source | Module,
        isolation: Isolation,
        limits: Limits | None = None,
        hidden: Sequence[str] = (),
        definitions_only: bool = False,
        allowed: Sequence[str] | None = None,
    ) -> None:
        """`hidden` names modules that cannot be imported; `definitions_only` leaves out what else the top level does.
        `allowed`: of what is installed only these modules are there, and what they need.

        Hiding takes installed packages away, and refuses to import parts of the standard library. Raises ValueError if
        the code is no regular file, if it is a Module that is not trusted, or if what is hidden is no top-level name.
        """
        _check(code, isolation, hidden)
        self._code, self._isolation, self._limits, self._hidden = code, isolation, limits or Limits(), tuple(hidden)
        self._definitions_only = definitions_only
        self._allowed = None if allowed is None else tuple(allowed)
        self._launched: Launched | None = None
        self._loaded: Outcome | None = None
        self._fatal: Outcome | None = None  # of a load that ended the process: it would do so again
        self._nonce = ""
        self._spent = 0.0
        self._pending = memoryview(b"")
        self._received = bytearray()
        self._printed = bytearray()
        self._printing = True

    def load(self) -> Outcome:
        """Run the module's top level, and tell what it defines; a failure in one statement does not hide the others."""
        if self._fatal is not None:
            return self._fatal
        if self._launched is not None and self._loaded is not None:
            return self._loaded
        launched = self._start()
        request: dict[str, wire.Value] = {"do": "load", "root": wire.octets(os.fsencode(launched.root))}
        if isinstance(self._code, Module):
            request["module"] = self._code.name
        else:
            several = isinstance(self._code, File) and self._code.root is not None
            request |= {"file": wire.octets(os.fsencode(launched.file)), "definitions_only": self._definitions_only}
            request |= {"others": [wire.octets(os.fsencode(each)) for each in launched.others], "whole": several}
            if isinstance(self._code, Source):
                request |= {
                    "source": wire.octets(self._code.text.encode("utf-8", "replace")),
                    "notebook": self._code.notebook,
                }
        self._loaded = self._ask(request, self._limits.seconds)
        if self._launched is None:
            self._fatal = self._loaded
        return self._loaded

    def run(
        self,
        steps: Sequence[Call | Set],
        want: Mapping[str, str],
        fresh: bool = True,
        seconds: float | None = None,
        largest: int | None = None,
        reply: int | None = None,
    ) -> Outcome:
        """Carry out the steps and bring back the values at the wanted places.

        Values are kept in the worker under the names that steps give them; `fresh` forgets those of earlier runs. If
        the module could not be loaded at all, the outcome is that of `load`. An array of more than `largest` bytes
        comes back as `Outsized`, and arrays of more than `reply` bytes together not at all. Raises WireError if a step
        holds anything but plain values, arrays and places.
        """
        loaded = self.load()
        if self._launched is None or (loaded.status is not Status.OK and not loaded.definitions):
            return loaded
        places: dict[str, wire.Value] = {name: Place(place) for name, place in want.items()}
        encoded: list[wire.Value] = [step.encoded() for step in steps]
        request: dict[str, wire.Value] = {"do": "run", "steps": encoded, "want": places, "fresh": fresh}
        request["largest"] = 1 << 62 if largest is None else largest
        most = self._limits.reply if reply is None else min(reply, self._limits.reply)
        return self._ask(request, self._limits.seconds if seconds is None else seconds, want.keys(), most)

    @property
    def alive(self) -> bool:
        """Whether the process that was started last is still there for the next request."""
        return self._launched is not None

    def close(self) -> None:
        """End the process and everything that it started."""
        launched, self._launched, self._loaded = self._launched, None, None
        if launched is None:
            return
        WATCHER.remove(launched.process)
        end(launched.process)
        launched.process.wait()
        for descriptor in (launched.requests, launched.replies, launched.output):
            os.close(descriptor)
        if launched.tasks is not None:
            launched.tasks.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _start(self) -> Launched:
        self.close()
        self._received.clear()
        self._printing = True
        self._launched = launched = launch(self._code, self._isolation, self._limits, self._hidden, self._allowed)
        outcome = self._ask({"do": "hello"}, START_SECONDS)
        if outcome.status is not Status.OK:
            self.close()
            told = outcome.printed.strip().splitlines() or [outcome.failure.message if outcome.failure else ""]
            reason = told[-1]
            raise NoSandbox(
                say("a worker under {isolation} does not start: {reason}", isolation=self._isolation, reason=reason)
            )
        self._spent = 0.0
        return launched

    def _ask(
        self, request: dict[str, wire.Value], seconds: float, wanted: Collection[str] = (), most: int = NO_ARRAYS
    ) -> Outcome:
        """One request and its outcome; a worker from which no valid reply came is ended."""
        self._printed.clear()
        allowed = seconds
        if self._limits.total_seconds is not None and request["do"] != "hello":
            allowed = min(allowed, max(self._limits.total_seconds - self._spent, 0.0))
        # A fresh nonce with each request: no reply can be written before its request has been read.
        self._nonce = secrets.token_hex(16)
        self._pending = memoryview(wire.encode(request | {"nonce": self._nonce, "limit": most}, 1 << 62))
        assert self._launched is not None
        clock = _Clock(self._launched.process.pid, allowed)
        alive = False
        try:
            reply = wire.receive(lambda size: self._read(size, clock), most)
            if not isinstance(reply, dict) or reply.pop("nonce", None) != self._nonce:
                raise wire.WireError("a reply that is not the answer to this request")
            outcome = self._told(decoded(reply, wanted))
            alive = True
        except wire.WireError as error:
            outcome = _ended(Status.MALFORMED, say("what came back is not a result: {error}", error=error))
        except Expired:
            outcome = _ended(Status.TIMED_OUT, say("no result after {seconds:.3g} s", seconds=allowed))
        except Ended:
            outcome = self._post_mortem()
        except BaseException:  # Ctrl-C: the answer that would still come must not be taken for the next one
            self.close()
            raise
        spent = clock.spent()
        self._spent += spent
        self._drain()
        if not alive:
            self.close()
        return replace(outcome, seconds=spent, printed=printable(self._printed.decode("utf-8", "replace")))

    def _told(self, outcome: Outcome) -> Outcome:
        """The outcome, where an import failed of what is installed and not allowed: that this is why."""
        failure = outcome.failure
        if self._allowed is None:
            return outcome
        found = _ABSENT.match(failure.message) if failure and failure.type == "ModuleNotFoundError" else None
        if failure is not None and found is not None and found[1] in visible.refused(self._allowed):
            outcome = replace(outcome, failure=replace(failure, message=f"{found[1]} is not available here"))
        return replace(outcome, others=tuple(map(self._told, outcome.others)))

    def _read(self, size: int, clock: "_Clock") -> bytearray:
        while len(self._received) < size:
            self._pump(clock)
        data = self._received[:size]
        del self._received[:size]
        return data

    def _pump(self, clock: "_Clock") -> None:
        """Move what can be moved: the request out, the reply and the printed text in."""
        launched = self._launched
        assert launched is not None
        poll = select.poll()
        poll.register(launched.replies, select.POLLIN)
        if self._printing:
            poll.register(launched.output, select.POLLIN)
        if self._pending:
            poll.register(launched.requests, select.POLLOUT)
        while not (ready := poll.poll(clock.left() * 1000)):
            if clock.is_over():
                raise Expired
        descriptors = [descriptor for descriptor, _ in ready]
        if launched.output in descriptors:
            self._take_output()
        if launched.requests in descriptors:
            try:
                self._pending = self._pending[os.write(launched.requests, self._pending) :]
            except BrokenPipeError:
                self._pending = memoryview(b"")  # it reads no more; how it ended shows on the other pipe
        if launched.replies in descriptors:
            data = os.read(launched.replies, _CHUNK)
            if not data:
                raise Ended
            self._received += data

    def _take_output(self) -> bool:
        """Keep what was printed up to the limit and drop the rest; False when there is nothing now."""
        assert self._launched is not None
        try:
            data = os.read(self._launched.output, _CHUNK)
        except BlockingIOError:
            return False
        self._printed += data[: max(self._limits.output - len(self._printed), 0)]
        self._printing = bool(data)
        return self._printing

    def _drain(self) -> None:
        """What was printed just before the reply; a bounded number of reads, since other threads may go on printing."""
        for _ in range(64):
            if not self._printing or not self._take_output():
                break

    def _post_mortem(self) -> Outcome:
        """Why the pipe is closed: the process ended, or it closed the pipe itself, which no honest code does."""
        assert self._launched is not None
        deadline = time.monotonic() + 1.0
        while (code := self._launched.process.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.001)
        tasks = self._launched.tasks
        if tasks is not None and tasks.exceeded:
            message = say("the process was ended: it had more than {most} threads", most=tasks.most)
            return _ended(Status.CRASHED, message)
        if code is None:
            return _ended(Status.MALFORMED, say("the process closed its result pipe"))
        number = -code if code < 0 else code - 128 if self._isolation is Isolation.BUBBLEWRAP else 0
        if number == signal.SIGXCPU:
            return _ended(Status.TIMED_OUT, say("it used up its processor time"))
        if number in set(signal.Signals):
            name = signal.Signals(number).name
            return _ended(Status.CRASHED, say("the process was ended by {signal}", signal=name), name)
        return _ended(Status.EXITED, say("the process ended itself with exit code {code}", code=code))


class _Clock:
    """The time of one request: that of the worker, without what it waits for a processor that others use."""

    def __init__(self, pid: int, allowed: float) -> None:
        self.pid, self.allowed, self.before = pid, allowed, waits(pid)
        self.started = time.monotonic()
        self.waited = 0.0

    def left(self) -> float:
        """The seconds until it may be over."""
        return max(self.started + self.allowed + self.waited - time.monotonic(), 0.0)

    def is_over(self) -> bool:
        """Whether the time is over, once it is asked how long the worker has waited."""
        self.waited = min(max(self.waited, waited(self.pid, self.before)), (LONGEST - 1) * self.allowed)
        return self.left() <= 0

    def spent(self) -> float:
        """The seconds so far, without those that were waited."""
        self.is_over()
        return time.monotonic() - self.started - self.waited


def _ended(status: Status, message: str, kind: str = "") -> Outcome:
    return Outcome(status, failure=Failure(kind or status.name, message))


def _check(code: File | Source | Module, isolation: Isolation, hidden: Sequence[str]) -> None:
    for name in hidden:
        if not name.isidentifier() or name == "numpy":
            raise ValueError(
                say("{name!r} cannot be hidden; give top-level names such as torch, but not numpy", name=name)
            )
    if isinstance(code, Module) and isolation is not Isolation.TRUSTED:
        raise ValueError(say("{name} is an installed module; only a file or its text can be isolated", name=code.name))
    if isinstance(code, File):
        if code.path.is_symlink():
            raise ValueError(say("{path} is a symbolic link; give the file itself", path=code.path))
        if not code.path.is_file():
            raise ValueError(say("{path} is not a file", path=code.path))
        for path in (code.path, *code.others):
            if code.root is not None and not path.resolve().is_relative_to(code.root.resolve()):
                raise ValueError(say("{path} is not inside {root}", path=path, root=code.root))
