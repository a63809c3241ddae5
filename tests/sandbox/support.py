"""What the tests of the sandbox share: calls of one function, and a way to try what must not be possible."""

from pathlib import Path

import numpy as np

from opcheck.sandbox import Call, Outcome, Status, Worker

X = np.arange(1.0, 7.0).reshape(2, 3)

TRIED = """
    import os, sys

    def tried(action):
        try:
            return ["possible", repr(action())[:200]]
        except BaseException as error:
            return [type(error).__name__, str(error)[:200]]
"""
CMU = """
    import numpy as np

    class Linear:
        def __init__(self, in_features, out_features, debug=False):
            self.W = np.zeros((out_features, in_features))
            self.b = np.zeros((out_features, 1))

        def forward(self, A):
            self.A = A
            return A @ self.W.T + self.b.T

        def backward(self, dLdZ):
            self.dLdW = dLdZ.T @ self.A
            self.dLdb = dLdZ.sum(axis=0)[:, None]
            return dLdZ @ self.W
"""


def call(worker: Worker, name: str, *args: object) -> Outcome:
    return worker.run([Call(f"module.{name}", args, keep="y")], want={"y": "y"})


def value(worker: Worker, name: str, *args: object) -> object:
    outcome = call(worker, name, *args)
    assert outcome.status is Status.OK, outcome
    return outcome.values["y"]


def table() -> dict[int, int]:
    """The parent of each process that is not a zombie."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(") ")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def running() -> set[int]:
    return set(table())


def children(pid: int) -> set[int]:
    """All descendants."""
    parents, found = table(), {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}
