"""What an address asks for: `input=4x4&weight=[[1,0],[0,1]]&stride=2&grad=1` as a call of an operator, and back."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from opcheck import arrays, pictures
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.params import Flag
from opcheck.operators.spec import Array, Input, Op, Param, Shape

MOST_NUMBERS = 3 * 224 * 224  # of one array
MOST_SEED = 10**9
TYPES = ("float32", "float16", "bfloat16")
VIEWS = ("grad", "upstream", "cell", "all", "exact", "dtype", "seed")  # what is shown of the call
ASK, SAVE = "ask", "save"  # what an address wants done with the call
T = TypeVar("T")


class Impossible(Refused):
    """Refused, for what stands in one field of a form."""

    def __init__(self, field: str, refused: Refused) -> None:
        super().__init__(refused.rule, got=refused.got, fix=refused.fix)
        self.field = field


class Exercise(NamedTuple):
    """A call of an operator as far as the address gives it, and how `explain` shows it."""

    op: Op
    given: Mapping[str, Any]
    shapes: Mapping[str, Shape]
    view: Mapping[str, Any]


def key(argument: Input | Param) -> str:
    """What an argument is called in an address: by its name, unless something else has that name."""
    return f"set-{argument.name}" if argument.name in (*VIEWS, ASK, SAVE) else argument.name


def read(op: Op, query: Mapping[str, str]) -> Exercise:
    """The exercise of an address; raises Impossible, or Refused for a name that nothing has."""
    known = {key(each): each for each in op.arguments}
    given: dict[str, Any] = {}
    shapes: dict[str, Shape] = {}
    view = {name: _in(name, _view, name, query[name]) for name in VIEWS if query.get(name)}
    for name, text in query.items():
        if name in VIEWS or not text.strip():
            continue
        if name not in known:
            raise Refused(
                say("{op} has no argument of this name", op=op.title or op.name),
                got=repr(name[:40]),
                fix=say("it has {names}", names=", ".join(known)),
            )
        argument = known[name]
        if isinstance(argument, Param):
            given[argument.name] = _in(name, _parameter, argument, text)
        elif isinstance(value := _in(name, array, name, text, view.get("seed") or 0), tuple):
            shapes[argument.name] = value
        else:
            given[argument.name] = value
    return Exercise(op, given, shapes, view)


def _in(field: str, reading: Callable[..., T], *of: Any) -> T:
    """What is read from a field; what is refused there is said under it."""
    try:
        return reading(*of)
    except Refused as refused:
        raise Impossible(field, refused) from None


def _parameter(param: Param, text: str) -> Any:
    return param.kind.check(param.name, param.kind.parse(param.name, text))


def array(name: str, text: str, seed: int = 0) -> Array | Shape:
    """What the command line takes (4x4, [[1,2],[3,4]], ones:4x4, blur), but never a file. Raises Refused."""
    text = arrays.as_typed(text)
    filling, colon, size = text.partition(":")
    if colon and arrays.SHAPE.fullmatch(size):
        sizes = arrays.shape(name, size)
        _limited(name, math.prod(sizes))
        filled = arrays.fill(filling, sizes, seed, name)
        if filled is not None:
            return filled
    if arrays.SHAPE.fullmatch(text):
        shape = arrays.shape(name, text)
        _limited(name, math.prod(shape))
        return shape
    if text in pictures.KERNELS:
        return pictures.kernel(text)
    found = arrays.numbers(name, text) if text.startswith("[") else _one_number(name, text)
    _limited(name, found.size)
    return found


def _one_number(name: str, text: str) -> Array:
    try:
        return np.asarray(float(text))
    except ValueError:
        raise Refused(say("{name} must be a shape such as 4x4, or numbers such as [[1,2],[3,4]]", name=name),
                      got=repr(text[:60])) from None  # fmt: skip


def _limited(name: str, count: int) -> None:
    if count > MOST_NUMBERS:
        raise Refused(
            say("{name} can have at most {n} numbers here", name=name, n=MOST_NUMBERS),
            got=str(count),
            fix=say("try a smaller one: the rule is the same"),
        )


def _view(name: str, text: str) -> Any:
    """What `explain` takes for one of VIEWS."""
    match name:
        case "grad" | "all" | "exact":
            return Flag().parse(name, text)
        case "upstream":
            return array(name, text)
        case "cell":
            return _place(text)
        case "dtype":
            if text not in TYPES:
                raise Refused(say("dtype must be one of {names}", names=", ".join(TYPES)), got=repr(text[:40]))
            return text
    return _seed(text)


def _place(text: str) -> Shape:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise Refused(say("a cell is a position in the output, such as 0,1"), got=repr(text[:40])) from None


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MOST_SEED):
        raise Refused(say("a seed must be a whole number from 0 to {n}", n=MOST_SEED), got=repr(text[:40]))
    return int(text)
