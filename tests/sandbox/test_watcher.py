"""Counting the threads of workers from outside, where nobody else does."""

import os
import subprocess
import sys
import time

from opcheck.sandbox import Limits, Source, Worker, tasks, watcher
from opcheck.sandbox.tasks import Way

from .support import call, value


def test_the_watcher_says_why_it_ended_a_worker_and_the_next_one_starts(isolation, monkeypatch):
    monkeypatch.setattr(tasks, "group_parent", lambda: None)
    monkeypatch.setattr(tasks, "can_switch", lambda readers: False)
    monkeypatch.setattr(tasks, "has_own_namespace", lambda: False)
    source = """
import threading
def f(n):
    enough = threading.Event()
    for _ in range(n):
        threading.Thread(target=enough.wait, daemon=True).start()
    threading.Event().wait(0.3 if n < 9 else 60)
    enough.set()
    return n
"""
    with Worker(Source(source), isolation, Limits(tasks=12)) as worker:
        assert value(worker, "f", 8) == 8
        assert call(worker, "f", 30).failure.message == "the process was ended: it had more than 12 threads"
        assert value(worker, "f", 3) == 3
    assert watcher.WATCHER._watched == {}


def test_a_fork_of_the_grader_watches_its_own_workers(monkeypatch):
    own = watcher.Watcher()
    with own._lock, subprocess.Popen(["/bin/sh", "-c", "exit"]) as process:
        own.add(process, tasks.Tasks(1, Way.WATCH))
        own.reset()  # as the child does, where nobody unlocks that lock
        process.wait()
    assert own._watched == {}
    with own._lock:
        own.remove(process)  # and again by the same thread, when garbage is collected meanwhile


def test_the_threads_of_a_process_and_of_its_children_are_counted():
    assert watcher.count(2**22 + 1) == 0
    source = """
import threading, time
for _ in range(4):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(60)
"""
    command = ["/bin/sh", "-c", '"$0" -c "$1"; true', sys.executable, source]
    with subprocess.Popen(command, start_new_session=True) as shell:
        try:
            deadline = time.monotonic() + 30
            while watcher.count(shell.pid) != 6 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert watcher.count(shell.pid) == 6
        finally:
            os.killpg(shell.pid, 9)
