"""The lines of a trace: v₋₁, v₀ for the inputs and v₁, v₂, ... for what is computed, as lectures name them
(Griewank and Walther, Evaluating Derivatives, 2nd ed., section 2.2).

Formulas of tangents and adjoints come from the same local rules that compute them: `PRIMITIVES` read in an arithmetic
whose numbers are expressions. A formula "with numbers" is the formula with its symbols replaced.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Any

from opcheck.steps import Apply, Expression, Number, Symbol
from opcheck.traces.scalar.remarks import is_limit
from opcheck.tracing import PRIMITIVES, Arithmetic, Graph
from opcheck.tracing.arithmetic import as_typed

SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
ONE = Number(Fraction(1))
EMPTY: Mapping[Symbol, Any] = MappingProxyType({})


class Lines:
    """Names and formulas of a graph's nodes. A node that only constants go into has no line: it is written out."""

    def __init__(self, graph: Graph, numbers: Sequence[Any]) -> None:
        self.graph, self.numbers = graph, numbers
        self.names: list[str] = []  # v-1, v0, v1, ...; "" for constants
        inputs = [id for id, node in enumerate(graph.nodes) if node.op == "input"]
        place = {id: k + 1 - len(inputs) for k, id in enumerate(inputs)}
        count = 0
        for id, node in enumerate(graph.nodes):
            if node.op != "input" and not any(self.names[arg] for arg in node.args):
                self.names.append("")
                continue
            if node.op != "input":
                count += 1
            self.names.append(f"v{place.get(id, count)}")

    def symbol(self, id: int, *, adjoint: bool = False, tangent: bool = False) -> Symbol:
        return Symbol(self.names[id].translate(SUBSCRIPTS), (), adjoint, tangent)

    def number(self, id: int) -> Number:
        node = self.graph.nodes[id]
        value = self.numbers[id]
        return Number(as_typed(value), inexact=is_limit(node.op, [self.numbers[arg] for arg in node.args], value))

    def short(self, id: int) -> Expression:
        """How a formula refers to a node: by its name, and a constant as it was written."""
        node = self.graph.nodes[id]
        if self.names[id]:
            return self.symbol(id)
        if not node.args:
            return Symbol(node.label) if node.label else self.number(id)
        return Apply(node.op, tuple(self.short(arg) for arg in node.args))

    def formula(self, id: int) -> Expression:
        """What the node is: x1 for an input, ln(v₋₁) for an operation."""
        node = self.graph.nodes[id]
        if node.op == "input":
            return Symbol(node.label, node.at)
        return Apply(node.op, tuple(self.short(arg) for arg in node.args))

    def partials(self, id: int) -> tuple[Any, ...]:
        """∂ node / ∂ each argument, as expressions (or the whole numbers 1, 0, −1)."""
        node = self.graph.nodes[id]
        row = PRIMITIVES[node.op]
        if row.piecewise:
            return row.partials(TEXT, self.numbers[id], *[self.numbers[arg] for arg in node.args])
        return row.partials(TEXT, self.short(id), *[self.short(arg) for arg in node.args])

    def tangent(self, id: int, used: Callable[[int], bool]) -> Expression:
        """v̇ of a node as a sum over its arguments (those for which `used` says so)."""
        node = self.graph.nodes[id]
        terms = [
            times(self.symbol(arg, tangent=True), partial)
            for arg, partial in zip(node.args, self.partials(id), strict=True)
            if self.names[arg] and used(arg)
        ]
        kept = [term for term in terms if term is not None]
        return Number(Fraction(0)) if not kept else kept[0] if len(kept) == 1 else Apply("sum", tuple(kept))

    def share(self, id: int, place: int) -> Expression | None:
        """What node `id` adds to the adjoint of its argument number `place`."""
        return times(self.symbol(id, adjoint=True), self.partials(id)[place])

    @cached_property
    def known(self) -> dict[Symbol, Any]:
        """The number that each name stands for: v its value, π 3.1416."""
        found = {self.symbol(id): self.numbers[id] for id, name in enumerate(self.names) if name}
        constants = (node for node in self.graph.nodes if node.op == "constant" and node.label)
        return found | {Symbol(node.label): node.value for node in constants}

    def with_numbers(self, formula: Expression, marked: Mapping[Symbol, Any] = EMPTY) -> Expression:
        """The formula with every symbol replaced: v by its value, v̇ and v̄ by those in `marked`."""

        def replaced(part: Expression) -> Expression:
            match part:
                case Symbol():
                    return Number(as_typed(marked[part] if part in marked else self.known[part]))
                case Apply(op, args):
                    return Apply(op, tuple(map(replaced, args)))
            return part

        found = replaced(formula)
        match found:
            case Apply("neg", (Number(value),)):
                return Number(-value)
        return found


# --- an arithmetic of expressions, with the simplifications that a person makes without thinking ---------------------


def _expression(x: Any) -> Expression:
    return x if isinstance(x, (Number, Symbol, Apply)) else Number(as_typed(x))


def times(seed: Expression, partial: Any) -> Expression | None:
    """seed · partial; None where the partial is structurally zero."""
    if type(partial) is int:
        return None if partial == 0 else seed if partial == 1 else negated(seed)
    return product(seed, partial)


def negated(x: Any) -> Expression:
    match _expression(x):
        case Apply("neg", (inner,)):
            return inner
        case Number(value):
            return Number(-value)
        case other:
            return Apply("neg", (other,))


def product(a: Any, b: Any) -> Expression:
    """a·b, with 1·a = a, a·(−b) = −(a·b) and a·(1/b) = a/b."""
    first, second = _expression(a), _expression(b)
    if ONE in (first, second):
        return second if first == ONE else first
    match first, second:
        case Apply("neg", (inner,)), _:
            return negated(product(inner, second))
        case _, Apply("neg", (inner,)):
            return negated(product(first, inner))
        case _, Apply("div", (above, below)) if above == ONE:
            return Apply("div", (first, below))
    return Apply("mul", (first, second))


def difference(a: Any, b: Any) -> Expression:
    """a − b, worked out where both are numbers (the exponent of a derivative: 3 − 1)."""
    match _expression(a), _expression(b):
        case Number(first), Number(second):
            return Number(as_typed(first - second))
        case terms:
            return Apply("sub", terms)


def powered(a: Any, b: Any) -> Expression:
    """a^b, with a^1 = a and a^0 = 1."""
    base, exponent = _expression(a), _expression(b)
    if exponent == ONE:
        return base
    return ONE if exponent == Number(Fraction(0)) else Apply("power", (base, exponent))


def _applied(op: str) -> Callable[..., Expression]:
    return lambda *args: Apply(op, tuple(map(_expression, args)))


TEXT = Arithmetic(
    {op: _applied(op) for op in PRIMITIVES}
    | {"mul": product, "neg": negated, "sub": difference, "power": powered}
)  # fmt: skip
