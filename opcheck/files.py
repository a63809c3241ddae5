"""Files that an option names are checked here before the work and written here after it.

A regular file is replaced as a whole or stays as it was; a device, a FIFO or /dev/stdout is opened and written to; a
symbolic link is followed, and stays.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from opcheck.errors import Refused
from opcheck.language import say

LONGEST = 100  # characters of a path that a message shows
IN_PLACE = (errno.EBUSY, errno.EPERM, errno.EACCES)  # a mount point, or somebody else's file in a folder such as /tmp


def check_file(path: Path) -> None:
    """Raises Refused if `path` cannot be written, as far as that can be known in advance."""
    with _told(path):
        if _descriptor(path) is not None:
            return
        if not path.exists():  # a link to nothing is a file to be made where it points to
            _check_folder(_target(path).parent)
            return
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _refusal(errno.EISDIR)
        if stat.S_ISSOCK(mode):
            raise Refused(say("{path} is a socket and cannot be written to", path=shown(path)))
        if not os.access(path, os.W_OK):
            raise _refusal(errno.EACCES)


def check_regular(path: Path) -> None:
    """As `check_file`, for what only a regular file can hold, such as a database."""
    with _told(path):
        if _descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir()):
            raise Refused(say("{path} is not a regular file", path=shown(path)), fix=say("name another file"))
    check_file(path)


def check_folder(path: Path) -> None:
    """Raises Refused if `path` is not a writable folder and cannot be created as one."""
    with _told(path):
        target = _target(path)
        _check_folder(next(each for each in (target, *target.parents) if each.exists()))


def check_place(path: Path) -> None:
    """As `check_file` where there is a file, else as `check_folder`: the folder of a file that is new is made, too."""
    with _told(path):
        is_file = _descriptor(path) is not None or (path.exists() and not path.is_dir())
    (check_file if is_file else check_folder)(path)


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise _refusal(errno.ENOENT)
    if not folder.is_dir():
        raise _refusal(errno.ENOTDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refusal(errno.EACCES)


def _refusal(number: int) -> OSError:
    """What the system would say if it were tried."""
    return OSError(number, os.strerror(number))


def make_folder(path: Path) -> None:
    """Makes a folder with its parents; raises Refused where that fails."""
    with _told(path):
        path.mkdir(parents=True, exist_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Writes `content`, text in UTF-8; raises Refused where that fails. A reader of a pipe may leave early."""
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with _told(path), suppress(BrokenPipeError):
        descriptor = _descriptor(path)
        if descriptor is not None:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
        elif path.exists() and not (path.is_file() and os.access(path.resolve().parent, os.W_OK | os.X_OK)):
            path.write_bytes(data)
        else:
            _replace(_target(path), data)


def _target(path: Path) -> Path:
    """The place that links lead to."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise _refusal(errno.ELOOP)
    return target


def _replace(path: Path, data: bytes) -> None:
    """Writes a file beside `path` and moves it there; the owner and the permissions of an old one stay."""
    partial = path.with_name(f".opcheck-{os.urandom(8).hex()}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            if path.exists():
                _alike(file.fileno(), path.stat())
        partial.replace(path)
    except OSError as error:
        if error.errno not in IN_PLACE or not path.exists():
            raise
        path.write_bytes(data)
    finally:
        partial.unlink(missing_ok=True)


def _alike(descriptor: int, old: os.stat_result) -> None:
    if hasattr(os, "fchown"):
        with suppress(PermissionError):  # only root gives files away
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _descriptor(path: Path) -> int | None:
    """The descriptor behind /dev/stdout, /dev/fd/3 or a link to one: opening it by name would truncate a file behind
    it."""
    own = os.path.realpath("/dev/fd")
    for _ in range(40):  # links, as the kernel counts them
        if path.name.isascii() and path.name.isdigit() and os.path.realpath(path.parent) == own:
            os.fstat(int(path.name))
            return int(path.name)
        if not os.path.islink(path):  # noqa: PTH114  Path.is_symlink raises for a name that is too long
            return None
        path = path.parent / path.readlink()
    return None


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system says, as a sentence for the person who named the path."""
    try:
        yield
    except Refused:
        raise
    except (OSError, ValueError, OverflowError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(say("cannot write to {path}: {reason}", path=shown(path), reason=reason)) from None


def shown(path: Path | str) -> str:
    """A path as a message shows it: only the beginning and the end of a very long one."""
    text = str(path)
    return text if len(text) <= LONGEST else say("{start}…{end}", start=text[:40], end=text[-40:])
