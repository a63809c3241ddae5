"""Keeps a worker to a number of tasks (processes and threads), as root too, in the first way that this machine
supports.

The limit that the kernel has for this (RLIMIT_NPROC) does not hold root, and counts everything else that a user runs.
"""

import functools
import itertools
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_LIMITING = ("memory.max", "memory.high", "memory.swap.max", "cpu.max")
_USERS = range(61184, 65520)  # where systemd, too, takes users for a while
_SETGID, _SETUID = 1 << 6, 1 << 7  # the capabilities, as bits
_MANY = 5_000  # files of one submission
_numbers = itertools.count()


class Way(StrEnum):
    """Ways of counting a worker's tasks."""

    GROUP = "group"  # the kernel, in a control group (cgroup) of the worker's own
    USER = "user"  # the kernel, for a user, or in a user namespace, of the worker's own
    WATCH = "watch"  # we do: a thread checks every few milliseconds, and kills a worker that has too many


@dataclass(slots=True)
class Tasks:
    """The limit on one worker's tasks. `entry` is open while a worker starts, so that it can enter its group."""

    most: int
    way: Way
    user: int = 0  # the user that the worker becomes; 0 if it does not change
    group: Path | None = None
    entry: int | None = None
    exceeded: bool = field(default=False, init=False)

    @property
    def counted(self) -> bool:
        """Whether RLIMIT_NPROC counts this worker's tasks and no others."""
        return bool(self.user) or self.way is Way.USER

    def started(self) -> None:
        """Close what only the start needed."""
        if self.entry is not None:
            os.close(self.entry)
            self.entry = None

    def release(self) -> None:
        """Remove the group, which takes a moment after the last of its tasks was killed."""
        self.started()
        for _ in range(1000):
            if self.group is None:
                return
            try:
                self.group.rmdir()
            except FileNotFoundError:
                self.group = None
            except OSError:
                time.sleep(0.001)
            else:
                self.group = None


def allotted(most: int, isolated: bool, namespace: bool, files: Sequence[Path], readers: Sequence[str]) -> Tasks:
    """A limit for one worker: `isolated` if it may become another user, in a `namespace` of its own (bubblewrap's).

    `files` are those of the submission, and `readers` what else another user would have to read.
    """
    parent = group_parent()
    # Where no namespace hides the rest of the machine, its own user cannot even ask about other people's files.
    switch = isolated and not (namespace and parent) and can_switch(tuple(readers)) and _open_to_all(files, namespace)
    user = _unused_user() if switch else 0
    if parent is None:
        return Tasks(most, way(isolated, namespace, switch), user)
    group = parent / _name(next(_numbers))
    group.mkdir()
    (group / "pids.max").write_text(str(most))
    return Tasks(most, Way.GROUP, user, group, os.open(group / "cgroup.procs", os.O_WRONLY))


def way(isolated: bool, namespace: bool, switched: bool) -> Way:
    """Who counts the tasks of a worker, `switched` if it becomes its own user."""
    if group_parent() is not None:
        return Way.GROUP
    return Way.USER if switched or (isolated and namespace and has_own_namespace()) else Way.WATCH


@functools.cache
def group_parent() -> Path | None:
    """The control group in which we may make groups that limit their tasks, found out by making one."""
    for parent in _candidates(Path("/proc/self/cgroup"), _CGROUPS):
        trial = parent / _name("trial")
        try:
            _sweep(parent)
            trial.mkdir()
        except OSError:
            continue
        try:
            # Not "w", which would make the file: it is there where the controller is.
            for name in ("pids.max", "cgroup.procs"):
                os.close(os.open(trial / name, os.O_WRONLY))
        except OSError:
            continue
        finally:
            trial.rmdir()
        if _may_enter(parent):
            return parent
    return None


def _prefix() -> str:
    """Of the groups of graders that see each other's processes."""
    return f"opcheck-{Path('/proc/self/ns/pid').stat().st_ino}-"


def _name(number: int | str) -> str:
    return f"{_prefix()}{os.getpid()}-{number}"


def _sweep(parent: Path) -> None:
    """Remove the groups of graders that were killed."""
    for group in parent.glob(f"{_prefix()}*"):
        if not Path("/proc", group.name.removeprefix(_prefix()).split("-")[0]).exists():
            with suppress(OSError):  # it still has tasks
                group.rmdir()


def _candidates(own: Path, mounted: Path) -> list[Path]:
    """Our own group, and the one around it: of version 1, whose groups may hold processes and groups, and of 2.

    Not the one around ours if ours limits memory or processor time: a worker would leave that limit.
    """
    found: list[Path] = []
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            found.append(mounted / controllers / path.lstrip("/"))
        elif not controllers and path != "/":
            group = mounted / path.lstrip("/")
            if all(_unlimited(group / name) for name in _LIMITING):
                found.append(group.parent)
    return found


def _unlimited(limit: Path) -> bool:
    try:
        return limit.read_text().startswith("max")
    except OSError:
        return True


def _may_enter(parent: Path) -> bool:
    """Whether a process that we start may enter a group there: permission to write the file is not enough."""
    trial = Tasks(1, Way.GROUP, group=parent / _name("trial"))
    try:
        (parent / _name("trial")).mkdir()
        with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE, start_new_session=True) as process:
            try:
                (parent / _name("trial") / "cgroup.procs").write_text(str(process.pid))
            finally:
                process.kill()
                process.wait()
    except OSError:
        return False
    finally:
        trial.release()
    return True


@functools.cache
def can_switch(readers: tuple[str, ...]) -> bool:
    """Whether we may become an unused user, tested by opening Python and `readers` as one."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    capable = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if capable is None or ~int(capable[1], 16) & (_SETGID | _SETUID):
        return False
    user = _unused_user()
    ask = "import os, sys; sys.exit(not all(os.access(path, os.R_OK) for path in sys.argv[1:]))"
    python = os.path.realpath(sys.executable)
    try:
        ran = subprocess.run([python, "-S", "-s", "-P", "-c", ask, *readers], user=user, group=user, extra_groups=(),
                             cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return ran.returncode == 0


def has_own_namespace() -> bool:
    """Whether RLIMIT_NPROC counts for each user namespace (from Linux 5.14); for root it does not count at all."""
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    return os.geteuid() != 0 and numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 14)


def _open_to_all(files: Sequence[Path], namespace: bool) -> bool:
    """Whether every user may read these files and what is in these folders; a namespace has its own way to them."""
    for file in files:
        within = [file, *itertools.islice(file.rglob("*"), _MANY)] if file.is_dir() else [file]
        if len(within) > _MANY:
            return False
        for path in within:
            wanted = 0o005 if path.is_dir() else 0o004
            if path.stat(follow_symlinks=False).st_mode & wanted != wanted:
                return False
        if not namespace and not all(parent.stat().st_mode & 0o001 for parent in file.parents):
            return False
    return True


def _unused_user() -> int:
    """The number of a user that has no name and no process."""
    import pwd

    taken: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            owner = re.search(r"^Uid:((?:\s+\d+)+)$", status.read_text(), re.MULTILINE)
            taken |= {int(number) for number in owner[1].split()} if owner else set()
    while True:
        number = secrets.choice(_USERS)
        try:
            pwd.getpwuid(number)
        except KeyError:
            if number not in taken:
                return number
