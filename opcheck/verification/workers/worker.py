"""What a worker process does: tasks in, reports out. It may die of the implementation that it runs."""

import faulthandler
import os
import pickle
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from opcheck import backends, catalog
from opcheck.errors import CouldNotRun, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.diagnosis.shrink import explain_failures
from opcheck.verification.run import DeviceLost, run_shard

STARTING = -1  # in place of a trial's index: none runs yet
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


def work(
    connection: Connection, target: Target, options: dict[str, Any], index: Any, since: Any, stopping: Any,
    printed: str, running: str, share: float,
) -> None:  # fmt: skip
    """Answer each task with its report and then with the same failures, made minimal and named.

    `index` and `since` tell which trial runs since when; `stopping` asks to end early. What the implementation prints
    goes to the file `printed`, which has what the present trial printed only; the trial itself to the file `running`.
    `share`: of the machine's memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if target.device == "cpu":  # CUDA maps more than any limit on data foresees
        limit_memory(share)
    output = os.open(printed, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable()  # of a crash, tell where it was

    def about_to(trial: int) -> bool:
        os.ftruncate(output, 0)
        index.value, since.value = trial, time.time()
        return not stopping.value

    def runs(trial: Trial) -> None:
        Path(running).write_bytes(pickle.dumps(trial))

    backend = None
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            backend = backend or target.load()
            report = run_shard(catalog.get(task.op), task, backend, about_to=about_to, runs=runs, **options)
            connection.send(report)
            since.value = time.time() + EXPLAINING_TIME
            explain_failures(report, backend)
            connection.send(report.failures)
        except (Refused, CouldNotRun) as error:
            connection.send(error)
        except DeviceLost as error:  # the parent reports the trial and starts a process with a device that works
            os.write(output, f"{error}\n".encode())
            os._exit(1)
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def limit_memory(share: float) -> None:
    """This worker's share of three quarters of the machine's memory (4 GiB at least) for data, so that exhaustion is an
    error and not a dead machine."""
    try:
        import resource

        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ImportError, ValueError, OSError):
        return
    most = min(physical, *container_limit()) * 3 // 4
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (min(most, max(2**32, int(most * share))), hard))


def container_limit() -> list[int]:
    """The memory of the container that this process is in, if it has a limit (control groups 2 and 1)."""
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return [int(Path(place).read_text())]
        except (OSError, ValueError):
            continue
    return []
