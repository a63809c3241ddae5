"""Gradients as a textbook writes them, x̄[i] = y[i]·(ȳ[i] − Σ_k y[k]·ȳ[k]), proved before they are shown.

The text itself is read and evaluated in exact numbers, at every element, and compared with what the sweep over the
definition gave: what a person reads is what was proved. A place outside an array, or between its elements, is 0.
"""

import operator
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from opcheck.explanation.calculation import Calculation, reader
from opcheck.explanation.unfold import barred
from opcheck.operators.spec import Array, Closed
from opcheck.render.names import LETTER
from opcheck.tracing import EXACT
from opcheck.tracing.arithmetic import as_fraction, exactly

TOKEN = re.compile(
    rf"\s*(?:(?P<name>{LETTER}(?:{LETTER}|[\u0300-\u036f])*′*)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<sign>\S))"
)
CALLS = {"exp": "exp", "log": "log", "ln": "log", "σ": "sigmoid", "tanh": "tanh", "erf": "erf", "√": "sqrt"}
ROUNDED = {"⌊": ("floor", "⌋"), "⌈": ("ceil", "⌉")}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, ">": operator.gt, "<": operator.lt, "≤": operator.le,
}  # fmt: skip
MOST_PROVED = 2_000  # elements of a gradient; nobody waits for the proof of more
MOST_TERMS = 50_000  # in all of their sums

Tree = tuple[Any, ...]


def proved(
    calculation: Calculation, g: Array, gradient: Callable[[str], Callable[[Any], Any]], output: Callable[[str], Any]
) -> dict[str, Closed]:
    """By input, the closed form of its gradient in this call, if there is one and it is proved.

    gradient(symbol) and output(name) read exact numbers: the elements of a gradient and of an output.
    """
    op, found = calculation.op, dict[str, Closed]()
    shapes = {name: array.shape for name, array in calculation.case.arrays.items()}
    if not calculation.cells:
        return {}
    for closed in op.closed:
        array = calculation.case.arrays.get(closed.input)
        letters = closed.letters(calculation.p, shapes) if array is not None and 0 < array.size <= MOST_PROVED else None
        if letters is None or array is None:
            continue
        wanted = _numbers(array.shape, gradient(op.input(closed.input).symbol))
        rows = list(_readings(calculation, closed, letters, g, wanted, output))
        if sum(reading.terms() * row.size for reading, row in rows) <= MOST_TERMS and all(
            _are_near(reading.element(at), row[at], closed.near)
            for reading, row in rows
            for at in np.ndindex(*row.shape)
        ):
            found[closed.input] = closed
    return found


def _readings(
    calculation: Calculation, closed: Closed, letters: Mapping[str, Any], g: Array, wanted: Array,
    output: Callable[[str], Any],
) -> Iterator[tuple["Reading", Array]]:  # fmt: skip
    """For each row, what the text says of its elements, and what they should be."""
    op, p = calculation.op, calculation.p
    arrays = {
        op.input(name).symbol: closed.rows(p, name, _numbers(array.shape, reader(array)))
        for name, array in calculation.case.arrays.items()
    }
    main = calculation.main_output
    for name, shape in calculation.shapes.items():
        if shape != calculation.shapes[main] or op.output(name).whole:
            continue  # what the sweep does not read
        arrays[op.output(name).symbol] = closed.rows(p, name, _numbers(shape, output(name)))
    arrays[barred(op.output(main).symbol)] = closed.rows(p, main, _numbers(g.shape, reader(g)))
    by_row = closed.rows(p, closed.input, wanted)
    text = Text.read(closed.formula)
    for k in range(len(by_row)):
        row = np.asarray(by_row[k], dtype=object)
        here = {
            _plain(symbol): np.asarray(each[k if len(each) > 1 else 0], dtype=object) for symbol, each in arrays.items()
        }
        yield Reading(text, {**here, text.name: row}, letters), row


def _numbers(shape: Sequence[int], read: Callable[[Any], Any]) -> Array:
    """An array of exact numbers."""
    found = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        found[at] = as_fraction(read(at))
    return found


def _are_near(a: Any, b: Any, near: float) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and a == b:
        return True
    size = abs(float(a)) + abs(float(b))
    return size < float("inf") and abs(float(EXACT.functions["sub"](a, b))) <= near * (1 + size)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFD", name)


class Text(NamedTuple):
    """A formula that was read: the name and the indices of what it is of, and what is said behind "with"."""

    name: str
    indices: tuple[str, ...]
    tree: Tree
    known: dict[str, tuple[tuple[str, ...], Tree]]

    @classmethod
    def read(cls, formula: str) -> "Text":
        """Raises ValueError for what is no such formula."""
        head, _, rest = _plain(formula).partition("   with ")
        ((name, (indices, tree)),) = Parser(head).statements().items()
        return cls(name, indices, tree, Parser(rest).statements() if rest else {})


class Parser:
    """Reads sums of products as a textbook writes them."""

    def __init__(self, text: str) -> None:
        self.tokens = [(str(each.lastgroup), each[str(each.lastgroup)]) for each in TOKEN.finditer(text)]
        self.place = 0

    @property
    def next(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            raise ValueError(f"{wanted or 'more'} expected, not {token!r}")
        self.place += 1
        return token

    def is_next(self, *signs: str) -> bool:
        if self.next not in signs or not self.next:
            return False
        self.place += 1
        return True

    def statements(self) -> dict[str, tuple[tuple[str, ...], Tree]]:
        """name[indices] = sum, with commas between."""
        found = {}
        while self.next:
            name = self.take()
            indices = tuple(each[1] for each in self.indices()) if self.is_next("[") else ()
            self.take("=")
            found[name] = (indices, self.sum())
            if self.next:
                self.take(",")
        return found

    def indices(self) -> tuple[Tree, ...]:
        found = [self.sum()]
        while self.is_next(","):
            found.append(self.sum())
        self.take("]")
        return tuple(found)

    def sum(self) -> Tree:
        tree = self.term()
        while self.next in ("+", "−"):
            tree = ("sum" if self.take() == "+" else "sub", tree, self.term())
        return tree

    def term(self) -> Tree:
        """A product; Σ takes all of it that follows."""
        if self.is_next("−"):
            return ("neg", self.term())
        tree = self.factor()
        while self.next in ("·", "/"):
            tree = ("mul" if self.take() == "·" else "div", tree, self.factor())
        return tree

    def factor(self) -> Tree:
        kind, token = self.tokens[self.place] if self.place < len(self.tokens) else ("", "")
        self.take()
        if token == "Σ":
            self.take("_")
            return ("over", self.take(), self.term())
        if token == "(":
            tree = self.sum()
            self.take(")")
        elif token == "[":  # 1 where it holds, else 0
            left, sign = self.sum(), self.take()
            tree = ("holds", sign, left, self.sum())
            self.take("]")
        elif token in ROUNDED:
            name, end = ROUNDED[token]
            tree = ("call", name, self.sum())
            self.take(end)
        elif token in CALLS and self.next == "(":  # σ alone is a name
            self.take("(")
            tree = ("call", CALLS[token], self.sum())
            self.take(")")
        elif kind == "number":
            tree = ("number", Fraction(token))
        elif kind == "name":
            tree = ("name", token, self.indices() if self.is_next("[") else ())
        else:
            raise ValueError(f"{token!r} was not expected")
        return ("mul", tree, tree) if self.is_next("²") else tree


class Reading:
    """A formula in the numbers of one call."""

    def __init__(self, text: Text, arrays: Mapping[str, Array], letters: Mapping[str, Any]) -> None:
        self.text, self.arrays, self.letters = text, arrays, letters
        self.kept: dict[tuple[str, tuple[int, ...]], Any] = {}
        self.sizes: dict[str, int] = {}
        self._measure(("name", text.name, tuple(("name", each, ()) for each in text.indices)))
        for _ in range(2):  # an index may stand beside what is explained further on
            for tree in (text.tree, *(tree for _, tree in text.known.values())):
                self._measure(tree)

    def _measure(self, tree: Any) -> None:
        """How far each index goes: as far as the arrays do in which it stands alone."""
        if not isinstance(tree, tuple):
            return
        if tree and tree[0] == "name" and tree[1] in self.arrays:
            for size, index in zip(self.arrays[tree[1]].shape, tree[2], strict=True):
                if index[0] == "name" and not index[2]:
                    self.sizes[index[1]] = size
        if tree and tree[0] == "name" and tree[1] in self.text.known:
            for parameter, index in zip(self.text.known[tree[1]][0], tree[2], strict=True):
                if index[0] == "name" and not index[2] and parameter in self.sizes:
                    self.sizes.setdefault(index[1], self.sizes[parameter])
        for part in tree:
            self._measure(part)

    def terms(self, tree: Any = None) -> int:
        """How many terms stand in the sums of one element."""
        tree = self.text.tree if tree is None else tree
        if not isinstance(tree, tuple):
            return 0
        if tree[:1] == ("over",):
            return self.sizes[tree[1]] * max(1, self.terms(tree[2]))
        return sum(self.terms(part) for part in tree)

    def element(self, at: Sequence[int]) -> Any:
        return self.value(self.text.tree, dict(zip(self.text.indices, at, strict=True)))

    def value(self, tree: Tree, at: Mapping[str, int]) -> Any:
        match tree:
            case ("number", number):
                return number
            case ("name", name, indices):
                return self._named(name, [self.value(each, at) for each in indices], at)
            case ("over", index, inner):
                terms = [self.value(inner, {**at, index: k}) for k in range(self.sizes[index])]
                return EXACT.functions["sum"](Fraction(0), *terms)
            case ("holds", sign, left, right):
                return Fraction(COMPARED[sign](self.value(left, at), self.value(right, at)))
            case ("call", name, inner):
                return EXACT.functions[name](self.value(inner, at))
        op, *args = tree
        return EXACT.functions[op](*(self.value(each, at) for each in args))

    def _named(self, name: str, indices: Sequence[Any], at: Mapping[str, int]) -> Any:
        if not indices and name in at:
            return Fraction(at[name])
        if name in self.text.known:
            places, tree = self.text.known[name]
            key = name, tuple(map(int, indices))
            if key not in self.kept:
                self.kept[key] = self.value(tree, dict(zip(places, key[1], strict=True)))
            return self.kept[key]
        if name not in self.arrays:
            return exactly(self.letters[name], decimal=True)
        array = self.arrays[name]
        inside = all(k.denominator == 1 and 0 <= k < n for k, n in zip(indices, array.shape, strict=True))
        return array[tuple(map(int, indices))] if inside else Fraction(0)
