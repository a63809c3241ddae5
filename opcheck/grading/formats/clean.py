"""Strings from students, made harmless for whatever shows them: their names, messages, and what they printed."""

import re

from opcheck.sandbox.protocol import printable

# What UTF-8 or XML cannot hold: halves of surrogate pairs, and U+FFFE and U+FFFF.
_NO_CHARACTERS = re.compile("[\ud800-\udfff\ufffe\uffff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CUT = "\n…"


def text(raw: str) -> str:
    """Text of any number of lines that commands no terminal, and that UTF-8 and XML can hold."""
    return _NO_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", printable(raw.replace("\r\n", "\n")))


def line(raw: str) -> str:
    """The same, on one line."""
    return " ".join(text(raw).split())


def cell(raw: str) -> str:
    """One line for a spreadsheet, which would compute what begins like a formula."""
    shown = line(raw)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def kept(raw: str) -> str:
    """A cell of a table that the teacher gave, as it was, if it is not a formula: "-" and "+49 30" are none."""
    return raw if re.fullmatch(r"[-+][\d\s.,:/%()-]*", raw) else cell(raw)


def shortened(raw: str, most: int) -> str:
    """`raw`, or its first `most` characters and a sign that there was more."""
    return raw if len(raw) <= most else raw[: max(most - len(CUT), 0)].rstrip() + CUT


def file_name(student: str) -> str:
    """A name that every file system takes: letters, digits, dot, dash and underscore, 60 characters at most.

    >>> file_name("../Ada Lovelace (s1)")
    'Ada-Lovelace-s1'
    """
    return re.sub(r"[^\w.]+", "-", line(student)).strip("-.")[:60].rstrip("-.") or "student"
