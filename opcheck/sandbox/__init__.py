"""Runs code that one does not trust, or that may crash, in its own process.

It takes steps (construct, call, set, read) as data and gives back plain arrays and a status. It knows no expected
result: who grades or verifies compares on this side of the pipe.

What keeps the code in: under bubblewrap, namespaces without network and a file system of nothing but the interpreter,
its packages and the submission; under Landlock, file access to the same places and none to write to; under both, a
system-call filter (nothing that reaches beyond the process: no sockets, no new processes, no signals to others, no
shared memory, no locks), no capabilities, and limits of memory, time, threads, disk and output. What each request must
obey is in `Limits`; what this machine can do, in `capabilities()`; who counts the threads, in `counting()`.

What is not held back: the installed packages can be read; the processor can be kept busy until the time is up; its
name, load and clock can be asked for. Under Landlock, the names, sizes, dates and owners of files can be found out.
"""

from opcheck.sandbox.client import Worker
from opcheck.sandbox.inside.wire import Opaque, Outsized, Place, WireError
from opcheck.sandbox.launch import Capability, Isolation, Limits, NoSandbox, counting
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
from opcheck.sandbox.tasks import Way

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
    "Way",
    "WireError",
    "Worker",
    "capabilities",
    "choose",
    "counting",
]
