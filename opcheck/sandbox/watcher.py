"""Counts workers' tasks from outside where the kernel does not, and kills workers that have too many."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from opcheck.sandbox.tasks import Tasks

_PAUSE = 0.02  # seconds between two checks


class Watcher:
    """Kills workers that have too many tasks, where the kernel does not count."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin again: a fork takes neither threads along nor what they were about to unlock."""
        self._watched: dict[subprocess.Popen[bytes], Tasks] = {}
        self._lock = threading.RLock()  # a worker that is collected as garbage closes itself, in whichever thread
        self._thread: threading.Thread | None = None

    def add(self, process: subprocess.Popen[bytes], tasks: Tasks) -> None:
        with self._lock:
            self._watched[process] = tasks
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="opcheck's watcher", daemon=True)
                self._thread.start()

    def remove(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._watched.pop(process, None)

    def _look(self) -> None:
        while True:
            time.sleep(_PAUSE)
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
                for process, tasks in list(self._watched.items()):
                    if count(process.pid) > tasks.most:
                        tasks.exceeded = True
                        end(process)


WATCHER = Watcher()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCHER.reset)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker, and what it started where it may start processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def count(pid: int) -> int:
    """The threads of a process and of the processes that its first thread started; 0 if there is none."""
    try:
        threads = Path(f"/proc/{pid}/task").stat().st_nlink - 2  # no listing: there may be thousands
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return threads + sum(count(int(child)) for child in children)
