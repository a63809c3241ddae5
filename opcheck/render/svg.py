"""A computational graph as SVG, without an external program: one state of it, or all the states of a motion at once."""

import html
from collections.abc import Iterable, Sequence

from opcheck.language import say
from opcheck.render.layers import Place, layers
from opcheck.render.motion import during, spans
from opcheck.steps import Box, Diagram

LETTER, SMALL = 8.4, 7.3  # widths: of a letter of a title, of one in a line below it
MARGIN, GAP, BETWEEN = 8, 16, 50  # around the drawing, between boxes, between layers
TITLE, LINE = 26, 18  # heights: of the title, of each line below it
STYLE = (
    "<style>.box{fill:#fff;stroke:#334}.input{fill:#e8f0fe}.output{fill:#fdeeda;stroke-width:2.5}"
    ".edge{fill:none;stroke:#667}.detail{fill:#556;font-size:12px}</style>"
)
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#667"/></marker></defs>'
)


def file(diagram: Diagram) -> str:
    """A stand-alone drawing; roles are told by shape as well as by colour."""
    return draw((diagram,), 'xmlns="http://www.w3.org/2000/svg" font-family="DejaVu Sans Mono, monospace"', STYLE)


def draw(states: Sequence[Diagram], attributes: str = 'class="diagram"', style: str = "") -> str:
    """The same graph in one state or in many; what changes says in which states it is seen or marked."""
    boxes = states[-1].boxes
    height = TITLE + LINE * max((len(box.details) for box in boxes), default=0)
    widths = [max(map(_width, each)) + 24 for each in zip(*(state.boxes for state in states), strict=True)]
    edges: dict[int, Sequence[int]] = {id: box.args for id, box in enumerate(boxes)}
    rows = layers(edges, lambda id: 2.0 if id is None else widths[id], GAP)
    across = max((each.x + each.width / 2 for row in rows for each in row), default=0) + 2 * MARGIN
    down = len(rows) * (height + BETWEEN) - BETWEEN + 2 * MARGIN
    size = f'style="--wide:{across:.0f}px" width="{across:.0f}" height="{down:.0f}"'
    parts = [
        f'<svg {attributes} {size} viewBox="0 0 {across:.0f} {down:.0f}" role="img" font-size="14">',
        f"<title>{html.escape(say('computational graph'))}</title>{style}",
        ARROW,
    ]
    for row in rows:
        for upper in row:
            ordered = sorted(upper.below, key=lambda lower: lower.x)
            parts += [_edge(upper, k, len(ordered), lower, height, states) for k, lower in enumerate(ordered)]
    for row in rows:
        parts += [_box(each, [s.boxes[each.id] for s in states], height) for each in row if each.id is not None]
    return "\n".join([*parts, "</svg>"])


def _width(box: Box) -> float:
    return max([len(box.title) * LETTER, *(len(each) * SMALL for each in box.details)])


def _edge(upper: Place, k: int, count: int, lower: Place, height: int, states: Sequence[Diagram]) -> str:
    """A curve from the foot of a box to the head of another one; a passing point is met straight."""
    spread = 0.0 if upper.id is None else (k - (count - 1) / 2) * min(14.0, upper.width / (count + 1))
    arriving = len(lower.above)
    place = lower.above.index(upper) + sum(1 for each in upper.below[:k] if each is lower)
    offset = 0.0 if lower.id is None else (place - (arriving - 1) / 2) * min(14.0, lower.width / (arriving + 1))
    top = MARGIN + upper.layer * (height + BETWEEN)
    x, y, to_x, to_y = MARGIN + upper.x + spread, top + height, MARGIN + lower.x + offset, top + height + BETWEEN
    start = f"M{x:.1f},{y:.1f}" if upper.id is not None else f"M{x:.1f},{top:.1f} V{y:.1f}"
    arrow = ' marker-end="url(#arrow)"' if lower.id is not None else ""
    middle = (y + to_y) / 2
    marked = _attributes("edge", [(_source(upper), _target(lower)) in state.marked for state in states])
    path = f"{start} C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
    return f'<path{marked} d="{path}"{arrow}/>'


def _source(place: Place) -> int:
    """The box that an edge comes from, which may pass other layers."""
    while place.id is None:
        place = place.above[0]
    return place.id


def _target(place: Place) -> int:
    while place.id is None:
        place = place.below[0]
    return place.id


def _box(place: Place, states: Sequence[Box], height: int) -> str:
    x, y, middle = MARGIN + place.x - place.width / 2, MARGIN + place.layer * (height + BETWEEN), MARGIN + place.x
    box = states[-1]
    round_ = 20 if box.role == "input" else 4
    marked = _attributes(f"box {box.role}".strip(), [state.marked for state in states])
    lines = [
        f'<rect{marked} x="{x:.1f}" y="{y:.1f}" width="{place.width:.1f}" height="{height}" rx="{round_}"/>',
        f'<text x="{middle:.1f}" y="{y + 18:.1f}" text-anchor="middle">{html.escape(box.title)}</text>',
    ]
    for k in range(len(box.details)):
        for text, frames in during(state.details[k] for state in states):
            seen = f' data-in="{spans(frames)}"' if len(frames) < len(states) else ""
            lines.append(
                f'<text class="detail"{seen} x="{middle:.1f}" y="{y + 36 + LINE * k:.1f}" text-anchor="middle">'
                f"{html.escape(text)}</text>"
            )
    return "".join(lines)


def _attributes(name: str, marked: Iterable[bool]) -> str:
    """The class of a shape, and the states in which it is marked."""
    flags = list(marked)
    if len(flags) == 1:
        return f' class="{name} marked"' if flags[0] else f' class="{name}"'
    return f' class="{name}" data-mark="{spans(k for k, flag in enumerate(flags) if flag)}"'
