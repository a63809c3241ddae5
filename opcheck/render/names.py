"""Names as a textbook sets them: x̄, β₁, H with the subscript out; and definitions taken apart into such names."""

import re
import unicodedata
from itertools import takewhile
from typing import NamedTuple

PRIME = "′"
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0307": "dot", "\u0303": "tilde"}
SUBSCRIPTS = dict(zip("₋₀₁₂₃₄₅₆₇₈₉ₜ", "−0123456789t", strict=True))
LETTER = r"(?:(?![₀-₉ₜ⁰¹²³⁴-⁹½ᵗ])[^\W\d_])"
WORDS = frozenset(
    [
        "with",
        "if",
        "else",
        "and",
        "or",
        "where",
        "for",
        "over",
        "of",
        "the",
        "otherwise",
        "is",
        "not",
        "in",
        "each",
        "as",
        "above",
    ]
)
HEADS = ("max", "min", "lim", "argmax", "argmin", "log")  # what is written below these is not part of a word

FEW = 5  # clauses of a definition that stand beside each other
# functions whose names in mathematics are not those of the primitives
SPELLED = {
    "log": "ln", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arsinh", "acosh": "arcosh",
    "atanh": "artanh",
}  # fmt: skip


class Name(NamedTuple):
    """A name taken apart: its letters, the accents over them, and what stands below."""

    base: str
    accents: tuple[str, ...] = ()
    below: str = ""
    primes: int = 0


def take_apart(name: str) -> Name:
    """The parts of a name.

    >>> take_apart("x̄1")
    Name(base='x', accents=('bar',), below='1', primes=0)
    >>> take_apart("H_out")
    Name(base='H', accents=(), below='out', primes=0)
    >>> take_apart("hidden_state")  # words, of which none stands below the other
    Name(base='hidden_state', accents=(), below='', primes=0)
    """
    letters = unicodedata.normalize("NFD", name)
    accents = tuple(ACCENTS[c] for c in letters if c in ACCENTS)
    primes = letters.count(PRIME)
    letters = "".join(c for c in letters if c not in ACCENTS and c != PRIME)
    found = re.fullmatch(r"(.*?[^\W\d_])(?:_(.+)|([\d₋₀-₉ₜ]+))?", letters)
    if not found:
        return Name(letters, accents, primes=primes)
    if is_word(found[1], found[2] or ""):
        return Name(letters, accents, primes=primes)
    below = "".join(SUBSCRIPTS.get(c, c) for c in found[2] or found[3] or "")
    return Name(found[1], accents, below, primes)


def marked(name: str, mark: str) -> str:
    """The name with a mark over its letter, or over the whole word.

    >>> marked("b_o", "\u0304"), marked("hidden_state", "\u0304")
    ('b̄_o', 'hidden_statē')
    """
    base, _, below = name.partition("_")
    letters = rf"{LETTER}(?:.*{LETTER})?" if is_word(base, below.rstrip(PRIME)) else rf"{LETTER}+( {LETTER}+)*"
    found = re.match(letters, name)
    end = found.end() if found else len(name)
    return name[:end] + mark + name[end:]


class Piece(NamedTuple):
    """A sign, number, name, word or space of a definition, with what stands below and above it.

    What stands below a "root" stands under its roof.
    """

    kind: str
    text: str
    accents: tuple[str, ...] = ()
    below: tuple["Piece", ...] = ()
    above: tuple["Piece", ...] = ()


SUPERSCRIPTS = {sign: Piece("number", str(n)) for n, sign in enumerate(RAISED)}
SUPERSCRIPTS |= {"ᵗ": Piece("name", "t"), PRIME: Piece("sign", PRIME)}
TOKEN = (
    rf"(?P<space>\s+)|(?P<name>{LETTER}(?:{LETTER}|[\u0302-\u0307])*)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<sign>(?s:.))"
)
OPENING, CLOSING = "([{", ")]}"


def pieces(text: str) -> tuple[Piece, ...]:
    """A definition such as y[n,i] = Σ_k x[n,i+k]·w[k], taken apart: what is in brackets becomes a subscript of its
    name."""
    tokens = [(str(match.lastgroup), match[0]) for match in re.finditer(TOKEN, unicodedata.normalize("NFD", text))]
    return tuple(_parse(tokens))


def _parse(tokens: list[tuple[str, str]]) -> list[Piece]:
    result: list[Piece] = []
    while tokens:
        kind, text = tokens.pop(0)
        last = result[-1] if result else None
        if text == "[" and last and last.kind == "name":
            between = (Piece("sign", ";"),) if last.below else ()  # v₁[0,0] has 1;0,0 below it
            result[-1] = last._replace(below=(*last.below, *between, *_parse(_until_closed(tokens))))
        elif last and last.kind == "name" and (text in SUBSCRIPTS or kind == "number"):  # β₁ or β1
            result[-1] = last._replace(below=(*last.below, Piece("number", SUBSCRIPTS.get(text, text))))
        elif text in ("_", "^") and tokens and last:
            raised = tuple(_parse(_script(tokens)))
            result[-1] = last._replace(below=raised) if text == "_" else last._replace(above=raised)
        elif text == "√" and tokens:
            result.append(Piece("root", text, below=tuple(_parse(_script(tokens)))))
        elif text in SUPERSCRIPTS and last:
            result[-1] = last._replace(above=(*last.above, SUPERSCRIPTS[text]))
        elif kind == "name":
            text += _rest_of_word(text, tokens)
            letters = "".join(c for c in text if c not in ACCENTS)
            accents = tuple(ACCENTS[c] for c in text if c in ACCENTS)
            result.append(Piece("word" if letters in WORDS else "name", letters, accents))
        else:
            result.append(Piece(kind, text))
    return result


def _rest_of_word(text: str, tokens: list[tuple[str, str]]) -> str:
    """Takes what follows a name in a word such as hidden_state; nothing where it stands below it: H_out, max_k."""
    taken = list(takewhile(lambda token: token[0] == "name" or token[1] == "_", tokens))
    words = "".join(token[1] for token in taken).split("_")[1:] if taken and taken[0][1] == "_" else []
    if not all(words) or not is_word(text, "_".join(words)):
        return ""
    del tokens[: len(taken)]
    return "".join(token[1] for token in taken)


def is_word(base: str, below: str) -> bool:
    """Whether base_below is one word, and not a name with something below it."""
    return "_" in below or (len(base) > 1 and len(below) > 1 and not below.isdigit() and base not in HEADS)


def _until_closed(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Takes the tokens up to the bracket that closes this one."""
    depth, inside = 1, []
    while tokens:
        token = tokens.pop(0)
        depth += (token[1] in OPENING) - (token[1] in CLOSING)
        if depth == 0:
            break
        inside.append(token)
    return inside


def _script(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Takes what an underscore or a caret applies to: a name, a signed one, or all in braces or parentheses."""
    first = tokens.pop(0)
    if first[1] in ("{", "("):
        return _until_closed(tokens)
    return [first, tokens.pop(0)] if first[1] in ("+", "−") and tokens else [first]


def clauses(text: str) -> list[str]:
    """The parts of a definition: y = a + b,   c = d   with a = ..., b = ...

    >>> clauses("y[i,j] = a[i]·f(b, c)   with a[i] = 1, b = 2")
    ['y[i,j] = a[i]·f(b, c)', 'with a[i] = 1,', 'b = 2']
    """
    found, depth = [""], 0
    for sign in text.replace("   with ", ",   with "):
        depth += (sign in "([{") - (sign in ")]}")
        found[-1] += sign
        if sign == "," and not depth:
            found.append("")
    parts = [each.strip() for each in found]
    return [
        part.removesuffix(",") if after.startswith("with ") else part
        for part, after in zip(parts, [*parts[1:], ""], strict=True)
    ]
