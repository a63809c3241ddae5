"""The first program inside the sandbox: gives up what the process could do, for good, and then becomes the worker.

Run as a file with one argument, the descriptor of a file that holds a JSON object:
{"group": null or a descriptor, "limits": {"RLIMIT_AS": bytes, ...}, "files": null or
[how many in /tmp, the device that /tmp is outside],
"user": number or 0, "parent": pid or 0, "unprivileged": true, "filter": true,
"landlock": null or {"read": [...], "list": [...], "write": [...]}, "path": [folders for sys.path],
"worker": {worker.main's arguments}}.
Where a step is not possible, it ends with exit status 70 and says why on stderr. Trusted code has the steps left out.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcheck.sandbox.inside import seccomp
else:
    sys.path.insert(0, os.path.dirname(__file__))
    import seccomp

CANNOT = 70

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_SIGKILL = 9
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 2, 4, 32
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
_LANDLOCK_ACCESS = {"read": _READ_FILE | _READ_FOLDER, "list": _READ_FOLDER, "write": _READ_FILE | _WRITE_FILE}
_LANDLOCK_OLDEST = 3  # before it, opening a file could still truncate it

_libc = ctypes.CDLL(None, use_errno=True)


class CannotConfine(Exception):
    """The kernel does not let us; the text says which step failed."""


def limit(limits: dict[str, int]) -> None:
    """Hard limits of the kernel: address space, processor seconds, size of a file, open files, no core dump."""
    for name, value in limits.items():
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        # At the soft limit of processor time comes a signal that tells why, at the hard one the end.
        soft = value - 1 if name == "RLIMIT_CPU" else value
        resource.setrlimit(number, (soft, value))


def enter(group: int) -> None:
    """Become a member of the control group whose file of members is open here."""
    os.write(group, b"0")
    os.close(group)


def few_files(most: int, outside: int) -> None:
    """Let the file system of /tmp hold `most` files: its size does not count empty ones.

    Not where it is the one outside: whatever started us made no /tmp for us, and the host's is left alone.
    """
    if os.stat("/tmp").st_dev == outside:
        return
    flags = _MS_REMOUNT | _MS_NOSUID | _MS_NODEV
    _check(_libc.mount(None, b"/tmp", None, flags, f"nr_inodes={most}".encode()), "a limit of the files in /tmp")
    os.chmod("/tmp", 0o1777)  # for whomever we become


def become(user: int) -> None:
    """Be a user, and a group, of this number only."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def die_with(parent: int) -> None:
    """Be killed when the process that started us ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "a signal at the parent's death")
    if os.getppid() != parent:
        sys.exit(0)


def bound() -> None:
    """No capability can be gained by running another program."""
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those that the kernel or we do not have


def drop_privileges() -> None:
    """No capability is left, even for root, and none can be gained."""
    header, none = struct.pack("<II", 0x20080522, 0), bytes(24)
    _check(_libc.capset(header, none), "dropping capabilities")
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def landlock(allowed: dict[str, list[str]]) -> None:
    """Allow no file but those beneath the paths to read, to list (names only) and to write.

    Source: Documentation/userspace-api/landlock.rst.
    """
    version = _libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < _LANDLOCK_OLDEST:
        found = f"version {version}" if version > 0 else os.strerror(ctypes.get_errno())
        raise CannotConfine(f"Landlock version {_LANDLOCK_OLDEST} or later is needed; the kernel says: {found}")
    files = (1 << (16 if version >= 5 else 15)) - 1
    network, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    rules = struct.pack("<QQQ", files, network, scoped)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _check(_libc.syscall(_LANDLOCK_CREATE, rules, len(rules), 0), "a Landlock ruleset")
    for access, paths in allowed.items():
        for path in paths:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not on this machine: nothing to allow
            rights = _LANDLOCK_ACCESS[access] & (-1 if os.path.isdir(path) else _READ_FILE | _WRITE_FILE)
            rule = struct.pack("<Qi", rights, beneath)
            _check(_libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), f"a Landlock rule for {path}")
            os.close(beneath)
    _check(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise CannotConfine(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def main(policy: dict[str, Any]) -> None:
    try:
        if policy["group"] is not None:
            enter(policy["group"])
        limit(policy["limits"])
        if policy["files"] is not None:
            few_files(*policy["files"])
        if policy["unprivileged"]:
            bound()  # while we still may
        if policy["user"]:
            become(policy["user"])
        if policy["parent"]:  # not before: a process that becomes another user forgets it
            die_with(policy["parent"])
        if policy["unprivileged"]:
            drop_privileges()
        if policy["landlock"] is not None:
            landlock(policy["landlock"])
        if policy["filter"]:
            seccomp.install()
    except (CannotConfine, seccomp.Unsupported, OSError, ValueError) as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(CANNOT)

    sys.path += policy["path"]
    gc.disable()  # an import leaves hardly any garbage, and looking for it takes a tenth of the time
    worker = importlib.import_module("worker")  # not before the process is confined
    gc.enable()
    worker.main(**policy["worker"])


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), encoding="utf-8") as file:
        policy = json.load(file)
    main(policy)
