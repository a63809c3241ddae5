"""Steps as HTML: one page that needs no network with `page`, else a fragment, as Jupyter shows it.

Formulas are MathML, in a table whose columns are the terms, so that what a number came from stands above it. A page is
animated if the document is; a fragment is not, since notebooks may show it where scripts do not run.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from opcheck.language import say
from opcheck.render import board as boards
from opcheck.render import still
from opcheck.render.formulas import Formulas
from opcheck.render.mathml import MathML, definition
from opcheck.render.motion import Listing, diagrams, listings, own
from opcheck.render.names import FEW, clauses
from opcheck.render.numbers import Style, digits
from opcheck.render.signs import Signs, Words, in_words
from opcheck.steps import (
    Block,
    Board,
    Cell,
    Diagram,
    Expression,
    Formula,
    Grid,
    Motion,
    Number,
    Panel,
    Picture,
    Place,
    Plot,
    Step,
    Table,
)

if TYPE_CHECKING:
    import jinja2

SHORT = 46  # characters up to which a chain of equations stays on one line
TALL = ' displaystyle="true"'
PAGE = 84  # characters of plain text that are about as wide as the page


@dataclass(frozen=True)
class Options:
    """`page`: its own page, with its style; else a fragment, which brings its style along."""

    precision: int = 4
    fractions: bool = False
    page: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


def render(step: Step, options: Options | None = None) -> str:
    """The document as HTML."""
    options = options or Options()
    writer = _Writer(Style(options.precision, options.fractions))
    moves = options.page and any(isinstance(block, Motion) for block in step.blocks)
    asked = options.page and any(isinstance(block, Board) for block in step.blocks)
    text = _template().render(
        step=step if moves or asked else still(step, diagrams=True),
        page=options.page,
        moves=moves,
        asked=asked,
        write=writer,
        kind=lambda block: type(block).__name__,
    )
    return text.strip()


@cache
def _template() -> "jinja2.Template":
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("opcheck.render", "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["say"] = say
    return environment.get_template("page.html.jinja")


class _Writer:
    """What the template asks for: pieces of MathML, marked as safe."""

    def __init__(self, style: Style) -> None:
        self.notation = MathML(style)
        self.layout = Formulas(Signs(style), PAGE)
        self.words = Words(style)
        self._digits: dict[Number, str] = {}

    def math(self, inside: str, tall: bool = False) -> str:
        from markupsafe import Markup

        return Markup(f"<math{TALL if tall else ''}><mrow>{inside}</mrow></math>")  # escaped where it was written

    def definition(self, text: str) -> str:
        """A definition that may break between its clauses: no browser breaks a formula."""
        from markupsafe import Markup

        parts = clauses(text)
        whole = Markup('<span class="clause">{}</span>')
        shown = Markup(" ").join(whole.format(self.math(definition(clause), tall=True)) for clause in parts)
        return shown if len(parts) <= FEW else Markup('<div class="one-each">{}</div>').format(shown)

    def sentence(self, text: str) -> str:
        """A sentence in which flags are code, which does not break. Parentheses that only name flags are dropped: they
        are for the command line.
        """
        from markupsafe import Markup, escape

        text = re.sub(r"\s*\(--[a-z][^()]*\)", "", text)
        return Markup(re.sub(r"(?<!\S)(\(?)(--[a-z][a-z-]*)", r"\1<code>\2</code>", str(escape(text))))

    def heading(self, text: str) -> str:
        return " ".join(text.split())

    def entry(self, entry: str | Expression) -> str:
        return entry if isinstance(entry, str) else self.math(self.notation.write(entry))

    def is_numeric(self, table: Table, column: int) -> bool:
        """Whether a column holds only numbers, which are then aligned on the right."""
        entries = [row[column] for row in table.rows]
        return all(isinstance(each, Number) or not each for each in entries) and any(entries)

    def cell(self, cell: Cell) -> str:
        if cell.padding:
            return "·"
        return "…" if cell.value is None else self.layout.notation.write(cell.value)

    def most(self, grid: Grid) -> int:
        """The most letters of a cell: every cell is as wide."""
        return max((len(self.cell(cell)) for row in grid.rows for cell in row), default=1)

    def name(self, title: str) -> str:
        return self.math(definition(title)) if " " not in title else title

    def lines(self, formula: Formula) -> list[list[tuple[str, str, int]]]:
        """The rows of a formula's table: cells as (class, content, columns that it spans)."""
        rows = self.layout.aligned(formula.rights)
        columns = max((2 * max(lengths) - 1 for lengths in rows if lengths), default=1)
        result: list[list[tuple[str, str, int]]] = []
        left = self.math(self.notation.write(formula.left))
        for right, lengths in zip(formula.rights, rows, strict=True):
            relation = "≈" if self.notation.is_rounded(right) else "="
            if not lengths:
                result.append([("left", left, 1), ("sign", relation, 1), ("right", self._right(right), columns)])
            for line in self._terms(right, lengths):
                result.append([("left", left, 1), ("sign", line[0] or relation, 1), *line[1]])
                left = ""
            left = ""
        if formula.brief or (columns == 1 and self._is_short(formula)):
            return [_on_one_line(result)]
        return result

    # --- boards ---------------------------------------------------------------------------------------------------

    def data(self, board: Board) -> str:
        from markupsafe import Markup

        return Markup(boards.data(board, self.notation.style))  # no < stands in it

    def widest(self, board: Board, rows: Sequence[Sequence[Place]], gradient: bool) -> int:
        """The length of the longest number: every cell is that wide."""
        ids = ((place.gradient if gradient else place.line) for row in rows for place in row)
        return max([2, *(len(self.digits(board.lines[id].value)) for id in ids if id is not None)])

    def digits(self, number: Number) -> str:
        if not number.value:  # 0 and -0.0 are equal and written differently
            return digits(number.value, self.notation.style, number.inexact)
        if number not in self._digits:
            self._digits[number] = digits(number.value, self.notation.style, number.inexact)
        return self._digits[number]

    def filled(self, panel: Panel) -> list[list[Place]]:
        """The places that have a gradient: padding has none."""
        columns = [
            k for k, column in enumerate(zip(*panel.rows, strict=True)) if any(p.gradient is not None for p in column)
        ]
        rows = [row for row in panel.rows if any(place.gradient is not None for place in row)]
        return [[row[k] for k in columns] for row in rows]

    def place(self, board: Board, line: int | None, twin: int | None) -> str:
        """A cell of a panel: the number of a line; `twin` is the line of its gradient, or of what it belongs to."""
        from markupsafe import Markup

        if line is None:
            return Markup('<td class="unknown"></td>')
        other = "" if twin is None else f" data-twin={twin}"
        outside = ' class="padding"' if board.lines[line].op == "padding" else ""
        return Markup(f"<td{outside} data-line={line}{other}>{self.digits(board.lines[line].value)}</td>")

    # --- motions --------------------------------------------------------------------------------------------------

    def some(self, seen: str, count: int) -> str | None:
        """The frames in which something is shown; None if in all."""
        return None if seen == f"0-{count - 1}" else seen

    def listings(self, motion: Motion) -> list[Listing]:
        return listings(motion.frames)

    def own(self, frame: Step) -> tuple[Block, ...]:
        return own(frame)

    def has_diagram(self, motion: Motion) -> bool:
        return bool(diagrams(motion.frames))

    def diagrams(self, motion: Motion) -> str:
        return self._drawn(*diagrams(motion.frames))

    def diagram(self, diagram: Diagram) -> str:
        return self._drawn(diagram)

    def picture(self, picture: Picture) -> str:
        from markupsafe import Markup

        from opcheck.render import pictures

        return Markup(pictures.draw(picture))  # numbers alone

    def shades(self, picture: Picture) -> str:
        """The range of the shades."""
        numbers = [x for row in picture.rows for x in row if math.isfinite(x)] or [0.0]
        low, high = (self.digits(Number(Fraction(each))) for each in (min(numbers), max(numbers)))
        return say("from {low} to {high}", low=low, high=high)

    def plot(self, plot: Plot) -> str:
        from markupsafe import Markup

        from opcheck.render import plots

        return Markup(plots.draw(plot))  # escaped where it was written

    def _drawn(self, *states: Diagram) -> str:
        from markupsafe import Markup

        from opcheck.render import svg

        return Markup(svg.draw(states))  # escaped where it was written

    def spoken(self, frame: Step) -> str:
        """What a screen reader says when the frame appears: its title, and its last row or formula in words."""
        told = [frame.title]
        for block in frame.blocks:
            if isinstance(block, Table):
                entries = (each if isinstance(each, str) else self.words.write(each) for each in block.rows[-1])
                told = [frame.title, in_words(", ".join(filter(None, entries)))]
            elif isinstance(block, Formula) and not block.brief:
                rights = dict.fromkeys((*block.rights[1:2], block.rights[-1]))  # the numbers, and what they give
                parts = [self.words.write(block.left)]
                parts += [f"{self.words.relation(right)} {self.words.write(right)}" for right in rights]
                told = [frame.title, " ".join(parts)]
        return ": ".join(filter(None, told))

    def _right(self, right: Expression) -> str:
        return self.math(self.notation.write(right), tall=True)

    def _terms(self, right: Expression, lengths: Sequence[int]) -> list[tuple[str, list[tuple[str, str, int]]]]:
        """The rows of an aligned sum: the sign that stands under the =, and the cells."""
        terms = iter(self.notation.terms(right) if lengths else ())
        result = []
        for row, length in enumerate(lengths):
            cells: list[tuple[str, str, int]] = []
            under = ""
            for column in range(length):
                term = next(terms)
                text = self.notation.negated(term.text) if row == column == 0 and term.sign == "−" else term.text
                if column:
                    cells.append(("sign", term.sign, 1))
                elif row:
                    under = term.sign
                cells.append(("term", self.math(text), 1))
            result.append((under, cells))
        return result

    def _is_short(self, formula: Formula) -> bool:
        notation = self.layout.notation
        return sum(len(notation.write(each)) + 3 for each in (formula.left, *formula.rights)) <= SHORT


def _on_one_line(rows: list[list[tuple[str, str, int]]]) -> list[tuple[str, str, int]]:
    return [rows[0][0], *(cell for row in rows for cell in row[1:])]
