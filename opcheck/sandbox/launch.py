"""Starts the process in which strangers' code runs, under the strongest isolation that this machine has."""

import compileall
import functools
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shutil import which

import numpy as np

from opcheck.language import say
from opcheck.sandbox import tasks, visible
from opcheck.sandbox.protocol import File, Module, Source
from opcheck.sandbox.watcher import WATCHER

INSIDE = Path(__file__).parent / "inside"
MEBIBYTE = 1 << 20
_ENVIRONMENT = {
    "PATH": "/usr/bin",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",
    "MPLBACKEND": "Agg",  # a plot must not look for a display
    "MPLCONFIGDIR": "/tmp",
    "PYTHONHASHSEED": "0",  # the order of a set must not change a grade
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Isolation(StrEnum):
    """How a worker is kept apart."""

    BUBBLEWRAP = "bubblewrap"  # namespaces, a file system of its own, the system-call filter
    LANDLOCK = "landlock"  # file access by Landlock, the system-call filter; no place to write
    UNSAFE = "unsafe"  # the kernel's limits only: for code whose author one knows
    TRUSTED = "trusted"  # none: the process exists so that a crash is survived


CONFINED = (Isolation.BUBBLEWRAP, Isolation.LANDLOCK)  # strongest first


class NoSandbox(Exception):
    """Untrusted code cannot be run here; the text says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use. None means no limit."""

    seconds: float = 10.0  # of wall time, for one request
    total_seconds: float | None = None  # of wall time, for all requests to one process; also of processor time
    memory: int | None = 2048 * MEBIBYTE  # address space; python with numpy takes 100 MiB of it, torch 600
    disk: int = 64 * MEBIBYTE  # of its temporary folder, and of any one file
    files: int = 4096  # in its temporary folder
    tasks: int = 256  # processes and threads at one time
    output: int = 1 << 16  # of what one request prints: the rest is dropped
    reply: int = 256 * MEBIBYTE  # of the arrays in one answer

    def __post_init__(self) -> None:
        for name in ("seconds", "total_seconds", "memory", "disk", "files", "tasks", "output", "reply"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(say("{name} is {value}; a limit is a positive number", name=name, value=value))


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether one kind of isolation works on this machine, and if not, why."""

    isolation: Isolation
    works: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Launched:
    """A started worker: the process, and our ends of the pipes."""

    process: subprocess.Popen[bytes]
    requests: int
    replies: int
    output: int
    tasks: tasks.Tasks | None
    file: str  # the submission as the worker sees it
    root: str
    others: tuple[str, ...] = ()  # the same, of its other files that are graded


def launch(
    code: File | Source | Module,
    isolation: Isolation,
    limits: Limits,
    hidden: Sequence[str] = (),
    allowed: tuple[str, ...] | None = None,
) -> Launched:
    """Start a worker that may load `code`. Raises NoSandbox if the program that isolates cannot be run."""
    if os.name != "posix":
        raise NoSandbox(say("a worker process needs Linux or macOS; this is {system}", system=sys.platform))
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    output, printed = os.pipe()
    (file, *others), root = _inside(code, isolation)
    trusted = isolation is Isolation.TRUSTED
    worker: dict[str, object] = {"requests": theirs_in, "replies": theirs_out}
    _compiled()
    allotted = None
    try:
        allotted = None if trusted else _tasks(code, isolation, limits)
        policy, program = _plan(code, isolation, limits, allotted, worker, ("opcheck", *hidden), allowed)
        with tempfile.TemporaryFile() as told:
            told.write(json.dumps(policy).encode())
            told.seek(0)
            entry = () if allotted is None or allotted.entry is None else (allotted.entry,)
            process = subprocess.Popen(
                [*program, str(told.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=(theirs_in, theirs_out, told.fileno(), *entry),
                start_new_session=True,
                env=None if trusted else _ENVIRONMENT,
                cwd=None if trusted else "/",
            )
    except BaseException as error:
        for descriptor in (ours_out, ours_in, output):
            os.close(descriptor)
        if allotted is not None:
            allotted.release()
        if isinstance(error, OSError):
            raise NoSandbox(say("cannot start a worker: {error}", error=error)) from None
        raise
    finally:
        for descriptor in (theirs_in, theirs_out, printed):
            os.close(descriptor)
    for descriptor in (ours_out, ours_in, output):
        os.set_blocking(descriptor, False)
    _counted(process, allotted)
    return Launched(process, ours_out, ours_in, output, allotted, file, root, tuple(others))


def _counted(process: subprocess.Popen[bytes], allotted: tasks.Tasks | None) -> None:
    """From now on the threads of this process are counted, by whoever does that here."""
    if allotted is not None:
        allotted.started()
        if allotted.way is tasks.Way.WATCH:
            WATCHER.add(process, allotted)


def _tasks(code: File | Source | Module, isolation: Isolation, limits: Limits) -> tasks.Tasks:
    files = [(code.root or code.path).resolve()] if isinstance(code, File) else []
    return tasks.allotted(limits.tasks, isolation in CONFINED, isolation is Isolation.BUBBLEWRAP, files, _readers())


def counting(isolation: Isolation) -> tasks.Way:
    """Who counts the threads of a worker under this isolation, where everybody may read the submission."""
    return tasks.way(True, isolation is Isolation.BUBBLEWRAP, tasks.can_switch(_readers()))


@functools.cache
def _readers() -> tuple[str, ...]:
    """What a worker reads, whoever it is: our own program, Python and the packages."""
    packages = [str(each) for folder in visible.packages() for each in sorted(Path(folder).iterdir())]
    return str(INSIDE / "confine.py"), os.__file__, np.__file__, *packages


def _inside(code: File | Source | Module, isolation: Isolation) -> tuple[list[str], str]:
    """The paths of the submission, and of the folder of its files, as the worker sees them."""
    if isinstance(code, Module):
        return [""], ""
    if isinstance(code, Source):
        return [f"/submission/{code.name}"], "/submission"
    root = (code.root or code.path.parent).resolve()
    inner = Path("/submission") if isolation is Isolation.BUBBLEWRAP else root
    return [str(inner / path.resolve().relative_to(root)) for path in (code.path, *code.others)], str(inner)


def _plan(
    code: File | Source | Module,
    isolation: Isolation,
    limits: Limits,
    allotted: tasks.Tasks | None,
    worker: dict[str, object],
    hidden: tuple[str, ...],
    allowed: tuple[str, ...] | None,
) -> tuple[dict[str, object], list[str]]:
    """What `confine` shall do, and the command that starts it, but for the descriptor of the former."""
    bubblewrap, trusted = isolation is Isolation.BUBBLEWRAP, isolation is Isolation.TRUSTED
    worker["hidden"] = [] if trusted else hidden
    worker["refused"] = [] if trusted or allowed is None else visible.refused(allowed)
    user = allotted.user if allotted is not None else 0
    policy: dict[str, object] = {
        "group": allotted.entry if allotted is not None else None,
        "limits": _rlimits(limits, allotted),
        "files": [limits.files, Path("/tmp").stat().st_dev] if bubblewrap and not _is_setuid() else None,
        "user": user,
        "parent": 0 if bubblewrap or sys.platform != "linux" else os.getpid(),  # bubblewrap sees to it itself
        "unprivileged": isolation in CONFINED,
        "filter": isolation in CONFINED,
        "landlock": _landlock(code, hidden, allowed) if isolation is Isolation.LANDLOCK else None,
        "path": [str(Path(entry).absolute()) for entry in sys.path] if trusted else visible.packages(),
        "worker": worker,
    }
    program = f"{'/worker' if bubblewrap else INSIDE}/confine.py"
    if trusted:
        return policy, [sys.executable, program]
    # -S -s -P: no site-packages but those we name, nothing of the user's, not the current folder
    isolated = [visible.python(), "-S", "-s", "-P", "-B", program]
    return policy, [*_bubblewrap(code, limits, user, hidden, allowed), *isolated] if bubblewrap else isolated


def _rlimits(limits: Limits, allotted: tasks.Tasks | None) -> dict[str, int]:
    found = {"RLIMIT_CORE": 0}
    if allotted is not None:
        # also what the kernel counts for all processes of a user together: queued signals, locked memory
        found |= {"RLIMIT_NOFILE": 256, "RLIMIT_FSIZE": limits.disk, "RLIMIT_SIGPENDING": 64, "RLIMIT_MEMLOCK": 0}
        if allotted.counted:
            found["RLIMIT_NPROC"] = allotted.most
    if limits.memory is not None:
        found["RLIMIT_AS"] = limits.memory
    if limits.total_seconds is not None:
        found["RLIMIT_CPU"] = int(limits.total_seconds) + 3  # a net below the wall-clock limit
    return found


def _bubblewrap(
    code: File | Source | Module,
    limits: Limits,
    user: int,
    hidden: tuple[str, ...],
    allowed: tuple[str, ...] | None = None,
) -> list[str]:
    program = which("bwrap")
    if program is None:
        raise NoSandbox(say("bubblewrap (bwrap) is not installed"))
    # All namespaces but that of cgroups, from which Linux before 5.16 lets nobody enter a group beside it.
    command = [program, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if user:  # not in a namespace of users: one that root makes knows no other user
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user-try"]
    if not _is_setuid():  # `confine` gives them up when it has limited the files in /tmp
        command += ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
    command += ["--size", str(limits.disk), "--tmpfs", "/tmp"]  # first: the interpreter itself may live beneath it
    places = [*map(Path, (*visible.readable(), *visible.PROCESSOR, *visible.DEVICES)), Path("/submission/file")]
    for folder in sorted({parent for path in places for parent in path.parents}):
        command += ["--dir", str(folder)]  # bubblewrap's own way of making it would close it to other users
    for path in (*visible.readable(), *visible.PROCESSOR):
        if Path(path).is_symlink():  # /lib64 -> usr/lib64
            command += ["--symlink", str(Path(path).readlink()), path]
        else:
            command += ["--ro-bind-try", path, path]
    if allowed is not None:
        command += _libraries(allowed)
    for path in visible.hiding(hidden) if allowed is None else ():
        command += ["--tmpfs", path, "--remount-ro", path] if Path(path).is_dir() else ["--ro-bind", "/dev/null", path]
    for device in visible.DEVICES:
        command += ["--dev-bind", device, device]
    command += ["--ro-bind", str(INSIDE), "/worker"]
    if isinstance(code, File):
        source = code.root or code.path
        command += ["--ro-bind", str(source.resolve()), "/submission" if code.root else f"/submission/{code.path.name}"]
    if _is_setuid():
        command += ["--remount-ro", "/tmp"]
    return [*command, "--remount-ro", "/", "--chdir", "/tmp", "--"]


def _libraries(allowed: tuple[str, ...]) -> list[str]:
    """An empty folder in place of each that has installed packages, and in it what is allowed."""
    kept, command = visible.needed(allowed), []
    for folder in visible.libraries():
        command += ["--tmpfs", folder]
        for path in sorted(Path(folder).iterdir()):
            if path.name in kept:
                command += ["--ro-bind", str(path), str(path)]
        command += ["--remount-ro", folder]
    return command


@functools.cache
def _is_setuid() -> bool:
    """Whether bubblewrap is the old kind, which root installs for others and which lends nobody a capability."""
    program = which("bwrap")
    return program is not None and os.geteuid() != 0 and bool(Path(program).stat().st_mode & stat.S_ISUID)


def _landlock(
    code: File | Source | Module, hidden: tuple[str, ...], only: tuple[str, ...] | None = None
) -> dict[str, list[str]]:
    readable = [*visible.readable(), *visible.PROCESSOR, *visible.DEVICES, str(INSIDE)]
    if isinstance(code, File):
        readable.append(str((code.root or code.path).resolve()))
    masked = {Path(path) for path in (visible.hiding(hidden) if only is None else visible.outside(only))}
    split = {parent for path in masked for parent in path.parents}
    allowed: dict[str, list[str]] = {"read": [], "list": [], "write": ["/dev/null"]}
    # Landlock can allow but not take back: a folder that holds something masked is listed, and its other parts read.
    waiting = [Path(path) for path in readable]
    while waiting:
        path = waiting.pop()
        if path in split:
            allowed["list"].append(str(path))
            waiting += path.iterdir()
        elif path not in masked:
            allowed["read"].append(str(path))
    return allowed


@functools.cache
def _compiled() -> None:
    """Keep bytecode of what every worker runs where Python itself would, if it had imported that and may."""
    if not sys.dont_write_bytecode:
        compileall.compile_dir(INSIDE, quiet=2)
