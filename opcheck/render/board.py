"""A board in the form that a page needs: every number and name once, and lines that refer to them. See board.js."""

import json
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from opcheck.language import say
from opcheck.render.mathml import ACCENTS, FUNCTIONS
from opcheck.render.names import take_apart
from opcheck.render.numbers import Style, digits, is_rounded
from opcheck.render.signs import Words
from opcheck.steps import Board, Number, Symbol

K = TypeVar("K", bound=Hashable)


class Listed(Generic[K]):
    """Things in the order in which they were met, each once."""

    def __init__(self) -> None:
        self.places: dict[K, int] = {}

    def __call__(self, thing: K) -> int:
        return self.places.setdefault(thing, len(self.places))


def data(board: Board, style: Style) -> str:
    """The lines of a board as JSON that is safe inside a page.

    lines: [operation, value, argument, ...] as places in "ops" and "texts"; named: by line its place in "names" and
    its index; partial: by line what its sum comes to, term by term; rounded: the texts that are not exact.
    """
    ops, texts, names = Listed[str](), Listed[tuple[str, bool]](), Listed[tuple[str, bool, bool]]()

    known: dict[Number, int] = {}

    def text(number: Number) -> int:
        if number not in known or number.value != number.value or not number.value:  # -0.0 equals 0
            shown = digits(number.value, style, number.inexact)
            known[number] = texts((shown, is_rounded(number.value, style, number.inexact)))
        return known[number]

    lines = [[ops(line.op), text(line.value), *line.args] for line in board.lines]
    symbols = ((k, line.symbol) for k, line in enumerate(board.lines) if line.symbol is not None)
    named = {k: [names((s.name, s.adjoint, s.tangent)), ",".join(map(str, s.at))] for k, s in symbols}
    partial = {k: [*map(text, line.partial)] for k, line in enumerate(board.lines) if line.partial}
    found = {
        "ops": [*ops.places], "texts": [each for each, _ in texts.places], "lines": lines, "named": named,
        "rounded": [k for k, (_, rounded) in enumerate(texts.places) if rounded], "partial": partial,
        "names": [_name(Symbol(name, (), adjoint, tangent)) for name, adjoint, tangent in names.places],
        "functions": FUNCTIONS, "accents": ACCENTS, "focus": board.focus, "words": words(),
    }  # fmt: skip
    written = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c")  # </script> ends a script wherever it occurs


def _name(symbol: Symbol) -> dict[str, Any]:
    """A name as its parts, and as it is read aloud."""
    name = take_apart(symbol.name)
    marks = [*name.accents, *(["bar"] if symbol.adjoint else ["dot"] if symbol.tangent else [])]
    return {"base": name.base, "marks": marks, "below": name.below, "primes": name.primes,
            "said": Words().write(symbol), "adjoint": symbol.adjoint, "symbol": symbol.name}  # fmt: skip


def words() -> dict[str, str]:
    """The script's texts; it fills in the names and numbers in braces."""
    return {
        "is": say("{name} = {value}"),
        "equals": say("equals"), "about": say("is about"), "times": say("times"), "plus": say("plus"),
        "minus": say("minus"), "over": say("divided by"), "to": say("to the power"), "less": say("is less than"),
        "goes": say("It goes into {n} numbers:"), "once": say("It goes into one number:"),
        "nothing": say("No output depends on it, so no gradient reaches it."),
        "lost": say("Another number was chosen, so nothing flows back:"), "decided": say("What was chosen:"),
        "gradient": say("Its gradient: {name} = {value}"),
        "padding": say("Padding, which counts as {value}"),
        "skipped": say("{n} terms"), "more": say("and {n} more"), "step": say("step {k} of {n}"),
    }  # fmt: skip
