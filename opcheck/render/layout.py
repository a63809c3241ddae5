"""Lays text out in the columns of a page: widths, line breaks, and blocks side by side."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

# patterns of the renderers are compiled when they are first used: most calculations need few of them
ESCAPES = "\x1b\\[[0-9;]*m"
AFTER_SIGNS = r"[^·*/,(=]*[·*/,(=]+|[^·*/,(=]+"
AFTER_UNDERSCORES = r"[^_]*_+|[^_]+"
GAP = "  "


def width(text: str) -> int:
    """How many terminal cells a text takes: combining marks and colours take none, wide characters two."""
    if "\x1b" in text:
        text = re.sub(ESCAPES, "", text)
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fill(text: str, room: int) -> str:
    """`text` padded with spaces."""
    return text + " " * (room - width(text))


def center(text: str, room: int) -> str:
    before = (room - width(text)) // 2
    return fill(" " * before + text, room)


def wrap(text: str, room: int, hanging: str = "") -> Iterator[str]:
    """`text` broken at spaces; a word that is wider than the page breaks after a sign, but a number never does."""
    words = [
        (k > 0 and not part, piece)  # whether a space precedes it, and the piece
        for k, word in enumerate(text.split(" "))
        for part, piece in enumerate(_pieces(word, room - width(hanging)))
    ]
    line = ""
    for k, (spaced, piece) in enumerate(words):
        joined = f"{line} {piece}" if spaced else line + piece
        if k and width(joined) > room and line.strip():
            yield line.rstrip()
            line = hanging + piece
        elif spaced and not piece and line == hanging and hanging:
            continue  # the second of two spaces, where the line broke at the first
        else:
            line = joined
    yield line


def _pieces(word: str, room: int) -> list[str]:
    """A word in the parts between which it may break, if it must: after signs, or else inside a long name."""
    if width(word) <= room:
        return [word]
    parts = re.findall(AFTER_SIGNS, word)
    shorter = ([part] if width(part) <= room else re.findall(AFTER_UNDERSCORES, part) for part in parts)
    return [piece for pieces in shorter for piece in pieces]


def longest_word(text: str) -> int:
    return max(map(width, text.split(" ")), default=0)


def beside(blocks: Sequence[Sequence[str]], gap: str) -> Iterator[str]:
    """Blocks of lines next to each other, their tops aligned."""
    rooms = [max(map(width, block), default=0) for block in blocks]
    for lines in zip_longest(*blocks, fillvalue=""):
        yield gap.join(fill(line, room) for line, room in zip(lines, rooms, strict=True)).rstrip()


def column_widths(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column of a table is: as wide as it needs, or else the widest ones narrower so that all fit.

    None where the longest words of the columns do not fit beside each other.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(width, column)) for column in columns]
    least = [widths[0], *(max(map(longest_word, column)) for column in columns[1:])]  # where a row begins must show
    too_wide = sum(widths) + len(GAP) * (len(widths) - 1) - room
    if too_wide > sum(widths) - sum(least):
        return None
    for _ in range(too_wide):
        loose = [k for k, each in enumerate(widths) if each > least[k]]
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def table_row(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    """One row of a table: its texts wrapped inside their columns."""
    wrapped = [list(wrap(text, room)) for text, room in zip(texts, widths, strict=True)]
    cells = [
        [" " * (room - width(line)) + line for line in lines] if to_the_right else [fill(line, room) for line in lines]
        for lines, room, to_the_right in zip(wrapped, widths, right, strict=True)
    ]
    yield from beside([lines or [" " * room] for lines, room in zip(cells, widths, strict=True)], GAP)
