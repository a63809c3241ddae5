"""Steps as text for a terminal, a pipe or a screen reader. Nothing is truncated: what does not fit is stacked."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

from opcheck.language import say
from opcheck.render.formulas import Formulas
from opcheck.render.layout import GAP, beside, column_widths, table_row, width, wrap
from opcheck.render.names import FEW, clauses
from opcheck.render.numbers import Style
from opcheck.render.signs import AsciiSigns, Signs, Words, in_words, to_ascii
from opcheck.steps import Block, Cell, Formula, Grid, Grids, Number, Prose, Step, Table

INDENT = "  "
TABLE_GAP = " " * 4
PAINT = {"title": "1", "definition": "36", "note": "2", "hint": "2", "verdict": "1", "mark": "1;33"}


class Options(NamedTuple):
    """How wide the page is and which signs it may use. `interactive`: a person can follow a hint."""

    width: int = 80
    precision: int = 4
    fractions: bool = False
    ascii: bool = False
    plain: bool = False
    interactive: bool = True
    color: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        return cls(**{name: options[name] for name in cls._fields if name in options})

    @property
    def notation(self) -> Signs:
        kind = Words if self.plain else AsciiSigns if self.ascii else Signs
        return kind(Style(self.precision, self.fractions))


DEFAULT_OPTIONS = Options()


def render(step: Step, options: Options = DEFAULT_OPTIONS) -> str:
    """The whole document as text."""
    page = _Page(options)
    lines = [*page.heading(step.title), *page.blocks(step.blocks)]
    return "\n".join(line.rstrip() for line in lines).strip("\n").replace("\u00a0", " ")


class _Page:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.notation = options.notation

    def paint(self, text: str, kind: str) -> str:
        """Colour only repeats what position and brackets say."""
        return f"\x1b[{PAINT[kind]}m{text}\x1b[0m" if self.options.color and kind in PAINT else text

    def prose(self, text: str) -> str:
        """A sentence in the signs that this page may use."""
        if self.options.plain:
            text = in_words(text)
        return to_ascii(text) if self.options.ascii or self.options.plain else text

    def heading(self, title: str, indent: str = "") -> list[str]:
        room = self.options.width - len(indent)
        return [indent + self.paint(line, "title") for line in wrap(self.prose(title), room, INDENT)] if title else []

    def blocks(self, blocks: tuple[Block, ...], indent: str = "") -> Iterator[str]:
        """The blocks with an empty line between them, except between sentences, formulas and one-line steps."""
        previous: Block | None = None
        before = 0
        shelf: list[list[str]] = []
        for block, following in zip_longest(blocks, blocks[1:]):
            if isinstance(block, Prose) and block.kind == "hint" and not self.options.interactive:
                continue
            lines = list(self.block(block, indent))
            if isinstance(block, Table) and not self.options.plain:
                shelf.append(lines)
                if isinstance(following, Table):
                    continue
                lines, shelf = list(self.shelves(shelf)), []
            alike = type(block) is type(previous) and isinstance(block, Prose | Formula | Step)
            if not alike or (isinstance(block, Step) and not before == len(lines) == 1):
                yield ""
            yield from lines
            previous, before = block, len(lines)

    def shelves(self, tables: Sequence[list[str]]) -> Iterator[str]:
        """Tables side by side, as many as the page has room for."""
        shelf: list[list[str]] = []
        for lines in tables:
            if shelf and sum(max(map(width, each)) + len(TABLE_GAP) for each in (*shelf, lines)) > self.options.width:
                yield from beside(shelf, TABLE_GAP)
                yield ""
                shelf = []
            shelf.append(lines)
        yield from beside(shelf, TABLE_GAP)

    def block(self, block: Block, indent: str) -> Iterator[str]:
        match block:
            case Prose(text, "code"):
                yield from (indent + self.paint(line, "definition") for line in text.splitlines())
            case Prose(text, "definition"):
                for line in self.definition(text, self.options.width - len(indent)):
                    yield indent + self.paint(line, "definition")
            case Prose(text, kind):
                hanging = INDENT * 2 if kind in ("title", "quoted") else ""
                for line in wrap(self.prose(text), self.options.width - len(indent), hanging):
                    yield indent + self.paint(line, kind)
            case Formula():
                yield from Formulas(self.notation, self.options.width, self.options.plain).lines(block, indent)
            case Grids(grids):
                yield from self.spoken(grids) if self.options.plain else self.drawn(grids, indent + INDENT)
            case Table():
                yield from self.table(block, indent)
            case Step():
                yield from self.step(block, indent)

    def definition(self, text: str, room: int) -> Iterator[str]:
        """A definition, which breaks between its clauses if it can: many of them stand one below the other."""
        if width(self.prose(text)) <= room:
            yield self.prose(text)
            return
        rows: list[str] = []
        parts, gap = clauses(text), "   "
        for part in parts:
            joined = f"{rows[-1]}{gap}{self.prose(part)}" if rows else self.prose(part)
            fits = len(parts) <= FEW and width(joined) <= (room - len(INDENT * 2) if len(rows) > 1 else room)
            rows = [*rows[:-1], joined] if fits else [*rows, self.prose(part)]
            gap = " " if part.startswith("with ") else gap  # behind it stands what it explains
        for k, row in enumerate(rows):
            yield from wrap((INDENT * 2 if k else "") + row, room, INDENT * (4 if k else 2))

    def step(self, step: Step, indent: str) -> Iterator[str]:
        """The blocks under the title, or behind it if they are one short line."""
        inner = INDENT if step.blocks and isinstance(step.blocks[0], Formula) else ""
        lines = list(self.blocks(step.blocks, indent + inner))[1:]
        if len(lines) == 1 and step.title:
            behind = f"{indent}{self.paint(self.prose(step.title), 'title')}  {lines[0].strip()}"
            if width(behind) <= self.options.width:
                yield behind
                return
        yield from self.heading(step.title, indent)
        if step.title and lines and not inner:
            yield ""
        yield from lines

    # --- grids and tables ---------------------------------------------------------------------------------------

    def drawn(self, grids: tuple[Grid, ...], indent: str) -> Iterator[str]:
        """Grids side by side, as many as fit, slices of one array together; brackets mark what is read."""
        gap = " " * 4
        room = self.options.width - len(indent)

        def fits(shelf: list[list[str]]) -> bool:
            return sum(max(map(width, lines)) for lines in shelf) + len(gap) * (len(shelf) - 1) <= room

        shelf: list[list[str]] = []
        for _, slices in groupby(grids, key=lambda grid: grid.title.partition("[")[0]):
            parts = [lines for grid in slices for lines in self.grid(grid, room)]
            together = fits(parts)
            for k, lines in enumerate(parts):
                if shelf and not fits([*shelf, *(parts[k:] if together and k == 0 else [lines])]):
                    yield from (indent + line for line in beside(shelf, gap))
                    yield ""
                    shelf = []
                shelf.append(lines)
        yield from (indent + line for line in beside(shelf, gap))

    def grid(self, grid: Grid, room: int) -> Iterator[list[str]]:
        """A grid as lines, or as several parts where it is wider than the page."""
        shown = [[self.entry(cell) for cell in row] for row in grid.rows]
        across = max((width(text) for row in shown for text in row), default=1) + 2
        columns = max(map(len, shown), default=0)
        most = max(1, room // across)
        for first in range(0, max(columns, 1), most):
            title = grid.title if first == 0 else say("{title} (continued)", title=grid.title)
            lines = [" " + line for line in wrap(self.prose(title), max(room - 1, 1))]
            for cells, texts in zip(grid.rows, shown, strict=True):
                part = zip(cells[first : first + most], texts[first : first + most], strict=True)
                lines.append("".join(self.framed(cell, text, across) for cell, text in part))
            yield lines

    def entry(self, cell: Cell) -> str:
        if cell.padding:
            return "." if self.options.ascii else "·"
        if cell.value is None:
            return "..." if self.options.ascii else "…"
        return self.notation.write(cell.value)

    def framed(self, cell: Cell, text: str, across: int) -> str:
        text = " " * (across - 2 - width(text)) + text
        return self.paint(f"[{text}]", "mark") if cell.marked else f" {text} "

    def spoken(self, grids: tuple[Grid, ...]) -> Iterator[str]:
        """Grids in words, row by row."""
        for k, grid in enumerate(grids):
            if k:
                yield ""
            yield from wrap(self.prose(say("{title}:", title=grid.title)), self.options.width, INDENT)
            for number, row in enumerate(grid.rows):
                cells = ", ".join(map(self.spoken_entry, row))
                yield from wrap(say("row {k}: {cells}", k=number, cells=cells), self.options.width, INDENT)

    def spoken_entry(self, cell: Cell) -> str:
        text = say("padding") if cell.padding else "..." if cell.value is None else self.entry(cell)
        return say("{number} (marked)", number=text) if cell.marked else text

    def table(self, table: Table, indent: str) -> Iterator[str]:
        """Columns as wide as they need, the widest ones wrapped; one entry per line where the page is too narrow."""
        yield from self.heading(table.title, indent)
        headers = [self.prose(header) for header in table.headers]
        rows = [
            [self.prose(each) if isinstance(each, str) else self.notation.write(each) for each in row]
            for row in table.rows
        ]
        widths = None if self.options.plain else column_widths([headers, *rows], self.options.width - len(indent))
        if widths is None:
            yield from self.stacked(headers, rows)
            return
        right = [_numeric(table.rows, k) for k in range(len(headers))]
        lines = [*table_row(headers, widths, right), GAP.join("-─"[not self.options.ascii] * each for each in widths)]
        for row in rows:
            lines += table_row(row, widths, right)
        yield from (indent + line for line in lines)

    def stacked(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
        """Each row as a paragraph: what it is about, then `header: entry` a line."""
        for k, row in enumerate(rows):
            if k and len(row) > 1:
                yield ""
            for column, (header, text) in enumerate(zip(headers, row, strict=True)):
                if text:
                    label = f"{header}: " if header else ""
                    yield from wrap((INDENT if column else "") + label + text, self.options.width, INDENT * 2)


def _numeric(rows: Sequence[Sequence[object]], column: int) -> bool:
    """Whether a column holds numbers only, which then stand to the right."""
    return bool(rows) and all(isinstance(row[column], Number) for row in rows)
