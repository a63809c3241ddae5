"""Specs as users write them."""

from typing import Literal

import numpy as np

from opcheck import reference


def residual_norm(x: "... D", weight: "D", bias: "D", eps=1e-5):
    """Layer normalisation with a residual connection."""
    mean = x.mean(axis=-1, keepdims=True)
    d = x - mean
    var = (d * d).mean(axis=-1, keepdims=True)
    return x + d / np.sqrt(var + eps) * weight + bias


def gated(x: "N In", w: "2*H In", b: "2*H" = None, kind: Literal["tanh", "relu"] = "tanh", double=False):
    h = x @ w.T if b is None else x @ w.T + b
    half = h.shape[-1] // 2
    a, g = h[..., :half], h[..., half:]
    y = np.tanh(a) * g if kind == "tanh" else np.maximum(a, 0) * g
    return y * 2 if double else y


def moments(x: "N D"):
    return {"mean": x.mean(axis=0), "square": (x * x).mean(axis=0)}


def scored(logits: "N C", target: "N < C"):
    return reference.log_softmax(logits, dim=1)[np.arange(len(target)), target].sum()


def unannotated(x, w):
    return x * w


def contradicting(x: "N N+1", y: "N"):
    return x.sum(axis=1) * y.sum() + x[:, : len(y) + 2].sum()


def branches(x: "N"):
    return x * 2 if x[0] > 0 else x


def even(x: "N D"):
    if x.shape[1] % 2:
        raise ValueError("D must be even")
    return x[:, ::2] + x[:, 1::2]


def attention(q: "B H L E", k: "B H S E", v: "B H S E"):
    """Attention, doubled."""
    return 2 * reference.scaled_dot_product_attention(q, k, v, scale=1.0)


def activated(x: "N In", weight: "Out In"):
    """A linear layer and its gelu."""
    return reference.gelu(x @ weight.T)


def soft_relu(x: "N"):
    """ln(1 + exp(x)), which is flat below."""
    return np.logaddexp(0.0, x)


def rotated(x: "T D 2", base=100.0):
    """Each pair of numbers turned by its position times its frequency."""
    t, d, _ = x.shape
    angle = np.arange(t)[:, None] * base ** (-np.arange(0, 2 * d, 2) / (2 * d))[None, :]
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([x[..., 0] * c - x[..., 1] * s, x[..., 1] * c + x[..., 0] * s], axis=-1)


def windowed(x: "N"):
    """A Hann window, changed in place."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.linspace(0, 1, len(x)))
    window[0] = 3.0
    return x * window


def in_place(x: "N"):
    """A table that numpy writes into."""
    table = np.arange(len(x)) * 0.5
    table += 1
    np.cos(table, out=table)
    np.cumsum(table, out=table)
    return x * table


def chosen(x: "N"):
    """Positions that choose, count and decide."""
    places = np.arange(len(x))
    return x[places[::-1]] * float(places.sum()) + np.where(places % 2 == 0, x, 0.0) if places[0] == 0 else x


def twice_inverted(x: "N"):
    """Of which nothing is known at 0."""
    return 1 / (1 / x)


def rectified(x: "N"):
    """As everybody writes it; at 0 libraries differ in its derivative."""
    return np.maximum(x, 0)


def larger(x: "N", y: "N"):
    return np.maximum(x, y)


def squashed(x: "N"):
    return np.clip(x, -1, 1)


def peak(x: "N M"):
    return x.max(axis=1)


def distance(x: "N"):
    return np.abs(x)


def step(x: "N"):
    return np.where(x > 0, 1.0, 0.0)
