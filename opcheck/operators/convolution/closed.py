"""Gradients of convolutions in closed form."""

from collections.abc import Mapping
from typing import Any

from opcheck.operators.spec import Closed, Params, Shape


def closed(dims: int) -> tuple[Closed, ...]:
    """The gradients as sums: the transposed convolution, and the correlation of both ends."""
    i, u, q = ("i", "j")[:dims], ("u", "v")[:dims], ("q", "r")[:dims]
    at = [f"{a}·s+{b}·d−p" for a, b in zip(i, u, strict=True)]
    back = [f"({a}+p−{b}·d)/s" for a, b in zip(q, u, strict=True)]
    over_u, over_i = (" ".join(f"Σ_{each}" for each in letters) for letters in (u, i))
    x, y, w = ",".join(("n,c", *q)), ",".join(("n,o", *i)), ",".join(("o,c", *u))
    return (
        Closed("input", f"x̄[{x}] = Σ_o {over_u} ȳ[n,o,{','.join(back)}]·w[{w}]", letters),
        Closed("weight", f"w̄[{w}] = Σ_n {over_i} ȳ[{y}]·x[n,c,{','.join(at)}]", letters),
        Closed("bias", f"b̄[o] = Σ_n {over_i} ȳ[{y}]", batched),
    )


def letters(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """s, p and d, where they are the same in every dimension, of images with zeros around them and one group."""
    sizes = [p.stride, p.padding, p.dilation]
    plain = len(shapes["input"]) == len(shapes["weight"]) and p.groups == 1
    if not plain or getattr(p, "padding_mode", "zeros") != "zeros" or any(isinstance(n, str) for n in sizes):
        return None
    return (
        {letter: n[0] for letter, n in zip("spd", sizes, strict=True)} if all(len({*n}) == 1 for n in sizes) else None
    )


def batched(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """No letters; of images in a batch."""
    return {} if len(shapes["input"]) == len(shapes["weight"]) else None
