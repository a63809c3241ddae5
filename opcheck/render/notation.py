"""How an expression is written in a line of text: with mathematical signs, in ASCII, or in words."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from opcheck.render.numbers import DEFAULT_STYLE, Style, digits, is_rounded
from opcheck.steps import Apply, Elided, Expression, Number, Symbol

ADDITIVE, MULTIPLICATIVE, SIGN, POWER, ATOM = range(5)

# what an operation is called as a function
CALLS = {"log": "ln", "sqrt": "√", "abs": "abs", "max": "max", "min": "min"}
ASCII_CALLS = {**CALLS, "sqrt": "sqrt"}
ASCII_NAMES = {
    "β": "beta", "ε": "eps", "μ": "mu", "ρ": "rho", "α": "alpha", "λ": "lambda", "γ": "gamma", "η": "eta", "τ": "tau",
    "σ": "sigma", "Σ": "Sum", "·": "*", "−": "-", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "∞": "inf", "×": "x",
    "→": "->", "…": "...", "≈": "~=", "≤": "<=", "≥": ">=", "√": "sqrt", "²": "^2", "∂": "d", "∈": "in", "’": "'",
    "₁": "1", "₂": "2", "₀": "0", "ₜ": "t", "ℓ": "l", "π": "pi", "—": "-", "\u0302": "_hat", "\u0304": "_bar", "\u0307": "_dot",
    "±": "+-", "\u00a0": "\u00a0", "–": "-",
}  # fmt: skip


def to_ascii(text: str) -> str:
    """The same text in ASCII: names for Greek letters, letters for signs."""
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFD", text)
    return "".join(ASCII_NAMES.get(c, c if c.isascii() else "?") for c in letters)


# what a screen reader says for the signs in a sentence
WORDS = (
    (" · ", ", "), ("·", " times "), (" → ", " gives "), (" = ", " equals "), (" ≈ ", " is about "), ("×", " by "),
    (" ≤ ", " is at most "), (" ≥ ", " is at least "), (" < ", " is less than "), (" > ", " is greater than "),
    (" − ", " minus "), (" + ", " plus "), ("−", "minus "), ("∂", "d"), ("…", "..."), ("Σ_", "sum over "),
    ("²", " squared"),
)  # fmt: skip


def in_words(text: str) -> str:
    """A sentence without the signs that are read badly."""
    text = re.sub(r"(?<=[\w\])])−(?=\w)", " minus ", text)
    text = re.sub(r"(?<=[\w\])])\+(?=\w)", " plus ", text)
    for sign, word in WORDS:
        text = text.replace(sign, word)
    return text


class Term(NamedTuple):
    """A term of a sum, or an argument of a function: its sign ("" for an argument), how it is written, and itself."""

    sign: str
    text: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Notation:
    """Writes expressions. `plain` says words where signs would be read badly by a screen reader."""

    style: Style = DEFAULT_STYLE
    ascii: bool = False
    plain: bool = False

    @property
    def times(self) -> str:
        return " times " if self.plain else "*" if self.ascii else "·"

    def relation(self, right: Expression) -> str:
        """= before what is exact, ≈ before what shows rounded numbers."""
        rounded = shows_rounded(right, self.style)
        if self.plain:
            return "is about" if rounded else "equals"
        return ("~=" if self.ascii else "≈") if rounded else "="

    def number(self, value: Fraction | float) -> str:
        return digits(value, self.style)

    def symbol(self, symbol: Symbol) -> str:
        name = symbol.name
        if symbol.adjoint or symbol.tangent:
            name = self._marked(name, symbol.adjoint)
        if symbol.at:
            name += "[" + ",".join(map(str, symbol.at)) + "]"
        return to_ascii(name) if self.ascii or self.plain else name

    def _marked(self, name: str, adjoint: bool) -> str:
        """The name of an adjoint (x̄) or a tangent (ẋ)."""
        if self.plain:
            return ("adjoint of " if adjoint else "tangent of ") + name
        if self.ascii:
            return name + ("_bar" if adjoint else "_dot")
        letters = re.match(r"[^\W\d_]+( [^\W\d_]+)*|", name)
        end = letters.end() if letters and letters.end() else len(name)
        return unicodedata.normalize("NFC", name[:end] + ("\u0304" if adjoint else "\u0307")) + name[end:]

    def terms(self, expression: Expression) -> list[Term]:
        """The terms of a sum, with their signs; one term if it is no sum."""
        if not (isinstance(expression, Apply) and expression.op in ("sum", "sub")):
            return [Term("+", self.write(expression), expression)]
        flat = []
        for place, arg in enumerate(expression.args):
            if place == 0 and isinstance(arg, Apply) and arg.op in ("sum", "sub"):
                flat += self.terms(arg)  # a − b + c needs no parentheses
                continue
            term = self._term(arg)
            if expression.op == "sub" and place == 1:
                term = term._replace(sign="+" if term.sign == "−" else "−")
            flat.append(term)
        return flat

    def _term(self, arg: Expression) -> Term:
        if isinstance(arg, Number) and _negative(arg.value):
            return Term("−", self.number(-arg.value), arg)
        if isinstance(arg, Apply) and arg.op == "neg":
            return Term("−", self.write(arg.args[0], MULTIPLICATIVE), arg)
        return Term("+", self.write(arg, MULTIPLICATIVE), arg)

    def sign(self, sign: str) -> str:
        if self.plain:
            return "plus" if sign == "+" else "minus"
        return "-" if self.ascii and sign == "−" else sign

    def write(self, expression: Expression, context: int = ADDITIVE) -> str:
        """The expression on one line, in parentheses where `context` binds tighter."""
        match expression:
            case Number(value):
                text = self.number(value)
                loose = text[0] in "−-" or ("/" in text and context >= SIGN)
                return f"({text})" if loose and context >= MULTIPLICATIVE else text
            case Symbol():
                return self.symbol(expression)
            case Elided(count, None):
                return f"... {count} terms ..." if self.ascii else f"… {count} terms …"
            case Elided(count, value):
                assert value is not None
                return f"[{count} terms: {self.number(value.value)}]"
            case Apply(op, args):
                text, level = self._apply(op, args)
                return f"({text})" if level < context else text

    def _apply(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        minus = "minus " if self.plain else self.sign("−")
        match op:
            case "sum" | "sub":
                lead, *rest = self.terms(Apply(op, args))
                head = lead.text if lead.sign == "+" else minus + lead.text
                return head + "".join(f" {self.sign(sign)} {text}" for sign, text, _ in rest), ADDITIVE
            case "mul":
                first, *others = [self.write(arg, MULTIPLICATIVE) for arg in args]
                factors = [f"({each})" if each.startswith(minus) else each for each in others]  # a·(−b), but −a·b
                return self.times.join([first, *factors]), MULTIPLICATIVE
            case "div":
                over = " divided by " if self.plain else "/"
                return self.write(args[0], MULTIPLICATIVE) + over + self.write(args[1], POWER), MULTIPLICATIVE
            case "neg":
                return minus + self.write(args[0], SIGN), SIGN
            case "power":
                raised = " to the power " if self.plain else "^"
                if not (self.ascii or self.plain) and args[1] == Number(Fraction(2)):
                    return self.write(args[0], ATOM) + "²", POWER
                return self.write(args[0], ATOM) + raised + self.write(args[1], ATOM), POWER
            case "less":
                return self.write(args[0], MULTIPLICATIVE) + " < " + self.write(args[1], MULTIPLICATIVE), ADDITIVE
            case "floor" | "ceil" if not (self.ascii or self.plain):
                left, right = "⌊⌋" if op == "floor" else "⌈⌉"
                return left + self.write(args[0]) + right, ATOM
            case "detach":
                return self.write(args[0], ATOM), ATOM
        calls = ASCII_CALLS if self.ascii or self.plain else CALLS
        return f"{calls.get(op, op)}({', '.join(self.write(arg) for arg in args)})", ATOM


def _negative(value: Fraction | float) -> bool:
    return value < 0 or str(value) == "-0.0"


def shows_rounded(expression: Expression, style: Style) -> bool:
    """Whether some number in the expression is printed rounded."""
    match expression:
        case Number(value):
            return is_rounded(value, style)
        case Elided(_, value):
            return value is not None and is_rounded(value.value, style)
        case Apply(_, args):
            return any(shows_rounded(arg, style) for arg in args)
    return False
