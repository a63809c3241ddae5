"""Differences from the extreme number of a row: x − max(x), which keeps an exponential from overflow.

What is made of such a row (a softmax, the logarithm of a sum of exponentials) does not depend on the shift. So its
tangent may be computed from that of `x` as it is, p·(t − Σ p·t), where the weights p are off in proportion to t; or
from the tangent of the difference, t − t of the maximum, which may be much smaller, or nothing at all. Both are right:
the tangent of such a difference is off by what a weight may be off, in proportion to t.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from opcheck.programs.elementwise import BY_NAME
from opcheck.programs.rule import Rule, applied, axes_of, count
from opcheck.programs.running import Format, Running
from opcheck.tracing.primitives import C_EXP

MOVING = ("getitem", "reshape", "broadcast_to", "transpose", "where")
SUB = BY_NAME["sub"]


def extreme_of(nodes: Sequence[Any], x: int, m: int, names: Sequence[str] = ("largest", "smallest")) -> tuple[int, ...]:
    """The axes of `x` along which `m` is its extreme number, if it is; it may be moved, or replaced in some rows."""
    waiting = [m]
    while waiting:
        node = nodes[waiting.pop()]
        name = "" if node.rule is None else node.rule.name
        if name in names and node.args[0] == x:
            return axes_of(np.shape(nodes[x].value), node.params["axis"])
        if name in MOVING:
            waiting.extend(node.args)
    return ()


def peaked(nodes: Sequence[Any], node: Any, result: Running) -> Running:
    """A row minus its maximum: its largest number is 0, however far off all of them are."""
    axes = extreme_of(nodes, node.args[0], node.args[1], ("largest",))
    highest = np.max(result.value, axis=axes, keepdims=True, initial=-np.inf) if axes else 1.0
    return result._replace(peak=axes) if np.all(highest == 0) else result


def _sub_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    moved = SUB.jvp(tangents, out, args)
    recorded = all(getattr(x, "is_traced", False) for x in (*tangents, *args))
    axes = extreme_of(args[0].tape.nodes, args[0].id, args[1].id) if recorded else ()
    return applied(SHIFTED, moved, tangents[0], out, n=count(args[0].shape, axes)) if axes else moved


def _shifted_running(f: Format, out: Any, moved: Running, t: Running, distance: Running, n: int) -> Running:
    """Off by so much more as rounding may make of the weight exp(distance), after two sums over the row, times t."""
    s = np.abs(distance.value)
    relative = f.u * (s + C_EXP) + f.relative(4, 2 * n)
    relative = np.where(np.isfinite(s), np.minimum(relative, 1.0), 0.0)  # of minus infinity the weight is 0
    return Running(out, moved.error(f) + relative * (np.abs(t.value) + t.error(f)))


SHIFTED = Rule(
    "shifted",
    lambda moved, t, distance, n: moved,
    lambda g, out, args, needed, n: [g, None, None],
    lambda tangents, out, args, n: tangents[0],
    _shifted_running,
    lambda read, at, shapes, n: read(0, at),
)
SHIFTS = (SUB._replace(jvp=_sub_jvp), SHIFTED)
