"""How an expression is written, whatever the signs: what is a term, what needs parentheses, and what is = or ≈."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import NamedTuple

from opcheck.render.numbers import DEFAULT_STYLE, Style, is_rounded
from opcheck.steps import Apply, Elided, Expression, Number, Symbol

ADDITIVE, MULTIPLICATIVE, SIGN, POWER, ATOM = range(5)
SUMS = ("sum", "sub")
ONE, TWO = Number(Fraction(1)), Number(Fraction(2))


class Term(NamedTuple):
    """A term of a sum, or an argument of a function: its sign ("" for an argument), how it is written, and itself."""

    sign: str
    text: str
    expression: Expression


class Notation(ABC):
    """Writes expressions. A subclass says what numbers, names and functions look like."""

    plus, minus, less, times = "+", "−", "<", "·"

    def __init__(self, style: Style = DEFAULT_STYLE) -> None:
        self.style = style

    @abstractmethod
    def number(self, number: Number) -> tuple[str, int]:
        """A number, and how tightly it binds."""

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str: ...

    @abstractmethod
    def elided(self, elided: Elided) -> str: ...

    @abstractmethod
    def function(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        """An operation that is no sum, product, sign or comparison, and how tightly it binds."""

    def parenthesised(self, text: str) -> str:
        return f"({text})"

    def joined(self, *parts: str) -> str:
        """Terms and signs as one."""
        return " ".join(parts)

    def negated(self, text: str) -> str:
        return self.minus + text

    def product(self, factors: list[str]) -> str:
        return self.times.join(factors)

    def is_rounded(self, expression: Expression) -> bool:
        """Whether some number in the expression is printed rounded, so that an ≈ must precede it."""
        match expression:
            case Number(value, inexact):
                return is_rounded(value, self.style, inexact)
            case Elided(_, Number() as value):
                return self.is_rounded(value)
            case Apply(_, args):
                return any(map(self.is_rounded, args))
        return False

    def write(self, expression: Expression, context: int = ADDITIVE) -> str:
        """The expression on one line, in parentheses where `context` binds tighter."""
        match expression:
            case Number():
                text, level = self.number(expression)
            case Symbol():
                return self.symbol(expression)
            case Elided():
                return self.elided(expression)
            case Apply(op, args):
                text, level = self._apply(op, args)
        return self.parenthesised(text) if level < context else text

    def _apply(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        match op:
            case "sum" | "sub":
                return self.sum(self.terms(Apply(op, args))), ADDITIVE
            case "mul":
                sign, first = _signed(args[0])
                others = [self.write(arg, POWER if _is_negative(arg) else MULTIPLICATIVE) for arg in args[1:]]
                text = self.product([self.write(first, MULTIPLICATIVE), *others])  # −a·b, but a·(−b)
                return self.negated(text) if sign == "−" else text, MULTIPLICATIVE
            case "neg":
                text = self.write(args[0], POWER if _is_negative(args[0]) else MULTIPLICATIVE)
                is_product = isinstance(args[0], Apply) and args[0].op in ("mul", "div")
                return self.negated(text), MULTIPLICATIVE if is_product else SIGN
            case "less":
                left, right = (self.write(arg, MULTIPLICATIVE) for arg in args)
                return self.joined(left, self.less, right), ADDITIVE
            case "detach":
                return self.write(args[0], ATOM), ATOM
            case "expm1":
                return self._apply("sub", (Apply("exp", args), ONE))
            case "erf_slope":
                return self._apply("mul", _slope_of_erf(*args))
        return self.function(op, args)

    def terms(self, expression: Expression) -> list[Term]:
        """The terms of a sum, with their signs; one term if it is no sum."""
        if not (isinstance(expression, Apply) and expression.op in SUMS):
            return [Term("+", self.write(expression), expression)]
        flat = []
        for place, arg in enumerate(expression.args):
            if place == 0 and isinstance(arg, Apply) and arg.op in SUMS:
                flat += self.terms(arg)  # a − b + c needs no parentheses
                continue
            if expression.op == "sub" and place == 1:
                flat.append(Term("−", self._subtracted(arg), arg))
                continue
            taken = _doubly_negated(arg) if place else None
            if taken is not None:  # a + −(−b) is a − (−b)
                flat.append(Term("−", self._subtracted(taken), arg))
                continue
            sign, part = _signed(arg)
            flat.append(Term(sign, self.write(part, MULTIPLICATIVE), arg))
        return flat

    def _subtracted(self, expression: Expression) -> str:
        """What follows a minus: 1 − (−2)·(−2), if the inserted numbers should remain visible."""
        if isinstance(expression, Apply) and expression.op == "mul" and _is_negative(expression):
            levels = (POWER if _is_negative(arg) else MULTIPLICATIVE for arg in expression.args)
            return self.product([self.write(arg, level) for arg, level in zip(expression.args, levels, strict=True)])
        return self.write(expression, POWER if _is_negative(expression) else MULTIPLICATIVE)

    def sum(self, terms: list[Term]) -> str:
        lead, *others = terms
        head = self.negated(lead.text) if lead.sign == "−" else lead.text
        return self.joined(head, *(part for term in others for part in (self.sign(term.sign), term.text)))

    def sign(self, sign: str) -> str:
        return self.minus if sign == "−" else self.plus


def _slope_of_erf(x: Expression) -> tuple[Expression, Expression]:
    """The factors of 2/√π·exp(−x²)."""
    root = Apply("sqrt", (Symbol("π"),))
    return Apply("div", (TWO, root)), Apply("exp", (Apply("neg", (Apply("power", (x, TWO)),)),))


def is_negative(value: Fraction | float) -> bool:
    return value < 0 or (value == 0 and isinstance(value, float) and math.copysign(1.0, value) < 0)


def _is_negative(expression: Expression) -> bool:
    return _signed(expression)[0] == "−"


def _signed(expression: Expression) -> tuple[str, Expression]:
    """The sign of a term, and the term without it."""
    if isinstance(expression, Number) and is_negative(expression.value):
        return "−", expression._replace(value=-expression.value)
    if isinstance(expression, Apply) and expression.op == "neg" and not _is_negative(expression.args[0]):
        return "−", expression.args[0]
    if isinstance(expression, Apply) and expression.op in ("mul", "div"):
        sign, first = _signed(expression.args[0])
        return sign, Apply(expression.op, (first, *expression.args[1:]))
    return "+", expression


def _doubly_negated(expression: Expression) -> Expression | None:
    """What −(−b) and −(−b)·c subtract: −b, and (−b)·c. None for all else."""
    match expression:
        case Apply("neg", (inner,)) if _is_negative(inner):
            return inner
        case Apply("mul" | "div" as op, (first, *others)):
            taken = _doubly_negated(first)
            return None if taken is None else Apply(op, (taken, *others))
    return None
