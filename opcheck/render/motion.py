"""The frames of an animation as one page: whatever they share is there once, with the frames in which it is shown or
marked, so that the script only compares frame numbers.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from opcheck.steps import Block, Diagram, Step, Table

K = TypeVar("K", bound=Hashable)


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
    """What only this frame shows."""
    return tuple(block for block in frame.blocks if not isinstance(block, Table | Diagram))


B = TypeVar("B", Table, Diagram)


def _of(frame: Step, kind: type[B]) -> Iterator[B]:
    return (block for block in frame.blocks if isinstance(block, kind))
