"""Disk, memory, processes, output and time: a submission that takes all it can get costs its limits and no more."""

import time
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import Isolation, Limits, Source, Status, Worker

from .conftest import MEBIBYTE
from .support import TRIED, X, call, value


def test_the_disk_cannot_be_filled(submit):
    worker = submit(
        """
    def fill():
        written = 0
        for k in range(8):
            try:
                with open(f"/tmp/{k}", "wb", buffering=0) as file:
                    for _ in range(64):
                        written += file.write(bytes(1 << 20))
            except OSError:
                continue
        return written
    """,
        disk=8 * MEBIBYTE,
    )
    assert value(worker, "fill") <= 8 * MEBIBYTE


def test_empty_files_are_limited_too(submit, isolation):
    """They take memory of the kernel, which the size of a file system does not count."""
    worker = submit(
        """
    import os
    def fill():
        for made in range(10_000):
            try:
                os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
            except OSError:
                return made
    """,
        files=100,
    )
    made = value(worker, "fill")
    assert 90 <= made < 100 if isolation is Isolation.BUBBLEWRAP else made == 0


def test_memory_that_lives_in_no_address_space_is_refused(submit):
    worker = submit(TRIED + "\n    def hidden(): return tried(lambda: os.memfd_create('x'))\n")
    assert value(worker, "hidden")[0] == "PermissionError"


def test_a_memory_bomb_ends_in_a_memory_error(submit):
    worker = submit(
        """
    import numpy as np
    def bomb(): return np.ones(1 << 30)
    def creep():
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    def f(x): return x
    """,
        memory=512 * MEBIBYTE,
    )
    for name in ("bomb", "creep"):
        outcome = call(worker, name)
        assert outcome.status is Status.RAISED and outcome.failure.type in ("MemoryError", "_ArrayMemoryError")
    assert np.array_equal(value(worker, "f", X), X)


def test_a_fork_bomb_does_not_start(submit):
    worker = submit(
        TRIED
        + """
    import subprocess, threading
    def fork(): return tried(os.fork)
    def program(): return tried(lambda: subprocess.run([sys.executable, "-c", ""]))
    def become(): return tried(lambda: os.execv(sys.executable, ["python"]))
    def thread():
        found = []
        thread = threading.Thread(target=found.append, args=(1,))
        thread.start()
        thread.join()
        return found
    """
    )
    for name in ("fork", "program", "become"):
        assert value(worker, name)[0] == "PermissionError"
    assert value(worker, "thread") == [1]  # numerical libraries need them


def test_gigabytes_of_output_cost_the_time_limit_and_no_memory(submit):
    worker = submit("def flood():\n    while True:\n        print('x' * 1_000_000)\n", seconds=1.5, output=10_000)
    outcome = call(worker, "flood")
    assert outcome.status is Status.TIMED_OUT
    assert outcome.printed == "x" * 10_000


def test_much_output_beside_a_result_does_not_hurt_the_result(submit):
    worker = submit("def f(x):\n    for _ in range(30):\n        print('x' * 1_000_000)\n    return x\n", output=100)
    outcome = call(worker, "f", X)
    assert np.array_equal(outcome.values["y"], X) and outcome.printed == "x" * 100


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "__import__('re').match('(a+)+$', 'a' * 100 + 'b')",  # inside C code, where no Python exception arrives
        "__import__('ctypes').CDLL(None).pause()",
        "__import__('signal').pthread_sigmask(0, range(1, 65)); __import__('time').sleep(1000)",
    ],
)
def test_an_endless_loop_ends_at_the_limit(submit, body):
    worker = submit(f"def f():\n    {body}\ndef g(x): return x\n", seconds=0.5)
    assert call(worker, "f").status is Status.TIMED_OUT
    assert np.array_equal(value(worker, "g", X), X)


def test_a_submission_that_hangs_at_import_costs_its_limit_once(submit):
    worker = submit("while True: pass", seconds=0.5)
    first = worker.load()
    assert first.status is Status.TIMED_OUT
    assert call(worker, "f") == first and worker.load() == first


def test_a_thread_that_goes_on_is_ended_with_the_worker(submit):
    worker = submit(
        """
    import threading, time
    def work():
        while True: time.sleep(0.01)
    def f(x):
        threading.Thread(target=work).start()
        return x
    """
    )
    assert np.array_equal(value(worker, "f", X), X)
    worker.close()
    assert not worker.alive


def test_nothing_of_a_worker_outlives_it():
    """Also under no isolation: a fork that outlives its parent is killed with the group."""
    source = "import os, time\ndef f():\n    if os.fork() == 0:\n        time.sleep(1000)\n    return os.getpid()\n"
    with Worker(Source(source), Isolation.UNSAFE, Limits()) as worker:
        group = value(worker, "f")
        members = group_members(group)
        assert len(members) == 2
    deadline = time.monotonic() + 10
    while group_members(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert group_members(group) == []


def group_members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def test_the_limit_is_for_the_workers_own_time(submit, monkeypatch):
    """On a busy machine it waits for a processor, and nobody is to blame for that."""
    worker = submit("import time\ndef f():\n    time.sleep(0.6)\n    return 1.0\n", seconds=0.3, total_seconds=0.5)
    assert worker.load().status is Status.OK
    monkeypatch.setattr("opcheck.sandbox.client.waited", lambda pid, before: 0.5)
    outcome = call(worker, "f")
    assert outcome.status is Status.OK and outcome.seconds < 0.5
    monkeypatch.setattr("opcheck.sandbox.client.waited", lambda pid, before: 60.0)
    assert call(submit("def f():\n    while True: pass\n", seconds=0.1), "f").status is Status.TIMED_OUT, "not for ever"
