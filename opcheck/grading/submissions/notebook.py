"""A notebook's code cells as one module, as Jupyter would have run them: without its magics, broken cells left out."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from opcheck.language import say

# %matplotlib inline, !pip install, x?, files = !ls
_MAGIC = re.compile(r"^\s*(?:[%!?]|[\w.,\s]+=\s*[%!]|.*\?\s*$)")
# Cell magics that run the cell's Python; of any other (%%bash, %%writefile) the cell is not Python, or is not run.
_RUNS_PYTHON = {"capture", "prun", "time", "timeit"}


class NotANotebook(ValueError):
    """The text is no notebook with Python in it; the message says why."""


def module(text: str) -> tuple[str, tuple[str, ...]]:
    """The Python source of a notebook's code cells, and notes for the teacher on what was left out.

    Cells are in the order of the page. A magic becomes `pass`, so that what stands around it keeps its meaning; a cell
    that is no valid Python is left out, for it would not stop the other cells either. Raises NotANotebook.

    >>> module('{"cells": [{"cell_type": "code", "source": "%pylab\\\\ny = 1"}]}')
    ('pass\\ny = 1\\n', ('1 line of notebook commands (% or !) was left out',))
    """
    cells: list[str] = []
    notes: list[str] = []
    removed = 0
    for number, source in enumerate(_code_cells(text), start=1):
        body, lines, problem = _python(source)
        removed += lines
        if problem:
            notes.append(say("code cell {number} was left out: {problem}", number=number, problem=problem))
        elif body:
            cells.append(body)
    if removed == 1:
        notes.insert(0, say("1 line of notebook commands (% or !) was left out"))
    elif removed:
        notes.insert(0, say("{lines} lines of notebook commands (% or !) were left out", lines=removed))
    return "\n\n".join(cells) + "\n", tuple(notes)


def _code_cells(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotANotebook(say("the notebook is not valid JSON ({error})", error=error)) from None
    cells = _cells(document)
    kernel = _at(_at(_at(document, "metadata"), "kernelspec"), "language")
    if isinstance(kernel, str) and kernel.lower() != "python":
        raise NotANotebook(say("the notebook's language is {language}, not Python", language=kernel))
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
        raise NotANotebook(say("the file is not a notebook: it has no list of cells"))
    return cells


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _python(cell: str) -> tuple[str, int, str]:
    """A cell as Python, how many lines of commands were taken out, and why it is no Python ("" if it is)."""
    lines = cell.splitlines()
    removed = 0
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%"):
        name = (first[2:].split() or [""])[0]
        if name not in _RUNS_PYTHON:
            return "", 0, say("its first line is %%{name}", name=name)
        lines[lines.index(first)] = ""
        removed += 1
    while True:
        try:
            ast.parse("\n".join(lines))
            return "\n".join(lines), removed, ""
        except SyntaxError as error:
            # Only a line that Python refuses can be a magic: a % that begins a line may also go on with an expression.
            index = (error.lineno or 0) - 1
            if not 0 <= index < len(lines) or not _MAGIC.match(lines[index]):
                return "", removed, say("{problem} (line {line} of the cell)", problem=error.msg, line=index + 1)
            indent = lines[index][: len(lines[index]) - len(lines[index].lstrip())]
            lines[index] = f"{indent}pass"
            removed += 1
        except (ValueError, RecursionError, MemoryError) as error:
            return "", removed, str(error) or type(error).__name__
