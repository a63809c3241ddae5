"""The form of an exercise: one field an argument, in torch's order, and what stands in it."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from opcheck.explanation.calculation import Calculation
from opcheck.language import say
from opcheck.operators.params import REQUIRED, Absent, Choice, Flag, Kind, Maybe
from opcheck.operators.spec import Array, Input, Op, Param
from opcheck.pictures import KERNELS
from opcheck.web.exercise import TYPES, Exercise, key
from opcheck.web.named import NUMBERS, PROGRAMS, called, every

if TYPE_CHECKING:
    import jinja2

MOST_CELLS = 256  # numbers that have a field each
DEPRECATED = ("size_average", "reduce", "inplace")


class Field(NamedTuple):
    """One field: what an address calls it, and how a person changes it."""

    key: str
    label: str
    kind: str  # array, choice, whole, text
    help: str
    symbol: str = ""
    words: tuple[str, ...] = ()  # of a choice
    default: str = ""
    optional: bool = False
    presets: tuple[str, ...] = ()  # names of arrays that one tries there
    picture: bool = False  # whether a picture may stand there


@cache
def fields(op: Op) -> tuple[Field, ...]:
    """The fields of an operator: arrays, then parameters."""
    arrays = [_of_input(each) for each in op.inputs]
    params = [
        _of_param(each) for each in op.params if each.name not in DEPRECATED and not isinstance(each.kind, Absent)
    ]
    return (*arrays, *params)


def _of_input(each: Input) -> Field:
    told = say("{letters}: {help}.", letters=each.letters, help=each.help)
    last = each.letters.split()[-2:]
    return Field(key(each), each.name, "array", told, symbol=each.symbol, optional=each.optional,
                 presets=tuple(KERNELS) if last == ["Kh", "Kw"] else (), picture=last == ["H", "W"])  # fmt: skip


def _of_param(each: Param) -> Field:
    kind: Kind = each.kind.kind if isinstance(each.kind, Maybe) else each.kind
    default = each.example if each.default is REQUIRED else each.default
    words: tuple[str, ...] = ()
    if isinstance(kind, Flag):
        words = ("False", "True")
    elif isinstance(kind, Choice):
        words = kind.words
    told = say("{help}; {kind}.", help=each.help, kind=each.kind.describe())
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    whole = not words and isinstance(default, int)
    return Field(key(each), each.name, "choice" if words else "whole" if whole else "text", told,
                 words=words, default=shown)  # fmt: skip


def filled(
    exercise: Exercise, calculation: Calculation, query: Mapping[str, str], upstream: Array | None
) -> dict[str, Any]:  # fmt: skip
    """By field: the shape and the numbers of each array, as the page shows them."""
    found: dict[str, Any] = {}
    for name, array in calculation.case.arrays.items():
        spec = exercise.op.input(name)
        found[key(spec)] = _shown(array, calculation.hidden.get(spec.symbol, 0))
    if upstream is not None:
        symbol = exercise.op.output(calculation.main_output).symbol
        found["upstream"] = _shown(upstream, calculation.hidden.get(symbol, 0))
    return found


def _shown(array: Array, hidden: int) -> dict[str, Any]:
    """An array without the leading dimensions that its writer left out; numbers where they are few."""
    array = array.reshape(array.shape[hidden:])
    numbers = _texts(array.tolist()) if array.size <= MOST_CELLS and array.ndim <= 4 else None
    return {"shape": "x".join(map(str, array.shape)), "numbers": numbers, "whole": array.dtype.kind != "f"}


def _texts(value: Any) -> Any:
    """Numbers as a person writes them: 2 and not 2.0."""
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return (
        np.format_float_positional(value, trim="-")
        if isinstance(value, float) and 1e-6 < abs(value) < 1e16
        else (f"{value:g}" if value == 0 else repr(value))
    )


def workbench(op: Op, query: Mapping[str, str], told: str) -> str:
    """The page with the form of an operator, and the page of the exercise inside it."""
    return template("explain.html.jinja").render(
        op=op, name=called(op), fields=fields(op), query=query, told=told, types=TYPES, operators=listed(),
        address=urlencode({name: text for name, text in query.items() if text}), here="explain",
    )  # fmt: skip


def home() -> str:
    """The first page: where to begin, and every operator."""
    return template("home.html.jinja").render(operators=listed(), starts=starts(), here="explain")


def lost(told: str) -> str:
    """Where nothing is: why, and every operator."""
    return template("lost.html.jinja").render(operators=listed(), told=told, here="")


def starts() -> tuple[tuple[str, str, str], ...]:
    """Where to begin: address, name, what there is to see."""
    return (
        *((f"/explain/{name}", name, say("your own program")) for name in PROGRAMS),
        *((f"/trace?of={name}", name, say("your own function, node by node")) for name in NUMBERS),
        ("/trace", say("Autodiff"), say("an expression, node by node, forward and backward")),
        (
            "/learn",
            say("Lessons"),
            say("from tensors to a network that trains, with each operator worked by hand once"),
        ),
        ("/practice", say("Practice"), say("problems with hints; known mistakes are recognised")),
    )


def listed() -> tuple[tuple[str, str, str], ...]:
    """Every program and operator: its name, what it computes, and the other words by which it is found."""
    return tuple((called(op), op.summary, " ".join(op.aliases)) for op in every())


@cache
def template(name: str) -> "jinja2.Template":
    """A page of the site."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("opcheck.web", "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["say"] = say
    return environment.get_template(name)
