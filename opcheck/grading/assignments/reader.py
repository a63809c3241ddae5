"""Reads a TOML table field by field; errors name the file, the line and the field."""

from collections.abc import Sequence
from typing import Any

from opcheck.errors import Refused
from opcheck.grading.assignments.toml_lines import Path, line_of, lines
from opcheck.language import say


class Reader:
    """A table of an assignment file. `finish` refuses the fields that nobody asked for."""

    def __init__(self, data: dict[str, Any], file: str, text: str = "", path: Path = (),
                 known: dict[Path, int] | None = None) -> None:  # fmt: skip
        self._data, self._file, self._path = data, file, path
        self._known = lines(text) if known is None else known
        self._asked: set[str] = set()

    def refuse(self, field: str, rule: str, got: str = "", fix: str = "") -> Refused:
        """The error about one field, to be raised."""
        path = (*self._path, field)
        where = ".".join(str(part) for part in path if isinstance(part, str))
        line = line_of(path, self._known)
        return Refused(say("{file}, line {line}, {field}: {rule}", file=self._file, line=line, field=where, rule=rule),
                       got=got, fix=fix)  # fmt: skip

    def has(self, field: str) -> bool:
        self._asked.add(field)
        return field in self._data

    def text(self, field: str, default: str | None = None) -> str:
        return str(self._value(field, str, say("must be a string in quotes"), default))

    def word(self, field: str, allowed: Sequence[str], default: str) -> str:
        found = self.text(field, default)
        if found not in allowed:
            raise self.refuse(field, say("must be one of {words}", words=", ".join(allowed)), repr(found))
        return found

    def flag(self, field: str, default: bool) -> bool:
        return bool(self._value(field, bool, say("must be true or false"), default))

    def positive(self, field: str, default: float | None = None) -> float:
        found = self._value(field, (int, float), say("must be a number above 0"), default)
        if isinstance(found, bool) or not 0 < found < float("inf"):
            raise self.refuse(field, say("must be a number above 0"), repr(found))
        return float(found)

    def number(self, field: str, default: float) -> float:
        found = self._value(field, (int, float), say("must be a number, at least 0"), default)
        if isinstance(found, bool) or not 0 <= found < float("inf"):
            raise self.refuse(field, say("must be a number, at least 0"), repr(found))
        return float(found)

    def value(self, field: str) -> Any:
        """Whatever is there."""
        return self._data.get(field)

    def seed(self, field: str) -> int | None:
        """A whole number, or "fresh" for None."""
        found = self._value(field, (str, int), say('must be "fresh" or a whole number'), "fresh")
        if found == "fresh":
            return None
        if isinstance(found, (str, bool)) or not 0 <= found < 2**63:
            raise self.refuse(field, say('must be "fresh" or a whole number'), repr(found))
        return int(found)

    def values(self, field: str) -> list[Any]:
        found: list[Any] = self._value(field, list, say("must be a list [...]"), [])
        if field in self._data and not found:
            raise self.refuse(field, say("must have at least one value"), "[]")
        return found

    def texts(self, field: str) -> list[str]:
        found: list[Any] = self._value(field, list, say("must be a list of strings"), [])
        for each in found:
            if not isinstance(each, str):
                raise self.refuse(field, say("must be a list of strings"), repr(each))
        return found

    def table(self, field: str) -> "Reader":
        found = self._value(field, dict, say("must be a table"), {})
        return Reader(found, self._file, path=(*self._path, field), known=self._known)

    def tables(self, field: str) -> "list[Reader]":
        found = self._value(field, list, say("must be written as [[{field}]]", field=field), [])
        for each in found:
            if not isinstance(each, dict):
                raise self.refuse(field, say("must be written as [[{field}]]", field=field), repr(each))
        return [
            Reader(each, self._file, path=(*self._path, field, k), known=self._known) for k, each in enumerate(found)
        ]

    def finish(self, allowed: str = "") -> None:
        """Refuse fields that were not asked for."""
        for field in self._data:
            if field not in self._asked:
                fix = allowed or say("the fields here are {names}", names=", ".join(sorted(self._asked)))
                raise self.refuse(field, say("there is no such field"), fix=fix)

    def _value(self, field: str, kinds: Any, rule: str, default: Any) -> Any:
        self._asked.add(field)
        if field not in self._data:
            if default is None:
                raise self.refuse(field, say("is missing"))
            return default
        found = self._data[field]
        if not isinstance(found, kinds):
            raise self.refuse(field, rule, repr(found))
        return found
