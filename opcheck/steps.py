"""The document model: what a worked calculation is before anyone decides how it looks.

`explain` and the traces build these; the renderers see nothing else. It is a closed union: an `Expression` is a
Number, Symbol, Apply or Elided; a `Block` is Prose, Formula, Grids, Table, Diagram, Motion or Step. (Named tuples,
because so many dataclasses would take longer to make than a calculation takes.)
"""

from fractions import Fraction
from typing import NamedTuple


class Number(NamedTuple):
    """A number that was computed. A float here is NaN, an infinity, -0.0 or a number that a float type holds.

    `inexact`: the true number is not a fraction (exp(1), √2) and this one is very close to it, so it gets an ≈.
    """

    value: Fraction | float
    inexact: bool = False


class Symbol(NamedTuple):
    """A name, perhaps of one element: x[0,1]. With `adjoint` it is that element's adjoint, x̄[0,1]; `tangent`: ẋ."""

    name: str
    at: tuple[int, ...] = ()
    adjoint: bool = False
    tangent: bool = False


class Apply(NamedTuple):
    """An operation (a key of trace.PRIMITIVES) on expressions."""

    op: str
    args: tuple["Expression", ...]


class Elided(NamedTuple):
    """Terms of a sum that are left out; their sum, where numbers are shown."""

    terms: int
    value: Number | None = None


Expression = Number | Symbol | Apply | Elided


class Prose(NamedTuple):
    """A sentence or a few. A "hint" says what to do next and is dropped where nobody can do it (on a pipe); in one that
    is "quoted" a stranger speaks, and no line of it begins where ours do; "code" is kept to the letter."""

    text: str
    kind: str = "text"  # text, note, hint, title, definition, quoted, code


class Formula(NamedTuple):
    """left = right = right ...: every right side is the one before it, one reduction further."""

    left: Expression
    rights: tuple[Expression, ...]
    brief: bool = False  # on one line if it fits, without the names


class Cell(NamedTuple):
    """One place of a grid: marked if the calculation reads it; padding if it lies outside the array."""

    value: Number | None
    marked: bool = False
    padding: bool = False


class Grid(NamedTuple):
    """A two-dimensional array, or a slice or a part of one."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]


class Grids(NamedTuple):
    """Grids side by side."""

    grids: tuple[Grid, ...]


class Table(NamedTuple):
    """Rows under headers; an entry is a text or an expression."""

    headers: tuple[str, ...]
    rows: tuple[tuple["str | Expression", ...], ...]
    title: str = ""


class Box(NamedTuple):
    """A node of a diagram: what it says, the boxes that it is computed from, and whether it is an input or an output.

    `details` are its lines below the title; one that is not known yet is "". `marked` as in a Cell.
    """

    title: str
    details: tuple[str, ...] = ()
    args: tuple[int, ...] = ()
    role: str = ""  # input, output or ""
    marked: bool = False


class Diagram(NamedTuple):
    """A computational graph, its boxes in order of evaluation; `marked`: the edges (from, to) that a step uses."""

    boxes: tuple[Box, ...]
    marked: tuple[tuple[int, int], ...] = ()


class Curve(NamedTuple):
    """Points of a plot. kind: a "line", one that is "dashed", single "points", a "path" of steps, "bars" that stand at
    their x, or a "level", along which a function has one value and which needs no name."""

    name: str
    points: tuple[tuple[float, float], ...]
    kind: str = "line"


class Plot(NamedTuple):
    """Curves over one axis, for a page; elsewhere there is none. `across`: what the axis is."""

    title: str
    across: str
    curves: tuple[Curve, ...]


class Picture(NamedTuple):
    """A large two-dimensional array as shades, for a page; elsewhere there is none. `part`: the rows and columns (from,
    to, from, to) that stand beside it in numbers."""

    title: str
    rows: tuple[tuple[float, ...], ...]
    part: tuple[int, ...] = ()


class Pictures(NamedTuple):
    """Pictures side by side."""

    pictures: tuple[Picture, ...]


class Step(NamedTuple):
    """A part of a calculation under a heading: "step 1 of 9"."""

    title: str
    blocks: tuple["Block", ...] = ()


class Motion(NamedTuple):
    """A calculation as it proceeds, for a page that can move: its frames, shown one after the other.

    Elsewhere, and on paper, it is what `still` says. Frames show the same tables and diagram in other states.
    """

    frames: tuple[Step, ...]
    still: tuple["Block", ...] = ()


class Line(NamedTuple):
    """A number of a calculation: an operation (a key of trace.PRIMITIVES, or SAME) on the lines before it, or a leaf.

    `partial`: what a sum of three terms or more has come to after its second term, its third, ... its last but one.
    """

    op: str
    args: tuple[int, ...]
    value: Number
    symbol: Symbol | None = None
    partial: tuple[Number, ...] = ()


SAME = "same"  # a number that is another one, under its own name


class Place(NamedTuple):
    """A place of a panel: the line that stands there, if one is known, and the line of its gradient."""

    line: int | None
    gradient: int | None = None


class Panel(NamedTuple):
    """A two-dimensional array of a board, or a slice or a part of one, and the title of its gradient."""

    title: str
    rows: tuple[tuple[Place, ...], ...]
    gradient: str = ""
    role: str = ""  # input, output or ""


class Board(NamedTuple):
    """A calculation that answers questions: its arrays, one row per operator, and every number behind them.

    Any line can be asked what it was made of and what it went into. `focus`: the line that is asked first. Elsewhere,
    and on paper, a board is what `still` says.
    """

    lines: tuple[Line, ...]
    rows: tuple[tuple[Panel, ...], ...]
    focus: int = 0
    still: tuple["Block", ...] = ()
    meaning: str = ""  # of its gradients: what the upstream gradient is


Block = Prose | Formula | Grids | Table | Diagram | Plot | Pictures | Motion | Board | Step
