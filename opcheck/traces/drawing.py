"""The computational graph as text, DOT, Mermaid and SVG, without an external program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.render import svg
from opcheck.render.layers import Place, layers
from opcheck.steps import Box, Diagram

if TYPE_CHECKING:
    from opcheck.traces.traced import Traced


Boxes = dict[int, Box]  # by the node that a box stands for; its detail is its value, or its shape


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
            say("this graph is too large to read as text: {n} nodes", n=len(boxes)),
            fix=say("--graph svg -o graph.svg draws it; --graph dot and --graph mermaid write it for other programs"),
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
    """The lines between a layer and the next one: each edge goes down, across in its own line, and down."""
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
        label = f"{box.title}\\n{box.details[0]}".replace('"', '\\"')
        shape = f", shape={shapes[box.role]}" if box.role else ""
        lines.append(f'  n{id} [label="{label}"{shape}];')
    lines += [f"  n{arg} -> n{id};" for id, box in boxes.items() for arg in box.args]
    return "\n".join([*lines, "}"])


ENTITIES = str.maketrans({"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;"})  # as Mermaid writes them


def mermaid(boxes: Boxes) -> str:
    """For Markdown that understands ```mermaid."""
    frames = {"input": ("([", "])"), "output": ("[[", "]]"), "": ("[", "]")}
    lines = ["flowchart TD"]
    for id, box in boxes.items():
        left, right = frames[box.role]
        label = "<br/>".join(each.translate(ENTITIES) for each in (box.title, box.details[0]))
        lines.append(f'  n{id}{left}"{label}"{right}')
    lines += [f"  n{arg} --> n{id}" for id, box in boxes.items() for arg in box.args]
    return "\n".join(lines)


# --- SVG ------------------------------------------------------------------------------------------------------------


def diagram(boxes: Boxes) -> Diagram:
    """The boxes as a block of a document."""
    place = {id: k for k, id in enumerate(boxes)}
    return Diagram(tuple(box._replace(args=tuple(place[arg] for arg in box.args)) for box in boxes.values()))


def drawn(boxes: Boxes) -> str:
    """A file of its own."""
    return svg.file(diagram(boxes))


NOTATIONS = {"text": text, "dot": dot, "mermaid": mermaid, "svg": drawn}
