"""The frames of a motion as one page: whatever they share stands there once and says in which frames it is seen or
marked, so that a script has nothing to do but to compare numbers of frames.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from opcheck.steps import Block, Cell, Diagram, Grid, Grids, Step, Table

K = TypeVar("K", bound=Hashable)


class Spot(NamedTuple):
    """A place of a grid in all frames: what stands there in the end, and when it is seen and marked."""

    cell: Cell
    seen: str
    marked: str


class Sheet(NamedTuple):
    """A grid in all frames, and the frames that show it."""

    title: str
    seen: str
    rows: tuple[tuple[Spot, ...], ...]


class Listing(NamedTuple):
    """A table that grows: its last state, the frames that show it, and when each row is seen and marked."""

    table: Table
    seen: str
    rows: tuple[tuple[str, str], ...]


def spans(frames: Iterable[int]) -> str:
    """Numbers of frames, in order, as runs.

    >>> spans([0, 1, 2, 7])
    '0-2 7'
    """
    runs = []
    for _, run in groupby(enumerate(frames), lambda each: each[1] - each[0]):
        numbers = [frame for _, frame in run]
        runs.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}")
    return " ".join(runs)


def during(values: Iterable[K]) -> list[tuple[K, list[int]]]:
    """Each value that is not empty, and the frames in which it stands."""
    found: dict[K, list[int]] = {}
    for k, value in enumerate(values):
        if value:
            found.setdefault(value, []).append(k)
    return list(found.items())


def sheets(frames: Sequence[Step]) -> list[Sheet]:
    """The grids of all frames, in the places that they have there; two are one if their titles and sizes are equal."""
    found: dict[tuple[str, tuple[int, ...]], list[tuple[int, Grid]]] = {}
    place: dict[tuple[str, tuple[int, ...]], int] = {}
    for k, frame in enumerate(frames):
        for position, grid in enumerate(each for block in _of(frame, Grids) for each in block.grids):
            key = grid.title, tuple(map(len, grid.rows))
            found.setdefault(key, []).append((k, grid))
            place.setdefault(key, position)
    ordered = sorted(found, key=lambda key: place[key])  # stable: frames that came first stay first
    return [_sheet(key[0], found[key]) for key in ordered]


def _sheet(title: str, states: Sequence[tuple[int, Grid]]) -> Sheet:
    rows = []
    for cells in zip(*(grid.rows for _, grid in states), strict=True):
        row = []
        for spot in zip(*cells, strict=True):
            stated = list(zip((k for k, _ in states), spot, strict=True))
            known = [k for k, cell in stated if cell.value is not None]
            last = max((cell for _, cell in stated), key=lambda cell: cell.value is not None)
            row.append(Spot(last._replace(marked=False), spans(known), spans(k for k, cell in stated if cell.marked)))
        rows.append(tuple(row))
    return Sheet(title, spans(k for k, _ in states), tuple(rows))


def listings(frames: Sequence[Step]) -> list[Listing]:
    """The tables of all frames; two are one if their titles and headers are equal. The last row of each is marked."""
    found: dict[tuple[str, tuple[str, ...]], list[tuple[int, Table]]] = {}
    for k, frame in enumerate(frames):
        for table in _of(frame, Table):
            found.setdefault((table.title, table.headers), []).append((k, table))
    result = []
    for states in found.values():
        longest = max((table for _, table in states), key=lambda table: len(table.rows))
        rows = [
            (
                spans(k for k, table in states if len(table.rows) > row),
                spans(k for k, table in states if len(table.rows) == row + 1),
            )
            for row in range(len(longest.rows))
        ]
        result.append(Listing(longest, spans(k for k, _ in states), tuple(rows)))
    return result


def diagrams(frames: Sequence[Step]) -> tuple[Diagram, ...]:
    """The diagram in each frame; none if the frames have none."""
    return tuple(diagram for frame in frames for diagram in _of(frame, Diagram))


def own(frame: Step) -> tuple[Block, ...]:
    """What no other frame shows."""
    return tuple(block for block in frame.blocks if not isinstance(block, Grids | Table | Diagram))


B = TypeVar("B", Grids, Table, Diagram)


def _of(frame: Step, kind: type[B]) -> Iterator[B]:
    return (block for block in frame.blocks if isinstance(block, kind))
