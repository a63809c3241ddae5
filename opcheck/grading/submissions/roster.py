"""Which code belongs to whom: files, folders, zips and learning platforms' exports become one list of submissions."""

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from opcheck.errors import Refused
from opcheck.grading.submissions import notebook
from opcheck.grading.submissions.exports import CODE, Handed, handed_in, is_code, is_noise, is_zip
from opcheck.grading.submissions.submission import Submission
from opcheck.language import say
from opcheck.sandbox import File, Source

MEBIBYTE = 1 << 20
LARGEST_UNPACKED = 256 * MEBIBYTE  # of a student's zip; what a teacher gives is taken as it is
LARGEST_CODE = 16 * MEBIBYTE  # of one file of code: a notebook with its pictures
MOST_FILES = 5000  # in a student's zip or folder
_DEFINITION = re.compile(r"^(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_NOT_THE_ANSWER = re.compile(r"^(?:test_.*|.*_test|conftest|setup|__init__)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the roster. `problem` says why there is no code that can be graded; its path is the teacher's."""

    submission: Submission
    digest: str  # of all that the code may see: another digest, another submission
    notes: tuple[str, ...] = ()
    problem: str = ""


@contextmanager
def opened(paths: Iterable[Path], student: str = "", wanted: Sequence[str] = ()) -> Iterator[list[Entry]]:
    """The submissions at these paths, every student once; what is unpacked exists until the block ends.

    A path is a file (one student's), a folder or a zip of it: a file or folder per student, or an export of
    Gradescope, Moodle or Canvas. With `student`, all that is there is that one student's. `wanted` are the names
    that the assignment asks for; where a student has several files, the one that defines most of them is graded.
    Raises Refused if a path does not exist, or no submission is found.
    """
    with tempfile.TemporaryDirectory(prefix="opcheck-class-") as folder:
        desk = _Desk(Path(folder), wanted)
        given = [*map(Path, paths)]
        found = [desk.entry(handed, path) for path, handed in _handed(desk, given, student)]
        if not found:
            raise Refused(
                say("there are no submissions"),
                got=", ".join(map(str, given)),
                fix=say("give .py or .ipynb files, a folder of them, or a zip or export of such a folder"),
            )
        yield _once_each(found)


def _handed(desk: "_Desk", paths: Sequence[Path], student: str) -> Iterator[tuple[Path, Handed]]:
    """(the path to show, what was handed in) over all paths."""
    for path in paths:
        if not path.exists():
            raise Refused(say("{path} does not exist", path=path))
        if student:
            yield (
                path,
                Handed(student, folder=path) if path.is_dir() else Handed(student, ((path.name, path.resolve()),)),
            )
        elif path.is_dir():
            for handed in handed_in(path):
                yield _shown(path, handed, path), handed
        elif is_zip(path):
            folder = desk.new_folder()
            try:
                _unzip(path, folder, limit=None)
            except BadArchive as error:
                raise Refused(say("{path} cannot be unpacked: {error}", path=path, error=error)) from None
            inner = [each for each in folder.iterdir() if not is_noise(each.name)]
            top = inner[0] if len(inner) == 1 and inner[0].is_dir() else folder
            for handed in handed_in(top):
                yield _shown(path, handed, top), handed
        elif is_code(path):
            yield path, Handed(path.stem, ((path.name, path.resolve()),))
        else:
            raise Refused(
                say("{path} is neither code nor a folder", path=path), fix=say("give .py, .ipynb, .zip or a folder")
            )


def _shown(given: Path, handed: Handed, top: Path) -> Path:
    inside = handed.folder or handed.files[-1][1]
    return given / inside.relative_to(top)


def _once_each(found: list[Entry]) -> list[Entry]:
    """Two submissions of one name (hw.py of two folders) are told apart by their paths."""
    count = Counter(each.submission.student for each in found)
    told = []
    for entry in found:
        submission = entry.submission
        if count[submission.student] > 1:
            submission = submission._replace(student=str(submission.path))
        told.append(replace(entry, submission=submission))
    if doubled := [name for name, number in Counter(each.submission.student for each in told).items() if number > 1]:
        raise Refused(say("{path} is given twice", path=doubled[0]))
    return told


class BadArchive(Exception):
    """A zip that cannot or must not be unpacked; the message says why."""


class _Desk:
    """Turns what was handed in into submissions; has room to unpack."""

    def __init__(self, room: Path, wanted: Sequence[str]) -> None:
        self.room, self.wanted, self.used = room, frozenset(wanted), 0

    def new_folder(self) -> Path:
        self.used += 1
        folder = self.room / str(self.used)
        folder.mkdir()
        return folder

    def entry(self, handed: Handed, path: Path) -> Entry:
        def submission(code: File | Source) -> Submission:
            return Submission(handed.student, path, code)

        try:
            files, root = self._laid_out(handed)
            if not files:
                raise BadArchive(say("there is no .py or .ipynb file in it"))
            main, notes = self._main(files, root)
            digest = _digest(root, main)
            if main.suffix.lower() != ".ipynb":
                return Entry(submission(File(main, root)), digest, notes)
            source, left_out = notebook.module(_text(main))
            name = re.sub(r"\W", "_", main.stem, flags=re.ASCII) + ".py"
            return Entry(submission(Source(source, name)), digest, (*notes, *left_out))
        except (BadArchive, notebook.NotANotebook, OSError) as error:
            reason = str(error)
            digest = hashlib.sha256(reason.encode("utf-8", "replace")).hexdigest()
            return Entry(submission(Source("")), digest, problem=reason)

    def _laid_out(self, handed: Handed) -> tuple[list[Path], Path | None]:
        """The files of code, and the folder that the code may see (None: the one file alone)."""
        folder = handed.folder
        if folder is None and len(handed.files) == 1 and not is_zip(handed.files[0][1]):
            return [handed.files[0][1]], None
        if folder is None:
            folder = self.new_folder()
            for name, path in handed.files:
                if is_zip(path):
                    _unzip(path, folder, LARGEST_UNPACKED)
                else:
                    shutil.copyfile(path, folder / Path(name).name)
        elif not any(map(is_code, _files(folder))) and (zips := [*filter(is_zip, _files(folder))]):
            folder = self.new_folder()
            for path in zips:
                _unzip(path, folder, LARGEST_UNPACKED)
        return [path for path in _files(folder) if is_code(path)], folder

    def _main(self, files: list[Path], root: Path | None) -> tuple[Path, tuple[str, ...]]:
        """The file to grade among a student's, and a note where there was a choice."""
        if len(files) == 1 or root is None:
            return files[0], ()
        ranked = sorted(files, key=self._rank, reverse=True)
        chosen = ranked[0]
        return chosen, (say("of {n} files, {name} was graded", n=len(files), name=chosen.relative_to(root)),)

    def _rank(self, path: Path) -> tuple[int, bool, int, bool]:
        try:
            text = _text(path)
            if path.suffix.lower() == ".ipynb":
                text, _ = notebook.module(text)
        except (BadArchive, notebook.NotANotebook, OSError):
            text = ""
        defined = set(_DEFINITION.findall(text))
        return len(defined & self.wanted), not _NOT_THE_ANSWER.match(path.stem), len(defined), path.suffix == CODE[0]


def _files(folder: Path) -> list[Path]:
    """The files below a folder that are somebody's work, sorted; a link to elsewhere is not."""
    found = []
    for path in sorted(folder.rglob("*")):
        if any(is_noise(part) for part in path.relative_to(folder).parts) or path.is_symlink() or not path.is_file():
            continue
        found.append(path)
        if len(found) > MOST_FILES:
            raise BadArchive(say("there are more than {most} files in it", most=MOST_FILES))
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST_CODE:
        raise BadArchive(say("{name} is larger than {most} MiB", name=path.name, most=LARGEST_CODE // MEBIBYTE))
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _digest(root: Path | None, main: Path) -> str:
    """A hash of all files that the code may see, with their names, and of which one is graded."""
    files = [main] if root is None else _files(root)
    total = hashlib.sha256(main.name.encode("utf-8", "surrogateescape"))
    for path in files:
        name = path.name if root is None else path.relative_to(root).as_posix()
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"\0{name}\0{content}".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _unzip(path: Path, folder: Path, limit: int | None) -> None:
    """Unpack into `folder`; raises BadArchive. (`extract` keeps every name inside it, and writes links as files.)"""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not any(map(is_noise, each.filename.split("/")))]
            if limit is not None and (len(members) > MOST_FILES or sum(each.file_size for each in members) > limit):
                raise BadArchive(say("it is larger than {most} MiB unpacked", most=limit // MEBIBYTE))
            for member in members:
                archive.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise BadArchive(say("{name} is not a zip that can be read ({error})", name=path.name, error=error)) from None
