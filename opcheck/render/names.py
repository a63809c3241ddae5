"""Names as a textbook sets them: x̄, β₁, H with the subscript out; and definitions taken apart into such names."""

import re
import unicodedata
from typing import NamedTuple

PRIME = "′"
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0307": "dot", "\u0303": "tilde"}
SUBSCRIPTS = dict(zip("₋₀₁₂₃₄₅₆₇₈₉ₜ", "−0123456789t", strict=True))
WORDS = frozenset(
    ["with", "if", "else", "and", "or", "where", "for", "over", "of", "the", "otherwise", "is", "not", "in", "each"]
)


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
    """
    letters = unicodedata.normalize("NFD", name)
    accents = tuple(ACCENTS[c] for c in letters if c in ACCENTS)
    primes = letters.count(PRIME)
    letters = "".join(c for c in letters if c not in ACCENTS and c != PRIME)
    found = re.fullmatch(r"(.*?[^\W\d_])(?:_(.+)|([\d₋₀-₉ₜ]+))?", letters)
    if not found:
        return Name(letters, accents, primes=primes)
    below = "".join(SUBSCRIPTS.get(c, c) for c in found[2] or found[3] or "")
    return Name(found[1], accents, below, primes)


class Piece(NamedTuple):
    """A sign, number, name, word or space of a definition, with what stands below and above it.

    What stands below a "root" stands under its roof.
    """

    kind: str
    text: str
    accents: tuple[str, ...] = ()
    below: tuple["Piece", ...] = ()
    above: tuple["Piece", ...] = ()


LETTER = r"(?:(?![₀-₉ₜ⁰¹²³⁴-⁹½ᵗ])[^\W\d_])"
SUPERSCRIPTS = {sign: Piece("number", str(n)) for n, sign in enumerate(RAISED)}
SUPERSCRIPTS |= {"ᵗ": Piece("name", "t"), PRIME: Piece("sign", PRIME)}
TOKEN = (
    rf"(?P<space>\s+)|(?P<name>{LETTER}(?:{LETTER}|[\u0302-\u0307])*)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<sign>(?s:.))"
)
OPENING, CLOSING = "([{", ")]}"


def pieces(text: str) -> tuple[Piece, ...]:
    """A definition such as y[n,i] = Σ_k x[n,i+k]·w[k], taken apart: what is in brackets stands below its name."""
    tokens = [(str(match.lastgroup), match[0]) for match in re.finditer(TOKEN, unicodedata.normalize("NFD", text))]
    return tuple(_parse(tokens))


def _parse(tokens: list[tuple[str, str]]) -> list[Piece]:
    result: list[Piece] = []
    while tokens:
        kind, text = tokens.pop(0)
        last = result[-1] if result else None
        if text == "[" and last and last.kind == "name":
            result[-1] = last._replace(below=(*last.below, *_parse(_until_closed(tokens))))
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
            letters = "".join(c for c in text if c not in ACCENTS)
            accents = tuple(ACCENTS[c] for c in text if c in ACCENTS)
            result.append(Piece("word" if letters in WORDS else "name", letters, accents))
        else:
            result.append(Piece(kind, text))
    return result


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
