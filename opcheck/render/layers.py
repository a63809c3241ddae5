"""Where the nodes of a computational graph go: layers from top to bottom, few crossings, short edges.

Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures (IEEE Trans. SMC 11,
1981): layers by longest path, edges over several layers cut into pieces, order by barycentres, then positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 8


@dataclass(eq=False)
class Place:
    """A node, or a point (`id` is None) where a long edge passes a layer."""

    id: int | None
    layer: int
    width: float
    x: float = 0.0  # of its middle
    above: list["Place"] = field(default_factory=list)  # one for each edge that arrives, in order
    below: list["Place"] = field(default_factory=list)


def layers(edges: dict[int, Sequence[int]], width: Callable[[int | None], float], gap: float) -> list[list[Place]]:
    """The places of a graph, layer by layer from left to right.

    edges: for each node, in order of evaluation, the nodes that it is computed from (a repeated one counts twice);
    width(node) of its box (None: of a passing edge); gap: the least distance between boxes.
    """
    level: dict[int, int] = {}
    for node, args in edges.items():
        level[node] = 1 + max((level[arg] for arg in args), default=-1)
    rows: list[list[Place]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    place = {}
    for node in edges:
        place[node] = Place(node, level[node], width(node))
        rows[level[node]].append(place[node])
    for node, args in edges.items():
        for arg in args:
            upper = place[arg]
            for layer in range(level[arg] + 1, level[node]):
                passing = Place(None, layer, width(None))
                rows[layer].append(passing)
                join(upper, passing)
                upper = passing
            join(upper, place[node])
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            order(row, down, rows)
    position(rows, gap)
    return rows


def join(upper: Place, lower: Place) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def order(row: list[Place], down: bool, rows: list[list[Place]]) -> None:
    """Sorts a layer by the mean place of the neighbours in the layer before (ties keep their order)."""
    rank = {id(each): k for layer in rows for k, each in enumerate(layer)}

    def mean(each: Place) -> float:
        neighbours = each.above if down else each.below
        return sum(rank[id(n)] for n in neighbours) / len(neighbours) if neighbours else rank[id(each)]

    row.sort(key=mean)


def position(rows: list[list[Place]], gap: float) -> None:
    """Moves each place towards the mean of its neighbours, as far as the order and the gap allow."""
    for row in rows:
        settle(row, [0.0] * len(row), gap)
    for _ in range(SWEEPS):
        for down in (True, False):
            for row in rows if down else reversed(rows):
                wished = []
                for each in row:
                    neighbours = (each.above if down else each.below) or (each.below if down else each.above)
                    wished.append(sum(n.x for n in neighbours) / len(neighbours) if neighbours else each.x)
                settle(row, wished, gap)
    left = min((each.x - each.width / 2 for row in rows for each in row), default=0.0)
    for row in rows:
        for each in row:
            each.x -= left


def settle(row: list[Place], wished: Sequence[float], gap: float) -> None:
    """The positions nearest to the wished ones (least squares) that keep the order and the gap: pool what collides."""
    blocks: list[list[float]] = []  # [sum of wishes, count]: a block's places stand shoulder to shoulder
    offset = [0.0]
    for before, after in pairwise(row):
        offset.append(offset[-1] + (before.width + after.width) / 2 + gap)
    for wish, shift in zip(wished, offset, strict=False):
        blocks.append([wish - shift, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    start = [total / count for total, count in blocks for _ in range(int(count))]
    for each, first, shift in zip(row, start, offset, strict=False):
        each.x = first + shift
