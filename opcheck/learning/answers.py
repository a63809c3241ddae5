"""Reading what a learner answers, and saying how it differs from what was computed.

Numbers are compared as fractions, so that 1/3, 0.5 and 1/2 mean what they say; a float of the computation stands for
the decimal that it prints as.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning.arithmetic import Value, work_out

TOKEN = re.compile(r"\s*(?:,\s*)?(?P<token>[\[\]()]|[^\s,\[\]()]+)")
NUMBER = re.compile(r"[+-]?(?P<digits>\d+\.?\d*|\.\d+)(?P<exponent>[eE][+-]?\d+)?(?P<denominator>/\d+)?")
CALCULATION = re.compile(r"\d\s*[-+*/^·×]\s*[\d(.]|\)\s*[-+*/^·×]|[a-z]\(")
SIZES = re.compile(r"\d+([x×]\d+)+")
ONE_NUMBER = ("a number", "number", "one number", "scalar")  # the shape of a number
YES, NO = ("yes", "true", "y"), ("no", "false", "n")
SHOWN_TOO = re.compile(r"(?<=yes) \(true\)$|(?<=no) \(false\)$", re.IGNORECASE)  # an answer is shown as yes (True)


@dataclass(frozen=True)
class Number:
    """A number as it was written: its value, and to how many decimals (None for whole numbers and fractions)."""

    value: Fraction | float  # a float is NaN or an infinity
    decimals: int | None = None


Answer = Number | str | tuple["Answer", ...]


class Match(Enum):
    """How an answer compares with the expected value."""

    RIGHT = "right"
    ROUNDED = "rounded"  # only the rounding differs
    SHAPED = "shaped"  # the numbers are right, their arrangement is not
    WRONG = "wrong"


LONGEST = 4000  # characters: Python reads no whole number of more than 4,300 digits


def read(text: str) -> Answer:
    """A number, a fraction, a list (brackets may be left out, or 2x3 for sizes), a calculation such as 1*2+3*4, or a
    word; raises Refused.
    """
    text = SHOWN_TOO.sub("", text.strip().replace("−", "-").rstrip(".;")) or " "
    if len(text) > LONGEST:
        raise Refused(say("an answer has at most {n} characters", n=LONGEST), got=say("{n} of them", n=len(text)))
    tokens = [match["token"] for match in TOKEN.finditer(text)]
    if not tokens:
        raise Refused(say("an answer is a number, a fraction such as 1/3, a list such as [1, 2] or a word"), got="''")
    try:
        items = _items(iter(tokens), text)
    except Refused as refusal:
        try:
            return _calculated(work_out(text))
        except Refused as other:
            if CALCULATION.search(text):
                raise other from None
            if not any(_number(token) or SIZES.fullmatch(token) or token in "[]()" for token in tokens):
                return " ".join(tokens).casefold()
            raise refusal from None
    return items[0] if len(items) == 1 else items


def _calculated(value: Value) -> Answer:
    return tuple(map(_calculated, value)) if isinstance(value, list) else Number(Fraction(value))


def _items(tokens: Iterator[str], text: str, closing: str = "") -> tuple[Answer, ...]:
    """What stands before the closing bracket, or before the end."""
    items: list[Answer] = []
    for token in tokens:
        if token in "[(":
            items.append(_items(tokens, text, "]" if token == "[" else ")"))
        elif token in "])":
            if token != closing:
                break
            return tuple(items)
        elif (number := _number(token)) is not None:
            items.append(number)
        elif SIZES.fullmatch(token):
            items.append(tuple(Number(Fraction(size)) for size in re.split("[x×]", token)))
        else:
            raise Refused(say("this is not a number"), got=repr(token), fix=say("write 0.25, 1/4 or 2.5e-1"))
    else:
        if not closing:
            return tuple(items)
    raise Refused(say("the brackets do not match"), got=repr(text))


def _number(token: str) -> Number | None:
    if token.lower().lstrip("+-") in ("nan", "inf", "infinity", "∞"):
        return Number(float(token.replace("∞", "inf")))
    match = NUMBER.fullmatch(token)
    if match is None or (match["denominator"] and not int(match["denominator"][1:])):
        return None
    numerator, _, denominator = token.partition("/")
    if not _ and "." in match["digits"] and not match["exponent"]:
        return Number(Fraction(token), len(match["digits"].partition(".")[2]))
    return Number(Fraction(numerator) / int(denominator or 1))


def expected(value: Any) -> Answer:
    """A computed value in the same form: arrays become nested tuples, floats the decimals that they print as."""
    if hasattr(value, "tolist"):  # numpy's and torch's arrays and numbers
        value = value.tolist()
    if isinstance(value, bool):
        return YES[0] if value else NO[0]
    if isinstance(value, (int, Fraction)):
        return Number(Fraction(value))
    if isinstance(value, float):
        return Number(Fraction(repr(value)) if math.isfinite(value) else value)
    if isinstance(value, (list, tuple)):
        return tuple(expected(each) for each in value)
    if isinstance(value, str):
        return value.casefold()
    raise TypeError(f"an answer is a number, an array, a word or a truth value, not {type(value).__name__}")


def compare(answer: Answer, right: Answer, decimals: int | None = None) -> Match:
    """How `answer` compares; `decimals`: to how many decimals it was asked for (None: exactly)."""
    if right == () and answer in ONE_NUMBER:
        return Match.RIGHT
    given, wanted = list(leaves(answer)), list(leaves(right))
    if len(given) != len(wanted):
        return Match.WRONG
    pairs = list(zip(given, wanted, strict=True))
    if all(_same(a, b, decimals) for a, b in pairs):
        alike = len(wanted) == 1 or shape(answer) == shape(right)
        return Match.RIGHT if alike else Match.SHAPED
    return Match.ROUNDED if all(_same(a, b, decimals) or _rounded(a, b, decimals) for a, b in pairs) else Match.WRONG


def places(answer: Answer, right: Answer, decimals: int | None) -> tuple[int, int]:
    """How many numbers of an array are right, of how many; (0, 0) where they cannot be set side by side."""
    if shape(answer) != shape(right) or not isinstance(right, tuple):
        return 0, 0
    same = [_same(a, b, decimals) for a, b in zip(leaves(answer), leaves(right), strict=True)]
    return sum(same), len(same)


def negated(answer: Answer) -> Answer:
    """The same numbers with the other sign."""
    if isinstance(answer, tuple):
        return tuple(map(negated, answer))
    return Number(-answer.value) if isinstance(answer, Number) else answer


def leaves(answer: Answer) -> Iterable[Number | str]:
    """The numbers and words of an answer, row by row."""
    if isinstance(answer, tuple):
        for each in answer:
            yield from leaves(each)
    else:
        yield answer


def shape(answer: Answer) -> tuple[int, ...] | None:
    """The sizes of nested rows; () for one number, None where rows differ in length."""
    if isinstance(answer, Number | str):
        return ()
    inner = {shape(each) for each in answer}
    if len(inner) > 1 or None in inner:
        return None
    return (len(answer), *(inner.pop() if inner else ()))  # type: ignore[misc]  # None was excluded


def _same(a: Number | str, b: Number | str, decimals: int | None) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b or any(a in words and b in words for words in (YES, NO))
    if isinstance(a.value, float) or isinstance(b.value, float):
        return repr(float(a.value)) == repr(float(b.value))
    return a.value == b.value if decimals is None else abs(a.value - b.value) <= Fraction(1, 2 * 10**decimals)


def _rounded(a: Number | str, b: Number | str, decimals: int | None) -> bool:
    """Whether `a` is `b` with too few digits, cut off instead of rounded, or two off in the last digit asked for."""
    if isinstance(a, str) or isinstance(b, str) or isinstance(a.value, float) or isinstance(b.value, float):
        return False
    if not a.decimals or not a.value:
        return False
    unit = Fraction(1, 10**a.decimals)
    difference = abs(a.value - b.value)
    if decimals is not None and a.decimals >= decimals:
        return difference <= 2 * Fraction(1, 10**decimals)
    return difference <= unit / 2 or 0 < abs(b.value) - abs(a.value) < unit
