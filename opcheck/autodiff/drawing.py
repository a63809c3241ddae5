"""The computational graph as text, DOT, Mermaid and SVG, without an external program."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from opcheck.autodiff.layout import Place, layers
from opcheck.errors import Refused
from opcheck.language import say

if TYPE_CHECKING:
    from opcheck.autodiff.document import Traced


class Box(NamedTuple):
    """A node of a drawing: what it says, what it is computed from, and whether it is an input or an output."""

    title: str  # v₂ = v₋₁·v₀
    detail: str  # its value, or its shape
    args: tuple[int, ...]
    role: str  # input, output or ""


Boxes = dict[int, Box]


def draw(trace: "Traced", notation: str) -> str:
    """The graph in one of NOTATIONS; raises Refused for another one, and for a text that would not be readable."""
    if notation not in NOTATIONS:
        raise Refused(say("a graph is drawn as {known}", known=", ".join(NOTATIONS)), got=repr(notation))
    return NOTATIONS[notation](trace.boxes())


# --- text -----------------------------------------------------------------------------------------------------------

WIDEST, TALLEST = 78, 60
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
SIGNS = {
    UP | DOWN: "│", LEFT | RIGHT: "─", UP | RIGHT: "└", UP | LEFT: "┘", DOWN | RIGHT: "┌", DOWN | LEFT: "┐",
    UP | DOWN | LEFT | RIGHT: "┼", UP | DOWN | LEFT: "┤", UP | DOWN | RIGHT: "├", UP | LEFT | RIGHT: "┴",
    DOWN | LEFT | RIGHT: "┬", UP: "│", DOWN: "│", LEFT: "─", RIGHT: "─",
}  # fmt: skip


def text(boxes: Boxes) -> str:
    """The graph from top to bottom in box-drawing characters; raises Refused where it would not be readable."""
    drawn = text_or_none(boxes)
    if drawn is None:
        raise Refused(
            say("this graph is too large to be readable as text: {n} nodes", n=len(boxes)),
            fix=say("--graph svg -o graph.svg draws it, --graph dot and --graph mermaid write it for other programs"),
        )
    return drawn


def text_or_none(boxes: Boxes) -> str | None:
    if not boxes or len(boxes) > 40:
        return None
    room = {id: max(len(box.title), 2 * len(box.args) - 1) for id, box in boxes.items()}
    rows = layers({id: box.args for id, box in boxes.items()}, lambda id: 1 if id is None else room[id], 3)
    for row in rows:  # whole columns
        for k, each in enumerate(row):
            least = row[k - 1].x + (row[k - 1].width + each.width) // 2 + 2 if k else 0
            each.x = max(round(each.x), least)
    wide = max(int(each.x + each.width / 2) + 2 for row in rows for each in row)
    lines: list[str] = []
    for row, following in zip(rows, [*rows[1:], []], strict=True):
        line = [" "] * wide
        for each in row:
            title = "│" if each.id is None else boxes[each.id].title
            start = int(each.x) - len(title) // 2
            line[start : start + len(title)] = title
        lines.append("".join(line).rstrip())
        if following:
            lines += wires(row, wide)
    return "\n".join(lines) if wide <= WIDEST and len(lines) <= TALLEST else None


def wires(row: Sequence[Place], wide: int) -> list[str]:
    """The lines between a layer and the next one: each edge goes down, across in a line of its own, and down."""
    edges = []
    arrived: dict[int, int] = {}
    for upper in row:
        ordered = sorted(upper.below, key=lambda lower: lower.x)
        for k, lower in enumerate(ordered):
            count = arrived.get(id(lower), 0)
            arrived[id(lower)] = count + 1
            edges.append((port(upper, k, len(ordered)), port(lower, count, len(lower.above))))
    bent = [edge for edge in edges if edge[0] != edge[1]]
    tracks = pack(bent)
    height = len(tracks) + 1
    field = [[0] * wide for _ in range(height)]

    def vertical(column: int, top: int, bottom: int) -> None:
        for line in range(top, bottom):
            field[line][column] |= UP | DOWN

    for start, end in edges:
        if start == end:
            vertical(start, 0, height)
    for line, track in enumerate(tracks):
        for start, end in track:
            vertical(start, 0, line)
            vertical(end, line + 1, height)
            first, last = min(start, end), max(start, end)
            field[line][start] |= UP | (RIGHT if end > start else LEFT)
            field[line][end] |= DOWN | (LEFT if end > start else RIGHT)
            for column in range(first + 1, last):
                field[line][column] |= LEFT | RIGHT
    return ["".join(SIGNS.get(each, " ") for each in line).rstrip() for line in field]


def port(place: Place, k: int, count: int) -> int:
    """The column of edge k of `count` at a place: spread over its width."""
    if place.id is None or count == 1:
        return int(place.x)
    room = max(1, int((place.width - 1) / max(1, count - 1)))
    step = min(room, 4)
    return int(place.x) - step * (count - 1) // 2 + step * k


def pack(edges: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Edges as lines across: those that start in a column above those that end there, others share a line."""
    waiting = sorted(edges, key=lambda edge: (edge[1] > edge[0], edge[0] if edge[1] <= edge[0] else -edge[0]))
    tracks: list[list[tuple[int, int]]] = []
    while waiting:
        free = [each for each in waiting if not any(other[0] == each[1] for other in waiting if other != each)]
        track: list[tuple[int, int]] = []
        for each in free or waiting[:1]:
            low, high = min(each), max(each)
            if all(high < min(other) or low > max(other) for other in track):
                track.append(each)
        for each in track:
            waiting.remove(each)
        tracks.append(track)
    return tracks


# --- DOT and Mermaid ------------------------------------------------------------------------------------------------


def dot(boxes: Boxes) -> str:
    """For Graphviz: `dot -Tpdf`."""
    shapes = {"input": "ellipse", "output": "doubleoctagon"}
    lines = ["digraph trace {", "  node [shape=box];"]
    for id, box in boxes.items():
        label = f"{box.title}\\n{box.detail}".replace('"', '\\"')
        shape = f", shape={shapes[box.role]}" if box.role else ""
        lines.append(f'  n{id} [label="{label}"{shape}];')
    lines += [f"  n{arg} -> n{id};" for id, box in boxes.items() for arg in box.args]
    return "\n".join([*lines, "}"])


def mermaid(boxes: Boxes) -> str:
    """For Markdown that understands ```mermaid."""
    frames = {"input": ("([", "])"), "output": ("[[", "]]"), "": ("[", "]")}
    lines = ["flowchart TD"]
    for id, box in boxes.items():
        left, right = frames[box.role]
        label = html.escape(
            f"{box.title} = {box.detail}" if box.role == "" else f"{box.title}: {box.detail}", quote=True
        )
        lines.append(f'  n{id}{left}"{label}"{right}')
    lines += [f"  n{arg} --> n{id}" for id, box in boxes.items() for arg in box.args]
    return "\n".join(lines)


# --- SVG ------------------------------------------------------------------------------------------------------------

LETTER, MARGIN, HEIGHT, BETWEEN = 8.4, 20, 44, 50


def svg(boxes: Boxes) -> str:
    """A stand-alone drawing; colours follow the page's, and roles are told by shape as well."""

    def width(id: int | None) -> float:
        return 2.0 if id is None else 24 + LETTER * max(len(boxes[id].title), len(boxes[id].detail))

    rows = layers({id: box.args for id, box in boxes.items()}, width, 24.0)
    across = max((each.x + each.width / 2 for row in rows for each in row), default=0) + 2 * MARGIN
    down = len(rows) * (HEIGHT + BETWEEN) - BETWEEN + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
        f'viewBox="0 0 {across:.0f} {down:.0f}" role="img" font-family="DejaVu Sans Mono, monospace" font-size="14">',
        f"<title>{html.escape(say('computational graph'))}</title>",
        "<style>.box{fill:#fff;stroke:#334}.input{fill:#e8f0fe}.output{fill:#fdeeda;stroke-width:2.5}"
        ".edge{fill:none;stroke:#667}.detail{fill:#556;font-size:12px}</style>",
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#667"/></marker></defs>',
    ]
    for row in rows:
        for upper in row:
            ordered = sorted(upper.below, key=lambda lower: lower.x)
            for k, lower in enumerate(ordered):
                parts.append(edge(upper, k, len(ordered), lower))
    for row in rows:
        for each in row:
            if each.id is not None:
                parts.append(box_of(each, boxes[each.id]))
    return "\n".join([*parts, "</svg>"])


def top(layer: int) -> float:
    return MARGIN + layer * (HEIGHT + BETWEEN)


def edge(upper: Place, k: int, count: int, lower: Place) -> str:
    """A curve from the foot of a box to the head of another one; a passing point is met straight."""
    spread = 0.0 if upper.id is None else (k - (count - 1) / 2) * min(14.0, upper.width / (count + 1))
    arriving = len(lower.above)
    place = lower.above.index(upper) + sum(1 for each in upper.below[:k] if each is lower)
    offset = 0.0 if lower.id is None else (place - (arriving - 1) / 2) * min(14.0, lower.width / (arriving + 1))
    x, y = MARGIN + upper.x + spread, top(upper.layer) + HEIGHT
    to_x, to_y = MARGIN + lower.x + offset, top(lower.layer)
    start = f"M{x:.1f},{y if upper.id is not None else y - HEIGHT:.1f}" + ("" if upper.id is not None else f" V{y:.1f}")
    marker = ' marker-end="url(#arrow)"' if lower.id is not None else ""
    middle = (y + to_y) / 2
    return (
        f'<path class="edge" d="{start} C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"{marker}/>'
    )


def box_of(place: Place, box: Box) -> str:
    x, y = MARGIN + place.x - place.width / 2, top(place.layer)
    round_ = 20 if box.role == "input" else 4
    middle = MARGIN + place.x
    return (
        f'<rect class="box {box.role}" x="{x:.1f}" y="{y:.1f}" width="{place.width:.1f}" height="{HEIGHT}" '
        f'rx="{round_}"/>'
        f'<text x="{middle:.1f}" y="{y + 18:.1f}" text-anchor="middle">{html.escape(box.title)}</text>'
        f'<text class="detail" x="{middle:.1f}" y="{y + 36:.1f}" text-anchor="middle">{html.escape(box.detail)}</text>'
    )


NOTATIONS = {"text": text, "dot": dot, "mermaid": mermaid, "svg": svg}
