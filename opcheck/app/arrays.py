"""Arrays on the command line: a shape (4x4), a literal ([[1,2],[3,4]]), a file (@x.npy) or a filling (ones:4x4)."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.spec import Array, Refused, Shape

LARGEST = 10**8  # elements
FORMS = "4x4, [[1,2],[3,4]], @x.npy, @x.csv, @x.json, ones:4x4, zeros:4x4, random:4x4 or 0..15:4x4"
SHAPE = re.compile(r"\d+(x\d+)*")


def parse(name: str, text: str, seed: int) -> Array | Shape:
    """The array that `text` stands for, or its shape where the values are left to opcheck; raises Refused."""
    text = text.strip()
    if SHAPE.fullmatch(text):
        return shape(name, text)
    if text.startswith("@"):
        return load(name, Path(text[1:]))
    if text.startswith("["):
        return numbers(name, text)
    filling, colon, size = text.partition(":")
    if colon and SHAPE.fullmatch(size):
        filled = fill(filling, shape(name, size), seed)
        if filled is not None:
            return filled
    raise Refused(
        say("--{name} is an array: {forms}", name=name, forms=FORMS),
        got=repr(text),
        fix=say("quote a literal, so that the shell leaves the brackets alone") if "]" in text else "",
    )


def shape(name: str, text: str) -> Shape:
    sizes = tuple(int(size) for size in text.split("x"))
    if np.prod(np.array(sizes, dtype=float)) > LARGEST:
        raise Refused(say("--{name} can have at most {n} elements", name=name, n=LARGEST), got=text)
    return sizes


def fill(filling: str, size: Shape, seed: int) -> Array | None:
    """ones, zeros, random (small whole numbers without zeros, from the seed) or a range such as 0..15."""
    if filling == "ones":
        return np.ones(size)
    if filling == "zeros":
        return np.zeros(size)
    if filling == "random":
        rng = np.random.default_rng(seed)
        return np.asarray(rng.integers(1, 9, size=size, endpoint=True) * rng.choice([-1.0, 1.0], size=size))
    if match := re.fullmatch(r"(-?\d+)\.\.(-?\d+)", filling):
        first, last = map(int, match.groups())
        ramp = np.arange(first, last + 1, dtype=float)
        if ramp.size != np.prod(size):
            raise Refused(
                say("a range fills its shape exactly"),
                got=say("{n} numbers for {size} ({m} places)", n=ramp.size, size=size, m=int(np.prod(size))),
            )
        return ramp.reshape(size)
    return None


def numbers(name: str, text: str) -> Array:
    """A JSON list of numbers, with nan, inf and -inf allowed; raises Refused where it is ragged or broken."""
    import json

    spelled = re.sub(r"(?i)\bnan\b", "NaN", re.sub(r"(?i)\binf(inity)?\b", "Infinity", text))
    try:
        value: Any = json.loads(spelled)
    except ValueError as error:
        at = getattr(error, "pos", 0)
        raise Refused(
            say("--{name} is not a list of numbers: {reason}", name=name, reason=getattr(error, "msg", error)),
            got=f"{text}\n       {' ' * at}^",
        ) from None
    return rectangular(name, value)


def rectangular(name: str, value: Any) -> Array:
    """Nested lists as an array; raises Refused with the first place whose length differs."""
    import json

    lengths: dict[int, tuple[int, str]] = {}
    waiting: list[tuple[Any, tuple[int, ...]]] = [(value, ())]
    while waiting:
        each, at = waiting.pop(0)
        size = len(each) if isinstance(each, list) else -1
        where = f"[{']['.join(map(str, at))}]" if at else say("the whole")
        if size < 0 and (isinstance(each, bool) or not isinstance(each, (int, float))):
            raise Refused(say("--{name} holds numbers only", name=name), got=f"{where} = {json.dumps(each)}")
        first = lengths.setdefault(len(at), (size, where))
        if first[0] != size:
            told = [_length(n) for n in (first[0], size)]
            raise Refused(
                say("--{name} must be rectangular: rows of equal length", name=name),
                got=say("{a} has {m}, {b} has {n}", a=first[1], m=told[0], b=where, n=told[1]),
            )
        if size >= 0:
            waiting.extend((part, (*at, k)) for k, part in enumerate(each))
    array = np.asarray(value)
    return array if array.dtype.kind in "iu" else array.astype(float)


def _length(size: int) -> str:
    if size < 0:
        return say("a number")
    return say("1 entry") if size == 1 else say("{n} entries", n=size)


def load(name: str, path: Path) -> Array:
    """An array from a .npy, .csv or .json file; raises Refused where it is missing, broken or not numeric."""
    import json

    if path.is_dir():
        raise Refused(say("--{name}: {path} is a directory", name=name, path=path), fix=say("give a file in it"))
    if not path.is_file():
        raise Refused(say("--{name}: there is no file {path}", name=name, path=path))
    if not path.stat().st_size:
        raise Refused(say("--{name}: {path} is empty", name=name, path=path))
    try:
        match path.suffix:
            case ".npy":
                array: Array = np.load(path, allow_pickle=False)
            case ".csv":
                array = np.loadtxt(path, delimiter=",", ndmin=1)
            case ".json":
                return rectangular(name, json.loads(path.read_text()))
            case _:
                raise Refused(say("--{name}: files are .npy, .csv or .json", name=name), got=str(path))
    except Refused:
        raise
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(say("--{name}: {path} cannot be read: {reason}", name=name, path=path, reason=reason)) from None
    if array.dtype.kind not in "fiu":
        raise Refused(say("--{name}: {path} must hold real numbers", name=name, path=path), got=str(array.dtype))
    return array
