"""How far a reader has come, kept as JSON in the place where the platform keeps a program's state."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from opcheck import files
from opcheck.errors import Refused

SCHEMA = "opcheck.progress/1"
UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError)


@dataclass
class Mark:
    """One lesson: how many parts were read, of how many, and the outcome of each question ("right" or "skipped")."""

    part: int = 0
    parts: int = 0
    questions: int = 0
    answers: dict[int, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.parts > 0 and self.part >= self.parts

    @property
    def right(self) -> int:
        return sum(outcome == "right" for outcome in self.answers.values())


def default_path(name: str = "progress.json") -> Path:
    """Where a file of that name is kept: in XDG_STATE_HOME if it is set, else where the platform is used to."""
    home = Path.home()
    if chosen := os.environ.get("XDG_STATE_HOME"):
        base = Path(chosen)
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = home / ".local" / "state"
    return base / "opcheck" / name


class Progress:
    """The marks of all lessons by name; every change is written at once, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""  # why progress cannot be kept or was lost, for the reader
        self.marks: dict[str, Mark] = {}
        try:
            self.marks = _marks(text_of(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            self.trouble = str(error)
        except UNREADABLE:
            broken = path.with_suffix(".broken.json")
            with contextlib.suppress(OSError):
                path.replace(broken)
            self.trouble = f"{path} was not readable as progress and is kept as {broken.name}"

    def of(self, lesson: str) -> Mark:
        return self.marks.get(lesson, Mark())

    def keep(self, lesson: str, mark: Mark) -> None:
        """Writes a mark, beside what others have written meanwhile."""
        with locked(self.path):
            self._read_again()
            before = self.of(lesson)
            if (before.parts, before.questions) == (mark.parts, mark.questions):
                mark.part, mark.answers = max(mark.part, before.part), {**before.answers, **mark.answers}
            self.marks[lesson] = mark
            self._write()

    def forget(self, lesson: str | None = None) -> None:
        """Forgets one lesson, or all."""
        with locked(self.path):
            self._read_again()
            if lesson is None:
                self.marks.clear()
            else:
                self.marks.pop(lesson, None)
            self._write()

    def _read_again(self) -> None:
        with contextlib.suppress(OSError, *UNREADABLE):
            self.marks = _marks(text_of(self.path))

    def _write(self) -> None:
        lessons = {name: asdict(mark) for name, mark in self.marks.items()}
        self.trouble = kept({"schema": SCHEMA, "lessons": lessons}, self.path) or self.trouble


def text_of(path: Path) -> str:
    """What the file says; raises ValueError for what is no file, which may never end, and OSError."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(path)
    return path.read_text(encoding="utf-8")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One after the other reads and writes the file, where the system has locks: two processes may answer at once."""
    try:
        import fcntl

        files.make_folder(path.parent)
        lock = os.open(path.parent, os.O_RDONLY)  # the folder: no file is left behind
    except (ImportError, OSError, Refused):  # then what is kept may be the other's
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def kept(data: object, path: Path) -> str:
    """Writes `data` as JSON, whole or not at all; why that cannot be, or nothing."""
    try:
        files.make_folder(path.parent)
        files.write(path, json.dumps(data) + "\n")
    except Refused as error:
        return str(error)
    return ""


def _marks(text: str) -> dict[str, Mark]:
    data = json.loads(text)
    if data["schema"] != SCHEMA:
        raise ValueError(data["schema"])
    return {
        name: Mark(
            max(0, min(int(mark["part"]), int(mark["parts"]))),
            int(mark["parts"]),
            int(mark["questions"]),
            {int(n): str(o) for n, o in mark["answers"].items()},
        )
        for name, mark in data["lessons"].items()
    }
