"""What a worker process does: tasks in, reports out. It may die of the implementation that it runs."""

import ctypes
import faulthandler
import os
import pickle
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from opcheck import backends, specs
from opcheck.backends.allowance import DEFAULTS, Allowance
from opcheck.backends.base import Backend
from opcheck.errors import CouldNotRun, Refused
from opcheck.operators.spec import Op
from opcheck.verification.casefile import Trial
from opcheck.verification.diagnosis.shrink import explain_failures
from opcheck.verification.narrowing import EVERY_CASE, Narrowing
from opcheck.verification.reach import without
from opcheck.verification.report import Report
from opcheck.verification.run import DeviceLost, check_again, run_shard
from opcheck.verification.watcher import Watcher

STARTING = -(2**62)  # in place of a trial's index: none runs yet
EXPLAINING = STARTING + 1  # in place of a trial's index: the worker makes what it found minimal
EXPLAINING_TIME = 120.0  # seconds more that it has for that
KEPT_EVERY = 1.0  # seconds after which it leaves what it has found, for the case that it does not come back


@dataclass(frozen=True)
class Target:
    """What is verified, so that another process can load it."""

    candidate: Any
    arrays: str = ""
    device: str = "cpu"
    narrowing: Narrowing = EVERY_CASE
    allow: Allowance = DEFAULTS
    stable: bool = False

    def spec(self, name: str) -> Op:
        """The operator of that name, with the cases that are asked for."""
        return self.narrowing.of(specs.get(name))

    def load(self) -> backends.Backend:
        backend = backends.load(self.candidate, self.arrays, self.device)
        backend.allow, backend.stable = self.allow, self.stable
        return backend


@dataclass(frozen=True)
class Again:
    """A task: every claim on one saved trial (or whether it is refused, of a claim that says so)."""

    trial: Trial
    claim: str = ""
    known: bool = False


class Marks(ctypes.Structure):
    """What the two processes tell each other while a task runs, in memory that they share."""

    _fields_ = (
        ("index", ctypes.c_longlong),  # which trial runs
        ("since", ctypes.c_double),  # and since when
        ("claim", ctypes.c_char * 16),  # what it is asked about
        ("layout", ctypes.c_char * 16),  # in which memory
        ("frozen", ctypes.c_char * 256),  # and which inputs need no gradient
        ("backend", ctypes.c_char * 64),  # what was loaded: names that are longer are of files, and no list knows these
        ("version", ctypes.c_char * 256),
        ("stopping", ctypes.c_bool),  # the parent asks to end early
    )


class Reporting(Watcher):
    """Tells the parent process which trial runs, and as what. What the implementation prints goes to a file that has
    what the present trial printed only; what it does not take all of, to another one."""

    replaces = True

    def __init__(self, marks: Any, output: int, running: str) -> None:
        self.marks, self.output, self.running = marks, output, Path(running)
        self.kept = 0.0

    def about_to(self, index: int) -> bool:
        os.ftruncate(self.output, 0)
        self.asks("", "")
        self.marks.index, self.marks.since = index, time.time()
        return not self.marks.stopping

    def runs(self, trial: Trial) -> None:
        self.running.write_bytes(pickle.dumps(trial))

    def found(self, report: Report) -> None:
        if report.rows and time.monotonic() > self.kept + KEPT_EVERY:
            place = found_in(self.running)
            place.with_suffix(".new").write_bytes(pickle.dumps(report))
            place.with_suffix(".new").replace(place)
            self.kept = time.monotonic()

    def asks(self, claim: str, layout: str, frozen: tuple[str, ...] = ()) -> None:
        self.marks.claim, self.marks.layout = claim.encode(), layout.encode()
        self.marks.frozen = ",".join(frozen).encode()[:255]

    def loaded(self, backend: Backend) -> None:
        self.marks.backend, self.marks.version = backend.name.encode()[:63], backend.version().encode()[:255]


def found_in(running: Path) -> Path:
    """Where a worker leaves what it has found."""
    return running.with_suffix(".found")


def work(
    connection: Connection, target: Target, options: dict[str, Any], marks: Any, printed: str, running: str,
    share: float, environment: dict[str, str],
) -> None:  # fmt: skip
    """Answer each task with its report; a shard also with its failures, made minimal and named. `share`: of the
    machine's memory; `environment`: of the parent now, which the process that this one is a copy of may be older than.
    """
    os.environ.clear()
    os.environ.update(environment)
    for each in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C is the parent's to answer, and so is what ends its group
        signal.signal(each, signal.SIG_IGN)
    if target.device == "cpu":  # CUDA maps more than any limit on data foresees
        limit_memory(share)
    output = os.open(printed, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable()  # of a crash, tell where it was
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, file=output)  # and when the parent asks
    watcher, backend = Reporting(marks, output, running), None
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if backend is None:
                backend = target.load()
                watcher.loaded(backend)
            if isinstance(task, Again):
                connection.send(again(task, target.spec(task.trial.case.op), backend, watcher))
                continue
            watcher.kept = 0.0
            report = run_shard(target.spec(task.op), task, backend, watcher=watcher, **options)
            connection.send(report)
            marks.since = time.time() + EXPLAINING_TIME
            explain_failures(report, backend, target.spec, options.get("seconds"))
            connection.send(report.failures)
        except (Refused, CouldNotRun) as error:
            connection.send(error)
        except DeviceLost as error:  # the parent reports the trial and starts a process with a device that works
            os.write(output, f"{error}\n".encode())
            os._exit(1)
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def again(task: Again, op: Op, backend: Backend, watcher: Watcher) -> Report:
    """What is found of one saved trial; nothing where the implementation does not take it."""
    report = Report(backend=backend.name, version=backend.version())
    trial = task.trial
    watcher.about_to(0)
    possible = trial if task.claim == "refuses" else without(op, trial, backend, set())
    if possible is not None:
        report.trials = 1
        watcher.runs(possible)
        check_again(op, possible, backend, report, task.claim, task.known, watcher)
    return report


def limit_memory(share: float) -> None:
    """This worker's share of three quarters of the machine's memory (4 GiB at least) for data, so that exhaustion is an
    error and not a dead machine."""
    try:
        import resource

        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ImportError, ValueError, OSError):
        return
    most = min(physical, *container_limit()) * 3 // 4
    wanted = min(most, max(2**32, int(most * share)))
    limits = [each for each in resource.getrlimit(resource.RLIMIT_DATA) if each != resource.RLIM_INFINITY]
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *limits]), hard))  # who started us may allow less


def container_limit() -> list[int]:
    """The memory of the container that this process is in, if it has a limit (control groups 2 and 1)."""
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return [int(Path(place).read_text())]
        except (OSError, ValueError):
            continue
    return []
