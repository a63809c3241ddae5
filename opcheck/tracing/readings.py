"""Readings of a graph as values: floats, exact numbers, formulas."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from opcheck.tracing.arithmetic import exactly, is_exact
from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.magnitude import EXACT_DIGITS, MOST_DIGITS, high_precision, working
from opcheck.tracing.primitives import EXACT, FLOATS, PRIMITIVES, RATIONAL, Arithmetic

KEPT_DIGITS = 20  # of the terms of a sum, at least, in the sum
MOST_NODES = 10_000  # of a graph that is read again with more digits


def read(graph: Graph, arithmetic: Arithmetic, leaf: Callable[[Node], Any]) -> list[Any]:
    """Every node's number in `arithmetic`, with leaves as `leaf` reads them."""
    functions = arithmetic.functions
    return graph.fold(leaf, lambda node, args: functions[node[0]](*args))


def values(graph: Graph) -> list[float]:
    """Every node in float64.

    >>> from opcheck.tracing import Tape
    >>> tape = Tape()
    >>> x = tape.input("x", 3)
    >>> values(tape.graph(x * x + 1))
    [3.0, 9.0, 1.0, 10.0]
    """
    return read(graph, FLOATS, lambda node: float(node.value))


def exact(
    graph: Graph, decimal: bool = False, most: int = MOST_DIGITS, vanished: set[str] | None = None
) -> list[Any]:  # fmt: skip
    """Every node as a Fraction, or to EXACT_DIGITS digits (mpmath) where a function is not rational, and to more where
    so many cancel in a sum; what is left of a sum in none of `most` digits is 0, and `vanished` is told.

    NaN and infinities are floats, with IEEE 754's rules. With `decimal`, a leaf stands for the decimal that it prints
    as (0.1 is 1/10), which is what a person with a pen computes with.
    """
    digits, nothing = EXACT_DIGITS, set[int]()

    def leaf(node: Node) -> Any:
        return exactly(node.value, decimal)

    def apply(node: Node, args: list[Any]) -> Any:
        return Fraction(0) if id(node) in nothing else EXACT.functions[node.op](*args)

    numbers = graph.fold(leaf, apply)
    while len(graph.nodes) <= MOST_NODES and (left := _cancelled(graph, numbers, digits)):
        if digits >= most:
            nothing |= {id(graph.nodes[k]) for k in left}  # and what follows from them is worked out again
            if vanished is not None:
                vanished |= {graph.nodes[k].op for k in left}
        digits = min(4 * digits, most)
        with working(digits):
            numbers = graph.fold(leaf, apply)
    if vanished is not None and len(graph.nodes) > MOST_NODES and not all(map(is_exact, numbers)):
        vanished |= {graph.nodes[k].op for k in _cancelled(graph, numbers, digits)}
    return numbers


def _cancelled(graph: Graph, numbers: list[Any], digits: int) -> list[int]:
    """The sums that have lost almost all of their digits."""
    return [k for k in range(len(graph.nodes)) if _cancels(graph, numbers, k, digits)]


def _cancels(graph: Graph, numbers: list[Any], id: int, digits: int) -> bool:
    """Whether a sum is so much smaller than its terms that almost all of their digits cancel."""
    node, number = graph.nodes[id], numbers[id]
    if node.op not in ("sum", "sub") or isinstance(number, (Fraction, float)):
        return False
    terms = [numbers[arg] for arg in node.args]
    largest = max((abs(high_precision(each)) for each in terms if is_exact(each)), default=0)
    if abs(number) * 10 ** (digits - KEPT_DIGITS) >= largest:
        return False
    return len({_origin(graph, numbers, arg) for arg in node.args}) > 1


def _origin(graph: Graph, numbers: list[Any], id: int) -> int:
    """The node a number comes from, if it was only selected (by a maximum) or negated on the way."""
    while (node := graph.nodes[id]).op in ("max", "min", "detach", "neg"):
        id = next((arg for arg in node.args if abs(numbers[arg]) == abs(numbers[id])), node.args[0])
    return id


def symbolic(graph: Graph) -> list[Any]:
    """Every node as a sympy expression of its labelled leaves."""
    import sympy

    def leaf(node: Node) -> Any:
        if node.op == "input":
            name = node.label + ("[" + ",".join(map(str, node.at)) + "]" if node.at else "")
            return sympy.Symbol(name, real=True)
        number = exactly(node.value, decimal=True)
        return (
            sympy.Float(number) if isinstance(number, float) else sympy.Rational(number.numerator, number.denominator)
        )

    return graph.fold(leaf, lambda node, args: PRIMITIVES[node.op].symbol(sympy, *args))


def is_rational(graph: Graph) -> bool:
    """Whether every operation of the graph maps fractions to fractions."""
    return all(
        node.is_leaf or node.op in RATIONAL or (node.op == "power" and _whole(graph.nodes[node.args[1]]))
        for node in graph.nodes
    )


def _whole(node: Node) -> bool:
    return node.op == "constant" and float(node.value).is_integer()
