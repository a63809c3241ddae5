"""Finds out by trying which kinds of isolation this machine has."""

import functools

from opcheck.language import say
from opcheck.sandbox.client import Worker
from opcheck.sandbox.launch import CONFINED, Capability, Isolation, Limits, NoSandbox
from opcheck.sandbox.protocol import Call, Source, Status

# What must not be possible inside. It names the things that were possible all the same.
_ESCAPES = """
import os, socket

def escapes():
    found = []
    for name, attempt in {
        "the network": lambda: socket.socket(),
        "other processes": lambda: os.fork() or os._exit(0),
        "other files": lambda: open("/etc/passwd").read(),
        "writing to the root folder": lambda: open("/opcheck-probe", "w").close(),
    }.items():
        try:
            attempt()
        except OSError:
            continue
        found.append(name)
    return found
"""


def capabilities() -> tuple[Capability, ...]:
    """For each kind of isolation that deserves the name, strongest first: does a small program run, and is it confined?

    >>> [each.isolation for each in capabilities()]
    [<Isolation.BUBBLEWRAP: 'bubblewrap'>, <Isolation.LANDLOCK: 'landlock'>]
    """
    return tuple(map(capability, CONFINED))


def choose(unsafe: bool = False) -> Isolation:
    """The strongest isolation that works here; without any, UNSAFE if `unsafe` allows it, else raises NoSandbox."""
    for isolation in CONFINED:
        if capability(isolation).works:
            return isolation
    if unsafe:
        return Isolation.UNSAFE
    reasons = "; ".join(f"{each.isolation}: {each.reason}" for each in capabilities())
    raise NoSandbox(
        say(
            "untrusted code cannot be isolated on this machine ({reasons}). Install bubblewrap, use a Linux kernel "
            "with Landlock 3 or later, or pass --unsafe for code that you trust.",
            reasons=reasons,
        )
    )


@functools.cache
def capability(isolation: Isolation) -> Capability:
    """What one kind of isolation is worth on this machine, found out once."""
    try:
        with Worker(Source(_ESCAPES), isolation, Limits()) as worker:
            outcome = worker.run([Call("module.escapes", keep="found")], want={"found": "found"})
    except NoSandbox as error:
        return Capability(isolation, False, str(error))
    found = outcome.values.get("found")
    if outcome.status is not Status.OK or not isinstance(found, list):
        reason = outcome.failure.message if outcome.failure else str(outcome.status)
        return Capability(isolation, False, say("a small program fails in it: {reason}", reason=reason))
    if found:
        return Capability(
            isolation, False, say("it does not keep a program from {escapes}", escapes=", ".join(map(str, found)))
        )
    return Capability(isolation, True, say("works"))
