"""From a graph to the formulas that a person checks: names, then numbers, then one reduction per line.

Every number printed is read from the graph's exact reading. A named node is its own formula, shown once; inside
other formulas it is a symbol.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from opcheck.language import say
from opcheck.render.names import marked
from opcheck.steps import Apply, Elided, Expression, Formula, Number, Prose, Symbol
from opcheck.tracing import EXACT, Graph, Node
from opcheck.tracing.arithmetic import as_fraction

MOST_TERMS = 9  # longer sums show the first two and the last two terms
ENDS = 2
MOST_LEAVES = 6  # of a number in symbols that is written out inside another one
SILENT = ("detach", "with_slope")  # only differentiation sees them: they are written as their first argument


def shown_args(node: Node) -> tuple[int, ...]:
    """The arguments that a formula shows."""
    return node.args[:1] if node.op in SILENT else node.args


class Unfolded:
    """Reads formulas off a graph. `hidden` says how many leading places of an array's index are not shown.

    `symbolic`: what is not a fraction is written as what it is, exp(−2)/(exp(−2) + 1), before its decimals."""

    def __init__(
        self, graph: Graph, values: Sequence[Any], hidden: Mapping[str, int] | None = None, everything: bool = False,
        symbolic: bool = False,
    ) -> None:  # fmt: skip
        self.nodes = graph.nodes
        self.values = values
        self.hidden = hidden or {}
        self.most = None if everything else MOST_TERMS
        self.symbolic = symbolic
        self.shown: dict[tuple[str, tuple[int, ...]], Any] = {}
        self.inside, self.outside = self._heights()

    def _heights(self) -> tuple[list[int], list[int]]:
        """How many reductions lie under each node: seen from inside, and from outside (a name hides them)."""
        inside: list[int] = []
        outside: list[int] = []
        for node in self.nodes:
            below = max((outside[arg] for arg in shown_args(node)), default=-1)
            inside.append(below if node.op in (*SILENT, "neg") else below + 1)
            outside.append(0 if node.is_leaf or node.label else inside[-1])
        return inside, outside

    def number(self, id: int) -> Number:
        return as_number(self.values[id])

    def symbol(self, node: Node) -> Symbol:
        name, adjoint = (node.label[:-1], True) if node.label.endswith(ADJOINT) else (node.label, False)
        return Symbol(name, node.at[self.hidden.get(name, 0) :], adjoint)

    # --- one formula ----------------------------------------------------------------------------------------------

    def formula(self, id: int, left: Symbol, brief: bool = False) -> Formula:
        """left = names = numbers = ... = result; brief: without the names and the middle."""
        steps = [self.reduced(id, level, root=True) for level in range(max(self.inside[id], 0) + 1)]
        first, result = steps[0], self.number(id)
        if self.symbolic and not all(map(is_exact, (*steps, result))):
            steps = [each for each in (first, self.in_symbols(id, root=True)) if is_exact(each)]
            first = steps[-1]
        rights = [first] if brief else [self.names(id, root=True), *steps]
        rights.append(result)
        kept = [right for k, right in enumerate(rights) if (k == 0 or right != rights[k - 1]) and right != left]
        if self.symbolic and len(kept) > 1 and _is_fraction(kept[-2], result):
            kept.pop()  # 2/3 = 2/3
        return Formula(left, tuple(kept), brief)

    def names(self, id: int, root: bool = False) -> Expression:
        """The node as names: x[0,0]·w[0,0] + ..."""
        node = self.nodes[id]
        if node.op == "padding" or (node.is_leaf and not node.label):
            return self.number(id)
        if node.is_leaf or (node.label and not root):
            return self.symbol(node)
        if node.op in SILENT:
            return self.names(node.args[0], root)
        return Apply(node.op, tuple(self._some(node, self.names, numbers=False)))

    def reduced(self, id: int, level: int, root: bool = False) -> Expression:
        """The node in numbers, with everything evaluated that is at most `level` operations deep."""
        node = self.nodes[id]
        if node.is_leaf or (node.label and not root) or (root and level > 0 and self.inside[id] <= level):
            return self.number(id)
        if not root and self.outside[id] <= level:
            return self.number(id)
        if node.op in SILENT:
            return self.reduced(node.args[0], level, root)
        args = tuple(self._some(node, lambda arg: self.reduced(arg, level), numbers=True))
        if node.op == "neg" and isinstance(args[0], Number) and args[0].value >= 0:
            return self.number(id)  # −(0.5) is written as −0.5 is
        return Apply(node.op, args)

    def in_symbols(self, id: int, root: bool = False) -> Expression:
        """The node in numbers that are exact, in functions of them, and in names of what would be long."""
        node, number = self.nodes[id], self.number(id)
        if node.is_leaf or not (number.inexact or root):
            return number
        if node.op in SILENT:
            return self.in_symbols(node.args[0], root)
        expression = Apply(node.op, tuple(self._some(node, self.in_symbols, numbers=False)))
        return self.symbol(node) if node.label and not root and _leaves(expression) > MOST_LEAVES else expression

    def _some(self, node: Node, write: Any, numbers: bool) -> Iterator[Expression]:
        """The arguments of a node; of a long sum the first and last ones, and how many were left out."""
        head, middle, tail = self._split(node)
        yield from map(write, head)
        if middle:
            value = EXACT.functions[node.op](*[self.values[arg] for arg in middle]) if numbers else None
            yield Elided(len(middle), as_number(value) if numbers else None)
        yield from map(write, tail)

    def _split(self, node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        args = shown_args(node)
        if self.most is None or len(args) <= self.most:
            return args, (), ()
        return args[:ENDS], args[ENDS:-ENDS], args[-ENDS:]

    # --- with what it needs ---------------------------------------------------------------------------------------

    def formulas(self, id: int, left: Symbol, brief: bool = False) -> list[Formula]:
        """The formula of a node, after those of the named nodes that it shows and that were not shown before."""
        return [formula for _, formula in self.lines(id, left, brief)]

    def lines(self, id: int, left: Symbol, brief: bool = False) -> list[tuple[int, Formula]]:
        """These formulas, each with its node."""
        result = []
        for needed in self._in_order(self._named(id)):
            node = self.nodes[needed]
            if not self._was_shown(needed):
                result.append((needed, self.formula(needed, self.symbol(node), brief)))
        node = self.nodes[id]
        name = self.symbol(node) if node.label and not node.is_leaf else left
        if name == left and not node.label:
            return [*result, (id, self.formula(id, left, brief))]
        if not self._was_shown(id):
            result.append((id, self.formula(id, name, brief)))
        return result if name == left else [*result, (id, Formula(left, (name, self.number(id))))]

    def read_by(self, id: int) -> tuple[list[int], list[int]]:
        """What the formula of a node reads: leaves, and named nodes, whose own formulas stand elsewhere."""
        leaves, named = set[int](), set[int]()
        waiting = [id] if self.nodes[id].is_leaf else [*shown_args(self.nodes[id])]
        while waiting:
            arg = waiting.pop()
            node = self.nodes[arg]
            if node.is_leaf:
                leaves.add(arg)
            elif node.label:
                named.add(arg)
            else:
                waiting.extend(shown_args(node))
        return sorted(leaves), self._in_order(named)

    def _in_order(self, ids: set[int]) -> list[int]:
        """As they were computed, neighbours of one name by their place (a reverse sweep makes them last to first)."""
        runs = itertools.groupby(sorted(ids), key=lambda each: self.nodes[each].label)
        return [id for _, run in runs for id in sorted(run, key=lambda each: self.nodes[each].at)]

    def _was_shown(self, id: int) -> bool:
        """Whether this is the value that the reader saw last under this name; it is from now on."""
        node, value = self.nodes[id], self.values[id]
        seen = self.shown.get((node.label, node.at))
        self.shown[node.label, node.at] = value
        return seen is not None and bool(seen == value or (seen != seen and value != value))

    def _named(self, id: int) -> set[int]:
        found: set[int] = set()
        waiting = [id]
        while waiting:
            head, _, tail = self._split(self.nodes[waiting.pop()])
            for arg in (*head, *tail):
                node = self.nodes[arg]
                if node.label and not node.is_leaf:
                    if arg in found:
                        continue
                    found.add(arg)
                waiting.append(arg)
        return found

    def left_out(self, id: int) -> int:
        """How many terms the formulas of this node do not show."""
        return sum(len(self._split(self.nodes[each])[1]) for each in {id, *self._named(id)})

    def cancels(self, id: int) -> bool:
        """Whether a sum is so much smaller than its terms that these, as they are printed, say little about it."""
        node = self.nodes[id]
        value, *terms = (as_fraction(self.values[each]) for each in (id, *node.args))
        fractions = [each for each in terms if isinstance(each, Fraction)]
        if node.op not in ("sum", "sub") or len(fractions) < len(terms):  # or something is infinite
            return False
        rounded = any((each * PRINTED).denominator != 1 for each in fractions)
        return rounded and 0 < MUCH * abs(value) < max(map(abs, fractions))


def is_exact(expression: Expression) -> bool:
    """Whether no number in the expression is one whose decimals go on."""
    if isinstance(expression, Apply):
        return all(map(is_exact, expression.args))
    return not getattr(expression, "inexact", False)


def _is_fraction(expression: Expression, number: Number) -> bool:
    """Whether an expression is a fraction as it stands: 2/3, which is not reduced to 2/3."""
    value = number.value
    return isinstance(value, Fraction) and expression == Apply(
        "div", (Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))
    )


def _leaves(expression: Expression) -> int:
    return sum(map(_leaves, expression.args)) if isinstance(expression, Apply) else 1


MUCH, PRINTED = 1000, 10**8  # a term with more than 8 decimals is not printed whole, unless somebody wants that


def cancellation() -> Prose:
    """What a reader is told where digits cancel."""
    return Prose(say("(the terms cancel almost completely: --precision 14 shows the digits that decide)"), "note")


def as_number(value: Any) -> Number:
    """What an exact reading says; only mpmath's numbers are near the truth and not the truth."""
    return Number(as_fraction(value), inexact=not isinstance(value, (Fraction, int, float)))


def barred(symbol: str) -> str:
    """The adjoint of a symbol as it is written: the bar is over its letter, before a prime."""
    return marked(symbol, ADJOINT)


ADJOINT = "\u0304"  # a label that ends with a macron is the adjoint of what it marks
