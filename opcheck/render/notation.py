"""How an expression is written in a line of text: with mathematical signs, in ASCII, or in words."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from opcheck.render.numbers import Style, digits, is_rounded
from opcheck.steps import Apply, Elided, Expression, Number, Symbol

ADDITIVE, MULTIPLICATIVE, SIGN, POWER, ATOM = range(5)

# what an operation is called as a function
CALLS = {"log": "ln", "sqrt": "√", "abs": "abs", "max": "max", "min": "min"}
ASCII_CALLS = {**CALLS, "sqrt": "sqrt"}
ASCII_NAMES = {
    "β": "beta", "ε": "eps", "μ": "mu", "ρ": "rho", "α": "alpha", "λ": "lambda", "γ": "gamma", "η": "eta", "τ": "tau",
    "σ": "sigma", "Σ": "Sum", "·": "*", "−": "-", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "∞": "inf", "×": "x",
    "→": "->", "…": "...", "≈": "~=", "≤": "<=", "≥": ">=", "√": "sqrt", "²": "^2", "∂": "d", "∈": "in", "’": "'",
    "₁": "1", "₂": "2", "₀": "0", "ₜ": "t", "π": "pi", "—": "-", "\u0302": "_hat", "\u0304": "_bar", "\u0307": "_dot",
    "±": "+-",
}  # fmt: skip


def to_ascii(text: str) -> str:
    """The same text in ASCII: names for Greek letters, letters for signs."""
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFD", text)
    return "".join(ASCII_NAMES.get(c, c if c.isascii() else "?") for c in letters)


def width(text: str) -> int:
    """How many terminal cells a text takes: combining marks and colours take none."""
    if "\x1b" in text:
        text = re.sub("\x1b\\[[0-9;]*m", "", text)
    return len(text) if text.isascii() else sum(not unicodedata.combining(c) for c in text)


@dataclass(frozen=True, slots=True)
class Notation:
    """Writes expressions. `plain` says words where signs would be read badly by a screen reader."""

    style: Style = Style()
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
        if self.plain:
            name = ("adjoint of " if symbol.adjoint else "tangent of " if symbol.tangent else "") + name
        elif symbol.adjoint or symbol.tangent:
            mark = "\u0304" if symbol.adjoint else "\u0307"
            name = unicodedata.normalize("NFC", name[0] + mark) + name[1:]
        if symbol.at:
            name += "[" + ",".join(map(str, symbol.at)) + "]"
        return to_ascii(name) if self.ascii or self.plain else name

    def terms(self, expression: Expression) -> list[tuple[str, str]]:
        """(sign, text) of each term of a sum; one term if it is no sum."""
        if isinstance(expression, Apply) and expression.op in ("sum", "sub"):
            flat = []
            for place, arg in enumerate(expression.args):
                if place == 0 and isinstance(arg, Apply) and arg.op in ("sum", "sub"):
                    flat += self.terms(arg)  # a − b + c needs no parentheses
                    continue
                sign, text = self._term(arg)
                if expression.op == "sub" and place == 1:
                    sign = "+" if sign == "−" else "−"
                flat.append((sign, text))
            return flat
        return [("+", self.write(expression))]

    def _term(self, arg: Expression) -> tuple[str, str]:
        if isinstance(arg, Number) and _negative(arg.value):
            return "−", self.number(-arg.value)
        if isinstance(arg, Apply) and arg.op == "neg":
            return "−", self.write(arg.args[0], MULTIPLICATIVE)
        return "+", self.write(arg, MULTIPLICATIVE)

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
        minus = self.sign("−")
        match op:
            case "sum" | "sub":
                (first_sign, first), *rest = self.terms(Apply(op, args))
                head = first if first_sign == "+" else minus + first
                return head + "".join(f" {self.sign(sign)} {text}" for sign, text in rest), ADDITIVE
            case "mul":
                first, *rest_of = [self.write(arg, MULTIPLICATIVE) for arg in args]
                return first + "".join(self.times + each for each in rest_of), MULTIPLICATIVE
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
