"""The roster: who is in the class, by names, numbers and emails, from whatever table a platform or a person exports."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from opcheck.errors import Refused
from opcheck.files import shown
from opcheck.grading.submissions.exports import label, people
from opcheck.language import say

LARGEST = 16 << 20  # bytes of a roster
# What columns are called: by Moodle, Canvas and Gradescope, and by people; in order of preference.
_FIRST = ("first name", "firstname", "given name", "first", "vorname", "prénom", "nombre")
_LAST = ("last name", "lastname", "surname", "family name", "last", "nachname", "nom", "apellido(s)")
_NAME = ("full name", "name", "student", "student name", "vollständiger name")
_EMAIL = ("email address", "email", "e-mail", "e-mail address", "mail", "e-mail-adresse")
_NUMBER = ("sid", "student id", "studentid", "id number", "student number", "sis user id", "id", "matriculation number",
           "matrikelnummer", "id-nummer")  # fmt: skip
_ALSO = ("sis login id", "login", "login id", "username", "user name", "netid", "user", "identifier", "teilnehmer/in")
LATE_DAYS = ("late days", "days late", "latedays")
LATENESS = ("lateness (h:m:s)", "lateness")
HANDED_IN = ("submission time", "last modified (submission)", "submitted at", "submitted", "handed in", "timestamp",
             "submission date", "zuletzt geändert (abgabe)")  # fmt: skip


class Person(NamedTuple):
    """One line of the roster. `row` has every column as it was read, for files that go back to a platform."""

    identifier: str
    first: str
    last: str
    email: str
    row: Mapping[str, str]

    @property
    def label(self) -> str:
        """As results name a student: "Ada Lovelace (s1)"."""
        return label(f"{self.first} {self.last}".strip(), self.identifier or self.email)

    def cell(self, names: Sequence[str]) -> str:
        """The value of the first of these columns that the roster has."""
        return cell(self.row, names)


def cell(row: Mapping[str, str], names: Sequence[str]) -> str:
    known = {_header(name): name for name in row}
    return next((row[known[name]].strip() for name in names if name in known), "")


@dataclass
class People:
    """A roster, in which students are found by what their submissions are called."""

    everyone: list[Person]
    columns: tuple[str, ...] = ()
    _keys: dict[str, list[Person]] = field(default_factory=dict)
    _ids: dict[str, list[Person]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for person in self.everyone:
            for key in _ids(person):
                self._add(self._ids, key, person)
            for key in (*_ids(person), *_names(person)):
                self._add(self._keys, key, person)

    @staticmethod
    def _add(keys: dict[str, list[Person]], key: str, person: Person) -> None:
        if key and person not in keys.setdefault(key, []):
            keys[key].append(person)

    def of(self, student: str) -> tuple[Person, ...]:
        """The people behind the name of a submission, each once; whom the roster does not know is not among them."""
        found = [self._one(identifier, name) for identifier, name in people(student)]
        return tuple({id(each): each for each in found if each is not None}.values())

    def _one(self, identifier: str, name: str) -> Person | None:
        """By number or email, then by name, then by a number within the name of a file (hw1_s123)."""
        for keys, word in ((self._ids, identifier), (self._keys, name), (self._keys, identifier)):
            if len(several := keys.get(squeezed(word), [])) == 1:
                return several[0]
        words = [word for word in re.split(r"[\W_]+", identifier) if len(word) > 2]
        several = [person for word in words for person in self._ids.get(squeezed(word), [])]
        return several[0] if len(set(map(id, several))) == 1 else None


def squeezed(word: str) -> str:
    """A name without accents, punctuation and case: "Zoë Müller" and zoe_muller are the same."""
    plain = unicodedata.normalize("NFKD", word)
    return re.sub(r"[\W_]+", "", "".join(each for each in plain if not unicodedata.combining(each))).casefold()


def _ids(person: Person) -> Iterator[str]:
    for value in (person.identifier, person.email, *(person.cell((name,)) for name in (*_NUMBER, *_ALSO))):
        yield squeezed(value)
    if number := re.search(r"(\d+)$", person.cell(("identifier", "teilnehmer/in"))):  # Moodle: Participant 12345
        yield number[1]
    yield squeezed(person.email.partition("@")[0])


def _names(person: Person) -> Iterator[str]:
    yield squeezed(person.first + person.last)
    yield squeezed(person.last + person.first)


def read(path: Path) -> People:
    """The roster in a CSV file of any encoding and separator; raises Refused where it has no people."""
    try:
        data = path.read_bytes()[: LARGEST + 1]
    except OSError as error:
        raise Refused(say("cannot read the roster"), got=f"{shown(path)}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Refused(say("a roster is a table of at most {n} MiB", n=LARGEST >> 20), got=shown(path))
    columns, rows = table(_decoded(data))
    found = [each for each in map(_person, rows) if each is not None]
    if not found:
        raise Refused(
            say("{path} has no column of names, numbers or emails", path=shown(path)),
            got=", ".join(columns)[:200],
            fix=say("give a CSV file whose first line names its columns, such as name, id, email"),
        )
    return People(found, columns)


def _decoded(data: bytes) -> str:
    """What Excel and others write: UTF-8 with or without a mark, UTF-16, or the old code page of Windows."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def table(text: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns and the rows of a CSV text, whose separator is the most common one of its first line."""
    lines = text.splitlines(keepends=True)
    separator = ""
    if lines and (told := re.fullmatch(r"sep=(.)\s*", lines[0])):  # Excel's own first line
        separator, lines = told[1], lines[1:]
    first = lines[0] if lines else ""
    separator = separator or max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO("".join(lines)), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise Refused(say("this is not a CSV table"), got=str(error)) from None
    if not rows:
        return (), []
    columns = tuple(rows[0])
    return columns, [dict(zip(columns, [*row, *[""] * len(columns)], strict=False)) for row in rows[1:]]


def _person(row: Mapping[str, str]) -> Person | None:
    """The person in a row; none where it is no person's: Canvas' row of possible points, an empty one."""
    name = cell(row, _NAME)
    if "points possible" in name.lower():
        return None
    first, last = cell(row, _FIRST), cell(row, _LAST)
    if not (first or last) and name:
        before, comma, after = name.partition(",")
        first, last = (after.strip(), before.strip()) if comma else _split(name)
    email = cell(row, _EMAIL)
    numbers = [cell(row, (each,)) for each in _NUMBER]
    also = [cell(row, (each,)) for each in _ALSO]
    identifier = next(filter(None, [*numbers, *also]), "")
    return Person(identifier, first, last, email, row) if first or last or email or identifier else None


def _split(name: str) -> tuple[str, str]:
    first, _, last = name.rpartition(" ")
    return first, last


def _header(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip().casefold())
