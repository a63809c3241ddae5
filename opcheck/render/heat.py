"""Errors as a map: one square per element, darker for a larger share of its bound, and a cross beyond the bound."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from opcheck.language import say

SIDE, LETTER = 22, 7.5  # of a square; the width of a letter


class Row(NamedTuple):
    """A case: what it is called, the errors of its elements as shares of their bounds, and what these are called."""

    name: str
    shares: Sequence[float]
    places: Sequence[str]


def draw(rows: Sequence[Row], worst: int | None) -> str:
    """The cases from top to bottom; `worst`: the element of the first one that is framed."""
    left = int(max(len(row.name) for row in rows) * LETTER) + 10
    wide, tall = left + max(len(row.shares) for row in rows) * SIDE, len(rows) * SIDE
    parts = [
        f'<svg class="heat" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}" role="img" font-size="13">',
        f"<title>{html.escape(say('error over bound, by case and element'))}</title>",
    ]
    for i, row in enumerate(rows):
        parts.append(f'<text x="0" y="{i * SIDE + 16}">{html.escape(row.name)}</text>')
        for j, (share, place) in enumerate(zip(row.shares, row.places, strict=True)):
            parts.append(_square(left + j * SIDE, i * SIDE, share, place))
    parts += [] if worst is None else [f'<rect class="worst" {_box(left + worst * SIDE, 0)}/>']
    return "".join([*parts, "</svg>"])


def _square(x: int, y: int, share: float, place: str) -> str:
    wrong = not share <= 1
    kind, strength = ("wrong", 1.0) if wrong else ("right", round(0.1 + 0.5 * share, 3))
    told = html.escape(f"{place}: {_written(share)}")
    cross = f'<path class="cross" d="M{x + 7},{y + 7} l8,8 m0,-8 l-8,8"/>' if wrong else ""
    return f'<rect class="{kind}" {_box(x, y)} fill-opacity="{strength}"><title>{told}</title></rect>{cross}'


def _box(x: int, y: int) -> str:
    return f'x="{x + 1}" y="{y + 1}" width="{SIDE - 2}" height="{SIDE - 2}"'


def _written(share: float) -> str:
    if not math.isfinite(share):
        return say("beyond any bound")
    return say("{share} bounds", share=f"{share:.3g}")
