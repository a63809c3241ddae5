"""Drawing arrays: the slice that a calculation reads, with the places that it reads marked."""

from collections.abc import Callable, Iterable
from fractions import Fraction

from opcheck.language import say
from opcheck.steps import Cell, Grid, Number

MOST = 12  # rows or columns drawn; a larger array shows the part around the marks
SLICES = 3  # slices drawn: the channels of a colour image

Place = tuple[int, ...]


def draw(
    title: str,
    shape: Place,
    value: Callable[[Place], Fraction | float | None],
    marks: Iterable[Place],
    padding: Iterable[Place] = (),
    hidden: int = 0,
    around: Iterable[Place] = (),
) -> list[Grid]:
    """The array as one grid, or its slices that are read (the first SLICES of them) as one grid each.

    around: places that are in sight as the marked ones are.
    """
    marked = set(marks)
    near = marked | set(around)
    outside = set(padding) | {at for at in near if not _within(at, shape)}
    if len(shape) < 2:
        columns = _range(shape[0] if shape else 1, [at[0] for at in near | outside if at])
        places: list[Place] = [(i,) for i in columns] if shape else [()]
        return [Grid(title_of(title, (), shape, None, columns), (_cells(places, shape, value, marked),))]
    slices = sorted({at[:-2] for at in near}) or [(0,) * (len(shape) - 2)]
    slices = [lead for lead in slices if _within(lead, shape[:-2])]
    grids = []
    for lead in slices[:SLICES]:
        used = [at for at in near | outside if at[:-2] == lead]
        rows = _range(shape[-2], [at[-2] for at in used])
        columns = _range(shape[-1], [at[-1] for at in used])
        cells = tuple(_cells([(*lead, i, j) for j in columns], shape, value, marked) for i in rows)
        name = title_of(title, lead[hidden:], shape, rows, columns)
        if len(slices) > SLICES and lead == slices[SLICES - 1]:
            name += "  " + say("(and {n} more like it)", n=len(slices) - SLICES)
        grids.append(Grid(name, cells))
    return grids


def _within(at: Place, shape: Place) -> bool:
    return all(0 <= i < n for i, n in zip(at, shape, strict=True))


def _range(size: int, used: list[int]) -> range:
    """Which rows or columns are drawn: all with the padding, or those around the marks."""
    low, high = min([0, *used]), max([size - 1, *used])
    if high - low < MOST:
        return range(low, high + 1)
    inside = [i for i in used if 0 <= i < size] or [0]
    first = max(low, min(min(used, default=0), min(inside)) - 1)
    last = min(high, max(first + 5, min(max(inside) + 1, first + MOST - 1)))
    return range(first, last + 1)


def _cells(
    places: Iterable[Place], shape: Place, value: Callable[[Place], Fraction | float | None], marked: set[Place]
) -> tuple[Cell, ...]:
    row = []
    for at in places:
        if not _within(at, shape):
            row.append(Cell(None, at in marked, padding=True))
            continue
        number = value(at)
        row.append(Cell(None if number is None else Number(number), at in marked))
    return tuple(row)


def title_of(title: str, lead: Place, shape: Place, rows: range | None, columns: range) -> str:
    name = title + (f"[{','.join(map(str, lead))}]" if lead else "")
    parts = []
    if rows is not None and len(rows) < shape[-2]:
        parts.append(say("rows {a}–{b} of {n}", a=rows[0], b=rows[-1], n=shape[-2]))
    if shape and len(columns) < shape[-1]:
        parts.append(say("columns {a}–{b} of {n}", a=columns[0], b=columns[-1], n=shape[-1]))
    return f"{name}  ({', '.join(parts)})" if parts else name
