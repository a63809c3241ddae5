"""Expressions and sentences in TeX, as LaTeX (with amsmath), MathJax and KaTeX understand it."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import islice

from opcheck.render.formulas import Formulas
from opcheck.render.names import ACCENTS, RAISED, SPELLED, SUBSCRIPTS, Piece, pieces, take_apart
from opcheck.render.notation import ADDITIVE, ATOM, MULTIPLICATIVE, POWER, Notation, Term
from opcheck.render.numbers import DEFAULT_STYLE, Style, digits
from opcheck.render.signs import Signs
from opcheck.steps import Elided, Expression, Number, Symbol

PAGE = 84  # characters of plain text that fill a printed line about as well

COMMANDS = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta", "θ": r"\theta",
    "λ": r"\lambda", "μ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi",
    "Δ": r"\Delta", "ℓ": r"\ell", "Σ": r"\sum", "∑": r"\sum", "∏": r"\prod", "∂": r"\partial", "∞": r"\infty",
    "·": r"\cdot", "×": r"\times", "⊙": r"\odot", "−": "-", "±": r"\pm", "→": r"\to", "≤": r"\le", "≥": r"\ge",
    "≠": r"\ne", "≈": r"\approx", "∈": r"\in", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil",
    "√": r"\surd", "‖": r"\|", "½": r"\tfrac{1}{2}", "′": r"\prime", "…": r"\dots",
}  # fmt: skip
COMMANDS |= {sign: f"^{n}" for n, sign in enumerate(RAISED)} | {"ᵗ": "^t"}
ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\u00a0": "~", "–": r"\textendash{}", "—": r"\textemdash{}", "’": "'", "“": "``", "”": "''",
    "…": r"\dots{}",
    "′": "$'$",
    '"': r"\textquotedbl{}",
}  # fmt: skip
FUNCTIONS = {"log": r"\ln", "exp": r"\exp", "max": r"\max", "min": r"\min", "tanh": r"\tanh", "sin": r"\sin",
             "cos": r"\cos", "tan": r"\tan", "sinh": r"\sinh", "cosh": r"\cosh", "sigmoid": r"\sigma",
             "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan"}  # fmt: skip
FUNCTIONS |= {op: rf"\operatorname{{{name}}}" for op, name in SPELLED.items() if op not in FUNCTIONS}
NAME = re.compile(
    rf"([^\W\d_])(?=[{''.join((*ACCENTS, *SUBSCRIPTS))}])([{''.join(ACCENTS)}]*)([{''.join(SUBSCRIPTS)}]*)"
)
WIDE = {"bar": "overline", "hat": "widehat", "tilde": "widetilde"}  # over a word
FENCES = {"floor": (r"\lfloor", r"\rfloor"), "ceil": (r"\lceil", r"\rceil"), "abs": ("|", "|")}


def escaped(text: str) -> str:
    """A sentence as LaTeX text; names with a mark or an index, and signs that text lacks, are set as mathematics.

    >>> print(escaped("100% of v̄₋₁ · x"))
    100\\% of $\\bar{v}_{-1}$ $\\cdot$ x
    """
    result: list[str] = []
    letters, place = unicodedata.normalize("NFD", text), 0
    for name in NAME.finditer(letters):
        result += [*map(_letter, letters[place : name.start()]), _name(name)]
        place = name.end()
    result += map(_letter, letters[place:])
    return unicodedata.normalize("NFC", "".join(result)).replace("--", "-{}-")


def _letter(c: str) -> str:
    if c in SUBSCRIPTS:
        return f"$_{_subscript(SUBSCRIPTS[c])}$"
    return ESCAPES[c] if c in ESCAPES else f"${COMMANDS[c]}$" if c in COMMANDS else c


def _name(found: re.Match[str]) -> str:
    letter, marks, below = found.groups()
    letter = COMMANDS.get(letter, letter)
    for mark in marks:
        letter = rf"\{ACCENTS[mark]}{{{letter}}}"
    index = "".join(SUBSCRIPTS[c] for c in below).replace("−", "-")
    return f"${letter}_{{{index}}}$" if index else f"${letter}$"


class TeX(Notation):
    """x_{0,1} \\cdot w_{0,0}, fractions, and long sums in several rows."""

    minus, times = "-", r" \cdot "

    def __init__(self, style: Style = DEFAULT_STYLE) -> None:
        super().__init__(Style(style.precision, style.fractions, ascii=True))
        self.page = Formulas(Signs(self.style), PAGE)

    def number(self, number: Number) -> tuple[str, int]:
        text = digits(number.value, self.style, number.inexact)
        sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
        level = ADDITIVE if sign else ATOM
        if "inf" in text or text == "NaN":
            return sign + (r"\infty" if "inf" in text else r"\mathrm{NaN}"), level
        if "/" in text:
            over, under = text.split("/")
            return rf"{sign}\frac{{{over}}}{{{under}}}", min(level, POWER)
        mantissa, e, exponent = text.partition("e")
        if e:
            return rf"{sign}{mantissa} \times 10^{{{int(exponent)}}}", min(level, MULTIPLICATIVE)
        return sign + text, level

    def symbol(self, symbol: Symbol) -> str:
        name = take_apart(symbol.name)
        letters = r" \, ".join(map(_word, name.base.split(" ")))
        marks = (*name.accents, *(["bar"] if symbol.adjoint else ["dot"] if symbol.tangent else []))
        for mark in marks:
            letters = rf"\{mark if len(name.base) == 1 else WIDE.get(mark, mark)}{{{letters}}}"
        below = [_subscript(name.below)] if name.below else []
        below += [",".join(map(str, symbol.at))] if symbol.at else []
        letters += "'" * name.primes
        return letters + (f"_{{{';'.join(below)}}}" if below else "")

    def elided(self, elided: Elided) -> str:
        shown = r"\cdots" if elided.value is None else self.write(elided.value)
        return rf"\underbrace{{{shown}}}_{{\text{{{elided.terms} terms}}}}"

    def parenthesised(self, text: str) -> str:
        return rf"\left({text}\right)" if r"\frac" in text or r"\begin" in text else f"({text})"

    def sum(self, terms: list[Term]) -> str:
        rows = self.page.broken([term._replace(text=self._plain(term)) for term in terms], is_sum=True)
        if len(rows) == 1:
            return super().sum(terms)
        waiting = iter(terms)
        lines = [list(islice(waiting, length)) for length in rows]
        first, *others = (super(TeX, self).sum(line) for line in lines)
        signs = ["" if line[0].sign == "−" else "{}+ " for line in lines[1:]]
        return self._rows([first, *(sign + text for sign, text in zip(signs, others, strict=True))])

    def function(self, op: str, args: tuple[Expression, ...]) -> tuple[str, int]:
        match op:
            case "div":
                return rf"\frac{{{self.write(args[0])}}}{{{self.write(args[1])}}}", POWER
            case "power":
                return f"{self.write(args[0], ATOM)}^{{{self.write(args[1])}}}", POWER
            case "sqrt":
                return rf"\sqrt{{{self.write(args[0])}}}", ATOM
            case "floor" | "ceil" | "abs":
                left, right = FENCES[op]
                return rf"\left{left} {self.write(args[0])} \right{right}", ATOM
        name = FUNCTIONS.get(op) or _word(op.replace("_", " "))
        return name + self.parenthesised(self._arguments(args)), ATOM

    def _arguments(self, args: Sequence[Expression]) -> str:
        written = [self.write(arg) for arg in args]
        plain = [Term("", self.page.notation.write(arg), arg) for arg in args]
        waiting = iter(written)
        rows = [", ".join(islice(waiting, length)) for length in self.page.broken(plain, is_sum=False)]
        return rows[0] if len(rows) == 1 else self._rows([*(row + "," for row in rows[:-1]), rows[-1]])

    def _plain(self, term: Term) -> str:
        return self.page.notation.write(term.expression)

    def _rows(self, rows: list[str]) -> str:
        return r"\begin{aligned}[t] & " + r" \\ & ".join(rows) + r" \end{aligned}"


def _word(word: str) -> str:
    """A letter in italics, a word upright."""
    if len(word) == 1:
        return COMMANDS.get(word, word)
    parts = re.findall(r"[A-Za-z0-9]+|.", word)
    return "".join(rf"\mathrm{{{part}}}" if part.isascii() and part.isalnum() else _sign(part) for part in parts)


def _sign(sign: str) -> str:
    return COMMANDS.get(sign, rf"\{sign}" if sign in "{}#$%&_" else r"\ " if sign == " " else sign)


def _subscript(text: str) -> str:
    number = text.replace("−", "-")
    return number if len(text) == 1 or number.lstrip("-").isdigit() else _word(text)


# --- definitions, which are given as text ---------------------------------------------------------------------------


def definition(text: str) -> str:
    """A definition as TeX, with its fractions on their line.

    >>> print(definition("y[i] = Σ_k x[i+k]·w[k]"))
    y_{i} = \\sum_{k} x_{i+k}\\cdot w_{k}
    """
    return _pieces(pieces(text))


def _pieces(of: Sequence[Piece]) -> str:
    result = ""
    for piece in of:
        if piece.kind == "root":
            result += rf"\sqrt{{{_pieces(piece.below)}}}"
            continue
        text = _piece(piece)
        ends_in_command = re.search(r"\\[A-Za-z]+$", result)
        result += (" " if ends_in_command and text[:1].isalpha() else "") + text
        result += f"_{{{_pieces(piece.below)}}}" if piece.below else ""
        result += f"^{{{_pieces(piece.above)}}}" if piece.above else ""
    return result.strip()


def _piece(piece: Piece) -> str:
    text = piece.text
    if piece.kind == "space":
        return r" \quad " if len(text) > 1 else " "
    if piece.kind == "word":
        return rf"\text{{ {text} }}"
    if piece.kind != "name":
        return _sign(text)
    name = {**FUNCTIONS, "ln": r"\ln", "log": r"\log"}.get(text) or _word(text)
    for mark in piece.accents:
        name = rf"\{mark}{{{name}}}"
    return name
