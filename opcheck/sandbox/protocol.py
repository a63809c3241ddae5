"""What the parent may ask of a worker, and what it believes of the answers: closed sets of statuses, cleaned texts."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from opcheck.sandbox.inside.wire import Opaque, Outsized, Place, Value, WireError

__all__ = [
    "Call",
    "Definition",
    "Failure",
    "File",
    "Module",
    "Opaque",
    "Outcome",
    "Outsized",
    "Parameter",
    "Place",
    "Set",
    "Skipped",
    "Source",
    "Status",
]


Kind = TypeVar("Kind")

MESSAGE, NAME = 2_000, 200  # characters of a message and of a name that are believed
DEFINITIONS = 500  # names that are believed
LAST_LINE = 1 << 31
REFUSED = "result"  # the type of failure where the worker itself could not send what the code returned

NOT_ALLOWED = re.compile(r"(\w+) is not available here")  # the message of an import of what is hidden or not allowed

# Control characters but tab and newline, separators of lines and paragraphs, letters that turn the direction of writing
# around, and letters that nobody sees (but those that join others, which Persian and families of emoji need).
_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


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
    """A submission in a .py file, or a notebook. It sees `root` (by default itself alone), and can import its siblings
    there. `others` are files of `root` that are loaded after it: places in them begin with module1, module2, ..."""

    path: Path
    root: Path | None = None
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A submission as text: Python, or a notebook, whose code cells the worker takes out. Tracebacks call it `name`."""

    text: str
    name: str = "submission.py"
    notebook: bool = False


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
    """Put a value at a place: an attribute ("layer.W"), an item ("config['stride']"), or its own name ("x")."""

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
    module: str = "module"  # in which it is, as a place: "module", or "module1" of the first of the other files
    attributes: tuple[str, ...] = ()  # names that it, or its methods, use, such as those of what they keep in self


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as the code or the kernel told it. `file` and `line` are "" and 0 where not known; the line of a
    notebook is that of its code cell `cell`, which is counted from 1 (0: it is no notebook)."""

    type: str
    message: str
    file: str = ""
    line: int = 0
    step: int = 0  # the step of a run at which it happened
    way: tuple[str, ...] = ()  # where nothing is: the place, the type of the last value on the way, and what that lacks
    cell: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A code cell of a notebook that was left out: its number, why, and the text and the line that tell more."""

    number: int
    why: str  # "magic": it is in another language; "commands": there are too many; "error": it is no Python
    text: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one request. `values` has what was asked for and exists, also beside a failure.

    `seconds` is wall time; `printed` is what the code wrote to stdout and stderr meanwhile, cut at the limit. Of a
    notebook, `commands` lines with % or ! and the cells `skipped` were left out.
    """

    status: Status
    values: Mapping[str, Value] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0
    printed: str = ""
    commands: int = 0
    skipped: tuple[Skipped, ...] = ()
    others: tuple["Outcome", ...] = ()  # of a load: how that of the other files went, whose definitions are here too


def decoded(reply: Mapping[object, Value], wanted: Collection[str]) -> Outcome:
    """The outcome that a worker reports; raises WireError for anything that a worker of ours would not send.

    An outcome that is OK has all the wanted values, and none has others.
    """
    others = tuple(_decoded(_typed(each, dict), (), f"module{k}")
                   for k, each in enumerate(_several(reply.get("others", [])), start=1))  # fmt: skip
    first = _decoded(reply, wanted, "module")
    definitions = tuple(each for outcome in (first, *others) for each in outcome.definitions)
    return replace(first, definitions=definitions, others=others) if others else first


def _decoded(reply: Mapping[object, Value], wanted: Collection[str], module: str) -> Outcome:
    try:
        status = Status(_typed(reply.get("status"), str))
    except ValueError:
        raise WireError("a status that does not exist") from None
    if status not in REPORTED:
        raise WireError(f"a worker that says of itself that it {status}")
    sent = _typed(reply.get("values", {}), dict)
    values = {name: sent[name] for name in wanted if name in sent}
    told = Outcome(
        status,
        values,
        tuple(_definition(item, "", module) for item in _several(reply.get("names", []))),
        commands=_number(reply.get("commands", 0)),
        skipped=tuple(map(_skipped, _several(reply.get("skipped", [])))),
    )
    if status is Status.OK:
        if len(values) < len(wanted):
            raise WireError("a result without all of its values")
        return told
    error = _typed(reply.get("error"), dict)
    kind = _typed(error.get("type"), str)
    failure = Failure(
        REFUSED if status is Status.MALFORMED else one_line(kind, NAME),
        one_line(_typed(error.get("message"), str), MESSAGE),
        one_line(_typed(error.get("file"), str), NAME),
        _number(error.get("line")),
        _number(reply.get("step", 0)),
        tuple(one_line(_typed(each, str), NAME) for each in _several(reply.get("way", []))),
        _number(error.get("cell", 0)),
    )
    return replace(told, failure=failure)


def _definition(item: Value, kind: str, module: str) -> Definition:
    item = _typed(item, dict)
    return Definition(
        one_line(_typed(item.get("name"), str), NAME),
        kind or one_line(_typed(item.get("kind"), str), NAME),
        _typed(item.get("own", True), bool),
        tuple(_parameter(_typed(each, dict)) for each in _several(item.get("parameters"))),
        tuple(_definition(each, "method", module) for each in _several(item.get("methods", []))),
        module,
        tuple(one_line(_typed(each, str), NAME) for each in _several(item.get("attributes", []))),
    )


def _parameter(item: dict[str, Value]) -> Parameter:
    name, kind = (one_line(_typed(item.get(key), str), NAME) for key in ("name", "kind"))
    return Parameter(name, kind, _typed(item.get("has_default"), bool))


def _skipped(item: Value) -> Skipped:
    match _several(item):
        case [number, str(why), str(text), line]:
            return Skipped(_number(number), one_line(why, NAME), one_line(text, NAME), _number(line))
    raise WireError("a cell that is described in another way")


def _several(value: object) -> list[Value]:
    several = _typed(value, list)
    if len(several) > DEFINITIONS:
        raise WireError(f"{len(several)} names; at most {DEFINITIONS} are believed")
    return several


def _number(value: object) -> int:
    number = _typed(value, int)
    if not 0 <= number < LAST_LINE:
        raise WireError("a number that is no line or step")
    return number


def _typed(value: object, kind: type[Kind]) -> Kind:
    if type(value) is not kind:
        raise WireError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def printable(text: str) -> str:
    """`text` without anything that could command a terminal."""
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str, most: int) -> str:
    """The same on one line, cut behind `most` characters: what a stranger says is part of a sentence of ours."""
    return " ".join(printable(text[:most]).split())
