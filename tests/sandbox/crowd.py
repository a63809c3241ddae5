"""Run as a program, `crowd.py root|other WAY ...`: what becomes of 2,000 threads in each kind of isolation.

It prints a JSON object: {kind: {way: [who counts, user in the worker, status, threads that started or what was said,
whether an honest solution ran that multiplies with 8 threads of BLAS]}}. Started by root, it works in a mount namespace
of its own, where the interpreter is open to all users, wherever it is installed.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import numpy as np

from opcheck.sandbox import Call, Isolation, Limits, Outcome, Source, Status, Worker, capabilities, launch, tasks

NOBODY = 65534
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
SOURCE = """
import ctypes, os, threading
import numpy as np

def crowd(most):
    threading.stack_size(1 << 16)
    enough, started = threading.Event(), 0
    try:
        for started in range(most):
            threading.Thread(target=enough.wait, daemon=True).start()
    except RuntimeError:
        return started
    finally:
        enough.set()
    return most

def user():
    return os.getuid()

def honest(x):
    return x @ x
"""
X = np.arange(90_000.0).reshape(300, 300)


def opened(*folders: str) -> None:
    """Let every user reach these folders, in a mount namespace of our own."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(*arguments: object) -> None:
        if libc.mount(*arguments) != 0:
            raise OSError(ctypes.get_errno(), arguments)

    closed = {}
    for folder in map(Path, folders):
        barred = [parent for parent in folder.parents if not parent.stat().st_mode & 0o001]
        if barred:
            closed[folder] = barred[-1]  # the outermost
    if not closed:
        return
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    descriptors = {folder: os.open(folder, os.O_PATH) for folder in closed}
    for parent in {*closed.values()}:
        mount(b"none", bytes(parent), b"tmpfs", 0, b"mode=755")
    for folder, descriptor in descriptors.items():
        folder.mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{descriptor}".encode(), bytes(folder), None, MS_BIND | MS_REC, None)


def only(way: str) -> None:
    """Take the other ways of counting away."""
    if way != tasks.Way.GROUP:
        tasks.group_parent = lambda: None
    if way == tasks.Way.WATCH:
        tasks.can_switch = lambda readers: False
        tasks.has_own_namespace = lambda: False


def call(worker: Worker, name: str, *args: object) -> Outcome:
    return worker.run([Call(f"module.{name}", args, keep="y")], want={"y": "y"})


def told(isolation: Isolation) -> list[object]:
    with Worker(Source(SOURCE), isolation, Limits(seconds=60.0)) as worker:
        user = call(worker, "user").values["y"]
        honest = call(worker, "honest", X)
        way = worker._launched.tasks.way
        crowd = call(worker, "crowd", 2000)
    said = crowd.values["y"] if crowd.status is Status.OK else crowd.failure.message
    right = honest.status is Status.OK and bool(np.allclose(honest.values["y"], X @ X, rtol=1e-12))
    return [way, user, crowd.status, said, right]


def main(who: str, ways: list[str]) -> None:
    launch._ENVIRONMENT["OPENBLAS_NUM_THREADS"] = "8"
    if os.geteuid() == 0:
        opened(sys.base_prefix, sys.prefix, str(Path(__file__).parents[2]))
    if os.geteuid() == 0 and who != "root":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    kinds = [each.isolation for each in capabilities() if each.works]
    found: dict[str, dict[str, object]] = {kind: {} for kind in kinds}
    for way in ways:  # from GROUP to WATCH: what is taken away stays away
        only(way)
        for isolation in kinds:
            found[isolation][way] = told(isolation)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
