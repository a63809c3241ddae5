"""A sheet, or its key, as HTML for A4, LaTeX or Markdown. A blank is a box with a letter; the key says each number."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from opcheck.language import say
from opcheck.learning.worksheets import networks
from opcheck.learning.worksheets.exercise import LETTERS, LEVELS, Blank, Exercise
from opcheck.learning.worksheets.sheet import Sheet
from opcheck.operators.spec import Op
from opcheck.render import render
from opcheck.render.numbers import Style
from opcheck.render.signs import Signs
from opcheck.render.tex import definition, escaped
from opcheck.steps import Block, Cell, Grid, Number, Prose, Step

if TYPE_CHECKING:
    import jinja2

PRECISION = 3
SHORT = 14  # lines of a calculation that stays on one page
LATEX: dict[str, Any] = {
    "variable_start_string": "<<", "variable_end_string": ">>", "block_start_string": "<%", "block_end_string": "%>",
    "comment_start_string": "<#", "comment_end_string": "#>",
}  # fmt: skip  # braces are LaTeX's
SIGN = re.compile(f"[{LETTERS}]")


def printed(sheet: Sheet, format: str, key: bool = False) -> str:
    """The sheet for the class, or the key for the teacher."""
    return _template(f"{format}.jinja").render(
        say=say, sheet=sheet, key=key, levels=LEVELS, paper=_Paper(format), title=title(sheet, key)
    )


def title(sheet: Sheet, key: bool) -> str:
    """The heading of the paper."""
    name = sheet.op.title or sheet.op.name
    return say("{name}: answers", name=name) if key else say("{name}: exercises", name=name)


def written(blank: Blank) -> str:
    """The number of a blank as a person writes it: a short decimal, a fraction, or rounded to three decimals."""
    number = settled(blank.value)
    decimal = number.inexact or not isinstance(number.value, Fraction) or 10**PRECISION % number.value.denominator == 0
    return Signs(Style(PRECISION, fractions=not decimal)).write(number)


SETTLED = Fraction(1, 10**25)


def settled(number: Number) -> Number:
    """A number that was computed to 50 digits and is whole to 25: a mean of equal numbers is one of them."""
    if not number.inexact or not isinstance(number.value, Fraction):
        return number
    near = Fraction(round(number.value))
    return Number(near) if abs(near - number.value) < SETTLED else number


def letter(sign: str) -> str:
    """The plain letter of a blank."""
    return chr(ord("a") + LETTERS.index(sign))


class _Paper:
    """What the templates ask for."""

    def __init__(self, format: str) -> None:
        self.format = format
        self.signs = Signs(Style(PRECISION))

    def rule(self, op: Op) -> Any:
        """What the operator computes, in the notation of the paper."""
        return self._rendered(networks.rule(op))

    def own_rule(self, exercise: Exercise) -> Any:
        """The formula of this call, where its parameters make it another one."""
        calculation = exercise.problem.calculation
        shapes = {name: array.shape for name, array in calculation.case.arrays.items()}
        formula = calculation.op.formula_of(calculation.p, shapes)
        return "" if formula == calculation.op.formula else self._rendered((Prose(formula, "definition"),))

    def _rendered(self, blocks: tuple[Block, ...]) -> Any:
        text = render(Step("", blocks), self.format, page=False, precision=PRECISION)
        if self.format != "html":
            return text
        from markupsafe import Markup

        return Markup(text.partition("</style>")[2])

    def is_short(self, exercise: Exercise) -> bool:
        """Whether it stays on one page, beside another one if both are narrow."""
        return sum(len(line.rights) for line in exercise.lines) <= SHORT

    def call(self, exercise: Exercise) -> str:
        assert isinstance(exercise.title, Prose)
        return " ".join(exercise.title.text.split())

    def name(self, grid: Grid) -> str:
        return grid.title

    def rows(self, exercise: Exercise) -> Iterator[tuple[Grid, list[list[str]]]]:
        """The arrays with blanks: text, or the letter of a blank."""
        signs = iter(blank.sign for blank in exercise.blanks)
        for grid in exercise.asked:
            yield grid, [[self._cell(cell, signs) for cell in line] for line in grid.rows]

    def _cell(self, cell: Cell, signs: Iterator[str]) -> str:
        return next(signs) if cell.marked else self.number(cell)

    def number(self, cell: Cell) -> str:
        return "" if cell.value is None else self.signs.write(settled(cell.value))

    def lines(self, exercise: Exercise) -> Any:
        """The calculation with its blanks, in the notation of the paper."""
        text = self._rendered(exercise.lines)
        if self.format == "html":
            return type(text)(re.sub(f"<mi>([{LETTERS}])</mi>", self._box_of_formula, text))
        return SIGN.sub(lambda match: self.blank(match[0]), text)

    def _box_of_formula(self, match: re.Match[str]) -> str:
        inside = f'<mi mathvariant="normal">{letter(match[1])}</mi><mspace width="2.4em" height="1.05em"></mspace>'
        return f'<mrow class="box">{inside}</mrow>'

    def style(self) -> Any:
        """The style of formulas."""
        from markupsafe import Markup

        return Markup(render(Step("", ()), "html", page=False).partition("</style>")[0] + "</style>")

    def is_blank(self, text: str) -> bool:
        return text in LETTERS and bool(text)

    def blank(self, sign: str) -> str:
        """A box with its letter."""
        if self.format == "latex":
            return rf"\blank{{{letter(sign)}}}"
        return rf"\boxed{{\ {letter(sign)}\ }}" if self.format == "markdown" else letter(sign)

    def tex(self, title: str) -> str:
        """A name as LaTeX: x̄ with its bar, y[0] with its index."""
        return definition(title)

    tex_text = staticmethod(escaped)

    letter = staticmethod(letter)
    written = staticmethod(written)

    def of(self, blank: Blank) -> str:
        """What a blank stands for, where it is something with a name."""
        return "" if blank.of is None else self.signs.write(blank.of)


@cache
def _template(name: str) -> "jinja2.Template":
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("opcheck.learning.worksheets", "templates"),
        autoescape=name.startswith("html"),
        trim_blocks=True,
        lstrip_blocks=True,
        **(LATEX if name.startswith("latex") else {}),
    )
    return environment.get_template(name)
