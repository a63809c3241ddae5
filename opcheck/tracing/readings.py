"""Readings of a graph as values: floats, exact numbers, formulas."""

from collections.abc import Callable
from typing import Any

from opcheck.tracing.arithmetic import exactly
from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.primitives import EXACT, FLOATS, PRIMITIVES, RATIONAL, Arithmetic


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


def exact(graph: Graph, decimal: bool = False) -> list[Any]:
    """Every node as a Fraction, or to EXACT_DIGITS digits (mpmath) where a function is not rational.

    NaN and infinities are floats, with IEEE 754's rules. With `decimal`, a leaf stands for the decimal that it prints
    as (0.1 is 1/10), which is what a person with a pen computes with.
    """
    return read(graph, EXACT, lambda node: exactly(node.value, decimal))


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
