"""Reads a printed worked calculation back and computes it again: a parser of our text format and interval arithmetic.

It shares nothing with the renderers. A number that is printed after ≈ with all the digits that there are may have been
rounded, and stands for the interval of half a unit of its last digit on either side; every other number is exact.
Every side of every line then is an interval, and they must all meet.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tests.render.intervals import FUNCTIONS, UNKNOWN, Interval, add, divide, less, over, point, power, whole

FARTHEST = 2000  # a number with a smaller power of ten is taken to be anything from 0 to that


class WrongLine(AssertionError):
    """A printed line does not hold, or cannot be read."""


# --- the language ---------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[0-9]+(?:\.[0-9]+)?(?:e[−-]?[0-9]+)?)
    | (?P<elided>(?:…|\.\.\.)\ [0-9]+\ terms\ (?:…|\.\.\.))
    | (?P<terms>\[[0-9]+\ terms:)
    | (?P<relation>≈|~=|=)
    | (?P<name>[^\W\d_](?:(?!²)\w|[\u0300-\u036f′'])*)
    | (?P<sign>[-−+·*/^²()\[\],<√⌊⌋⌈⌉∞])
    )""",
    re.VERBOSE,
)


@dataclass
class Reader:
    """Evaluates expressions in the numbers known so far; `names` grows as named values are printed."""

    names: dict[str, Interval]
    precision: int = 4
    bindings: dict[str, Interval] | None = None  # letters of a size formula, bound by its line of numbers
    tokens: list[tuple[str, str]] = field(default_factory=list)
    rounded: bool = False

    def tokenize(self, text: str) -> list[tuple[str, str]]:
        text = unicodedata.normalize("NFC", text)
        tokens, place = [], 0
        while text[place:].strip():
            match = TOKEN.match(text, place)
            if not match:
                raise WrongLine(f"cannot read {text[place:]!r} in {text!r}")
            tokens.append((str(match.lastgroup), match[0].strip()))
            place = match.end()
        return tokens

    def sides(self, text: str) -> list[tuple[str, list[tuple[str, str]]]]:
        """The sides of a chain of equations, each with the relation before it."""
        sides: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
        for kind, token in self.tokenize(text):
            if kind == "relation":
                sides.append((token, []))
            else:
                sides[-1][1].append((kind, token))
        return sides

    def evaluate(self, tokens: list[tuple[str, str]], rounded: bool) -> Interval:
        self.tokens, self.rounded = list(tokens), rounded
        value = self.sum()
        if self.tokens:
            raise WrongLine(f"cannot read {self.tokens[0][1]!r} in {' '.join(text for _, text in tokens)!r}")
        return value

    def take(self, *texts: str) -> str:
        """The next token if it is one of these, else nothing."""
        return self.tokens.pop(0)[1] if self.tokens and self.tokens[0][1] in texts else ""

    def expect(self, *texts: str) -> None:
        if not self.take(*texts):
            raise WrongLine(f"{' or '.join(texts)} is missing before {self.tokens[:3]}")

    def sum(self) -> Interval:
        terms = [self.product()]
        while sign := self.take("+", "−", "-"):
            term = self.product()
            terms.append(term if sign == "+" else Interval(-term.high, -term.low, term.known))
        return add(*terms)

    def product(self) -> Interval:
        value = self.signed()
        while sign := self.take("·", "*", "/"):
            factor = self.signed()
            value = divide(value, factor) if sign == "/" else over(lambda x, y: x * y, value, factor)
        return value

    def signed(self) -> Interval:
        if self.take("−", "-"):
            value = self.signed()
            return Interval(-value.high, -value.low, value.known)
        base = self.atom()
        if self.take("²"):
            return power(base, point(Fraction(2)))
        return power(base, self.atom()) if self.take("^") else base

    def atom(self) -> Interval:
        if not self.tokens:
            raise WrongLine("the line ends too early")
        kind, text = self.tokens.pop(0)
        if kind == "number":
            return self.number(text)
        if kind == "elided":
            return UNKNOWN
        if kind == "terms":
            value = self.sum()
            self.expect("]")
            return value
        if text in ("∞", "inf", "NaN"):
            return point(math.nan if text == "NaN" else math.inf)
        if text in FUNCTIONS and self.tokens and self.tokens[0][1] == "(":
            self.expect("(")
            args = [self.argument()]
            while self.take(","):
                args.append(self.argument())
            self.expect(")")
            return FUNCTIONS[text](*args)
        if kind == "name":
            return self.named(text)
        if text in "(⌊⌈":
            value = self.sum()
            self.expect({"(": ")", "⌊": "⌋", "⌈": "⌉"}[text])
            return value if text == "(" else whole(math.floor if text == "⌊" else math.ceil)(value)
        raise WrongLine(f"cannot read {text!r}")

    def argument(self) -> Interval:
        value = self.sum()
        return less(value, self.sum()) if self.take("<") else value

    def number(self, text: str) -> Interval:
        mantissa, _, exponent = text.replace("−", "-").partition("e")
        if int(exponent or 0) < -FARTHEST:
            return Interval(Fraction(0), Fraction(1, 10**FARTHEST))
        value = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
        digits = len(mantissa.partition(".")[2])
        if not self.rounded or digits < self.precision:
            return point(value)
        half = Fraction(1, 2) * Fraction(10) ** (int(exponent or 0) - digits)
        return Interval(value - half, value + half)

    def named(self, name: str) -> Interval:
        if self.take("["):
            places = [self.tokens.pop(0)[1]]
            while self.take(","):
                places.append(self.tokens.pop(0)[1])
            self.expect("]")
            name += f"[{','.join(places)}]"
        known = self.names if self.bindings is None else self.bindings
        if name in ("π", "pi") and name not in known:
            return Interval(Fraction(math.pi) - Fraction(1, 10**15), Fraction(math.pi) + Fraction(1, 10**15))
        if name not in known:
            raise WrongLine(f"{name} is used before anything says what it is")
        return known[name]


def spelled(tokens: list[tuple[str, str]]) -> str:
    return "".join(text for _, text in tokens)


# --- formulas in a text ---------------------------------------------------------------------------------------------

RELATION = re.compile(r"(^|\s)(≈|~=|=)\s")
START = re.compile(r"^(step \d+ of \d+  )?(?P<rest>\s*\S.*)$")


def formulas(text: str, other_lines: Iterable[str]) -> list[str]:
    """The formulas of a text, each on one line; `other_lines` are those of its sentences and tables.

    A sentence is passed over as often as it stands there: for a single number, the definition is also a formula.
    """
    left = Counter(other_lines)
    found: list[str] = []
    inside: int | None = None  # the indentation of the formula that we are in
    lines = text.split("\n")
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            inside = None
            continue
        if inside is not None and indent > inside:
            found[-1] += " " + line.strip()
            continue
        if left[line.strip()] > 0:
            left[line.strip()] -= 1
            inside = None
            continue
        following = lines[k + 1].strip() if k + 1 < len(lines) else ""
        if RELATION.search(line) or following.startswith(("= ", "≈ ", "~= ")):
            inside = indent
            found.append(re.sub(r"^step \d+ of \d+  ", "", line.strip()))
        else:
            inside = None
    return found


def check(formula: str, reader: Reader, sizes: Mapping[str, Interval]) -> int:
    """Computes every side of a printed formula again; returns how many sides were compared."""
    sides = reader.sides(formula)
    left = spelled(sides[0][1])
    if left in sizes:
        _bind(reader, sides)
    values = []
    for relation, tokens in sides[1:]:
        value = reader.evaluate(tokens, rounded=relation in ("≈", "~="))
        if value.known:
            values.append((f"{relation} {spelled(tokens)}", value))
    reader.bindings = None
    if left in sizes:
        values.append((left, sizes[left]))
    if not values:
        raise WrongLine(f"nothing in {formula!r} has a value")
    for k, (one, a) in enumerate(values):
        for other, b in values[k + 1 :]:
            if not a.meets(b):
                raise WrongLine(f"{formula}\n  {one} is {a}\n  {other} is {b}")
    tightest = min((value for _, value in values), key=lambda v: v.high - v.low if not v.is_nan else 0)
    reader.names[left] = tightest
    return len(values)


def _bind(reader: Reader, sides: list[tuple[str, list[tuple[str, str]]]]) -> None:
    """What the letters of a size formula stand for: the numbers in the same places of its next side."""
    bound: dict[str, Interval] = {}
    letters, numbers = sides[1][1], sides[2][1]
    for (kind, letter), (_, number) in zip(letters, numbers, strict=True):
        if kind != "name" or letter in FUNCTIONS:
            continue
        value = point(Fraction(number))
        if bound.setdefault(letter, value) != value:
            raise WrongLine(f"{letter} stands for {bound[letter]} and for {value}")
    reader.bindings = bound
