"""What an exception of a student's code means, where we know: a library's message alone helps nobody."""

import re
from collections.abc import Callable
from typing import NamedTuple

from opcheck.language import say
from opcheck.sandbox import Failure


class Known(NamedTuple):
    """An exception by its type and message, and its meaning for what its message has in brackets."""

    type: str
    message: re.Pattern[str]
    meaning: Callable[[re.Match[str]], str]


def _known(type: str, message: str, meaning: Callable[[re.Match[str]], str]) -> Known:
    return Known(type, re.compile(message), meaning)


OLDER = (
    _known("NameError", r"name '(xrange|raw_input|unicode|unichr|basestring|reduce|long)' is not defined",
           lambda m: say("{name} is Python 2; this is Python 3", name=m[1])),
    _known("AttributeError", r"'dict' object has no attribute '(iteritems|itervalues|iterkeys|has_key)'",
           lambda m: say("{name} is Python 2; this is Python 3", name=m[1])),
    _known("AttributeError", r"module 'numpy' has no attribute '(\w+)'",
           lambda m: say("it needs an older numpy: np.{name} was removed; write the builtin type or its new name",
                         name=m[1])),
    _known("TypeError", r"only (?:length-1|0-dimensional|size-1) arrays can be converted to Python scalars",
           lambda m: say("it needs an older numpy: float() takes a single number, not an array of shape such as (1, "
                         "1, 1); write array.item()")),
    _known("SyntaxError", r"Missing parentheses in call to 'print'|print\(\.\.\.\)",
           lambda m: say("it is Python 2: print is a function in Python 3, print(x)")),
    _known("SyntaxError", r"multiple exception types must be parenthesized",
           lambda m: say("it is Python 2: write except (A, B) as error")),
)  # fmt: skip
UNFINISHED = _known("TypeError", r"exceptions must derive from BaseException|NotImplementedType", lambda m: "")
MEANINGS = (
    *OLDER,
    _known("ValueError", r"operands could not be broadcast together with shapes (.*)",
           lambda m: say("two arrays do not fit together: their shapes are {shapes}", shapes=m[1].strip())),
    _known("ValueError", r"could not broadcast input array from shape (\(.*?\)) into shape (\(.*?\))",
           lambda m: say("an array of shape {got} was put where one of shape {room} belongs", got=m[1], room=m[2])),
    _known("ValueError", r"matmul: Input operand 1 has a mismatch .*\(size (\d+) is different from (\d+)\)",
           lambda m: say("the two sides of @ do not fit: {n} columns meet {m} rows", n=m[2], m=m[1])),
    _known("ValueError", r"shapes (\(.*?\)) and (\(.*?\)) not aligned",
           lambda m: say("the two arrays of a dot product do not fit: {a} and {b}", a=m[1], b=m[2])),
    _known("IndexError", r"index (-?\d+) is out of bounds for axis (\d+) with size (\d+)",
           lambda m: say("index {place} is out of range for an axis of size {n}", place=m[1], n=m[3])),
    _known("IndexError", r"too many indices for array: array is (\d+)-dimensional, but (\d+) were indexed",
           lambda m: say("{asked} indices were written for an array of {n} dimensions", asked=m[2], n=m[1])),
    _known("TypeError", r"(\w+)\(\) missing \d+ required positional arguments?: (.*)",
           lambda m: say("{function} takes arguments that this convention does not pass: {names}", function=m[1],
                         names=m[2])),
    _known("TypeError", r"(?:\w+\.)*(\w+)\(\) takes .*?positional arguments? but (\d+) (?:was|were) given",
           lambda m: say("{function} takes fewer arguments than this convention passes", function=m[1])),
    _known("TypeError", r"(?:\w+\.)*(\w+)\(\) got an unexpected keyword argument '(\w+)'",
           lambda m: say("{function} has no parameter {name}, which this convention passes", function=m[1], name=m[2])),
    _known("TypeError", r"unsupported operand type\(s\) for (\S+): .*'NoneType'",
           lambda m: say("one side of {sign} is None: an optional argument that was not given, such as a bias, or "
                         "the result of a function without return", sign=m[1].removesuffix(":"))),
    _known("RecursionError", r"", lambda m: say("a function calls itself forever")),
    _known("MemoryError", r"", lambda m: say("it asked for more memory than there is")),
)  # fmt: skip


def is_unfinished(type: str, message: str) -> bool:
    """Whether a template was left as it is: raise NotImplementedError, or what many write for it."""
    return type == "NotImplementedError" or (type == UNFINISHED.type and bool(UNFINISHED.message.search(message)))


def place_of(error: Failure) -> str:
    """Where it was raised, to be put behind what was; "" if that is not known."""
    if not error.line:
        return ""
    if error.cell:
        return say(" (line {line} of code cell {cell})", line=error.line, cell=error.cell)
    return say(" (line {line} of {file})", line=error.line, file=error.file)


def meaning(type: str, message: str) -> str:
    """What an exception means, in a sentence; empty where we do not know."""
    for known in MEANINGS:
        found = known.message.search(message) if known.type == type else None
        if found:
            return known.meaning(found)
    return ""
