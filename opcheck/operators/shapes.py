"""Shapes as letters: "N Cin H W", "4*H In", "... D", "Out Cin/groups kH kW", "N < C" for classes.

A letter is a size, the same wherever it stands in one call; a number is itself; arithmetic of both is worked out. `*`
and `...` stand for any number of leading dimensions, which are the same everywhere, too.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from opcheck.errors import Refused
from opcheck.language import say

Shape = tuple[int, ...]
LEADING = ("*", "...")
OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.floordiv,
}  # fmt: skip
MOST = 4096  # a size that is looked for


@dataclass(frozen=True)
class Size:
    """One dimension: a letter, a number, or arithmetic of both."""

    text: str

    @cached_property
    def tree(self) -> ast.expr:
        try:
            tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError):
            raise _unreadable(self.text) from None
        for node in ast.walk(tree):
            legal = isinstance(node, (ast.Name, ast.Load, ast.operator, ast.BinOp))
            if isinstance(node, ast.Constant):
                legal = type(node.value) is int and node.value >= 0
            if not legal or (isinstance(node, ast.BinOp) and type(node.op) not in OPERATIONS):
                raise _unreadable(self.text)
        return tree

    @cached_property
    def letters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)))

    @property
    def is_letter(self) -> bool:
        return isinstance(self.tree, ast.Name)

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number that it is where every letter has its size."""
        found = _evaluated(self.tree, sizes)
        if found < 0:
            raise Refused(
                say("the size {text} is negative", text=self.text),
                got=", ".join(f"{letter} = {sizes[letter]}" for letter in self.letters),
                fix=say('let a letter be the smaller size, x: "N D" and y: "N D+5", instead of "N D-5"'),
            )
        return found

    def solved(self, n: int, sizes: Mapping[str, int]) -> tuple[str, int] | None:
        """The one letter without a size, and the size that makes this equal to `n`; None if there is no such size."""
        unknown = [letter for letter in self.letters if letter not in sizes]
        if len(unknown) != 1:
            return None
        (letter,) = unknown
        if self.is_letter:
            return letter, n
        found = _searched(self, n, letter, tuple((each, sizes[each]) for each in self.letters if each != letter))
        return None if found is None else (letter, found)


@lru_cache(maxsize=4096)
def _searched(size: Size, n: int, letter: str, known: tuple[tuple[str, int], ...]) -> int | None:
    """The smallest number for the letter that makes the size `n`."""
    sizes = dict(known)
    for k in range(MOST):
        sizes[letter] = k
        with suppress(ZeroDivisionError):
            if _evaluated(size.tree, sizes) == n:
                return k
    return None


def _evaluated(tree: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, ast.Name):
        return sizes[tree.id]
    if isinstance(tree, ast.Constant):
        return int(tree.value)  # type: ignore[arg-type]  # checked when it was parsed
    assert isinstance(tree, ast.BinOp)
    return OPERATIONS[type(tree.op)](_evaluated(tree.left, sizes), _evaluated(tree.right, sizes))


def _unreadable(text: str) -> Refused:
    return Refused(
        say('a shape is letters and numbers separated by spaces, such as "N In", "4*H I" or "... D"'), got=repr(text)
    )


@dataclass(frozen=True)
class Letters:
    """A declared shape. `below`: for an array of classes, the letter that all its numbers are less than."""

    text: str
    leading: str = ""  # "*" or "...", or nothing
    sizes: tuple[Size, ...] = ()
    below: str = ""

    @classmethod
    def parse(cls, text: str) -> "Letters":
        """The shape that `text` declares; raises Refused.

        >>> Letters.parse("N < C").below, Letters.parse("... D").leading
        ('C', '...')
        """
        shape, _, below = text.partition("<")
        words = shape.split()
        leading = words.pop(0) if words and words[0] in LEADING else ""
        sizes = tuple(Size(word) for word in words)
        for size in (*sizes, *([Size(below.strip())] if below else [])):
            size.tree  # noqa: B018  # refuses what cannot be read
        return cls(text, leading, sizes, below.strip())

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(letter for size in self.sizes for letter in size.letters))


@dataclass
class Sizes:
    """What the letters of one call stand for, found from the shapes of its arrays."""

    of: dict[str, int] = field(default_factory=dict)
    leading: Shape | None = None

    @classmethod
    def match(cls, declared: Mapping[str, Letters], shapes: Mapping[str, Shape]) -> "Sizes":
        """The sizes that make these shapes what was declared; raises Refused that says where they do not fit."""
        found = cls()
        for name, letters in declared.items():
            if name in shapes:
                found._dimensions(name, letters, shapes[name])
        waiting = [(name, declared[name]) for name in declared if name in shapes]
        for _ in range(len(waiting) + 1):
            for name, letters in waiting:
                found._solve(letters, shapes[name])
        for name, letters in waiting:
            found._check(name, letters, shapes[name])
        return found

    def shape(self, letters: Letters) -> Shape:
        """The shape that these letters have."""
        own = tuple(size.value(self.of) for size in letters.sizes)
        return (*(self.leading or ()), *own) if letters.leading else own

    def _dimensions(self, name: str, letters: Letters, shape: Shape) -> None:
        fixed = len(letters.sizes)
        if len(shape) < fixed or (not letters.leading and len(shape) != fixed):
            raise self._misfit(name, letters, shape)
        if letters.leading:
            leading = shape[: len(shape) - fixed]
            if self.leading is not None and leading != self.leading:
                raise self._misfit(name, letters, shape)
            self.leading = leading

    def _solve(self, letters: Letters, shape: Shape) -> None:
        for size, n in zip(letters.sizes, shape[len(shape) - len(letters.sizes) :], strict=True):
            solved = size.solved(n, self.of)
            if solved is not None:
                self.of[solved[0]] = solved[1]

    def _check(self, name: str, letters: Letters, shape: Shape) -> None:
        for size, n in zip(letters.sizes, shape[len(shape) - len(letters.sizes) :], strict=True):
            try:
                right = all(letter in self.of for letter in size.letters) and size.value(self.of) == n
            except ZeroDivisionError:
                right = False
            if not right:
                raise self._misfit(name, letters, shape)

    def _misfit(self, name: str, letters: Letters, shape: Shape) -> Refused:
        known = ", ".join(f"{letter} = {n}" for letter, n in self.of.items() if letter in letters.letters)
        got = say("{name} {shape} with {known}", name=name, shape=shape, known=known) if known else f"{name} {shape}"
        return Refused(say('{name} has the shape "{letters}"', name=name, letters=letters.text), got=got)


def letters_in(declared: Iterable[Letters]) -> list[str]:
    """All letters, each once: those of sizes first, then those that only classes are below."""
    every = list(declared)
    found = [letter for letters in every for letter in letters.letters]
    return list(dict.fromkeys([*found, *(each.below for each in every if each.below.isidentifier())]))


__all__ = ["Letters", "Shape", "Size", "Sizes", "letters_in"]
