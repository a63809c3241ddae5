"""Expressions in a line of text: with mathematical signs, in ASCII, or in words."""

import re
import unicodedata
from fractions import Fraction

from opcheck.render.names import RAISED, SPELLED, marked
from opcheck.render.notation import ATOM, MULTIPLICATIVE, POWER, Notation, is_negative
from opcheck.render.numbers import DEFAULT_STYLE, Style, digits
from opcheck.steps import Elided, Expression, Number, Symbol

ASCII_NAMES = {
    "β": "beta", "ε": "eps", "μ": "mu", "ρ": "rho", "α": "alpha", "λ": "lambda", "γ": "gamma", "η": "eta", "τ": "tau",
    "σ": "sigma", "Σ": "Sum", "·": "*", "−": "-", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "∞": "inf", "×": "x",
    "→": "->", "…": "...", "≈": "~=", "≤": "<=", "≥": ">=", "√": "sqrt", "∂": "d", "∈": "in", "’": "'",
    "₁": "1", "₂": "2", "₀": "0", "ₜ": "t", "ℓ": "l", "π": "pi", "—": "-", "–": "-", "±": "+-", "\u00a0": "\u00a0",
    "\u0302": "_hat", "\u0304": "_bar", "\u0307": "_dot", "δ": "delta", "θ": "theta", "φ": "phi", "Δ": "Delta",
    "₃": "3", "₄": "4", "₅": "5", "₆": "6", "₇": "7", "₈": "8", "₉": "9", "₋": "_-", "′": "'", "│": "|", "┌": "+",
    "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+",
    "≠": "!=", "∑": "Sum", "∏": "Prod", "½": "1/2", "‖": "||", "⊙": "*", "¯": "_bar", "─": "-",
    "∇": "grad ", "⁻": "^-", "⟨": "<", "⟩": ">", "ᵀ": "^T", "\u0338": "!",  # "≠" is "=" and a stroke
}  # fmt: skip
ASCII_NAMES |= {sign: f"^{n}" for n, sign in enumerate(RAISED)} | {"ᵗ": "^t"}

# what a screen reader says for the signs in a sentence
WORDS = (
    (" · ", ", "), ("·", " times "), (" → ", " gives "), (" = ", " equals "), (" ≈ ", " is about "), ("×", " by "),
    ("\u00a0≈\u00a0", " is about "),
    (" ≤ ", " is at most "), (" ≥ ", " is at least "), (" < ", " is less than "), (" > ", " is greater than "),
    (" − ", " minus "), (" + ", " plus "), ("−", "minus "), ("∂", "d"), ("…", "..."), ("Σ_", "sum over "),
    ("²", " squared"),
)  # fmt: skip

ADJOINT, TANGENT = "\u0304", "\u0307"
MARKED = rf"([^\W\d_])([{ADJOINT}{TANGENT}])([₋₀-₉]+)"  # the adjoint or the tangent of a line: v̄₁
SPOKEN = {ADJOINT: "adjoint of", TANGENT: "tangent of"}


def to_ascii(text: str) -> str:
    """The same text in ASCII: names for Greek letters, letters for signs."""
    if text.isascii():
        return text
    text = text.replace("≠", "\u0338=")
    letters = re.sub(MARKED, r"\1\3\2", unicodedata.normalize("NFD", text))  # v̄₁ is v1_bar, as a symbol is
    return "".join(ASCII_NAMES.get(c, c if c.isascii() else "?") for c in letters)


def in_words(text: str) -> str:
    """A sentence without the signs that are read badly."""
    text = re.sub(MARKED, lambda name: f"{SPOKEN[name[2]]} {name[1]}{name[3]}", unicodedata.normalize("NFD", text))
    text = re.sub(r"(?<=[\w\])])−(?=\w)", " minus ", unicodedata.normalize("NFC", text))
    text = re.sub(r"(?<=[\w\])])\+(?=\w)", " plus ", text)
    for sign, word in WORDS:
        text = text.replace(sign, word)
    return text


class Signs(Notation):
    """Mathematical signs: x[0,1]·w[0,0] + 2²."""

    equal, about, over = "=", "≈", "/"
    calls = {**SPELLED, "sigmoid": "σ", "sqrt": "√"}

    def relation(self, right: Expression) -> str:
        """= before what is exact, ≈ before what shows rounded numbers."""
        return self.about if self.is_rounded(right) else self.equal

    def number(self, number: Number) -> tuple[str, int]:
        text = digits(number.value, self.style, number.inexact)
        return text, 0 if is_negative(number.value) else MULTIPLICATIVE if "/" in text else ATOM

    def symbol(self, symbol: Symbol) -> str:
        name = symbol.name
        if symbol.adjoint or symbol.tangent:
            name = self.marked(name, symbol.adjoint)
        return name + ("[" + ",".join(map(str, symbol.at)) + "]" if symbol.at else "")

    def marked(self, name: str, adjoint: bool) -> str:
        """The name of an adjoint (x̄) or a tangent (ẋ)."""
        return unicodedata.normalize("NFC", marked(name, ADJOINT if adjoint else TANGENT))

    def elided(self, elided: Elided) -> str:
        if elided.value is None:
            return f"… {elided.terms} terms …"
        return f"[{elided.terms} terms: {self.write(elided.value)}]"

    def function(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        match op:
            case "div":
                fraction = isinstance(args[0], Number) and "/" in self.write(args[0])
                above = self.write(args[0], POWER if fraction else MULTIPLICATIVE)
                return above + self.over + self.write(args[1], POWER), MULTIPLICATIVE
            case "power":
                return self.power(*args), POWER
            case "floor" | "ceil":
                return self.rounded(op, self.write(args[0])), ATOM
        return f"{self.calls.get(op, op)}({', '.join(map(self.write, args))})", ATOM

    def power(self, base: Expression, exponent: Expression) -> str:
        if exponent == Number(Fraction(2)):
            return self.write(base, ATOM) + "²"
        return self.write(base, ATOM) + "^" + self.write(exponent, ATOM)

    def rounded(self, op: str, text: str) -> str:
        return f"⌊{text}⌋" if op == "floor" else f"⌈{text}⌉"


class AsciiSigns(Signs):
    """The same in ASCII: x[0,1]*w[0,0] + 2^2."""

    minus, times, about = "-", "*", "~="
    calls = {**SPELLED, "sigmoid": "sigma"}
    raised = "^"

    def __init__(self, style: Style = DEFAULT_STYLE) -> None:
        super().__init__(Style(style.precision, style.fractions, ascii=True))

    def symbol(self, symbol: Symbol) -> str:
        return to_ascii(super().symbol(symbol))

    def marked(self, name: str, adjoint: bool) -> str:
        return name + ("_bar" if adjoint else "_dot")

    def elided(self, elided: Elided) -> str:
        return super().elided(elided).replace("…", "...")

    def power(self, base: Expression, exponent: Expression) -> str:
        return self.write(base, ATOM) + self.raised + self.write(exponent, ATOM)

    def rounded(self, op: str, text: str) -> str:
        return f"{op}({text})"


class Words(AsciiSigns):
    """In words, for a screen reader: x[0,1] times w[0,0] plus 2 to the power 2."""

    plus, minus, times, over, raised = "plus", "minus", " times ", " divided by ", " to the power "
    equal, about, less = "equals", "is about", "is less than"

    def negated(self, text: str) -> str:
        return "minus " + text

    def marked(self, name: str, adjoint: bool) -> str:
        return f"{SPOKEN[ADJOINT if adjoint else TANGENT]} {name}"
