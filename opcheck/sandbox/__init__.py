"""Runs code that one does not trust, or that may crash, in a process of its own.

It takes steps (construct, call, set, read) as data and gives back plain arrays and a status. It knows no expected
result: who grades or verifies compares on this side of the pipe.

What keeps the code in: under bubblewrap, namespaces without network and a file system of nothing but the interpreter,
its packages and the submission; under Landlock, file access to the same places and none to write to; under both, a
system-call filter (no sockets, no new processes, no signals to others), no capabilities, and limits of memory, time,
disk and output. What each request must obey is in `Limits`; what this machine can do, in `capabilities()`.
"""

from opcheck.sandbox.client import Worker
from opcheck.sandbox.inside.wire import Opaque, Outsized, Place, WireError
from opcheck.sandbox.launch import Capability, Isolation, Limits, NoSandbox
from opcheck.sandbox.probe import capabilities, choose
from opcheck.sandbox.protocol import (
    Call,
    Definition,
    Failure,
    File,
    Module,
    Outcome,
    Parameter,
    Set,
    Skipped,
    Source,
    Status,
)

__all__ = [
    "Call",
    "Capability",
    "Definition",
    "Failure",
    "File",
    "Isolation",
    "Limits",
    "Module",
    "NoSandbox",
    "Opaque",
    "Outcome",
    "Outsized",
    "Parameter",
    "Place",
    "Set",
    "Skipped",
    "Source",
    "Status",
    "WireError",
    "Worker",
    "capabilities",
    "choose",
]
