"""Expressions in MathML Core, which browsers draw without a library."""

from collections.abc import Sequence
from html import escape

from opcheck.render.names import PRIME, SPELLED, Piece, pieces, take_apart
from opcheck.render.notation import ADDITIVE, ATOM, MULTIPLICATIVE, POWER, Notation
from opcheck.render.numbers import DEFAULT_STYLE, Style, digits
from opcheck.steps import Elided, Expression, Number, Symbol

ACCENTS = {"bar": "‾", "hat": "^", "dot": "˙", "tilde": "~"}
FUNCTIONS = {**SPELLED, "sigmoid": "σ"}
FENCES = {"floor": "⌊⌋", "ceil": "⌈⌉", "abs": "||"}
LIMITS = frozenset({"Σ", "∑", "∏", "max", "min", "lim"})  # what stands below these is below, not beside


class MathML(Notation):
    """<msub><mi>x</mi>...</msub><mo>·</mo>..., to stand inside <math>."""

    plus, minus, less, times = "<mo>+</mo>", "<mo>−</mo>", "<mo>&lt;</mo>", "<mo>·</mo>"

    def __init__(self, style: Style = DEFAULT_STYLE) -> None:
        super().__init__(Style(style.precision, style.fractions))

    def joined(self, *parts: str) -> str:
        return "".join(parts)

    def negated(self, text: str) -> str:
        return f'<mo form="prefix">−</mo>{text}'

    def parenthesised(self, text: str) -> str:
        return _fenced("(", text, ")")

    def number(self, number: Number) -> tuple[str, int]:
        text = digits(number.value, self.style, number.inexact)
        sign, text = (self.negated(""), text[1:]) if text[0] == "−" else ("", text)
        level = ADDITIVE if sign else ATOM
        if "/" in text:
            over, under = text.split("/")
            return f"{sign}<mfrac><mn>{over}</mn><mn>{under}</mn></mfrac>", min(level, POWER)
        mantissa, e, exponent = text.partition("e")
        if e:
            power = f"<msup><mn>10</mn><mn>{exponent[0].strip('0')}{exponent[1:].lstrip('0')}</mn></msup>"
            return f"{sign}<mn>{mantissa}</mn><mo>×</mo>{power}", min(level, MULTIPLICATIVE)
        return f"{sign}<mn>{text}</mn>", level

    def symbol(self, symbol: Symbol) -> str:
        name = take_apart(symbol.name)
        marks = (*name.accents, *(["bar"] if symbol.adjoint else ["dot"] if symbol.tangent else []))
        below = [f"<mi>{escape(name.below)}</mi>"] if name.below else []
        below += [f"<mn>{','.join(map(str, symbol.at))}</mn>"] if symbol.at else []
        return _scripts(_primed(_letters(name.base, marks), name.primes), "<mo>;</mo>".join(below))

    def elided(self, elided: Elided) -> str:
        shown = "<mo>⋯</mo>" if elided.value is None else self.write(elided.value)
        return f"<munder><mrow>{shown}</mrow><mtext>{elided.terms} terms</mtext></munder>"

    def function(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        written = [f"<mrow>{self.write(arg)}</mrow>" for arg in args]
        match op:
            case "div":
                return f"<mfrac>{written[0]}{written[1]}</mfrac>", POWER
            case "power":
                return f"<msup><mrow>{self.write(args[0], ATOM)}</mrow>{written[1]}</msup>", POWER
            case "sqrt":
                return f"<msqrt>{written[0]}</msqrt>", ATOM
            case "floor" | "ceil" | "abs":
                left, right = FENCES[op][0], FENCES[op][1]
                return _fenced(left, written[0], right), ATOM
        inside = "<mo>,</mo>".join(written)
        return f"<mi>{escape(FUNCTIONS.get(op, op))}</mi>{self.parenthesised(inside)}", ATOM


def _fenced(left: str, inside: str, right: str) -> str:
    tall = "<mfrac>" in inside
    return f"<mrow>{_fence(left, tall)}{inside}{_fence(right, tall)}</mrow>"


def _fence(sign: str, tall: bool) -> str:
    """A parenthesis: as tall as what it encloses only where that is taller than a line."""
    return f'<mo stretchy="{str(tall).lower()}" lspace="0" rspace="0">{sign}</mo>'


def definition(text: str) -> str:
    """A definition that is given as text, such as y[i] = Σ_k x[i+k]·w[k]."""
    return _pieces(pieces(text))


def _pieces(of: Sequence[Piece]) -> str:
    return "".join(map(_piece, of))


def _piece(piece: Piece) -> str:
    match piece.kind:
        case "space":
            return '<mspace width="1em"/>' if len(piece.text) > 1 else ""
        case "word":
            return f"<mtext>&nbsp;{escape(piece.text)}&nbsp;</mtext>"
        case "root":
            return f"<msqrt>{_pieces(piece.below)}</msqrt>"
        case "number":
            base = f"<mn>{piece.text}</mn>"
        case "name" if piece.text not in LIMITS:
            base = _letters(piece.text, piece.accents)
        case _ if piece.text in "()[]{}|":
            base = _fence(piece.text, tall=False)
        case _:
            base = f"<mo>{escape('∑' if piece.text == 'Σ' else piece.text)}</mo>"
    above = [each for each in piece.above if each.text != PRIME]
    base = _primed(base, len(piece.above) - len(above))
    return _scripts(base, _pieces(piece.below), _pieces(above), under=piece.text in LIMITS)


def _primed(base: str, primes: int) -> str:
    """With primes beside it, not above: the sign is a raised one, and raised once more it is a speck in most fonts."""
    return f'<mrow>{base}<mo lspace="0" rspace="0">{PRIME * primes}</mo></mrow>' if primes else base


def _letters(base: str, accents: Sequence[str]) -> str:
    """A letter in italics, a word upright, with accents over it."""
    result = f"<mi>{escape(base)}</mi>"
    for accent in accents:
        kind = ' class="bar"' if accent == "bar" else ""  # drawn by the page: the sign is a hairline
        result = f'<mover accent="true"{kind}>{result}<mo>{ACCENTS[accent]}</mo></mover>'
    return result


def _scripts(base: str, below: str, above: str = "", under: bool = False) -> str:
    sub, sup, both = ("munder", "mover", "munderover") if under else ("msub", "msup", "msubsup")
    low, high = f"<mrow>{below}</mrow>", f"<mrow>{above}</mrow>"
    if below and above:
        return f"<{both}>{base}{low}{high}</{both}>"
    return f"<{sub}>{base}{low}</{sub}>" if below else f"<{sup}>{base}{high}</{sup}>" if above else base
