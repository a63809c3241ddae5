"""A notebook's code cells as one module, as Jupyter would have run them: without its magics, broken cells left out."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# Cell magics that run the cell's Python; of any other (%%bash, %%writefile) the cell is not Python, or is not run.
_RUNS_PYTHON = {"capture", "prun", "time", "timeit"}
_TARGETS = re.compile(r"[\w.,\s]+")
MOST_COMMANDS = 200  # of one cell, those that follow each other counted once: each is found by reading the cell again
MOST_SKIPPED = 20  # cells of which it is told why they were left out
TEXT_LIMIT = 200


class NotANotebook(ValueError):
    """The text is no notebook with Python in it: `kind` says what is wrong, `text` what was found."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text[:TEXT_LIMIT]


class Skipped(NamedTuple):
    """A code cell that was left out: its number, why ("magic", "commands", "error"), the text and the line of that."""

    number: int
    why: str
    text: str = ""
    line: int = 0


class Module(NamedTuple):
    """The Python source of the cells, how many lines of commands became `pass`, and the cells that were left out.

    `starts` has the number of each cell that is in it, and the line before its first one.
    """

    text: str
    commands: int
    skipped: tuple[Skipped, ...]
    starts: tuple[tuple[int, int], ...] = ()

    def place(self, line: int) -> tuple[int, int]:
        """The cell in which a line of the text is, and its line there."""
        number, start = next(((n, start) for n, start in reversed(self.starts) if start < line), (0, 0))
        return number, line - start


def module(text: str) -> Module:
    """The code cells of a notebook, in the order of the page; raises NotANotebook.

    A magic becomes `pass`, so that what stands around it keeps its meaning; a cell that is no valid Python is left out,
    for it would not stop the other cells either.

    >>> module('{"cells": [{"cell_type": "code", "source": "%pylab\\\\ny = 1"}]}')
    Module(text='pass\\ny = 1\\n', commands=1, skipped=(), starts=((1, 0),))
    """
    cells: list[str] = []
    skipped: list[Skipped] = []
    commands = length = 0
    starts = []
    for number, source in enumerate(_code_cells(text), start=1):
        body, lines, problem = _python(source, number)
        commands += lines
        if problem:
            skipped += [problem] if len(skipped) < MOST_SKIPPED else []
        elif body:
            cells.append(body)
            starts.append((number, length))
            length += body.count("\n") + 2
    return Module("\n\n".join(cells) + "\n", commands, tuple(skipped), tuple(starts))


def _code_cells(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotANotebook("json", str(error)) from None
    cells = _cells(document)
    kernel = _at(_at(_at(document, "metadata"), "kernelspec"), "language")
    if isinstance(kernel, str) and kernel.lower() != "python":
        raise NotANotebook("language", kernel)
    for cell in cells:
        if _at(cell, "cell_type") == "code":
            source = _at(cell, "source") or _at(cell, "input") or ""  # "input" until format 3
            lines = source if isinstance(source, list) else [source]
            yield "".join(line for line in lines if isinstance(line, str))


def _cells(document: Any) -> Sequence[Any]:
    cells = _at(document, "cells")
    if cells is None:  # until format 3
        worksheets = _at(document, "worksheets")
        cells = _at(worksheets[0], "cells") if isinstance(worksheets, list) and worksheets else None
    if not isinstance(cells, list):
        raise NotANotebook("cells")
    return cells


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _python(cell: str, number: int) -> tuple[str, int, Skipped | None]:
    """A cell as Python, how many lines of commands were taken out, and why it is no Python (None if it is)."""
    lines = cell.splitlines()
    removed = 0
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%"):
        name = (first[2:].split() or [""])[0]
        if name not in _RUNS_PYTHON:
            return "", 0, Skipped(number, "magic", name[:TEXT_LIMIT])
        lines[lines.index(first)] = ""
        removed += 1
    for _ in range(MOST_COMMANDS + 1):
        try:
            ast.parse("\n".join(lines))
            return "\n".join(lines), removed, None
        except SyntaxError as error:
            # Only a line that Python refuses can be a magic: a % that begins a line may also go on with an expression.
            index = (error.lineno or 0) - 1
            if not 0 <= index < len(lines) or not _is_command(lines[index]):
                return "", removed, Skipped(number, "error", error.msg[:TEXT_LIMIT], index + 1)
            removed += _without_commands(lines, index)
        except (ValueError, RecursionError, MemoryError) as error:
            return "", removed, Skipped(number, "error", (str(error) or type(error).__name__)[:TEXT_LIMIT])
    return "", removed, Skipped(number, "commands")


def _without_commands(lines: list[str], index: int) -> int:
    """Put `pass` for the command in this line, and for those right behind it; returns how many they are.

    What begins with % or ! behind a whole statement is no more Python than the statement was.
    """
    first = index
    while index == first or (index < len(lines) and lines[index].lstrip()[:1] in ("%", "!")):
        indent = lines[index][: len(lines[index]) - len(lines[index].lstrip())]
        lines[index] = f"{indent}pass"
        index += 1
    return index - first


def _is_command(line: str) -> bool:
    """%matplotlib inline, !pip install, x?, files = !ls"""
    line = line.strip()
    target, equals, value = line.partition("=")
    assigned = equals and value.lstrip()[:1] in ("%", "!") and _TARGETS.fullmatch(target) is not None
    return line[:1] in ("%", "!", "?") or line.endswith("?") or bool(assigned)
