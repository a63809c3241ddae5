"""Arrays as people write them: a shape (4x4), a literal ([[1,2],[3,4]]), a file (@x.npy) or a filling (ones:4x4)."""

import math
import re
import warnings
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from opcheck import pictures
from opcheck.errors import pointed, told
from opcheck.files import shown
from opcheck.language import say
from opcheck.operators.spec import Array, Refused, Shape

LARGEST = 30_000_000  # elements: a layer of 5000×5000
LARGEST_FILE = 20 * 10**6  # bytes of text: as numbers of Python it takes fifty times as many
MOST_DIMENSIONS = 32
MOST_DIGITS = 19  # digits of a size, or of the end of a range: a longer one is of no use
FORMS = (
    "4x4, [[1,2],[3,4]], @x.npy, @x.csv, @x.json, @x.png, ones:4x4, zeros:4x4, random:4x4, randn:4x4, 0..15:4x4, "
    "or a kernel: " + ", ".join(pictures.KERNELS)
)
FRACTION = re.compile(r"(-?\d{1,15}(?:\.\d{1,15})?)\s*/\s*(\d{1,15}(?:\.\d{1,15})?)")
NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|Infinity)|true|false")  # as JSON writes it
SHAPE = re.compile(r"\d+(x\d+)*")


def parse(name: str, text: str, seed: int) -> Array | Shape:
    """The array that `text` stands for, or its shape if the values are left to opcheck; raises Refused."""
    text = as_typed(text)
    if SHAPE.fullmatch(text):
        return shape(name, text)
    if text.startswith("@"):
        return load(name, Path(text[1:]))
    if text.startswith("["):
        return numbers(name, text)
    if text in pictures.KERNELS:
        return pictures.kernel(text)
    filling, colon, size = text.partition(":")
    if colon and SHAPE.fullmatch(size):
        filled = fill(filling, shape(name, size), seed, name)
        if filled is not None:
            return filled
    raise Refused(
        say("{name} is an array: {forms}", name=name, forms=FORMS),
        got=repr(text),
        fix=say("quote a literal, so that the shell leaves the brackets alone") if "]" in text else "",
    )


def as_typed(text: str) -> str:
    """A text without spaces around it; 4×4, as pages write it, is 4x4."""
    text = text.strip()
    return text.replace("×", "x") if SHAPE.fullmatch(text.rpartition(":")[2].replace("×", "x")) else text


def shape(name: str, text: str) -> Shape:
    words = text.split("x")
    if len(words) > MOST_DIMENSIONS:
        raise Refused(say("{name} can have at most {n} dimensions", name=name, n=MOST_DIMENSIONS), got=text)
    if any(len(word) > MOST_DIGITS for word in words) or max(map(int, words)) > LARGEST:
        raise Refused(say("{name} can have at most {n} elements", name=name, n=LARGEST), got=text)
    sizes = tuple(map(int, words))
    limited(name, sizes, text)
    return sizes


def limited(name: str, sizes: Shape, got: str) -> None:
    """Raises Refused for an array that is too large."""
    if math.prod(sizes) > LARGEST:
        raise Refused(say("{name} can have at most {n} elements", name=name, n=LARGEST), got=got)


def fill(filling: str, size: Shape, seed: int, name: str) -> Array | None:
    """ones, zeros, random (from −1 to 1), randn (normal, of variance 1) or a range such as 0..15. Random numbers depend
    on the seed and the name, so that two arrays differ; they have two decimals, so that the printed numbers are exact,
    and are never 0."""
    if filling == "ones":
        return np.ones(size)
    if filling == "zeros":
        return np.zeros(size)
    if filling in ("random", "randn"):
        rng = np.random.default_rng([seed, *map(ord, name.lstrip("-"))])
        drawn = rng.uniform(-1, 1, size) if filling == "random" else rng.standard_normal(size)
        rounded = np.round(drawn, 2)
        return np.where(rounded == 0, 0.01, rounded)
    if match := re.fullmatch(r"(-?\d+)\.\.(-?\d+)", filling):
        return ramp(match[1], match[2], size)
    return None


def ramp(first: str, last: str, size: Shape) -> Array:
    """The whole numbers from `first` to `last` in that shape."""
    if max(len(first), len(last)) > MOST_DIGITS:
        raise Refused(say("the numbers of a range have at most {n} digits", n=MOST_DIGITS), got=f"{first}..{last}")
    count = max(0, int(last) - int(first) + 1)
    if count != math.prod(size):
        raise Refused(
            say("a range must fill its shape exactly"),
            got=say("{n} numbers for {size} ({m} elements)", n=count, size=size, m=math.prod(size)),
        )
    return int(first) + np.arange(count, dtype=float).reshape(size)


def numbers(name: str, text: str) -> Array:
    """A JSON list of numbers, or of true and false, with nan, inf, -inf and fractions (1/3) allowed, also as Python
    writes them; raises Refused where it is ragged or broken."""
    import json

    text = FRACTION.sub(_quotient, text)
    spelled = re.sub(r"(?i)\bnan\b", "NaN", re.sub(r"(?i)\binf(inity)?\b", "Infinity", text))
    spelled = re.sub(r"\b(True|False)\b", lambda word: word[0].lower(), spelled)
    try:
        value: Any = json.loads(spelled)
    except RecursionError:
        raise too_deep(name, text) from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else say("a number has too many digits")
        word = next((each for each in re.findall(r"[^\[\],\s]+", spelled) if not NUMBER.fullmatch(each)), "")
        if word:
            reason = say("{word} is not a number", word=word[:40])
        line, caret = pointed(text, getattr(error, "pos", 0))
        raise Refused(
            say("{name} is not a list of numbers: {reason}", name=name, reason=reason), got=f"{line}\n       {caret}"
        ) from None
    return rectangular(name, value)


def _quotient(match: re.Match[str]) -> str:
    """A fraction as the nearest float; a division by zero is left as it is, to be refused."""
    divisor = Fraction(match[2])
    return repr(float(Fraction(match[1]) / divisor)) if divisor else match[0]


def too_deep(name: str, got: str) -> Refused:
    return Refused(say("{name} can have at most {n} dimensions", name=name, n=MOST_DIMENSIONS), got=got)


def rectangular(name: str, value: Any) -> Array:
    """Nested lists as an array; raises Refused with the first place whose length differs."""

    lengths: dict[int, tuple[int, tuple[int, ...]]] = {}  # by depth: the size of the first entry there, and where it is
    first_of: list[bool] = []  # whether the first entry that is not a list is true or false: then all are

    def check(each: Any, at: tuple[int, ...]) -> None:
        size = len(each) if isinstance(each, list) else -1
        first_of.extend([isinstance(each, bool)] if size < 0 and not first_of else [])
        if size < 0 and (isinstance(each, bool) is not first_of[0] or not isinstance(each, (int, float))):
            got = say("{where} = {value}", where=_place(at), value=_json(each))
            raise Refused(say("{name} must hold only numbers, or only true and false", name=name), got=got)
        first = lengths.setdefault(len(at), (size, at))
        if first[0] != size:
            told = [_length(n) for n in (first[0], size)]
            raise Refused(
                say("{name} must be rectangular: rows of equal length", name=name),
                got=say("{a} has {m}, {b} has {n}", a=_place(first[1]), m=told[0], b=_place(at), n=told[1]),
            )

    check(value, ())
    waiting: deque[tuple[list[Any], tuple[int, ...]]] = deque([(value, ())] if isinstance(value, list) else [])
    while waiting:
        parts, at = waiting.popleft()
        if len(at) >= MOST_DIMENSIONS:
            raise too_deep(name, say("lists within lists"))
        for k, part in enumerate(parts):
            check(part, (*at, k))
            if isinstance(part, list):
                waiting.append((part, (*at, k)))
    return _of_numbers(name, value)


def _of_numbers(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
        return array if array.dtype.kind in "iub" else array.astype(float)
    except OverflowError:
        raise Refused(say("{name} has a number too large for float64 (1.8e308 at most)", name=name)) from None


def _place(at: tuple[int, ...]) -> str:
    return f"[{']['.join(map(str, at))}]" if at else say("the array")


def _json(value: Any) -> str:
    """What was given in place of a number; it may be nested too deeply to be written."""
    import json

    return json.dumps(value)[:100] if not isinstance(value, dict) else say("an object")


def _length(size: int) -> str:
    if size < 0:
        return say("a number")
    return say("1 entry") if size == 1 else say("{n} entries", n=size)


def load(name: str, path: Path) -> Array:
    """An array from a .npy, .csv or .json file; raises Refused where it is missing, broken or not numeric."""
    try:
        return _loaded(name, path)
    except Refused:
        raise
    except RecursionError:
        raise too_deep(name, str(path)) from None
    except (ValueError, OSError, EOFError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise Refused(
            say("{name}: {path} cannot be read: {reason}", name=name, path=shown(path), reason=reason)
        ) from None


def _loaded(name: str, path: Path) -> Array:
    if path.is_dir():
        raise Refused(say("{name}: {path} is a directory", name=name, path=path), fix=say("give a file in it"))
    if not path.is_file():
        raise Refused(say("{name}: there is no file {path}", name=name, path=path))
    size = path.stat().st_size
    if not size:
        raise Refused(say("{name}: {path} is empty", name=name, path=path))
    if path.suffix in pictures.SUFFIXES:
        return pictures.read(name, path)
    if path.suffix not in (".npy", ".csv", ".json"):
        raise Refused(say("{name}: a file must be .npy, .csv, .json or a picture", name=name), got=str(path))
    if path.suffix != ".npy" and size > LARGEST_FILE:
        raise Refused(
            say("{name}: {path} is larger than {n} MB", name=name, path=path, n=LARGEST_FILE // 10**6),
            fix=say("save it as .npy"),
        )
    if path.suffix == ".json":
        import json

        return rectangular(name, json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".csv":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file without numbers: whoever needs them says so
            return np.loadtxt(path, delimiter=",", ndmin=1)
    return _npy(name, path)


def _npy(name: str, path: Path) -> Array:
    """Mapped and not read: a header that promises more than the file holds costs nothing."""
    try:
        header = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a header is Python: its parser raises many kinds of errors
        raise ValueError(told(error)) from None
    limited(name, header.shape, say("{path}, whose shape is {shape}", path=path, shape=header.shape))
    if header.dtype.kind not in "fiu":
        raise Refused(say("{name}: {path} must hold real numbers", name=name, path=path), got=str(header.dtype))
    return np.array(header)
