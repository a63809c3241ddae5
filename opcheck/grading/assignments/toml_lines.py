"""The line of each key in a TOML file, for messages: tomllib does not report lines."""

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]

_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_ARRAY = re.compile(r"^\s*\[\[([^\[\]]+)\]\]\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_WORD = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def lines(text: str) -> dict[Path, int]:
    """The line of every table and key: ("question", 0, "points", "forward") -> 12.

    >>> lines("a = 1\\n[[question]]\\nname = 'x'")
    {('a',): 1, ('question', 0): 2, ('question', 0, 'name'): 3}
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    here: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _ARRAY.match(line):
            name = _resolved(_words(match[1]), counts)
            counts[name] = counts.get(name, -1) + 1
            here = (*name, counts[name])
            found[here] = number
        elif match := _TABLE.match(line):
            here = _resolved(_words(match[1]), counts)
            found[here] = number
        elif match := _KEY.match(line):
            found.setdefault((*here, *_words(match[1])), number)
    return found


def line_of(path: Sequence[str | int], known: dict[Path, int]) -> int:
    """The line of a key, or of the nearest table around it; 1 if there is none."""
    for size in range(len(path), 0, -1):
        if tuple(path[:size]) in known:
            return known[tuple(path[:size])]
    return 1


def _words(dotted: str) -> Path:
    return tuple(word.strip("\"'") for word in _WORD.findall(dotted))


def _resolved(words: Path, counts: dict[Path, int]) -> Path:
    """A table's name with the number of the element that it belongs to: question.points -> question, 0, points."""
    path: Path = ()
    for k, word in enumerate(words):
        path = (*path, word)
        if path in counts and k + 1 < len(words):
            path = (*path, counts[path])
    return path
