"""The arrays of a tensor program as they stand: rows and columns, and not only their first numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.render.signs import Signs
from opcheck.steps import Block, Cell, Grid, Grids, Number, Step
from opcheck.traces.tensor.formulas import called
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.tracing.arithmetic import as_fraction

SIDE, SLICES = 12, 4  # rows and columns that are drawn; two-dimensional slices of one array


def values(trace: ArrayTrace) -> list[Block]:
    """Each line as a matrix."""
    found = {id: trace.nodes[id].value for id in trace.names}
    return _drawn(trace, found, say("the arrays"), adjoint=False)


def adjoints(trace: ArrayTrace, seed: float) -> list[Block]:
    """The adjoint of each line as a matrix."""
    found = trace.adjoints(np.full(trace.value.shape, seed))
    return _drawn(trace, {id: found[id] for id in trace.names}, say("their adjoints"), adjoint=True)


def _drawn(trace: ArrayTrace, arrays: Mapping[int, Any], title: str, adjoint: bool) -> list[Block]:
    signs = Signs()
    inputs = {id: name for name, id in trace.inputs.items()}
    grids: list[Grid] = []
    for id, array in arrays.items():
        if isinstance(array, np.ndarray) and array.ndim and array.size:
            name = signs.symbol(called(trace, id, adjoint=adjoint))
            grids += _grids(f"{name} = {inputs[id]}" if id in inputs and not adjoint else name, array)
    return [Step(title, (Grids(tuple(grids)),))] if grids else []


def _grids(title: str, array: Any) -> Iterator[Grid]:
    """An array as its slices; of a long row or column the first SIDE numbers."""
    rows = array.reshape(1, -1) if array.ndim == 1 else array
    slices = rows.reshape(-1, *rows.shape[-2:])
    leads = list(np.ndindex(*rows.shape[:-2]))
    for k, lead in enumerate(leads[:SLICES]):
        parts = [f"[{','.join(map(str, lead))}]"] if lead else []
        if max(slices[k].shape) > SIDE:
            parts.append(say("(the first {n} rows and columns)", n=SIDE))
        if k == SLICES - 1 and len(leads) > SLICES:
            parts.append(say("(and {n} more like it)", n=len(leads) - SLICES))
        shown = slices[k][:SIDE, :SIDE] * 1.0
        cells = tuple(tuple(Cell(Number(as_fraction(x))) for x in row) for row in shown.tolist())
        yield Grid(" ".join([title, *parts]), cells)
