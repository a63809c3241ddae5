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
from typing import Any

import mpmath

FARTHEST = 2000  # a number with a smaller power of ten is taken to be anything from 0 to that
END = Fraction(1, 10**40)  # mpmath computes with 60 digits, so this covers its rounding


class WrongLine(AssertionError):
    """A printed line does not hold, or cannot be read."""


# --- intervals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """All numbers from low to high; `known` is False where terms were left out without their value."""

    low: Any
    high: Any
    known: bool = True

    def meets(self, other: "Interval") -> bool:
        if self.is_nan or other.is_nan:
            return self.is_nan and other.is_nan
        return not (self.known and other.known) or (self.low <= other.high and other.low <= self.high)

    @property
    def is_nan(self) -> bool:
        return self.low != self.low

    def __str__(self) -> str:
        return f"{float(self.low)!r}" if self.low == self.high else f"[{float(self.low)!r}, {float(self.high)!r}]"


def point(x: Any) -> Interval:
    return Interval(x, x)


UNKNOWN = Interval(-math.inf, math.inf, known=False)


def over(function: Any, *args: Interval) -> Interval:
    """The interval of a function that takes its extremes at corners: +, −, · and whatever is monotonic."""
    corners = [function(*corner) for corner in _corners([(each.low, each.high) for each in args])]
    known = all(each.known for each in args)
    if any(each != each for each in corners):
        return Interval(math.nan, math.nan, known) if all(a.low == a.high for a in args) else UNKNOWN
    return Interval(min(corners), max(corners), known)


def _corners(ends: list[tuple[Any, Any]]) -> list[tuple[Any, ...]]:
    corners: list[tuple[Any, ...]] = [()]
    for low, high in ends:
        corners = [(*corner, end) for corner in corners for end in ((low,) if low == high else (low, high))]
    return corners


def add(*args: Interval) -> Interval:
    return Interval(sum(a.low for a in args), sum(a.high for a in args), all(a.known for a in args))


def divide(a: Interval, b: Interval) -> Interval:
    if b.low <= 0 <= b.high:
        return UNKNOWN
    return over(lambda x, y: x / y, a, b)


def exactly(name: str) -> Any:
    """A monotonic function of mpmath's on Fractions, as an interval that surely holds the value."""

    def function(x: Interval) -> Interval:
        if x.is_nan:
            return x
        ends = [_value(name, end) for end in (x.low, x.high)]
        if any(end is None for end in ends):
            return UNKNOWN
        low, high = sorted(ends)
        if math.isinf(low) or math.isinf(high):
            return Interval(low, high, x.known)
        slack = END * (1 + abs(low) + abs(high))
        known_exactly = x.low == x.high and (name, x.low) in (("exp", 0), ("log", 1), ("tanh", 0))
        return Interval(low, high, x.known) if known_exactly else Interval(low - slack, high + slack, x.known)

    return function


def _value(name: str, x: Any) -> Any:
    with mpmath.workdps(60):
        if isinstance(x, float):
            if name == "exp":
                return math.inf if x > 0 else Fraction(0)
            if name in ("sigmoid", "tanh"):
                return Fraction(1) if x > 0 else Fraction(0 if name == "sigmoid" else -1)
            return math.inf if x > 0 else None
        number = mpmath.mpf(x.numerator) / x.denominator
        if (name == "sqrt" and x < 0) or (name in ("log", "log1p") and x < (name == "log1p") * -1):
            return None
        functions = {"sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}
        result = functions.get(name, getattr(mpmath, name, None))(number)
        if not mpmath.isfinite(result):
            return float(result)
        if result and mpmath.mag(result) < -7000:
            return Fraction(0)  # END covers it, and a fraction of a million digits would take minutes
        return Fraction(*mpmath.libmp.to_rational(result._mpf_))


def power(a: Interval, b: Interval) -> Interval:
    if b.low == b.high and isinstance(b.low, Fraction) and b.low.denominator == 1 and abs(b.low) < 10_000:
        if b.low < 0 and a.low <= 0 <= a.high:
            return UNKNOWN
        result = over(lambda x, n: x ** int(n), a, b)
        crosses = a.low < 0 < a.high and b.low % 2 == 0
        return Interval(Fraction(0), result.high, result.known) if crosses else result
    if a.low <= 0:
        return UNKNOWN
    return exactly("exp")(over(lambda x, y: x * y, b, exactly("log")(a)))


def absolute(a: Interval) -> Interval:
    return Interval(Fraction(0) if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high)),
                    max(abs(a.low), abs(a.high)), a.known)  # fmt: skip


def less(a: Interval, b: Interval) -> Interval:
    if a.high < b.low:
        return point(Fraction(1))
    return point(Fraction(0)) if a.low >= b.high else Interval(Fraction(0), Fraction(1), a.known and b.known)


def select(condition: Interval, chosen: Interval, otherwise: Interval) -> Interval:
    if condition.low == condition.high:
        return chosen if condition.low else otherwise
    return Interval(min(chosen.low, otherwise.low), max(chosen.high, otherwise.high))


def whole(round_: Any) -> Any:
    return lambda a: over(lambda x: Fraction(round_(x)), a)


def extreme(choose: Any, args: tuple[Interval, ...]) -> Interval:
    return Interval(choose(a.low for a in args), choose(a.high for a in args), all(a.known for a in args))


FUNCTIONS = {
    "exp": exactly("exp"), "ln": exactly("log"), "log1p": exactly("log1p"), "√": exactly("sqrt"),
    "sqrt": exactly("sqrt"), "tanh": exactly("tanh"), "sigmoid": exactly("sigmoid"), "σ": exactly("sigmoid"),
    "abs": absolute, "max": lambda *args: extreme(max, args), "min": lambda *args: extreme(min, args),
    "floor": whole(math.floor), "ceil": whole(math.ceil), "select": select,
}  # fmt: skip


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
            value = self.signed()
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
