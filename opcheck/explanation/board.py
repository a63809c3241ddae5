"""A calculation as a board: its arrays, one row per operator, and every number behind them, in both directions.

The definition is recorded and swept back as for a worked calculation; a reader may then ask any number of it.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from opcheck.explanation.calculation import SMALL, Calculation, Pages, reached, reader
from opcheck.explanation.gradient import Sweep, differentiable, upstream_gradient, upstream_meaning
from opcheck.explanation.grids import title_of
from opcheck.explanation.unfold import ADJOINT, SILENT, as_number, barred
from opcheck.explanation.worked import beside
from opcheck.operators.spec import Array, Refused, Shape
from opcheck.steps import SAME, Block, Board, Line, Number, Panel, Place, Symbol
from opcheck.tracing import EXACT, Node, Tape, exact

MOST_WRITTEN = 500  # lines that are written down whole as well
MOST_PANELS = 16  # slices of one array
SIDE = 12  # rows and columns of the part that is worked out where a whole output would be too much


class Record(NamedTuple):
    """What was recorded: the tape and its exact values, the outputs, and the gradients of inputs and of named arrays.

    `whole`: every output is there, and not a part of them.
    """

    tape: Tape
    values: Sequence[Any]
    outputs: Mapping[tuple[str, Shape], int]
    gradients: Mapping[tuple[str, Shape], int] | None
    whole: bool = True


class Sheet(NamedTuple):
    """An array of the board: its symbol and shape, the line of each element that is known, and of its gradient.

    `kind`: that of its numbers; of whole numbers ("i") and truth values ("b") the record does not say who reads them.
    """

    symbol: str
    shape: Shape
    lines: Mapping[Shape, int]
    gradients: Mapping[Shape, int]
    role: str = ""
    kind: str = "f"


def board(
    calculation: Calculation,
    upstream: Array | None,
    cell: Shape | None,
    grad: bool,
    written: Callable[[bool], list[Block]],
) -> list[Block]:
    """The calculation as a board; written down where there is nothing to ask. grad: a gradient is asked first.

    `written` writes it down, with everything or without.
    """
    if not calculation.cells or not any(array.ndim for array in calculation.case.arrays.values()):
        return written(False)
    record = _both_ways(calculation, upstream) or _forward(calculation, cell)
    writer = Writer(calculation, record, upstream is not None)
    everything = record.whole and len(writer.lines) <= MOST_WRITTEN
    return [writer.board(cell, grad, written(everything and cell is None))]


def _both_ways(calculation: Calculation, upstream: Array | None) -> Record | None:
    """Every element, forwards and backwards; None where that is too much, or where nothing is differentiable."""
    if not calculation.is_small:
        return None
    try:
        differentiable(calculation)
        sweep = Sweep(calculation, upstream_gradient(calculation, upstream), {})
        recorded = sweep.outputs | calculation.record(sweep.tape, beside(calculation, everything=True))
    except Refused:
        return None
    outputs = {key: tracer.id for key, tracer in recorded.items()}
    gradients = {key: tracer.id for key, tracer in (sweep.between | sweep.adjoints).items()}
    is_read = len(sweep.values) == len(sweep.tape.nodes)  # nothing was recorded beside
    values = sweep.values if is_read else exact(sweep.tape.graph(), decimal=True)
    return Record(sweep.tape, values, outputs, gradients)


def _forward(calculation: Calculation, cell: Shape | None) -> Record:
    """The outputs alone: all of them, or those around the cell."""
    whole = calculation.is_small
    cells: Iterable[Shape] = calculation.cells if whole else _around(calculation, cell)
    tape = Pages()
    recorded = calculation.record(tape, cells)
    values = exact(tape.graph(), decimal=True)
    return Record(tape, values, {key: tracer.id for key, tracer in recorded.items()}, None, whole)


def _around(calculation: Calculation, cell: Shape | None) -> list[Shape]:
    """The places of the main output around the cell, as many as can be worked out in no time."""
    first = cell or (0,) * len(calculation.cells.shape)
    scratch = Pages()
    calculation.record(scratch, [first])
    side = min(SIDE, math.isqrt(SMALL // len(scratch.nodes)) or 1)
    sizes = calculation.cells.shape
    starts = [max(0, min(at - side // 2, size - side)) for at, size in zip(first[-2:], sizes[-2:], strict=True)]
    ranges = [range(at, min(at + side, size)) for at, size in zip(starts, sizes[-2:], strict=True)]
    return [(*first[:-2], *at) for at in itertools.product(*ranges)]


class Writer:
    """Writes a record down as the lines and the panels of a board."""

    def __init__(self, calculation: Calculation, record: Record, given: bool = False) -> None:
        self.calculation, self.record, self.given = calculation, record, given
        self.lines: list[Line] = []
        self.line_of: dict[int, int] = {}  # by node
        self._leaves: dict[tuple[str, Shape], int] = {}
        self._write()
        self.sheets = [*self._inputs(), *self._between(), *self._outputs()]

    def board(self, cell: Shape | None, grad: bool, still: Sequence[Block]) -> Board:
        whole = ([panel for sheet in row for panel in self._panels(sheet)] for row in self._rows())
        rows = tuple(tuple(row) for panels in whole for row in self._by_slice(panels))
        name = self.calculation.main_output
        told = upstream_meaning(self.calculation.op.output(name), self.calculation.shapes[name], self.given)
        return Board(
            tuple(self.lines), rows, self._focus(cell, grad), tuple(still), told if self.record.gradients else ""
        )

    def _focus(self, cell: Shape | None, grad: bool) -> int:
        """The line that is asked first: the cell, or the first element of the first gradient or of the output."""
        main = self.calculation.op.output(self.calculation.main_output).symbol
        found = next(sheet.lines for sheet in self.sheets if sheet.symbol == main and sheet.role == "output")
        if grad:
            asked = (sheet.gradients for sheet in self.sheets if sheet.role == "input" and sheet.gradients)
            found = next(asked, found)
        moved = next((at for at, line in found.items() if self.lines[line].value.value), min(found))
        at = None if cell is None else next((at for at in found if at[len(at) - len(cell) :] == cell), None)
        return found[at] if at is not None else found[moved if grad else min(found)]

    # --- lines ----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """The nodes that an output or a gradient is made of, in order."""
        tape, gradients = self.record.tape, self.record.gradients or {}
        needed = reached(tape, [*self.record.outputs.values(), *gradients.values()])
        for id in sorted(needed):
            node = tape.nodes[id]
            if node.op in SILENT and node.op != "detach":  # of which a page asks where no gradient goes
                self.line_of[id] = self.line_of[node.args[0]]
            elif node.op in ("input", "padding"):
                key = node.label, node.at
                if key not in self._leaves:
                    self._leaves[key] = self._append(id, node)
                self.line_of[id] = self._leaves[key]
            else:
                self.line_of[id] = self._append(id, node)

    def _append(self, id: int, node: Node) -> int:
        args = tuple(self.line_of[arg] for arg in node.args)
        partial = tuple(map(as_number, self._sums(node))) if node.op == "sum" else ()
        symbol = None if node.op == "padding" or not node.label else self._symbol(node.label, node.at)
        return self._line(Line(node.op, args, as_number(self.record.values[id]), symbol, partial))

    def _sums(self, node: Node) -> Iterator[Any]:
        """What the sum has come to after its second term, its third, ... its last but one."""
        terms = [self.record.values[arg] for arg in node.args]
        return itertools.islice(itertools.accumulate(terms, EXACT.functions["sum"]), 1, len(terms) - 1)

    def _line(self, line: Line) -> int:
        self.lines.append(line)
        return len(self.lines) - 1

    def _symbol(self, label: str, at: Shape) -> Symbol:
        name = label.removesuffix(ADJOINT)
        return Symbol(name, at[self.calculation.hidden.get(name, 0) :], adjoint=label.endswith(ADJOINT))

    def _called(self, id: int, symbol: Symbol) -> int:
        """The line of a node under that name; of a node that has another one, its own line."""
        place = self.line_of[id]
        line = self.lines[place]
        if line.symbol is None and line.args:
            self.lines[place] = line._replace(symbol=symbol)
        elif line.symbol != symbol:
            return self._line(Line(SAME, (place,), line.value, symbol))
        return place

    # --- arrays ---------------------------------------------------------------------------------------------------

    def _inputs(self) -> Iterator[Sheet]:
        gradients = self.record.gradients
        for name, array in self.calculation.case.arrays.items():
            symbol = self.calculation.op.input(name).symbol
            found = {at: line for (label, at), line in self._leaves.items() if label == symbol}
            read = reader(array)
            for at in np.ndindex(*array.shape) if self.record.whole or array.size <= SIDE * SIDE else ():
                if at not in found:
                    found[at] = self._line(Line("input", (), Number(read(at)), self._symbol(symbol, at)))
            behind = {}
            if gradients is not None and array.dtype.kind == "f" and self.calculation.op.input(name).differentiable:
                behind = {at: self._gradient(symbol, at) for at in np.ndindex(*array.shape)}
            yield Sheet(symbol, array.shape, found, behind, "input", array.dtype.kind)

    def _gradient(self, symbol: str, at: Shape) -> int:
        name = self._symbol(symbol + ADJOINT, at)
        id = (self.record.gradients or {}).get((symbol, at))
        if id is None:
            return self._line(Line("constant", (), Number(Fraction(0)), name))
        line = self.lines[self.line_of[id]]
        if line.symbol is None and line.args and self.line_of[id] in self._shared:
            # what several numbers are made of is none of them: it would look as if one went into the other
            return self._line(line._replace(symbol=name))
        return self._called(id, name)

    @cached_property
    def _shared(self) -> set[int]:
        """The lines that several others are made of, or that are the gradients of several numbers."""
        gradients = (self.line_of[id] for id in (self.record.gradients or {}).values())
        uses = Counter([*gradients, *(arg for line in self.lines for arg in set(line.args))])
        return {line for line, count in uses.items() if count > 1}

    def _between(self) -> Iterator[Sheet]:
        """The arrays that the definition names on its way: those whose every element is one number."""
        found: dict[str, dict[Shape, set[int]]] = {}
        for id, place in self.line_of.items():
            node = self.record.tape.nodes[id]
            if node.label and not node.is_leaf and node.op not in SILENT:
                found.setdefault(node.label, {}).setdefault(node.at, set()).add(place)
        known = {self.calculation.op.output(name).symbol for name in self.calculation.shapes}
        for label, places in sorted(found.items(), key=lambda each: min(map(min, each[1].values()))):
            if label in known or label.endswith(ADJOINT) or any(len(each) > 1 for each in places.values()):
                continue
            lines = {at: min(each) for at, each in places.items()}
            shape = tuple(max(axis) + 1 for axis in zip(*lines, strict=True))
            flows = any((label, at) in (self.record.gradients or {}) for at in lines)
            yield Sheet(label, shape, lines, {at: self._gradient(label, at) for at in lines} if flows else {})

    def _outputs(self) -> Iterator[Sheet]:
        op = self.calculation.op
        for name, shape in self.calculation.shapes.items():
            symbol = op.output(name).symbol
            ids = {at: id for (output, at), id in self.record.outputs.items() if output == name}
            lines = {at: self._called(id, self._symbol(symbol, at)) for at, id in ids.items()}
            seeds = {at: line for (label, at), line in self._leaves.items() if label == symbol + ADJOINT}
            if lines:
                reached = seeds or any((symbol, at) in (self.record.gradients or {}) for at in lines)
                behind = seeds or {at: self._gradient(symbol, at) for at in lines} if reached else {}
                yield Sheet(symbol, shape, lines, behind, "output")

    # --- layout ---------------------------------------------------------------------------------------------------

    def _rows(self) -> list[list[Sheet]]:
        """One row per operator: what it reads that was not seen before, and what it makes."""
        inputs = [sheet for sheet in self.sheets if sheet.role == "input" and sheet.kind == "f"]
        made = [sheet for sheet in self.sheets if sheet.role != "input"]
        owner = {line: sheet for sheet in self.sheets for line in sheet.lines.values()}
        depth = self._depths({line for sheet in made for line in sheet.lines.values()})
        made.sort(key=lambda sheet: (max(depth[line] for line in sheet.lines.values()), min(sheet.lines.values())))
        rows = []
        for sheet in made:
            read = {id(owner[line]) for line in self._read(min(sheet.lines.values()), owner)}
            new = [each for each in inputs if id(each) in read]
            inputs = [each for each in inputs if id(each) not in read]
            rows.append([*new, sheet])
        rows[-1] = [*inputs, *rows[-1]]
        for sheet in (each for each in self.sheets if each.kind != "f"):
            where = self._read_in(sheet, made)
            rows[where].insert(-1, sheet)
        return rows

    def _by_slice(self, panels: list[Panel]) -> list[list[Panel]]:
        """A row for each slice of what is made (a channel beside its filter), where each reads panels of its own."""
        made = [panel for panel in panels if panel.role != "input"]
        inputs = [panel for panel in panels if panel.role == "input"]
        home = {place.line: k for k, panel in enumerate(inputs) for row in panel.rows for place in row}
        asked = [{home[line] for line in self._read_by(panel) if line in home} for panel in made]
        own = [each.difference(*(other for other in asked if other is not each)) for each in asked]
        if len(made) < 2 or not all(own):
            return [panels]
        rows = [[inputs[k] for k in sorted(mine)] + [panel] for mine, panel in zip(own, made, strict=True)]
        shared = [panel for k, panel in enumerate(inputs) if not any(k in mine for mine in own)]
        return [shared, *rows] if shared else rows

    def _read_by(self, panel: Panel) -> set[int]:
        """What some elements of a panel are made of: those at its edges read less where there is padding."""
        lines = [place.line for row in panel.rows for place in row if place.line is not None]
        owner = {line: sheet for sheet in self.sheets for line in sheet.lines.values()}
        return {each for line in {lines[0], lines[len(lines) // 2], lines[-1]} for each in self._read(line, owner)}

    def _depths(self, made: set[int]) -> list[int]:
        """For each line, how many arrays that were made stand one behind the other up to it."""
        depth: list[int] = []
        for k, line in enumerate(self.lines):
            depth.append(max((depth[arg] for arg in line.args), default=0) + (k in made))
        return depth

    @staticmethod
    def _read_in(sheet: Sheet, made: Sequence[Sheet]) -> int:
        """The row of numbers of which the record does not say who reads them: that of an array of their shape, for a
        mask the first, since it is added to scores, and for classes the last, since they choose what counts."""
        alike = [k for k, each in enumerate(made) if each.shape[-len(sheet.shape) :] == sheet.shape]
        return len(made) - 1 if not alike else alike[0] if sheet.kind == "b" else alike[-1]

    def _read(self, line: int, owner: Mapping[int, Sheet]) -> set[int]:
        """The elements of arrays that a line is made of, without those behind them."""
        found, waiting = set(), [*self.lines[line].args]
        while waiting:
            each = waiting.pop()
            if each in owner:
                found.add(each)
            else:
                waiting += self.lines[each].args
        return found

    def _panels(self, sheet: Sheet) -> Iterator[Panel]:
        """The array as panels of two dimensions: whole, or as far as it is known."""
        if not sheet.lines:
            return
        hidden = self.calculation.hidden.get(sheet.symbol, 0)
        slices = sorted({at[:-2] for at in sheet.lines if len(at) == len(sheet.shape)}) or [()]
        for lead in slices[:MOST_PANELS]:
            used = [at for at in sheet.lines if at[:-2] == lead]
            rows = _range([at[-2] for at in used]) if len(sheet.shape) > 1 else None
            columns = _range([at[-1] for at in used if at])
            places = [[(*lead, i, j) for j in columns] for i in rows] if rows is not None else [
                [(j,) for j in columns] if sheet.shape else [()]]  # fmt: skip
            cells = tuple(tuple(Place(sheet.lines.get(at), sheet.gradients.get(at)) for at in row) for row in places)
            title = title_of(sheet.symbol, lead[hidden:], sheet.shape, rows, columns)
            bar = title_of(barred(sheet.symbol), lead[hidden:], sheet.shape, rows, columns) if sheet.gradients else ""
            yield Panel(title, cells, bar, sheet.role)


def _range(used: Sequence[int]) -> range:
    return range(min(used, default=0), max(used, default=0) + 1)
