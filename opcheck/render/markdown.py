"""Steps as Markdown for a code host or a notebook: headings, tables, grids as they are in text, formulas in $$."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from opcheck.render import text
from opcheck.render.latex import aligned, in_rows
from opcheck.render.numbers import Style
from opcheck.render.tex import TeX
from opcheck.steps import Block, Formula, Grids, Number, Prose, Step, Table

SPECIAL = re.compile(r"([\\`*_\[\]<>|$~#])")


@dataclass(frozen=True)
class Options:
    """Digits after the point, or fractions. `width` is that of the grids, which are code blocks."""

    precision: int = 4
    fractions: bool = False
    width: int = 100

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


def render(step: Step, options: Options | None = None) -> str:
    """The document as Markdown."""
    writer = _Markdown(options or Options())
    return "\n\n".join([*_heading(step.title, 2), *writer.blocks(step.blocks, 3)])


class _Markdown:
    def __init__(self, options: Options) -> None:
        self.grids = text.Options(options.width, options.precision, options.fractions)
        self.notation = TeX(Style(options.precision, options.fractions))

    def blocks(self, blocks: tuple[Block, ...], level: int) -> Iterator[str]:
        for block in blocks:
            match block:
                case Prose(_, "hint"):
                    pass
                case Prose(words, "title"):
                    yield from _heading(words, level - 1)
                case Prose(words, "definition"):
                    yield f"$$\n{in_rows(words)}\n$$"
                case Prose(words, "code"):
                    yield f"```python\n{words}\n```"
                case Prose(words, kind):
                    yield f"*{escaped(words)}*" if kind == "note" else escaped(words)
                case Formula():
                    yield f"$$\n{aligned(self.notation, block)}\n$$"
                case Grids():
                    yield f"```text\n{text.render(Step('', (block,)), self.grids)}\n```"
                case Table():
                    yield from self.table(block, level)
                case Step(title, inner):
                    yield from _heading(title, level)
                    yield from self.blocks(inner, level + 1 if title else level)

    def table(self, table: Table, level: int) -> Iterator[str]:
        yield from _heading(table.title, level)
        rules = [
            "---:" if table.rows and all(isinstance(row[k], Number) for row in table.rows) else "---"
            for k in range(len(table.headers))
        ]
        rows = [
            [escaped(each) if isinstance(each, str) else f"${self.notation.write(each)}$" for each in row]
            for row in table.rows
        ]
        yield "\n".join("| " + " | ".join(row) + " |" for row in ([*map(escaped, table.headers)], rules, *rows))


def escaped(words: str) -> str:
    """A sentence in which nothing is markup."""
    return SPECIAL.sub(r"\\\1", words.replace("\u00a0", " "))


def _heading(title: str, level: int) -> Iterator[str]:
    if title:
        yield "#" * min(level, 6) + " " + escaped(" ".join(title.split()))
