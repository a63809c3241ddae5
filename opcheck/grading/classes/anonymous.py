"""Anonymous results: students become numbers, and the teacher keeps a file that maps them back."""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opcheck import files
from opcheck.errors import Refused
from opcheck.grading.classes import people
from opcheck.grading.formats.csv import table
from opcheck.grading.formats.json import decoded, encoded
from opcheck.grading.results import Result
from opcheck.grading.submissions import exports
from opcheck.language import say

COLUMNS = ("number", "student")
SHORTEST = 3  # letters of a name that is taken out of a sentence


def numbers(key: Path, students: Iterable[str]) -> dict[str, str]:
    """What each student is called. A key that is there already is kept to, and gets the new students."""
    known = _read(key) if key.exists() else {}
    taken = set(known.values())
    missing = [student for student in dict.fromkeys(students) if student not in known]
    digits = len(str(10 * (len(known) + len(missing))))
    free = [each for each in range(1, 10 * (len(known) + len(missing)) + 1) if _name(each, digits) not in taken]
    for student, number in zip(missing, secrets.SystemRandom().sample(free, len(missing)), strict=True):
        known[student] = _name(number, digits)
    files.write(key, table([COLUMNS, *((number, student) for student, number in known.items())]))
    return known


def _name(number: int, digits: int) -> str:
    return say("student {number}", number=f"{number:0{digits}}")


def _read(key: Path) -> dict[str, str]:
    columns, rows = people.table(key.read_text(encoding="utf-8-sig", errors="replace"))
    if columns != COLUMNS:
        raise Refused(say("{path} is not a list of numbers and students", path=files.shown(key)),
                      fix=say("name a new file, for the list of who is who"))  # fmt: skip
    return {row["student"]: row["number"] for row in rows}


def anonymous(result: Result, number: str) -> Result:
    """The result of that number: without its name, its path, and its owner's names in what was said."""
    hidden = _hidden(result)
    document = encoded(result)
    document["notes"] = [_without(each, hidden, number) for each in document["notes"]]
    for check in document["checks"]:
        check["message"] = _without(check["message"], hidden, number)
        check["detail"] = _without(check["detail"], hidden, number)
    return replace(decoded(document), student=number, path="")


def _hidden(result: Result) -> re.Pattern[str] | None:
    """Whatever names the student: number, email, each name, and what the file is called."""
    words = {result.student, result.path, Path(result.path).name, Path(result.path).stem}
    for identifier, name in exports.people(result.student):
        words |= {identifier, name, *re.split(r"[\W_]+", name), *re.split(r"[\W_]+", identifier)}
    for each in result.people:
        words |= {each.identifier, each.first, each.last, each.email, *each.row.values()}
    longest = sorted((word for word in words if len(word) >= SHORTEST), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)") if longest else None


def _without(value: Any, hidden: re.Pattern[str] | None, number: str) -> Any:
    """The same with every text rid of what is hidden; numbers of a calculation, which are texts, too, stay."""
    if isinstance(value, str) and hidden is not None and not re.fullmatch(r"[-+\d./e]*", value):
        return hidden.sub(number, value)
    if isinstance(value, list):
        return [_without(each, hidden, number) for each in value]
    if isinstance(value, Mapping):
        return {key: each if key in ("schema", "kind", "role", "op") else _without(each, hidden, number)
                for key, each in value.items()}  # fmt: skip
    return value
