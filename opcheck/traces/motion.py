"""A trace as frames: the graph lights up node by node, forwards with values and tangents, then backwards with adjoints,
and the rows of its tables come with it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opcheck.language import say
from opcheck.render.numbers import Style
from opcheck.render.signs import Signs
from opcheck.steps import Block, Box, Diagram, Expression, Motion, Number, Step, Symbol, Table
from opcheck.traces.drawing import Boxes, diagram

MOST_BOXES, MOST_FRAMES = 40, 200
VALUE, TANGENT, ADJOINT = range(3)  # the lines of a box below its title


class Event(NamedTuple):
    """What a table row says about the graph: a node gets a number, possibly from another node."""

    node: str
    line: int
    text: str
    source: str = ""


def moving(boxes: Boxes, still: Sequence[Block], fractions: bool = False) -> list[Block]:
    """`still` as a motion through its tables; as it is where the graph is too large for a page to show."""
    tables = [block for block in still if isinstance(block, Table)]
    if not 1 < len(boxes) <= MOST_BOXES or not 1 < sum(len(table.rows) for table in tables) <= MOST_FRAMES:
        return list(still)
    frames = list(_frames(diagram(boxes), tables, Signs(Style(fractions=fractions))))
    titles = [say("step {k} of {n}: {part}", k=k + 1, n=len(frames), part=each.title) for k, each in enumerate(frames)]
    titled = (frame._replace(title=title) for frame, title in zip(frames, titles, strict=True))
    return [Motion(tuple(titled), tuple(still))]


def _frames(graph: Diagram, tables: Sequence[Table], signs: Signs) -> Iterator[Step]:
    """One for each row: what is known so far, with the node and the edges that the row is about marked."""
    place = {box.title.partition(" = ")[0]: k for k, box in enumerate(graph.boxes)}
    boxes = [box._replace(details=("", "", "")) for box in graph.boxes]
    sweeps = sum(_event(table.headers, table.rows[0], signs).line == TANGENT for table in tables if table.rows)
    for table in tables:
        for k, row in enumerate(table.rows):
            event = _event(table.headers, row, signs)
            if k == 0 and event.line != VALUE:  # a sweep begins with no tangents, with no adjoints
                boxes = [_with(box, event.line, "") for box in boxes]
            if k == 0 and event.line == ADJOINT and sweeps > 1:  # the last tangents are those of one sweep of several
                boxes = [_with(box, TANGENT, "") for box in boxes]
            node, source = place[event.node], place.get(event.source)
            boxes[node] = _with(boxes[node], event.line, event.text)
            forwards = [(arg, node) for arg in boxes[node].args]
            edges = forwards if event.line != ADJOINT else [] if source is None else [(node, source)]
            shown = tuple(box._replace(marked=n in (node, source)) for n, box in enumerate(boxes))
            yield Step(
                _told(table.headers, row, event, signs),
                (Diagram(shown, tuple(edges)), table._replace(rows=table.rows[: k + 1])),
            )


def _told(headers: Sequence[str], row: Sequence[str | Expression], event: Event, signs: Signs) -> str:
    """What a row says, on one line: v̄₃ = −v̄₅ = −1."""
    name, *entries = row[1:] if event.line == ADJOINT else row
    own = headers[len(row) - len(entries) :]
    shown = name if isinstance(name, str) else signs.write(name)
    slopes = [f"{header} {_written(entry, signs)[2:]}" for header, entry in zip(own, entries, strict=True)
              if "∂" in header]  # fmt: skip
    if slopes:  # the numbers of each direction follow each other
        return ", ".join((shown + _written(entries[0], signs, " "), *slopes))
    skipped = (say("shape"), say("norm"))
    found = dict.fromkeys(_written(entry, signs, " ") for header, entry in zip(own, entries, strict=True)
                          if entry != "" and header not in skipped)  # fmt: skip
    return shown + "".join(found)


def _written(entry: str | Expression, signs: Signs, before: str = "") -> str:
    """= or ≈, and what stands there."""
    if isinstance(entry, str):
        return f"{before}= {entry}"
    return f"{before}{signs.relation(entry)} {signs.write(entry)}"


def _event(headers: Sequence[str], row: Sequence[str | Expression], signs: Signs) -> Event:
    """Read off a row: x̄ in its second column is an adjoint, ẋ in its first one a tangent, and x a value."""
    first, second = row[:2]
    shown = _shown(headers, row, signs)
    if isinstance(second, Symbol) and second.adjoint:
        return Event(second.name, ADJOINT, signs.write(second) + shown, _name(first))
    if isinstance(first, Symbol) and first.tangent:
        return Event(first.name, TANGENT, signs.write(first) + shown)
    return Event(_name(first), VALUE, shown.removeprefix(EQUALS).removeprefix(IS))


EQUALS, IS = " = ", ": "


def _shown(headers: Sequence[str], row: Sequence[str | Expression], signs: Signs) -> str:
    """What is said of a name: the numbers of its row, or the shape of its array."""
    entries = dict(zip(headers, row, strict=True))
    if say("shape") in entries and entries[say("shape")] != say("number"):
        return IS + say("shape {shape}", shape=entries[say("shape")])
    numbers = (say("value"), say("values"))
    wanted = (entry for header, entry in zip(headers, row, strict=True) if header in numbers or "∂" in header)
    return EQUALS + ", ".join(signs.write(each) if isinstance(each, Number) else str(each) for each in wanted)


def _name(entry: str | Expression) -> str:
    """The line that an entry names, with whatever stands behind it in parentheses left out."""
    return entry.name if isinstance(entry, Symbol) else str(entry).partition(" (")[0]


def _with(box: Box, line: int, text: str) -> Box:
    return box._replace(details=(*box.details[:line], text, *box.details[line + 1 :]))
