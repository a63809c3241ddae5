"""Images as pictures, beside their numbers: those of a call and what becomes of them."""

from collections.abc import Iterator

import numpy as np

from opcheck.explanation.calculation import Calculation
from opcheck.operators.spec import Array
from opcheck.steps import Block, Board, Picture, Pictures

LEAST, MOST = 16, 1024  # rows and columns of a picture
SLICES = 4  # of one array


def pictures(calculation: Calculation, board: Board) -> list[Block]:
    """The images, with the part that the board shows; none where there is no image among the inputs."""
    op = calculation.op
    arrays = {op.input(name).symbol: array for name, array in calculation.case.arrays.items()}
    if not any(map(_is_image, arrays.values())):
        return []
    for name, array in op.run(calculation.case).items():
        arrays[op.output(name).symbol] = array
    found = [each for symbol, array in arrays.items() if _is_image(array)
             for each in _slices(calculation, board, symbol, array)]  # fmt: skip
    return [Pictures(tuple(found))] if found else []


def _is_image(array: Array) -> bool:
    return array.ndim >= 2 and all(LEAST <= n <= MOST for n in array.shape[-2:])


def _slices(calculation: Calculation, board: Board, symbol: str, array: Array) -> Iterator[Picture]:
    """The first slices, each with the part of it that the board shows."""
    hidden = calculation.hidden.get(symbol, 0)
    slices = array.reshape(-1, *array.shape[-2:])
    for k, lead in enumerate(list(np.ndindex(*array.shape[:-2]))[:SLICES]):
        title = symbol + (f"[{','.join(map(str, lead[hidden:]))}]" if lead[hidden:] else "")
        panel = next((p for row in board.rows for p in row if p.title.partition("  ")[0] == title), None)
        ids = [] if panel is None else [place.line for row in panel.rows for place in row if place.line is not None]
        places = [board.lines[id].symbol for id in ids]
        inside = [symbol.at[-2:] for symbol in places if symbol is not None]
        part: tuple[int, ...] = ()
        if inside:
            down, across = zip(*inside, strict=True)
            part = min(down), max(down) + 1, min(across), max(across) + 1
        part = () if part == (0, array.shape[-2], 0, array.shape[-1]) else part
        yield Picture(title, tuple(map(tuple, slices[k].astype(float).tolist())), part)
