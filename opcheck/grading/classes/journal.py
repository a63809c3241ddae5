"""What has been graded, on disk as soon as it is known: a run that was killed goes on where it stopped."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, overload

from opcheck import files
from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.formats.json import decoded, encoded
from opcheck.grading.results import Adjustment, Result
from opcheck.language import say

APPLICATION = 0x6F706368  # "opch": SQLite keeps it in the file's header
VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY,
    student TEXT NOT NULL,
    submission TEXT NOT NULL,
    assignment TEXT NOT NULL,
    result TEXT NOT NULL,
    UNIQUE (student, submission, assignment)
)
"""
_ADJUSTMENTS = """
CREATE TABLE IF NOT EXISTS adjustments (
    id INTEGER PRIMARY KEY,
    student TEXT NOT NULL,
    question TEXT NOT NULL,
    points REAL NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (student, question) ON CONFLICT REPLACE
)
"""


class Key(NamedTuple):
    """Identifies a result: the student, and digests of the submission and the assignment."""

    student: str
    submission: str
    assignment: str


class Journal:
    """Results in an SQLite file, or in a temporary one without a path. It belongs to the thread that opened it.

    Every result is committed before `record` returns, so that neither a killed process nor a power cut loses it.
    Raises Refused if the file is something else, or in use by another run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        if path is not None:
            files.check_regular(path)
        with self._told():
            place = "" if path is None else path.absolute()  # :memory: is a file here
            self._connection = sqlite3.connect(place, timeout=2.0, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # two runs at once would grade everything twice
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        if tables and application != APPLICATION:
            raise Refused(say("{path} is not an opcheck journal", path=self.path), fix=say("name another file"))
        if tables and version != VERSION:
            raise Refused(
                say("{path} was written by another version of opcheck", path=self.path), fix=say("name another file")
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("BEGIN EXCLUSIVE")
        run(f"PRAGMA application_id = {APPLICATION}")
        run(f"PRAGMA user_version = {VERSION}")
        run(_SCHEMA)
        run(_ADJUSTMENTS)
        run("COMMIT")

    def find(self, key: Key) -> int | None:
        """The number under which a result is kept, None if there is none."""
        with self._told():
            found = self._connection.execute(
                "SELECT id FROM results WHERE (student, submission, assignment) = (?, ?, ?)", _storable(key)
            ).fetchone()
        return found[0] if found else None

    def record(self, key: Key, result: Result) -> int:
        """Stores a result and returns its number; an earlier result with the same key is kept."""
        with self._told():
            self._connection.execute(
                "INSERT OR IGNORE INTO results (student, submission, assignment, result) VALUES (?, ?, ?, ?)",
                (*_storable(key), json.dumps(encoded(result), allow_nan=False)),
            )
        number = self.find(key)
        assert number is not None
        return number

    def read(self, number: int) -> Result:
        """The result of that number."""
        with self._told():
            (text,) = self._connection.execute("SELECT result FROM results WHERE id = ?", (number,)).fetchone()
        try:
            return decoded(json.loads(text))
        except (ValueError, KeyError, TypeError):
            raise self._damaged() from None

    def adjust(self, adjustment: Adjustment) -> None:
        """Keep an adjustment in place of an earlier one of that student and question; no points: it is taken back."""
        run = self._connection.execute
        student = _text(adjustment.student)
        with self._told():
            if adjustment.points:
                run("INSERT INTO adjustments (student, question, points, reason) VALUES (?, ?, ?, ?)",
                    (student, adjustment.question, adjustment.points, adjustment.reason))  # fmt: skip
            else:
                run("DELETE FROM adjustments WHERE (student, question) = (?, ?)", (student, adjustment.question))

    def adjustments(self) -> dict[str, list[Adjustment]]:
        """Every adjustment, by student."""
        with self._told():
            rows = self._connection.execute("SELECT student, question, points, reason FROM adjustments ORDER BY id")
            found: dict[str, list[Adjustment]] = {}
            for student, question, points, reason in rows.fetchall():
                found.setdefault(student, []).append(Adjustment(student, question, points, reason))
        return found

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as a sentence for the teacher."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Refused(
                    say("another run is using the journal {path}", path=self.path),
                    fix=say("wait for it, or name another journal"),
                ) from None
            raise CouldNotRun(
                say("the journal {path} cannot be used: {reason}", path=self.path, reason=error)
            ) from None
        except sqlite3.DatabaseError:
            raise self._damaged() from None

    def _damaged(self) -> Refused:
        return Refused(
            say("{path} is not a journal, or it is damaged", path=self.path), fix=say("name another file, or delete it")
        )


def _storable(key: Key) -> tuple[str, str, str]:
    """A file name need not be UTF-8, what SQLite keeps must."""
    return _text(key.student), key.submission, key.assignment


def _text(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class Results(Sequence[Result]):
    """Results from a journal, read one at a time, so that a class of any size needs the memory of one result."""

    def __init__(self, journal: Journal, numbers: Sequence[int]) -> None:
        self._journal, self._numbers = journal, tuple(numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> "Results": ...

    def __getitem__(self, index: "int | slice") -> "Result | Results":
        if isinstance(index, slice):
            return Results(self._journal, self._numbers[index])
        return self._journal.read(self._numbers[index])
