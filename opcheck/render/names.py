"""Names as a textbook sets them: x, β₁, H with the subscript out, an upright `channel`."""

import re
import unicodedata
from dataclasses import dataclass

ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0307": "dot", "\u0303": "tilde"}
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₜ", "0123456789t")


@dataclass(frozen=True, slots=True)
class Name:
    """A name taken apart: its letters, the accents over them, and what stands below."""

    base: str
    accents: tuple[str, ...] = ()
    below: str = ""


def take_apart(name: str) -> Name:
    """The parts of a name.

    >>> take_apart("x̄1")
    Name(base='x', accents=('bar',), below='1')
    >>> take_apart("H_out")
    Name(base='H', accents=(), below='out')
    """
    letters = unicodedata.normalize("NFD", name)
    accents = tuple(ACCENTS[c] for c in letters if c in ACCENTS)
    letters = "".join(c for c in letters if c not in ACCENTS)
    found = re.fullmatch(r"(.*?[^\W\d_])(?:_(.+)|([\d₀-₉ₜ]+))?", letters)
    if not found:
        return Name(letters, accents)
    return Name(found[1], accents, (found[2] or found[3] or "").translate(SUBSCRIPTS))
