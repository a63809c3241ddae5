"""Small networks to be worked out on paper: programs as anybody writes them, with sizes that fit on a page."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from opcheck import reference, specs
from opcheck.explanation.calculation import Calculation
from opcheck.explanation.document import prepare
from opcheck.operators.spec import Op, Shape
from opcheck.steps import Prose


def shaped(**shapes: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Annotates the arrays of a function with their shapes, which makes a program of it."""

    def annotated(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__annotations__ = shapes
        return function

    return annotated


@shaped(x="In", w="H In", b="H", v="Out H")
def mlp(x: Any, w: Any, b: Any, v: Any) -> Any:
    """A network of two layers: linear, ReLU, linear"""
    h = reference.linear(x, w, b)
    r = reference.relu(h)
    return reference.linear(r, v)


@shaped(x="In", w="H In", b="H", v="Out H", t="Out")
def mlp_loss(x: Any, w: Any, b: Any, v: Any, t: Any) -> Any:
    """A network of two layers and its loss: linear, ReLU, linear, mean squared error"""
    h = reference.linear(x, w, b)
    r = reference.relu(h)
    z = reference.linear(r, v)
    return reference.mse_loss(z, t)


@shaped(x="C H W", k="O C U V", b="O", v="Out O")
def convnet(x: Any, k: Any, b: Any, v: Any) -> Any:
    """A small convolutional network: convolution, ReLU, mean over the image, linear"""
    c = reference.conv2d(x, k, b)
    r = reference.relu(c)
    m = r.mean(axis=(1, 2))
    return reference.linear(m, v)


@shaped(q="N D", k="M D", v="M E")
def attention(q: Any, k: Any, v: Any) -> Any:
    """One attention head: scores, softmax, weighted mean of the values"""
    s = q @ k.T / np.sqrt(q.shape[1])
    p = reference.softmax(s, dim=1)
    return p @ v


class Network(NamedTuple):
    """A program, what it computes, the sizes of its arrays on paper, and the numbers that stand in them."""

    function: Callable[..., Any]
    formula: str
    shapes: dict[str, Shape]
    numbers: tuple[int, ...]


WHOLE = (-3, -2, -1, 1, 2, 3)
LAYERS = "r = max(0, h), h = w x + b"
SCORES = "s[n,m] = Σ_d q[n,d]·k[m,d]/√(D)"
NETWORKS = {
    "mlp": Network(mlp, f"y = v r   with {LAYERS}", {"x": (2,), "w": (2, 2), "b": (2,), "v": (2, 2)}, WHOLE),
    "mlp_loss": Network(
        mlp_loss,
        f"y = (1/n)·Σ_i (z[i] − t[i])²   with z = v r, {LAYERS}",
        {"x": (2,), "w": (2, 2), "b": (2,), "v": (2, 2), "t": (2,)},
        WHOLE,
    ),
    "convnet": Network(
        convnet,
        "y[l] = Σ_o v[l,o]·m[o]   with m[o] = (1/(I·J))·Σ_i Σ_j r[o,i,j], r[o,i,j] = max(0, c[o,i,j]), "
        "c[o,i,j] = b[o] + Σ_d Σ_u Σ_v x[d,i+u,j+v]·k[o,d,u,v]",
        {"x": (1, 3, 3), "k": (1, 1, 2, 2), "b": (1,), "v": (2, 1)},
        WHOLE,
    ),
    "attention": Network(
        attention,
        f"y[n,e] = Σ_m p[n,m]·v[m,e]   with p[n,m] = exp(s[n,m])/Σ_l exp(s[n,l]), {SCORES}",
        {"q": (2, 4), "k": (2, 4), "v": (2, 2)},
        (0, 1, 1, 2),
    ),
}


@cache
def find(name: str) -> Op | None:
    """The network of that name, as an operator."""
    return specs.get(NETWORKS[name].function) if name in NETWORKS else None


def call(op: Op, rng: np.random.Generator) -> Calculation | None:
    """A call of a network with the numbers of its page; None for any other operator."""
    network = NETWORKS.get(op.title)
    if network is None or find(op.title) is not op:
        return None
    arrays = {name: rng.choice(network.numbers, size=shape).astype(float) for name, shape in network.shapes.items()}
    return prepare(op, arrays)


def rule(op: Op) -> tuple[Prose, ...]:
    """What is computed on a sheet: a formula, or the text of a program of somebody's own."""
    network = NETWORKS.get(op.title)
    if network is not None and find(op.title) is op:
        return (Prose(network.formula, "definition"),)
    return (Prose(op.listing, "code") if op.listing else Prose(op.formula, "definition"),)
