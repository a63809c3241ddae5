"""Steps as text for a terminal, a pipe or a screen reader. Nothing is truncated: what does not fit is stacked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from opcheck.language import say
from opcheck.render.notation import Notation, to_ascii, width
from opcheck.render.numbers import Style
from opcheck.steps import Block, Expression, Formula, Grid, Grids, Number, Prose, Step, Table

INDENT = "  "
PAINT = {"title": "1", "definition": "36", "note": "2", "hint": "2", "mark": "1;33"}


@dataclass(frozen=True)
class Options:
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
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})

    @property
    def notation(self) -> Notation:
        only_ascii = self.ascii or self.plain
        return Notation(Style(self.precision, self.fractions, only_ascii), only_ascii, self.plain)


def render(step: Step, options: Options = Options()) -> str:
    """The whole document as text."""
    page = _Page(options)
    lines = [*page.heading(step.title), *page.blocks(step.blocks)]
    text = "\n".join(line.rstrip() for line in lines).strip("\n").replace("\u00a0", " ")
    return to_ascii(text) if options.ascii or options.plain else text


class _Page:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.notation = options.notation

    def paint(self, text: str, kind: str) -> str:
        """Colour only repeats what position and brackets say."""
        return f"\x1b[{PAINT[kind]}m{text}\x1b[0m" if self.options.color and kind in PAINT else text

    def heading(self, title: str) -> list[str]:
        lines = wrap(title, self.options.width, INDENT * 2) if title else ()
        return [self.paint(line, "title") for line in lines]

    def blocks(self, blocks: tuple[Block, ...], indent: str = "") -> Iterator[str]:
        previous: Block | None = None
        for block in blocks:
            if isinstance(block, Prose) and block.kind == "hint" and not self.options.interactive:
                continue
            together = isinstance(block, Step) and isinstance(previous, Step) and _brief(block)
            same = isinstance(block, Prose | Formula) and type(block) is type(previous)
            if not (together or same):
                yield ""
            yield from self.block(block, indent)
            previous = block

    def block(self, block: Block, indent: str) -> Iterator[str]:
        match block:
            case Prose(text, kind):
                hanging = INDENT * 2 if kind == "title" else ""
                for line in wrap(text, self.options.width - len(indent), hanging):
                    yield indent + self.paint(line, kind)
            case Formula():
                yield from self.formula(block, indent)
            case Grids(grids):
                yield from self.spoken(grids) if self.options.plain else self.drawn(grids, indent)
            case Table():
                yield from self.table(block)
            case Step(title, inner):
                if _brief(block):
                    yield from self.formula(inner[0], f"{self.paint(title, 'title')}  " if title else INDENT)
                    for each in inner[1:]:
                        yield from self.block(each, " " * (width(title) + 2) if title else INDENT)
                elif inner and isinstance(inner[0], Formula):
                    yield from self.heading(title)
                    for each in inner:
                        yield from self.block(each, INDENT)
                else:
                    yield from self.heading(title)
                    yield from self.blocks(inner, indent)

    # --- formulas -----------------------------------------------------------------------------------------------

    def formula(self, formula: Formula, head: str) -> Iterator[str]:
        """`head left = right`, on one line if brief and short, else one right side a line with the = aligned."""
        left = self.notation.write(formula.left)
        chain = [(self.notation.relation(right), right) for right in formula.rights]
        inline = head + left + "".join(f" {sign} {self.notation.write(right)}" for sign, right in chain)
        if self.options.plain or ((formula.brief or len(chain) <= 2) and width(inline) <= self.options.width):
            yield from wrap(inline, self.options.width, INDENT * 2)
            return
        margin = width(head + left) + 1
        if margin > self.options.width // 3:  # a long left side has a line of its own
            yield head + left
            margin, first = 6, " " * 6
        else:
            first = f"{head}{left} "
        sign_width = max(width(sign) for sign, _ in chain)
        room = self.options.width - margin - sign_width - 1
        columns = self.columns([right for _, right in chain], room)
        *_, (sign, last) = chain
        if len(chain) > 1 and not self.lines_up(formula.rights, room) and isinstance(last, Number):
            short = (
                f"{columns[-2][-1]} {sign} {columns[-1][0]}"  # the result stands at the end of what it is the result of
            )
            if width(short) <= room:
                columns[-2][-1] = short
                columns, chain = columns[:-1], chain[:-1]
        for (sign, _), lines in zip(chain, columns, strict=True):
            start = (first if first.strip() else " " * margin) + sign.ljust(sign_width) + " "
            first = " " * margin
            for line in lines:
                yield start + line
                start = " " * (margin + sign_width + 1)

    def columns(self, rights: list[Expression], room: int) -> list[list[str]]:
        """Each right side as lines; the terms of sums with equally many terms stand under each other."""
        terms = [self.notation.terms(right) for right in rights]
        count = max(map(len, terms))
        shared = [row for row in terms if len(row) == count > 1]
        widths = [max(width(row[k][1]) for row in shared) for k in range(count)] if shared else []
        aligned = self.lines_up(tuple(rights), room)
        leading = any(row[0][0] == "−" for row in shared)
        result = []
        for right, row in zip(rights, terms, strict=True):
            if len(row) == count and aligned:
                result.append([self._aligned(row, widths, leading)])
            else:
                result.append(self._filled(right, row, room))
        return result

    def lines_up(self, rights: tuple[Expression, ...], room: int) -> bool:
        """Whether several right sides are sums of as many terms, and fit term under term."""
        terms = [self.notation.terms(right) for right in rights]
        count = max(map(len, terms))
        shared = [row for row in terms if len(row) == count > 1]
        widths = [max(width(row[k][1]) for row in shared) for k in range(count)] if shared else []
        return len(shared) > 1 and sum(widths) + 3 * count - 2 <= room

    def _aligned(self, row: list[tuple[str, str]], widths: list[int], leading: bool) -> str:
        parts = []
        for k, ((sign, text), room) in enumerate(zip(row, widths, strict=True)):
            free = room - width(text)
            shown = " " * (free // 2) + text + " " * (free - free // 2)
            mark = self.notation.sign(sign)
            parts.append((mark if sign == "−" else " " * leading) + shown if k == 0 else f"{mark} {shown}")
        return " ".join(parts)

    def _filled(self, right: Expression, row: list[tuple[str, str]], room: int) -> list[str]:
        """As many terms a line as fit."""
        whole = self.notation.write(right)
        if width(whole) <= room or len(row) == 1:
            return [whole]
        lines, line = [], ""
        for k, (sign, text) in enumerate(row):
            mark = self.notation.sign(sign)
            piece = (mark if sign == "−" else "") + text if k == 0 else f"{mark} {text}"
            if line and width(line) + 1 + width(piece) > room:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
        return [*lines, line]

    # --- grids and tables ---------------------------------------------------------------------------------------

    def drawn(self, grids: tuple[Grid, ...], indent: str) -> Iterator[str]:
        """Grids side by side, as many as fit; brackets mark what is read, a dot is padding."""
        shelf: list[list[str]] = []
        for grid in grids:
            lines = self.grid(grid)
            if shelf and sum(width(each[0]) + 4 for each in shelf) + width(lines[0]) + 2 > self.options.width:
                yield from _beside(shelf, indent + INDENT)
                yield ""
                shelf = []
            shelf.append(lines)
        yield from _beside(shelf, indent + INDENT)

    def grid(self, grid: Grid) -> list[str]:
        pad = "." if self.options.ascii else "·"
        shown = [
            [
                pad if cell.padding else "…" if cell.value is None else self.notation.number(cell.value.value)
                for cell in row
            ]
            for row in grid.rows
        ]
        room = max((width(text) for row in shown for text in row), default=1)
        lines = []
        for row, texts in zip(grid.rows, shown, strict=True):
            cells = (
                self.paint(f"[{' ' * (room - width(text))}{text}]", "mark")
                if cell.marked
                else f" {' ' * (room - width(text))}{text} "
                for cell, text in zip(row, texts, strict=True)
            )
            lines.append("".join(cells))
        across = max([width(grid.title) + 1, *map(width, lines)])
        return [line + " " * (across - width(line)) for line in (" " + grid.title, *lines)]

    def spoken(self, grids: tuple[Grid, ...]) -> Iterator[str]:
        for grid in grids:
            yield say("{title}:", title=grid.title)
            for k, row in enumerate(grid.rows):
                words = (
                    say("padding") if cell.padding else "..." if cell.value is None
                    else self.notation.number(cell.value.value) + (say(" (read)") if cell.marked else "")
                    for cell in row
                )  # fmt: skip
                yield from wrap(say("row {k}: {cells}", k=k, cells=", ".join(words)), self.options.width, INDENT)

    def table(self, table: Table) -> Iterator[str]:
        """Columns as wide as they need; stacked as name: value where the page is too narrow."""
        rows = [[each if isinstance(each, str) else self.notation.write(each) for each in row] for row in table.rows]
        if table.title:
            yield from self.heading(table.title)
        columns = list(zip(table.headers, *rows, strict=True))
        widths = [max(map(width, column)) for column in columns]
        if sum(widths) + 2 * (len(widths) - 1) > self.options.width or self.options.plain:
            for row in rows:
                for header, text in zip(table.headers, row, strict=True):
                    if text:
                        yield from wrap(f"{header}: {text}", self.options.width, INDENT)
                yield ""
            return
        rule = "-" if self.options.ascii else "─"
        yield _row(table.headers, widths)
        yield "  ".join(rule * each for each in widths)
        for row in rows:
            yield _row(tuple(row), widths)


def _brief(step: Step) -> bool:
    """Whether a step is short enough to stand in the line of its title."""
    return all(isinstance(block, Formula) and block.brief for block in step.blocks)


def _row(texts: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(text + " " * (room - width(text)) for text, room in zip(texts, widths, strict=True))


def _beside(shelf: list[list[str]], indent: str) -> Iterator[str]:
    """Blocks of lines next to each other, their tops aligned."""
    height = max(map(len, shelf), default=0)
    for k in range(height):
        yield indent + "    ".join(lines[k] if k < len(lines) else " " * width(lines[0]) for lines in shelf)


def wrap(text: str, room: int, hanging: str = "") -> Iterator[str]:
    """`text` broken at spaces; a word that is too long has a line of its own."""
    line = ""
    for k, word in enumerate(text.split(" ")):
        if k and width(line) + 1 + width(word) > room and line.strip():
            yield line
            line = hanging + word
        else:
            line = f"{line} {word}" if k else word
    yield line
