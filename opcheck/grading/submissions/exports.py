"""How submissions are laid out: an export of Gradescope, Moodle or Canvas, or a file or folder per student."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from opcheck.grading.submissions.unpack import is_noise
from opcheck.sandbox.protocol import NAME, one_line

CODE = (".py", ".ipynb")
METADATA = "submission_metadata.yml"
LONGEST_LINE = 10_000  # characters of its lines that are looked at
_MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_(?:\d+_)?assignsubmission_(?P<kind>file|onlinetext)_(?P<file>.*)$")
_CANVAS = re.compile(r"^(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d+|[A-Za-z0-9]{5})_(?P<attachment>\d+)_(?P<file>.+)$")
_AGAIN = re.compile(r"-\d+(?=\.[^.]+$)")  # Canvas: the second upload of hw.py is hw-1.py


class Handed(NamedTuple):
    """What one student handed in: files under the names that they had at home, or one folder, or one file of it."""

    student: str
    files: tuple[tuple[str, Path], ...] = ()
    folder: Path | None = None
    main: Path | None = None  # the only file of the folder that is graded


def is_code(path: Path) -> bool:
    return path.suffix.lower() in CODE


def is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in natural order (hw2 before hw10), without noise; a symbolic link is nobody's work."""
    found = [path for path in folder.iterdir() if not is_noise(path.name) and not path.is_symlink()]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    parts = re.findall(r"\d+|\D+", name)
    return tuple((int(part), "") if part.isdecimal() and len(part) < 19 else (-1, part.casefold()) for part in parts)


def handed_in(folder: Path) -> Iterator[Handed]:
    """Who handed in what, by the layout that the folder has."""
    inside = entries(folder)
    folders = [path for path in inside if path.is_dir()]
    if not (folder / METADATA).is_file() and len(folders) == 1 and (folders[0] / METADATA).is_file():
        folder, inside = folders[0], entries(folders[0])  # Gradescope's zip holds one folder
    if (folder / METADATA).is_file():
        return gradescope(folder)
    if any(_MOODLE.match(path.name) for path in inside):
        return moodle(inside)
    if any(path.is_file() and _CANVAS.match(path.name) for path in inside):
        return canvas(inside)
    return plain(inside)


def plain(inside: Iterable[Path]) -> Iterator[Handed]:
    """A file (also a zip) or a folder per student, named after the student."""
    for path in inside:
        if path.is_dir():
            yield Handed(path.name, folder=path)
        elif is_code(path) or is_zip(path):
            yield Handed(path.stem, ((path.name, path),))


def moodle(inside: Iterable[Path]) -> Iterator[Handed]:
    """Folders "Ada Lovelace_12345_assignsubmission_file_", or files whose names begin so."""
    matched = [(found, path) for path in inside if (found := _MOODLE.match(path.name)) and found["kind"] == "file"]
    for _, group in groupby(matched, key=lambda pair: (pair[0]["name"], pair[0]["id"])):
        pairs = list(group)
        found = pairs[0][0]
        folder = next((path for _, path in pairs if path.is_dir()), None)
        files = tuple((match["file"], path) for match, path in pairs if path.is_file())
        yield Handed(label(found["name"], found["id"]), () if folder else files, folder)


def canvas(inside: Iterable[Path]) -> Iterator[Handed]:
    """Files "lovelaceada_12345_67890_hw.py", perhaps with _LATE; a student's files have the first number in common."""
    matched = [(found, path) for path in inside if path.is_file() and (found := _CANVAS.match(path.name))]
    matched.sort(key=lambda pair: (natural(pair[0]["name"]), pair[0]["id"], int(pair[0]["attachment"])))
    for (name, number), group in groupby(matched, key=lambda pair: (pair[0]["name"], pair[0]["id"])):
        # the attachment with the highest number is the latest of its name
        yield Handed(label(name, number), tuple((_AGAIN.sub("", found["file"]), path) for found, path in group))


def gradescope(folder: Path) -> Iterator[Handed]:
    """Folders submission_N, whose students stand in submission_metadata.yml."""
    with (folder / METADATA).open(encoding="utf-8", errors="replace") as file:  # it holds all earlier results, too
        people = submitters(iter(lambda: file.readline(LONGEST_LINE), ""))
    for path in entries(folder):
        if path.is_dir():
            yield Handed(people.get(path.name, path.name), folder=path)


def submitters(lines: Iterable[str]) -> dict[str, str]:
    """Folder -> student, of a Gradescope export's metadata: the few lines of that YAML that name people.

    >>> submitters(["submission_7:", "  :submitters:", "  - :name: Ada", "    :sid: 's1'", "  :score: 1.0"])
    {'submission_7': 'Ada (s1)'}
    """
    found: dict[str, list[dict[str, str]]] = {}
    group: list[dict[str, str]] = []
    among = False
    for line in map(str.rstrip, lines):
        if start := re.match(r"^['\"]?([\w.-]+)['\"]?:$", line):
            group = found.setdefault(start[1], [])
            among = False
        elif re.match(r"^  ['\"]?:?submitters['\"]?:", line):
            among = True
        elif re.match(r"^  [^\s-]", line):
            among = False
        elif among and (entry := re.match(r"^\s+(-\s+)?:?(name|sid|email):(.*)$", line)):
            if entry[1] or not group:
                group.append({})
            group[-1][entry[2]] = one_line(_scalar(entry[3].strip()), NAME)
    return {
        folder: " + ".join(label(who.get("name", ""), who.get("sid") or who.get("email", "")) for who in people)
        for folder, people in found.items()
        if people
    }


def _scalar(text: str) -> str:
    """A YAML scalar on one line: plain or quoted."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return "" if text in ("null", "~") else text


def label(name: str, identifier: str) -> str:
    """The one string that stands for a student: "Ada Lovelace (s1)"."""
    return f"{name} ({identifier})" if name and identifier else name or identifier


def people(student: str) -> list[tuple[str, str]]:
    """(identifier, name) of each person behind a label; the name is "" where the label is just an identifier.

    >>> people("Ada Lovelace (s1) + Bob (s2)"), people("ada")
    ([('s1', 'Ada Lovelace'), ('s2', 'Bob')], [('ada', '')])
    """
    found = []
    for part in student.split(" + "):
        match = re.match(r"^(.+) \(([^()]+)\)$", part)
        found.append((match[2], match[1]) if match else (part, ""))
    return found
