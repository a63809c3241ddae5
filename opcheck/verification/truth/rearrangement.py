"""How far a program may be from a graph's exact value if it computes the same polynomial in another arrangement.

A graph says which monomials are added up (products of inputs, of quotients and of values of exp, log, ...), and one way
to compute them. Whoever multiplies out, factors, or sums in another order adds the same monomials, so that two numbers
bound the error of all of these programs: `size`, the same polynomial with every monomial made positive, and `steps`,
how many roundings a monomial can meet: one for each factor and one for each monomial that it is added to. The error is
at most gamma_steps * size (Higham, Accuracy and Stability, lemma 3.1 and section 4.2). Terms that cancel in symbols
only make `size` larger. It serves where no bound was written by hand: gradients of gradients.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from opcheck.tracing import FLOATS, PRIMITIVES, Graph, Node
from opcheck.verification.truth.formats import Format

WHOLE = frozenset({"sum", "sub", "mul", "neg", "abs", "max", "min", "less", "select", "detach"})
PICKING = frozenset({"max", "min", "less"})  # what a rounded argument may turn over


class Magnitude(NamedTuple):
    """What bounds the error of a number, in any arrangement of its polynomial."""

    value: float
    size: float  # the sum of the absolute values of its monomials
    factors: float = 0.0  # how many roundings one monomial has met
    monomials: float = 1.0
    lost: float = 0.0  # what underflow may take away, in absolute terms
    whole: bool = False  # made of whole numbers by sums and products only

    @property
    def steps(self) -> float:
        return self.factors + self.monomials - 1

    def error(self, f: Format) -> float:
        """A bound on abs(computed - exact); 0 where whole numbers are too small to be rounded."""
        if self.whole and self.size <= 2.0**f.digits:
            return 0.0
        error = float(f.gamma(self.steps)) * self.size + self.lost if self.steps else self.lost
        return math.inf if math.isnan(error) or self.size > f.largest else error


def magnitudes(graph: Graph, f: Format) -> list[Magnitude]:
    """The magnitude of each node, computed in `f`."""
    return graph.fold(lambda node: _leaf(node, f), lambda node, args: _applied(node, args, f))


def may_overflow(graph: Graph, numbers: Sequence[float], f: Format) -> list[bool]:
    """Which nodes depend on a logistic function where it is flat: exp(x)/(1 + exp(x))², as torch's logaddexp has its
    second derivative, is divided by infinity there, or NaN."""
    far, nodes = math.log(f.largest) / 2, graph.nodes
    below = {node.args[0] for node in nodes if node.op == "log1p"}  # log1p(exp(-|x|))
    found: list[bool] = []
    for id, node in enumerate(nodes):
        x = numbers[node.args[0]] if node.args else 0.0
        flat = abs(x) > far if node.op == "sigmoid" else node.op == "exp" and id in below and x < -far
        found.append(flat or any(found[arg] for arg in node.args))
    return found


def _leaf(node: Node, f: Format) -> Magnitude:
    x = float(node.value)
    rounded = node.op == "constant" and float(f.round(x)) != x  # a learning rate of 0.1
    return Magnitude(x, abs(x), float(rounded), whole=x.is_integer())


def _applied(node: Node, args: Sequence[Magnitude], f: Format) -> Magnitude:
    value = float(FLOATS.functions[node.op](*(each.value for each in args)))
    made = _combined(node.op, value, args, f)
    return made._replace(whole=node.op in WHOLE and all(each.whole for each in args))


def _combined(op: str, value: float, args: Sequence[Magnitude], f: Format) -> Magnitude:
    first = args[0]
    if op in ("sum", "sub"):
        return Magnitude(
            value,
            sum(each.size for each in args),
            max(each.factors for each in args),
            sum(each.monomials for each in args),
            sum(each.lost for each in args),
        )
    if op == "mul":
        other = args[1]
        lost = first.size * other.lost + other.size * first.lost + f.eta
        return Magnitude(
            value, first.size * other.size, first.factors + other.factors + 1, first.monomials * other.monomials, lost
        )
    if op == "div":
        return _quotient(value, first, args[1], f)
    if op in ("neg", "abs", "detach", "with_slope"):
        return first._replace(value=value)
    if op in ("max", "min", "less", "select"):
        return _picked(op, value, args, f)
    if op == "power" and args[1].value == 2:
        return _combined("mul", value, (first, first), f)
    if op == "atan2":  # a constant and the arctangent of the smaller one over the larger one
        above, below = sorted(args, key=lambda each: abs(each.value))
        ratio = _quotient(above.value / below.value if below.value else math.nan, above, below, f)
        return _smooth("atan", value, [ratio], f)
    return _smooth(op, value, args, f)


def _quotient(value: float, a: Magnitude, b: Magnitude, f: Format) -> Magnitude:
    """a times 1/b: the divisor counts as one factor, which its own error spoils."""
    relative = b.error(f) / abs(b.value) if b.value else math.inf
    if relative >= 1:
        return Magnitude(value, math.inf)
    growth = 1 / (1 - relative)  # 1/(b·(1 − δ))
    size = a.size / abs(b.value) * growth
    spoiled = 0.0 if b.whole and relative == 0 else b.steps * b.size / abs(b.value)
    lost = (a.lost + size * b.lost) / abs(b.value) * growth + f.eta
    return Magnitude(value, size, a.factors + spoiled + 1, a.monomials, lost)


def _picked(op: str, value: float, args: Sequence[Magnitude], f: Format) -> Magnitude:
    """One of the arguments, unless rounding could make it another one: then nothing is known."""
    if op in PICKING:
        near = [each for each in args if abs(each.value - args[0].value) <= each.error(f) + args[0].error(f)]
        if len(near) > 1 and any(each.steps and each.error(f) for each in near):
            return Magnitude(value, math.inf)
    if op == "less":
        return Magnitude(value, abs(value))
    return max(args[-2:] if op == "select" else args, key=lambda each: each.error(f))._replace(
        value=value, size=max(each.size for each in args)
    )


def _smooth(op: str, value: float, args: Sequence[Magnitude], f: Format) -> Magnitude:
    """A library function: its own error, and what the error of its argument becomes. Exponents are exact."""
    x = args[0]
    error = x.error(f)
    row = PRIMITIVES[op]
    slope = row.partials(FLOATS, value, *(each.value for each in args))[0]
    growth = _growth(op, x.value, error)
    moved = abs(slope) * x.size * growth if x.steps else 0.0
    own = row.error(value, *(each.value for each in args)) / abs(value) if value else 1.0
    lost = abs(slope) * growth * x.lost + f.tiny
    return Magnitude(value, max(abs(value), moved), x.steps + own, 1.0, lost)


def _growth(op: str, x: float, error: float) -> float:
    """By how much the slope can grow within the error of the argument."""
    if op in ("log", "log1p", "sqrt", "power"):  # slopes like 1/x
        return _near_an_end(error, abs(1 + x if op == "log1p" else x))
    if op in ("asin", "acos", "atanh", "acosh"):
        return _near_an_end(error, abs(1 - abs(x)))
    return math.exp(min(2 * error, 700.0))  # exp, tanh, sigmoid: their slopes grow no faster than exp(2x)


def _near_an_end(error: float, distance: float) -> float:
    relative = error / distance if distance else math.inf
    return 1 / (1 - relative) ** 2 if relative < 1 else math.inf
