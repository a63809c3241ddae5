"""The lessons. Reads as little of them as possible: `opcheck explain` looks up its operator here."""

import re
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import NamedTuple

from opcheck.errors import Refused
from opcheck.language import say

reading: ContextVar[bool] = ContextVar("reading", default=False)  # whether somebody is in a lesson now
HERE = Path(__file__).parent
FILE = re.compile(r"(\d\d)-([a-z0-9-]+)\.md")
FRONT_MATTER = re.compile(r"\A---\n(?P<fields>(?:[a-z]+:.*\n)*)---\n\s*# (?:\d+\. )?(?P<title>.+)\n")


class Entry(NamedTuple):
    """A lesson on the shelf: its number, file, title and operators."""

    number: int
    path: Path
    title: str
    operators: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def directory() -> Path:
    """In an installed package lessons lie beside this file; in a checkout at its top."""
    installed = HERE / "lessons"
    return installed if installed.is_dir() else HERE.parents[1] / "lessons"


@cache
def every() -> tuple[Entry, ...]:
    """All lessons, in order."""
    paths = sorted(path for path in directory().glob("*.md") if FILE.fullmatch(path.name))
    return tuple(map(entry, paths))


def entry(path: Path) -> Entry:
    """The head of the lesson at `path`; raises ValueError if it has none, which no reader can fix."""
    number = FILE.fullmatch(path.name)
    with path.open(encoding="utf-8") as file:
        head = FRONT_MATTER.match(file.read(1000))
    if number is None or head is None:
        raise ValueError(f"{path}: a lesson is called NN-name.md and begins with front matter and a title")
    fields = dict(line.split(":", 1) for line in head["fields"].splitlines())
    operators = tuple(name.strip() for name in fields.get("operators", "").split(",") if name.strip())
    return Entry(int(number[1]), path, head["title"].strip(), operators)


def find(wanted: str) -> Entry:
    """The lesson with that number or name ("3", "03-linear", "linear"); raises Refused."""
    for each in every():
        if wanted.lstrip("0") == str(each.number) or wanted in (each.name, each.name[3:]):
            return each
    raise Refused(
        say("a lesson is given by its number or its name"),
        got=repr(wanted),
        fix=say("opcheck learn --list shows the {n} lessons", n=len(every())),
    )


def treating(operator: str) -> tuple[Entry, ...]:
    """The lessons that cover this operator, in order."""
    return tuple(each for each in every() if operator in each.operators)
