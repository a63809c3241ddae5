"""Steps as JSON and back: every number exactly, as text, and also as the nearest float for simple readers."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from opcheck.steps import (
    Apply,
    Block,
    Board,
    Box,
    Cell,
    Curve,
    Diagram,
    Elided,
    Expression,
    Formula,
    Grid,
    Grids,
    Line,
    Motion,
    Number,
    Panel,
    Picture,
    Pictures,
    Place,
    Plot,
    Prose,
    Step,
    Symbol,
    Table,
)  # fmt: skip

MOST_BITS = 10_000  # of a number that is written in decimal: Python refuses to write much longer ones
SCHEMA = "opcheck.explanation/1"


@dataclass(frozen=True)
class Options:
    """How many spaces deeper each level is, and whether other letters than ASCII's are escaped."""

    indent: int = 2
    ascii: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        return cls(options.get("indent", 2), options.get("ascii", False))


def render(step: Step, options: Options | None = None) -> str:
    """The whole document; `load` reads it back."""
    document = {"schema": SCHEMA, **_block(step)}
    options = options or Options()
    return json.dumps(document, indent=options.indent, ensure_ascii=options.ascii, allow_nan=False)


def load(text: str) -> Step:
    """The document that `render` wrote; raises ValueError for anything else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"not a document of schema {SCHEMA}")
    block = _read_block(document)
    if not isinstance(block, Step):
        raise ValueError(f"a document is a step, not a {document['kind']}")
    return block


# --- writing --------------------------------------------------------------------------------------------------------


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Prose(text, kind):
            return {"kind": "prose", "role": kind, "text": text}
        case Formula(left, rights, brief):
            return {"kind": "formula", "left": _expression(left), "rights": [*map(_expression, rights)], "brief": brief}
        case Grids(grids):
            return {"kind": "grids", "grids": [_grid(grid) for grid in grids]}
        case Table(headers, rows, title):
            entries = [[each if isinstance(each, str) else _expression(each) for each in row] for row in rows]
            return {"kind": "table", "title": title, "headers": [*headers], "rows": entries}
        case Diagram(boxes, marked):
            return {"kind": "diagram", "boxes": [_box(box) for box in boxes], "marked": [[*edge] for edge in marked]}
        case Plot(title, across, curves):
            drawn = [{"name": name, "kind": kind, "points": [[*map(_real, at)] for at in points]}
                     for name, points, kind in curves]  # fmt: skip
            return {"kind": "plot", "title": title, "across": across, "curves": drawn}
        case Pictures(pictures):
            shown = [{"title": each.title, "rows": [[*map(_real, row)] for row in each.rows], "part": [*each.part]}
                     for each in pictures]  # fmt: skip
            return {"kind": "pictures", "pictures": shown}
        case Motion(frames, still):
            return {"kind": "motion", "frames": [*map(_block, frames)], "still": [*map(_block, still)]}
        case Board(lines, rows, focus, still, meaning):
            panels = [[_panel(panel) for panel in row] for row in rows]
            told = [*map(_block, still)]
            return {"kind": "board", "lines": [*map(_line, lines)], "rows": panels, "focus": focus, "still": told,
                    "meaning": meaning}  # fmt: skip
        case Step(title, blocks):
            return {"kind": "step", "title": title, "blocks": [*map(_block, blocks)]}


def _box(box: Box) -> dict[str, Any]:
    marked = {"marked": True} if box.marked else {}
    return {"title": box.title, "details": [*box.details], "args": [*box.args], "role": box.role, **marked}


def _line(line: Line) -> dict[str, Any]:
    more: dict[str, Any] = {"args": [*line.args]} if line.args else {}
    more |= {"symbol": _expression(line.symbol)} if line.symbol else {}
    more |= {"partial": [*map(_expression, line.partial)]} if line.partial else {}
    return {"op": line.op, "value": _expression(line.value), **more}


def _panel(panel: Panel) -> dict[str, Any]:
    rows = [[[place.line, place.gradient] for place in row] for row in panel.rows]
    return {"title": panel.title, "gradient": panel.gradient, "role": panel.role, "rows": rows}


def _grid(grid: Grid) -> dict[str, Any]:
    return {"title": grid.title, "rows": [[_cell(cell) for cell in row] for row in grid.rows]}


def _cell(cell: Cell) -> dict[str, Any]:
    value = {} if cell.value is None else {"value": _expression(cell.value)}
    flags = {name: True for name in ("marked", "padding") if getattr(cell, name)}
    return {**value, **flags}


def _expression(expression: Expression) -> dict[str, Any]:
    match expression:
        case Number(value, inexact):
            known = {"inexact": True} if inexact else {}
            return {"number": exact_text(value), "float": _float(value), **known}
        case Symbol(name, at, adjoint, tangent):
            kinds = {name: True for name, holds in (("adjoint", adjoint), ("tangent", tangent)) if holds}
            return {"symbol": name, **({"at": [*at]} if at else {}), **kinds}
        case Elided(count, value):
            return {"elided": count, **({} if value is None else {"value": _expression(value)})}
        case Apply(op, args):
            return {"apply": op, "args": [*map(_expression, args)]}


def exact_text(value: Fraction | float) -> str:
    """A fraction as 1/3 (in hexadecimal if it is very long), a float (NaN, an infinity, -0.0) as Python writes it."""
    if isinstance(value, float):
        return repr(value)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) < MOST_BITS:
        return str(value)
    return f"{value.numerator:#x}/{value.denominator:#x}"


def _real(x: float) -> float | str:
    return x if math.isfinite(x) else repr(x)


def _read_real(x: float | str) -> float:
    return float(x)


def _float(value: Fraction | float) -> float | None:
    """The nearest float; JSON has no NaN and no infinity, and a fraction may be too large."""
    try:
        nearest = float(value)
    except OverflowError:
        return None
    return nearest if math.isfinite(nearest) else None


# --- reading --------------------------------------------------------------------------------------------------------


def _read_block(data: dict[str, Any]) -> Block:
    match data["kind"]:
        case "prose":
            return Prose(data["text"], data["role"])
        case "formula":
            rights = tuple(map(_read_expression, data["rights"]))
            return Formula(_read_expression(data["left"]), rights, data["brief"])
        case "grids":
            return Grids(tuple(map(_read_grid, data["grids"])))
        case "table":
            rows = tuple(
                tuple(each if isinstance(each, str) else _read_expression(each) for each in row) for row in data["rows"]
            )
            return Table(tuple(data["headers"]), rows, data["title"])
        case "diagram":
            return Diagram(tuple(map(_read_box, data["boxes"])), tuple((a, b) for a, b in data["marked"]))
        case "plot":
            curves = tuple(
                Curve(each["name"], tuple((_read_real(x), _read_real(y)) for x, y in each["points"]), each["kind"])
                for each in data["curves"]
            )
            return Plot(data["title"], data["across"], curves)
        case "pictures":
            return Pictures(tuple(map(_read_picture, data["pictures"])))
        case "motion":
            return Motion(tuple(map(_read_step, data["frames"])), tuple(map(_read_block, data["still"])))
        case "board":
            panels = tuple(tuple(map(_read_panel, row)) for row in data["rows"])
            still = tuple(map(_read_block, data["still"]))
            return Board(tuple(map(_read_line, data["lines"])), panels, data["focus"], still, data["meaning"])
        case "step":
            return Step(data["title"], tuple(map(_read_block, data["blocks"])))
    raise ValueError(f"no block is a {data['kind']}")


def _read_step(data: dict[str, Any]) -> Step:
    block = _read_block(data)
    if not isinstance(block, Step):
        raise ValueError(f"a frame is a step, not a {data['kind']}")
    return block


def _read_box(data: dict[str, Any]) -> Box:
    return Box(data["title"], tuple(data["details"]), tuple(data["args"]), data["role"], data.get("marked", False))


def _read_picture(data: dict[str, Any]) -> Picture:
    return Picture(data["title"], tuple(tuple(map(_read_real, row)) for row in data["rows"]), tuple(data["part"]))


def _read_line(data: dict[str, Any]) -> Line:
    symbol = _read_symbol(data["symbol"]) if "symbol" in data else None
    partial = tuple(map(_read_number, data.get("partial", ())))
    return Line(data["op"], tuple(data.get("args", ())), _read_number(data["value"]), symbol, partial)


def _read_panel(data: dict[str, Any]) -> Panel:
    rows = tuple(tuple(Place(*place) for place in row) for row in data["rows"])
    return Panel(data["title"], rows, data["gradient"], data["role"])


def _read_grid(data: dict[str, Any]) -> Grid:
    return Grid(data["title"], tuple(tuple(map(_read_cell, row)) for row in data["rows"]))


def _read_cell(data: dict[str, Any]) -> Cell:
    value = _read_number(data["value"]) if "value" in data else None
    return Cell(value, data.get("marked", False), data.get("padding", False))


def _read_expression(data: dict[str, Any]) -> Expression:
    if "number" in data:
        return _read_number(data)
    if "symbol" in data:
        return _read_symbol(data)
    if "elided" in data:
        return Elided(data["elided"], _read_number(data["value"]) if "value" in data else None)
    return Apply(data["apply"], tuple(map(_read_expression, data["args"])))


def _read_symbol(data: dict[str, Any]) -> Symbol:
    kinds = {kind: data.get(kind, False) for kind in ("adjoint", "tangent")}
    return Symbol(data["symbol"], tuple(data.get("at", ())), **kinds)


def _read_number(data: dict[str, Any]) -> Number:
    return Number(read_exact(data["number"]), data.get("inexact", False))


def read_exact(text: str) -> Fraction | float:
    """What `exact_text` wrote."""
    if "0x" in text:
        above, below = text.split("/")
        return Fraction(int(above, 16), int(below, 16))
    return Fraction(text) if re.fullmatch(r"-?\d+(/\d+)?", text) else float(text)
