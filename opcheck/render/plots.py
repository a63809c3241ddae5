"""Plots as SVG, for a page that may be light or dark: curves differ in dashes and marks as well as in colour."""

import html
import math
from collections.abc import Callable, Iterator, Sequence

from opcheck.steps import Curve, Plot

WIDE, TALL = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 38  # margins; the names stand above
TICKS = 5
Scale = Callable[[float], float]


def draw(plot: Plot) -> str:
    """The plot, with the names of its curves above it."""
    across = _range([x for curve in plot.curves for x, _ in curve.points], _bars(plot))
    up = _range([y for curve in plot.curves for _, y in curve.points], _bars(plot) or any(
        curve.kind == "level" for curve in plot.curves), trim=True)  # fmt: skip
    x, y = _scale(across, LEFT, WIDE - RIGHT), _scale(up, TALL - BOTTOM, TOP)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDE} {TALL}" width="{WIDE}" height="{TALL}" role="img" font-size="12">',
        f"<title>{html.escape(plot.title)}</title>",
        *_axes(across, up, x, y, bool(_bars(plot))),
    ]
    named = [curve for curve in plot.curves if curve.name]
    for curve in plot.curves:
        colour = named.index(curve) if curve in named else 7
        parts += _curve(curve, colour, x, y, up, _bars(plot))
    parts += _names(named)
    parts.append(f'<text x="{(LEFT + WIDE - RIGHT) / 2:.0f}" y="{TALL - 6}" text-anchor="middle">'
                 f"{html.escape(plot.across)}</text></svg>")  # fmt: skip
    return "".join(parts)


def _bars(plot: Plot) -> int:
    """How many bars stand beside each other."""
    return sum(curve.kind == "bars" for curve in plot.curves)


def _range(numbers: Sequence[float], wide: bool | int = False, trim: bool = False) -> tuple[float, float]:
    """From the smallest to the largest number, without the few that lie far out."""
    finite = sorted(each for each in numbers if math.isfinite(each)) or [0.0]
    low, high = finite[0], finite[-1]
    if trim and not wide and len(finite) > 50:
        near, far = finite[len(finite) // 20], finite[-len(finite) // 20]
        reach = 2 * (far - near) or 1.0
        low, high = max(low, near - reach), min(high, far + reach)
    if wide:
        low, high = min(low, 0.0) if trim else low - 0.6, max(high, 0.0) if trim else high + 0.6
    room = 0.06 * (high - low) if trim else 0.0
    if high > low:
        return low - room, high + room
    beside = max(1.0, abs(low) / 10)
    return low - beside, high + beside


def _scale(numbers: tuple[float, float], start: float, end: float) -> Scale:
    low, high = numbers
    return lambda number: start + (number - low) / (high - low) * (end - start)


def _ticks(numbers: tuple[float, float]) -> list[float]:
    """Round numbers, about TICKS of them."""
    low, high = numbers
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _written(number: float) -> str:
    return f"{number:.6g}".replace("-", "−")


def _axes(across: tuple[float, float], up: tuple[float, float], x: Scale, y: Scale, bars: bool) -> Iterator[str]:
    for tick in _ticks(up):
        kind = "axis" if tick == 0 else "rule"
        yield f'<path class="{kind}" d="M{LEFT},{y(tick):.1f} H{WIDE - RIGHT}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_written(tick)}</text>'
    for tick in _ticks(across):
        if not bars:  # the places of bars are no numbers on an axis
            kind = "axis" if tick == 0 else "rule"
            yield f'<path class="{kind}" d="M{x(tick):.1f},{TOP} V{TALL - BOTTOM}"/>'
        at = f'x="{x(tick):.1f}" y="{TALL - BOTTOM + 16}"'
        yield f'<text class="tick" {at} text-anchor="middle">{_written(tick)}</text>'


def _curve(curve: Curve, colour: int, x: Scale, y: Scale, up: tuple[float, float], bars: int) -> Iterator[str]:
    low, high = up
    inside = [(x(a), y(min(max(b, low), high)) if math.isfinite(b) else b, a, b) for a, b in curve.points]
    if curve.kind == "bars":
        for a, b, at, number in (each for each in inside if math.isfinite(each[1])):
            width = min(28.0, 0.7 * abs(x(1) - x(0)) / max(bars, 1))
            left, height = a + (colour - bars / 2) * width, abs(b - y(0))
            yield (f'<rect class="bar c{colour}" x="{left:.1f}" y="{min(b, y(0)):.1f}" width="{width - 2:.1f}" '
                   f'height="{height:.1f}"><title>{_written(at)}: {_written(number)}</title></rect>')  # fmt: skip
        return
    if curve.kind != "points":
        kind = {"dashed": " dashed", "level": " level"}.get(curve.kind, "")
        yield f'<path class="curve c{colour}{kind}" d="{_path(inside, up)}"/>'
    if curve.kind in ("points", "path"):
        size = 5 if curve.kind == "points" else 2.5
        for a, b, at, number in inside:
            if math.isfinite(b):
                yield (f'<circle class="dot c{colour}" cx="{a:.1f}" cy="{b:.1f}" r="{size}">'
                       f"<title>{_written(at)}, {_written(number)}</title></circle>")  # fmt: skip


def _path(points: Sequence[tuple[float, float, float, float]], up: tuple[float, float]) -> str:
    """Through the points, with a gap if there is none, or where it lies beyond the plot."""
    parts, pen = [], "M"
    for x, y, _, number in points:
        if not up[0] <= number <= up[1]:
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return "".join(parts)


def _names(curves: Sequence[Curve]) -> Iterator[str]:
    """What each curve is, beside a piece of it."""
    left = float(LEFT)
    for k, curve in enumerate(curves):
        match curve.kind:
            case "points" | "path":
                yield f'<circle class="dot c{k}" cx="{left + 9:.0f}" cy="14" r="4"/>'
            case "bars":
                yield f'<rect class="bar c{k}" x="{left + 3:.0f}" y="8" width="12" height="12"/>'
            case kind:
                yield f'<path class="curve c{k}{" dashed" if kind == "dashed" else ""}" d="M{left:.0f},14 h18"/>'
        yield f'<text x="{left + 23:.0f}" y="18">{html.escape(curve.name)}</text>'
        left += 36 + 7 * len(curve.name)
