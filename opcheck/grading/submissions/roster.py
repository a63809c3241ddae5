"""Which code belongs to whom: files, folders, zips and learning platforms' exports become one list of submissions."""

import hashlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from opcheck.errors import Refused
from opcheck.files import shown
from opcheck.grading.submissions.exports import CODE, Handed, handed_in, is_code, is_zip
from opcheck.grading.submissions.locate import plain
from opcheck.grading.submissions.submission import Submission
from opcheck.grading.submissions.unpack import is_noise, unpack
from opcheck.language import say
from opcheck.sandbox import File, Source
from opcheck.sandbox.protocol import MESSAGE, NAME, one_line

MEBIBYTE = 1 << 20
LARGEST_UNPACKED = 256 * MEBIBYTE  # of a student's zips; what a teacher gives is taken as it is
LARGEST_FOLDER = 4096 * MEBIBYTE  # of a student's: with data that came with the homework
LARGEST_CODE = 16 * MEBIBYTE  # of one file of code: a notebook with its pictures
LARGEST_READ = 64 * MEBIBYTE  # of all of a student's files of code, to find the one that is graded
MOST_FILES = 5000  # in a student's zip or folder
MOST_NAMES = 10_000  # in one file of code
MOST_TOLD = 8  # files that a note names
MOST_LOADED = 50  # files of one submission
_DEFINITION = re.compile(r"^(?:(?:async\s+)?(?:def|class)\s+(\w+)|(\w+)\s*=(?!=))", re.MULTILINE)
_DEFINITION_IN_JSON = re.compile(r'(?:"|\\n)(?:(?:async +)?(?:def|class) +(\w+)|(\w+) *=(?!=))')  # a notebook's lines
_NOT_THE_ANSWER = re.compile(r"^(?:test_.*|.*_test|conftest|setup|__init__)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the roster. `problem` says why there is no code that can be graded; its path is the teacher's."""

    submission: Submission
    digest: str  # of all that the code may see: another digest, another submission
    notes: tuple[str, ...] = ()
    problem: str = ""


@contextmanager
def opened(
    paths: Iterable[Path],
    student: str = "",
    wanted: Sequence[str] = (),
    pinned: Sequence[str] = (),
    within: Path | None = None,
    teachers: Collection[Path] = (),
) -> Iterator[list[Entry]]:
    """The submissions at these paths, every student once; what is unpacked exists until the block ends.

    A path is a file (one student's), a folder or a zip of it: a file or folder per student, or an export of
    Gradescope, Moodle or Canvas. With `student`, all that is there is that one student's. `wanted` are the names
    that the assignment asks for; of a student with several files, all that define some of them are graded, and
    those that are `pinned` by the end of their path. `within` is the folder of one file, which may import what else
    is there. What is `teachers` is nobody's submission, and is in none, wherever it lies.
    Raises Refused if a path does not exist, or no submission is found.
    """
    with tempfile.TemporaryDirectory(prefix="opcheck-class-") as folder:
        desk = _Desk(Path(folder), wanted, pinned, teachers)
        given = [*map(Path, paths)]
        handed_in = _handed(desk, given, student) if within is None else [_one_of(within, given, student)]
        found = [desk.entry(handed, path) for path, handed in handed_in]
        if not found:
            raise Refused(
                say("there are no submissions"),
                got=", ".join(map(str, given)),
                fix=say("give .py or .ipynb files, a folder of them, or a zip or export of such a folder"),
            )
        yield _once_each(found)


def _one_of(folder: Path, paths: Sequence[Path], student: str) -> tuple[Path, Handed]:
    """One file, graded with its folder around it."""
    if not folder.is_dir():
        raise Refused(say("{path} is not a folder", path=one_line(shown(folder), NAME)))
    path, *others = [path.resolve() for path in paths]
    root = folder.resolve()
    if others or not (path.is_file() and is_code(path) and path.is_relative_to(root)):
        raise Refused(
            say("--within grades a single file"),
            got=one_line(", ".join(map(shown, paths)), MESSAGE),
            fix=say("name one .py or .ipynb file that is in {folder}", folder=one_line(shown(folder), NAME)),
        )
    return paths[0], Handed(student or path.stem, folder=root, main=path)


def _handed(desk: "_Desk", paths: Sequence[Path], student: str) -> Iterator[tuple[Path, Handed]]:
    """(the path to show, what was handed in) over all paths."""
    for path in paths:
        if not _exists(path):
            raise Refused(say("{path} does not exist", path=one_line(shown(path), NAME)))
        if path.resolve() in desk.teachers:
            raise Refused(
                say("{path} belongs to the assignment: no submission may see it", path=one_line(shown(path), NAME))
            )
        if not (path.is_dir() or path.is_file()):
            raise Refused(
                say("{path} is neither a file nor a folder", path=path), fix=say("give .py, .ipynb, .zip or a folder")
            )
        if student:
            yield (
                path,
                Handed(student, folder=path) if path.is_dir() else Handed(student, ((path.name, path.resolve()),)),
            )
        elif path.is_dir():
            for handed in handed_in(path):
                if not any(file.resolve() in desk.teachers for _, file in handed.files):
                    yield _shown(path, handed, path), handed
        elif is_zip(path):
            folder = desk.new_folder()
            try:
                _unzip(path, folder)
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


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


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
        raise Refused(say("{path} is given twice", path=one_line(doubled[0], MESSAGE)))
    return told


class BadArchive(Exception):
    """A zip that cannot or must not be unpacked; the message says why."""


class _Desk:
    """Turns what was handed in into submissions; has room to unpack."""

    def __init__(
        self, room: Path, wanted: Sequence[str], pinned: Sequence[str] = (), teachers: Collection[Path] = ()
    ) -> None:
        self.room, self.used, self.pinned, self.teachers = room, 0, pinned, teachers
        self.wanted = frozenset(plain(name.partition(".")[0]) for name in wanted)

    def new_folder(self) -> Path:
        self.used += 1
        folder = self.room / str(self.used)
        folder.mkdir()
        return folder

    def entry(self, handed: Handed, path: Path) -> Entry:
        def submission(code: File | Source) -> Submission:
            return Submission(handed.student, path, code)

        try:
            files, root = self._laid_out(self._without_answers(handed))
            if not files:
                raise BadArchive(say("there is no .py or .ipynb file in it"))
            (main, *others), notes = self._graded(files, root)
            digest = _digest(root, main)
            if main.suffix.lower() != ".ipynb" or root is not None:
                return Entry(submission(File(main, root, tuple(others))), digest, notes)
            name = re.sub(r"\W", "_", main.stem, flags=re.ASCII) + ".py"
            return Entry(submission(Source(_text(main), name, notebook=True)), digest, notes)
        except (BadArchive, OSError) as error:
            reason = one_line(str(error), MESSAGE)
            digest = hashlib.sha256(reason.encode()).hexdigest()
            return Entry(submission(Source("")), digest, problem=reason)

    def _laid_out(self, handed: Handed) -> tuple[list[Path], Path | None]:
        """The files of code, and the folder that the code may see (None: the one file alone)."""
        folder = handed.folder
        if handed.main is not None:
            return [handed.main], folder
        for name, path in handed.files:
            if not path.is_file():  # a FIFO or a device
                raise BadArchive(say("{name} is not a regular file", name=name))
        if folder is None and len(handed.files) == 1 and not is_zip(handed.files[0][1]):
            return [handed.files[0][1]], None
        if folder is None:
            folder = self._gathered(handed.files)
        elif not any(map(is_code, _files(folder))) and (zips := [*filter(is_zip, _files(folder))]):
            folder = self._gathered([(path.name, path) for path in zips])
        return [path for path in _files(folder) if is_code(path)], folder

    def _without_answers(self, handed: Handed) -> Handed:
        """The same, where a teacher's file lies in the student's folder: a copy of the folder without it."""
        if handed.folder is None:
            return handed
        root = handed.folder.resolve()
        inside = [path for path in self.teachers if path.is_relative_to(root)]
        if not inside:
            return handed
        apart = {path.parent for path in inside} - {root, *root.parents}  # a folder of the teacher's, with all it has
        folder = self.new_folder()
        for path in _files(root):
            if path.resolve() not in inside and not any(path.is_relative_to(each) for each in apart):
                copy = folder / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        main = None if handed.main is None else folder / handed.main.relative_to(root)
        return handed._replace(folder=folder, main=main)

    def _gathered(self, files: Iterable[tuple[str, Path]]) -> Path:
        """A folder with all of a student's files, and what is in the zips among them."""
        folder, left = self.new_folder(), LARGEST_UNPACKED
        for name, path in files:
            if is_zip(path):
                left -= _unzip(path, folder, max(left, 1))
            else:
                shutil.copyfile(path, folder / Path(name).name)
        return folder

    def _graded(self, files: list[Path], root: Path | None) -> tuple[list[Path], tuple[str, ...]]:
        """The files among a student's in which something is looked for, the likeliest first, and a note on the choice.

        The others are there to be imported: they may train a network when they are.
        """
        if len(files) == 1 or root is None:
            return files[:1], ()
        read = 0
        ranks = {}
        for path in files:
            size = path.stat().st_size
            looks = size <= min(LARGEST_CODE, LARGEST_READ - read)
            read += size if looks else 0
            ranks[path] = self._rank(path, looks)
        pinned = {path for path in files if is_pinned(path.relative_to(root).as_posix(), self.pinned)}
        first, *others = sorted(files, key=lambda path: (path in pinned, ranks[path]), reverse=True)
        wanted = [path for path in others if path in pinned or (ranks[path].wanted and ranks[path].answers)]
        chosen = [first, *wanted[: MOST_LOADED - 1]]
        names = [one_line(str(path.relative_to(root)), NAME) for path in chosen]
        if len(names) == 1:
            return chosen, (say("of {n} files, {name} was graded", n=len(files), name=names[0]),)
        shown = ", ".join(names[:MOST_TOLD]) + (", …" if len(names) > MOST_TOLD else "")
        return chosen, (say("of {n} files, these were graded: {names}", n=len(files), names=shown),)

    def _rank(self, path: Path, looks: bool) -> "_Rank":
        try:
            text = _text(path) if looks else ""
        except OSError:
            text = ""
        pattern = _DEFINITION_IN_JSON if path.suffix.lower() == ".ipynb" else _DEFINITION
        found = [*islice(pattern.finditer(text), MOST_NAMES)]
        defined = {each[1] for each in found if each[1]}
        wanted = {plain(each[1] or each[2]) for each in found} & self.wanted
        return _Rank(len(wanted), not _NOT_THE_ANSWER.match(path.stem), len(defined), path.suffix == CODE[0])


class _Rank(NamedTuple):
    """How likely a file is the one that is meant."""

    wanted: int  # names that the assignment asks for
    answers: bool  # it is not a test
    defined: int
    is_python: bool


def is_pinned(path: str, pinned: Iterable[str]) -> bool:
    """Whether a path within a submission ends as one of these does: hw1/mytorch/linear.py as mytorch/linear.py."""
    return any(f"/{path}".endswith(f"/{each.removeprefix('./').lstrip('/')}") for each in pinned)


def _files(folder: Path) -> list[Path]:
    """The files below a folder that are somebody's work, sorted; a link to elsewhere, a FIFO or a device is not."""
    found: list[Path] = []
    size = seen = 0
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if is_noise(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    found.append(Path(entry.path))
                    size += entry.stat(follow_symlinks=False).st_size
                if len(found) > MOST_FILES or seen > 20 * MOST_FILES:
                    raise BadArchive(say("there are more than {most} files in it", most=MOST_FILES))
    if size > LARGEST_FOLDER:
        raise BadArchive(say("it is larger than {most} MiB", most=LARGEST_FOLDER // MEBIBYTE))
    return sorted(found)


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


def _unzip(path: Path, folder: Path, most: int = 0) -> int:
    """Unpack into `folder` at most so many bytes (0: as many as there are); raises BadArchive, and gives the bytes."""
    told = unpack(path, folder, most, MOST_FILES)
    if told.get("problem") == "large":
        raise BadArchive(say("it is larger than {most} MiB unpacked", most=LARGEST_UNPACKED // MEBIBYTE))
    if "problem" in told:
        name, error = one_line(path.name, NAME), one_line(str(told["error"]), NAME)
        raise BadArchive(say("{name} is not a readable zip file ({error})", name=name, error=error))
    return int(str(told["bytes"]))
