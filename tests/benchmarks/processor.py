"""Processor time of this process and of all that it started, also of what ran in sandboxes.

A worker is killed together with the namespaces it lives in: then nobody waits for it, and the kernel credits its time
to nobody. Here it is told that nobody asks any more, so that it ends by itself and bubblewrap's first process in there
waits for it; bubblewrap does not wait for that one, so this process inherits it as its subreaper (man 2 prctl).
"""

import ctypes
import os
import resource
import subprocess
import time
from contextlib import suppress

from opcheck.sandbox import Worker

_PR_SET_CHILD_SUBREAPER = 36


def credit_sandboxes() -> None:
    """From now on, a worker of this process that can end by itself does, and the time of orphans counts."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot inherit orphans")
    kill = Worker.close

    def close(worker: Worker) -> None:
        if worker._launched is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, worker._launched.requests)  # closes the pipe of requests
            os.close(nowhere)
            with suppress(subprocess.TimeoutExpired):
                worker._launched.process.wait(timeout=1)
            _inherit()
        kill(worker)

    Worker.close = close  # type: ignore[method-assign]


def used() -> float:
    """Seconds of processor time of this process and of those that it has waited for."""
    accounts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in accounts)


def _inherit() -> None:
    """Wait for one orphan, which should be here at once."""
    deadline = time.monotonic() + 1
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.0005)
