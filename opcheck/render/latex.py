"""Steps as LaTeX: a fragment for your own document, or a whole document with `page`.

The fragment needs amsmath and, for tables, array, booktabs and longtable.

Formulas are `aligned`, grids are arrays with the elements that are read in boxes, tables are booktabs tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from opcheck.render.names import clauses
from opcheck.render.numbers import Style
from opcheck.render.tex import PAGE, TeX, definition, escaped
from opcheck.steps import Block, Cell, Formula, Grid, Grids, Number, Prose, Step, Table

DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{amsmath}
\usepackage{array}
\usepackage{booktabs}
\usepackage{longtable}
\usepackage[margin=2.5cm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\allowdisplaybreaks
\sloppy
\begin{document}
%s
\end{document}"""
LONG = 20  # characters from which a column of sentences breaks its lines
LINE = 88  # characters of text on a line
MANY = 12  # rows from which a table may break over pages


@dataclass(frozen=True)
class Options:
    """`page`: a complete document that compiles."""

    precision: int = 4
    fractions: bool = False
    page: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


def render(step: Step, options: Options | None = None) -> str:
    """The document as LaTeX."""
    options = options or Options()
    writer = _LaTeX(TeX(Style(options.precision, options.fractions)))
    body = "\n\n".join([*_heading(step.title), *writer.blocks(step.blocks)])
    return DOCUMENT % body if options.page else body


class _LaTeX:
    def __init__(self, notation: TeX) -> None:
        self.notation = notation

    def blocks(self, blocks: tuple[Block, ...]) -> Iterator[str]:
        for block in blocks:
            match block:
                case Prose(_, "hint"):
                    pass
                case Prose(text, kind):
                    yield prose(text, kind)
                case Formula():
                    yield display(aligned(self.notation, block))
                case Grids(grids):
                    yield from map(display, grid_rows(self.notation, grids))
                case Table():
                    yield self.table(block)
                case Step(title, inner):
                    yield from _heading(title)
                    yield from self.blocks(inner)

    def table(self, table: Table) -> str:
        columns = list(zip(table.headers, *table.rows, strict=True))
        spec = "".join(_columns(columns))
        rows = [
            " & ".join(escaped(each) if isinstance(each, str) else f"${self.notation.write(each)}$" for each in row)
            for row in table.rows
        ]
        head = [" & ".join(map(escaped, table.headers)) + r" \\ \midrule"] if any(table.headers) else []
        kind = "longtable" if len(rows) > MANY else "tabular"
        lines = [r"\toprule", *head, *(row + r" \\" for row in rows), r"\bottomrule"]
        body = "\n".join([rf"\begin{{{kind}}}{{@{{}}{spec}@{{}}}}", *lines, rf"\end{{{kind}}}"])
        return "\n\n".join([*_heading(table.title), body])


def _columns(columns: list[tuple[Any, ...]]) -> Iterator[str]:
    """What each column of a table is: numbers to the right, words to the left, sentences on several lines."""
    widths = [max(len(each) if isinstance(each, str) else 8 for each in column) for column in columns]
    spaced = [any(isinstance(each, str) and " " in each for each in column[1:]) for column in columns]
    long = [width > LONG and has_spaces for width, has_spaces in zip(widths, spaced, strict=True)]
    left = LINE - sum(width + 2 for width, is_long in zip(widths, long, strict=True) if not is_long)
    wanted = sum(width for width, is_long in zip(widths, long, strict=True) if is_long)
    for column, width, is_long in zip(columns, widths, long, strict=True):
        if is_long:
            share = min(width, left * width / wanted) / LINE
            yield rf">{{\raggedright\arraybackslash}}p{{{max(share, 0.15):.2f}\linewidth}}"
        else:
            yield "r" if all(isinstance(each, Number) for each in column[1:]) else "l"


def prose(text: str, kind: str) -> str:
    if kind == "title":
        return rf"\textbf{{{escaped(text)}}}"
    if kind == "definition":
        return display(in_rows(text))
    if kind == "code":
        return "\\begin{verbatim}\n" + text + "\n\\end{verbatim}"
    return rf"\emph{{{escaped(text)}}}" if kind == "note" else escaped(text)


def in_rows(text: str) -> str:
    """A definition, one clause below the other if it is longer than a line."""
    if len(text) <= PAGE:
        return definition(text)
    first, *others = map(definition, clauses(text))
    rows = [first, *(r"\quad " + each for each in others)]
    return r"\begin{aligned}" + "\n& " + " \\\\\n& ".join(rows) + "\n" + r"\end{aligned}"


def display(body: str) -> str:
    return f"\\[\n{body}\n\\]"


def aligned(notation: TeX, formula: Formula) -> str:
    """left = right, every further right side under it; on one line if it is short."""
    chain = [(r"\approx" if notation.is_rounded(right) else "=", right) for right in formula.rights]
    written = [f"{relation} {notation.write(right)}" for relation, right in chain]
    plain = notation.page.notation
    shown = sum(len(plain.write(right)) + 3 for right in formula.rights) + len(plain.write(formula.left))
    left = notation.write(formula.left)
    if shown <= PAGE and "begin" not in "".join(written) and (formula.brief or len(chain) <= 3):
        return " ".join([left, *written])
    lines = [f"{left} &{written[0]}", *(f"    &{each}" for each in written[1:])]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def grid_rows(notation: TeX, grids: tuple[Grid, ...]) -> Iterator[str]:
    """Grids side by side, as many as fit on a line."""
    shelf: list[str] = []
    used = 0
    for grid in grids:
        across = max((sum(len(_plain(notation, cell)) + 2 for cell in row) for row in grid.rows), default=0)
        across = max(across, len(grid.title)) + 4
        if shelf and used + across > PAGE:
            yield " \\qquad\n".join(shelf)
            shelf, used = [], 0
        shelf.append(_grid(notation, grid))
        used += across
    yield " \\qquad\n".join(shelf)


def _grid(notation: TeX, grid: Grid) -> str:
    columns = max(map(len, grid.rows), default=1)
    rows = " \\\\\n".join(" & ".join(_cell(notation, cell) for cell in row) for row in grid.rows)
    array = f"\\left[\\begin{{array}}{{{'r' * columns}}}\n{rows}\n\\end{{array}}\\right]"
    name, _, note = grid.title.partition("  ")
    title = definition(name) + (rf" \text{{ {escaped(note)}}}" if note else "")
    return f"\\begin{{array}}[t]{{@{{}}c@{{}}}}\n{title} \\\\[2pt]\n{array}\n\\end{{array}}"


def _cell(notation: TeX, cell: Cell) -> str:
    text = r"\cdot" if cell.padding else r"\dots" if cell.value is None else notation.write(cell.value)
    return rf"\boxed{{{text}}}" if cell.marked else text


def _plain(notation: TeX, cell: Cell) -> str:
    return " " if cell.value is None else notation.page.notation.write(cell.value)


def _heading(title: str) -> list[str]:
    return [rf"\textbf{{{escaped(title)}}}"] if title else []
