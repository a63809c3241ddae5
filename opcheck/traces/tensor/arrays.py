"""Every line of a tensor program as the array that it is, and its adjoint beside it: for --all, and for a page."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.steps import Block, Cell, Grid, Grids, Prose, Step
from opcheck.traces.tensor.formulas import called, computes
from opcheck.traces.tensor.tables import number
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import write

MOST_NUMBERS, MOST_COLUMNS = 144, 12  # of an array that is drawn
MOST_LINES = 60


def arrays(trace: ArrayTrace, seed: float, backward: bool) -> list[Block]:
    """A step a line, with its array and, after a sweep back, its adjoint; larger ones are left to the table."""
    lines = list(trace.names)[:MOST_LINES]
    adjoints = trace.adjoints(np.full(trace.value.shape, seed)) if backward else []
    steps: list[Block] = []
    left_out = len(trace.names) - len(lines)
    for id in lines:
        value = trace.nodes[id].value
        if not _is_drawn(value):
            left_out += 1
            continue
        grids = list(_grids(write(called(trace, id)), value))
        if backward and adjoints[id] is not None:
            grids += _grids(write(called(trace, id, adjoint=True)), adjoints[id])
        head = say("{line} = {operation}", line=write(called(trace, id)), operation=computes(trace, id))
        steps.append(Step(head, (Grids(tuple(grids)),)))
    if left_out and steps:
        steps.append(Prose(say("… {n} more lines, whose arrays are too large to be drawn", n=left_out), "note"))
    return [Step(say("the arrays"), tuple(steps))] if steps else []


def _is_drawn(value: Any) -> bool:
    array = np.asarray(value)
    return (
        not isinstance(value, dict) and 0 < array.size <= MOST_NUMBERS and max(array.shape, default=1) <= MOST_COLUMNS
    )


def _grids(title: str, value: Any) -> Iterator[Grid]:
    """The matrix, or its slices."""
    array = np.atleast_2d(np.asarray(value))
    for lead in np.ndindex(*array.shape[:-2]):
        rows = tuple(tuple(Cell(number(each)) for each in row) for row in array[lead])
        yield Grid(f"{title}[{','.join(map(str, lead))}]" if lead else title, rows)
