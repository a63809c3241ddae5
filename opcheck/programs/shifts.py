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
from opcheck.programs.rule import Rule, applied, count
from opcheck.programs.running import Format, Running, plus
from opcheck.tracing.primitives import C_EXP

EXTREME, MOVING = ("largest", "smallest"), ("getitem", "reshape", "broadcast_to", "transpose", "where")
SUB = BY_NAME["sub"]


def _row(x: Any, m: Any) -> int:
    """How many numbers `m` is the extreme one of, if these are those of `x`, else 0; it may be moved or replaced."""
    if not (getattr(x, "is_traced", False) and getattr(m, "is_traced", False)):
        return 0
    waiting = [m.id]
    while waiting:
        node = m.tape.nodes[waiting.pop()]
        name = "" if node.rule is None else node.rule.name
        if name in EXTREME and node.args[0] == x.id:
            return count(x.shape, node.params["axis"])
        if name in MOVING:
            waiting.extend(node.args)
    return 0


def _sub_jvp(tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
    moved = SUB.jvp(tangents, out, args)
    n = 0 if any(t is None for t in tangents) else _row(*args)
    return applied(SHIFTED, moved, tangents[0], out, n=n) if n else moved


def _shifted_running(f: Format, out: Any, moved: Running, t: Running, distance: Running, n: int) -> Running:
    """Off by so much more as the weight exp(distance) may be, after two sums over the row, times t."""
    s = np.abs(distance.value)
    relative = plus(f.u * (s + C_EXP) + f.relative(4, 2 * n), distance.error(f))
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
