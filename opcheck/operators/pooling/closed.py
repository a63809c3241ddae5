"""Gradients of pooling in closed form: a sum over the windows in which a number lies."""

import math
from collections.abc import Mapping
from typing import Any

from opcheck.operators.spec import Closed, Params, Shape


def closed(dims: int, share: str, letters: Any) -> tuple[Closed, ...]:
    """`share`: what one window gives, of what arrives at it."""
    at, windows = ("q", "r")[:dims], ("i", "j")[:dims]
    inside = "·".join(f"A[{i},{q}]" for q, i in zip(at, windows, strict=True))  # 1 where a window has a number
    over = " ".join(f"Σ_{i}" for i in windows)
    x, y = (f"[{','.join(('n,c', *names))}]" for names in (at, windows))
    share = share.replace("x̂", f"x{x}").replace("ŷ", f"y{y}").replace("k^", "k²" if dims > 1 else "k")
    lies = "A[i,q] = [i·s − p ≤ q]·[q < i·s − p + k]"
    return (Closed("input", f"x̄{x} = {over} {inside}·ȳ{y}{share}   with {lies}", letters),)


def square(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """k, s and p, where they are the same in every dimension, of images in a batch."""
    sizes = {"k": p.kernel_size, "s": p.stride, "p": p.padding}
    if len(shapes["input"]) != len(p.kernel_size) + 2 or any(len({*n}) > 1 for n in sizes.values()):
        return None
    return {letter: n[0] for letter, n in sizes.items()}


def undilated(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return square(p, shapes) if math.prod(p.dilation) == 1 else None


def whole_windows(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """Where every window has the same divisor."""
    alike = p.divisor_override is None and not p.ceil_mode and (p.count_include_pad or not any(p.padding))
    return square(p, shapes) if alike else None
