"""What the parent may ask of a worker, and what it believes of the answers: closed sets of statuses, cleaned texts."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from opcheck.sandbox.inside.wire import Opaque, Place, Value, WireError

__all__ = [
    "Call",
    "Definition",
    "Failure",
    "File",
    "Module",
    "Opaque",
    "Outcome",
    "Parameter",
    "Place",
    "Set",
    "Source",
    "Status",
]


Kind = TypeVar("Kind")

# Control characters but tab and newline, and the letters that turn the direction of writing around.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Status(StrEnum):
    """How a request ended."""

    OK = "ok"
    RAISED = "raised"  # the code raised an exception
    ABSENT = "absent"  # there is no such name
    EXITED = "exited"  # the code ended its process: sys.exit, os._exit
    CRASHED = "crashed"  # a signal ended it: a segmentation fault, an abort, too little memory
    TIMED_OUT = "timed out"
    MALFORMED = "malformed"  # what came back is not a message, or is too large


REPORTED = frozenset({Status.OK, Status.RAISED, Status.ABSENT, Status.EXITED, Status.MALFORMED})
"""What a worker may say of itself; CRASHED and TIMED_OUT are seen from outside."""


@dataclass(frozen=True, slots=True)
class File:
    """A submission in a .py file. It sees `root` (by default itself alone), and can import its siblings there."""

    path: Path
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A submission as text: the code cells of a notebook. `name` is what tracebacks call it."""

    text: str
    name: str = "submission.py"


@dataclass(frozen=True, slots=True)
class Module:
    """An importable module of this environment; for trusted code only."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call what is at `function` ("module.conv2d", "layer.forward", "torch.from_numpy"); `keep` names the result.

    Places among the arguments stand for values that stay in the worker, such as a cache.

    >>> Call("module.conv_backward", (1.0, Place("out[1]")), keep="gradients").encoded()["keep"]
    'gradients'
    """

    function: str
    args: Sequence[Value] = ()
    kwargs: Mapping[str, Value] = field(default_factory=dict)
    keep: str = ""

    def encoded(self) -> dict[str, Value]:
        return {
            "do": "call",
            "function": self.function,
            "args": [*self.args],
            "kwargs": {**self.kwargs},
            "keep": self.keep,
        }


@dataclass(frozen=True, slots=True)
class Set:
    """Put a value at a place: an attribute ("layer.W"), an item ("config['stride']"), or a name of its own ("x")."""

    place: str
    value: Value

    def encoded(self) -> dict[str, Value]:
        return {"do": "set", "place": self.place, "value": self.value}


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: str  # as inspect names it: POSITIONAL_OR_KEYWORD, ...
    has_default: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """A name at the top level of a submission, or a method of a class there."""

    name: str
    kind: str  # "function", "class", "value", "method"
    own: bool  # defined in this file, not imported into it
    parameters: tuple[Parameter, ...] = ()
    methods: tuple["Definition", ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as the code or the kernel told it. `file` and `line` are "" and 0 where not known."""

    type: str
    message: str
    file: str = ""
    line: int = 0
    step: int = 0  # the step of a run at which it happened


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one request. `values` has what was asked for and exists, also beside a failure.

    `seconds` is wall time; `printed` is what the code wrote to stdout and stderr meanwhile, cut at the limit.
    """

    status: Status
    values: Mapping[str, Value] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0
    printed: str = ""


def decoded(reply: Mapping[object, Value], wanted: Collection[str]) -> Outcome:
    """The outcome that a worker reports; raises WireError for anything that a worker of ours would not send.

    An outcome that is OK has all the wanted values, and none has others.
    """
    try:
        status = Status(_typed(reply.get("status"), str))
    except ValueError:
        raise WireError("a status that does not exist") from None
    if status not in REPORTED:
        raise WireError(f"a worker that says of itself that it {status}")
    sent = _typed(reply.get("values", {}), dict)
    values = {name: sent[name] for name in wanted if name in sent}
    names = tuple(_definition(item, "") for item in _typed(reply.get("names", []), list))
    if status is Status.OK:
        if len(values) < len(wanted):
            raise WireError("a result without all of its values")
        return Outcome(status, values, names)
    error = _typed(reply.get("error"), dict)
    failure = Failure(
        printable(_typed(error.get("type"), str)),
        printable(_typed(error.get("message"), str)),
        printable(_typed(error.get("file"), str)),
        _typed(error.get("line"), int),
        _typed(reply.get("step", 0), int),
    )
    return Outcome(status, values, names, failure)


def _definition(item: Value, kind: str) -> Definition:
    item = _typed(item, dict)
    return Definition(
        printable(_typed(item.get("name"), str)),
        kind or printable(_typed(item.get("kind"), str)),
        _typed(item.get("own", True), bool),
        tuple(_parameter(_typed(each, dict)) for each in _typed(item.get("parameters"), list)),
        tuple(_definition(each, "method") for each in _typed(item.get("methods", []), list)),
    )


def _parameter(item: dict[str, Value]) -> Parameter:
    name, kind, has_default = item.get("name"), item.get("kind"), item.get("has_default")
    return Parameter(printable(_typed(name, str)), printable(_typed(kind, str)), _typed(has_default, bool))


def _typed(value: object, kind: type[Kind]) -> Kind:
    if type(value) is not kind:
        raise WireError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def printable(text: str) -> str:
    """`text` without anything that could command a terminal."""
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text)
