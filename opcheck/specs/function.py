"""A Python function over arrays as an operator: its parameters are annotated with shapes.

    def swiglu(x: "N In", gate: "H In", up: "H In", down: "In H"):
        ...

Strings are shapes (`opcheck.operators.shapes`); a parameter with a default is a number, a flag or a word (`Literal`). A
function `cases(chooser)` beside it may draw its cases: it returns the arguments of one call as a dict.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import numpy as np

from opcheck.errors import Refused, RefusedType
from opcheck.language import say
from opcheck.loading import line_of
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import REQUIRED, Choice, Flag, Kind, Maybe, Real, Whole
from opcheck.operators.program import Program
from opcheck.operators.shapes import Letters, Sizes, letters_in
from opcheck.operators.spec import Array, Case, Input, Output, Param, Params, Shape
from opcheck.programs.numpy_module import open_to_traces
from opcheck.tracing import TracedControlFlowError

SIZES = (2, 3, 1, 4, 5)  # of a letter; the first is the simplest
LEADING = ((2,), (), (3, 2), (1,))
TRIED = (
    (2, 3, 4, 5),
    (5, 4, 2, 3),
    (4,),
    (1,),
    (6, 4),
    (8,),
)  # sizes of the letters, when it is run for the first time


class Function(Program):
    """A function over arrays, seen as an operator."""

    elsewhere = False
    refuses = False  # its shapes define its cases, not what a kernel must check

    def __init__(self, function: Callable[..., Any], name: str = "") -> None:
        self.function = function
        open_to_traces(getattr(inspect.unwrap(function), "__globals__", {}))  # so that it may fill arrays of zeros
        self.title = getattr(function, "__name__", type(function).__name__)
        self.name = name or self.title
        self.summary = (inspect.getdoc(function) or say("a program")).partition("\n")[0].rstrip(".")
        self.source = say("the function {name}", name=self.title)
        self.arguments = tuple(_arguments(function, self.title))
        self.letters = {name: Letters.parse(text) for name, text in _annotated(function).items()}
        self.example = ("", "")
        if not self.inputs:
            raise Refused(
                say("{name} has no array: annotate its arrays with their shapes", name=self.title),
                fix=say('{name}(x: "N In", weight: "Out In", eps=1e-5)', name=self.title),
            )
        self.outputs = tuple(self._outputs())
        self.formula = f"{', '.join(each.symbol for each in self.outputs)} = {self.title}({', '.join(self._names())})"

    def program(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        try:
            result = self.function(**{name: arrays.get(name) for name in self._names()}, **p)
        except TracedControlFlowError as error:
            raise RefusedType(str(error), got=line_of(error)) from None
        for each in _flat(result):
            self._refuse_what_is_no_array(each)
        return result

    def _refuse_what_is_no_array(self, y: Any) -> None:
        """Raises Refused for a result that is missing, a list, or not of real numbers."""
        if isinstance(y, (bool, int, float)) or getattr(y, "dtype", np.dtype(object)).kind in "fiub":
            return
        raise Refused(
            say("{name} returned nothing", name=self.title) if y is None
            else say("{name} must return arrays of real numbers", name=self.title),
            got=str(getattr(y, "dtype", "" if y is None else type(y).__name__)),
            fix=say("end it with return y; several outputs are a tuple, return y, h"),
        )  # fmt: skip

    @property
    def code(self) -> Any:
        return getattr(inspect.unwrap(self.function), "__code__", None)

    @property
    def listing(self) -> str:  # type: ignore[override]
        """The text of the function, without what decorates it."""
        try:
            lines = textwrap.dedent(inspect.getsource(inspect.unwrap(self.function))).strip("\n").splitlines()
        except (OSError, TypeError):
            return ""
        first = next((k for k, line in enumerate(lines) if line.startswith(("def ", "class "))), 0)
        return "\n".join(lines[first:])

    def check(self, p: Params, /, *args: Any, **arrays: Any) -> None:
        sizes = Sizes.match(self.letters, {name: array.shape for name, array in arrays.items()})
        for name, array in arrays.items():
            below = self.letters[name].below
            most = int(below) if below.isdigit() else sizes.of.get(below)
            if below and most is not None and array.size and not 0 <= int(array.min()) <= int(array.max()) < most:
                raise Refused(
                    say("{name} must hold whole numbers from 0 to {last}", name=name, last=most - 1),
                    got=str(sorted({int(array.min()), int(array.max())})),
                )

    def sample(self, chooser: Chooser) -> Case:
        drawn = getattr(inspect.getmodule(self.function), "cases", None)
        if callable(drawn):
            return self.bind(**drawn(chooser))
        sizes = Sizes({letter: chooser.choice(SIZES) for letter in letters_in(self.letters.values())})
        if any(letters.leading for letters in self.letters.values()):
            sizes.leading = chooser.choice(LEADING)
        arrays: dict[str, Array] = {}
        for each in self.inputs:
            letters = self.letters[each.name]
            if each.optional and not chooser.choice((True, False)):
                continue
            shape = sizes.shape(letters)
            if letters.below:
                most = int(letters.below) if letters.below.isdigit() else sizes.of[letters.below]
                arrays[each.name] = chooser.classes(shape, range(most))
            else:
                arrays[each.name] = chooser.array(*shape)
        return Case(self.name, arrays, {each.name: chooser.choice(_values(each)) for each in self.params})

    def choices(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int:
        below = self.letters[name].below
        return int(below) if below.isdigit() else Sizes.match(self.letters, shapes).of.get(below, 3)

    def _names(self) -> list[str]:
        return [each.name for each in self.inputs]

    def _outputs(self) -> Iterator[Output]:
        """The outputs, by running it once."""
        result = self._tried()
        if isinstance(result, Mapping):
            named = {str(name): y for name, y in result.items()}
        else:
            results = result if isinstance(result, tuple) else (result,)
            names = ["output"] if len(results) == 1 else [f"output{k}" for k in range(len(results))]
            named = dict(zip(names, results, strict=True))
        for k, (name, y) in enumerate(named.items()):
            symbol = self._free(np.ndim(y)) if len(named) == 1 else f"y{k}" if name.startswith("output") else name
            yield Output(name, symbol, " ".join(f"d{d}" for d in range(np.ndim(y))), np.asarray(y).dtype.kind == "f")

    def _free(self, dimensions: int) -> str:
        """What a single output is called: y, unless the program has another y; then L if it is a number."""
        own = {*self._names(), *getattr(self.code, "co_varnames", ())}
        if "y" in own and not re.search(r"return +y *(#.*)?$", self.listing):
            return next(name for name in ("Lz"[dimensions > 0], "out", "output") if name not in own)
        return "y"

    def _tried(self) -> Any:
        """Its result for arrays of ones in some shapes that it accepts; raises Refused if it accepts none of those
        tried."""
        p = self.parameters({each.name: _values(each)[0] for each in self.params if each.default is REQUIRED})
        letters = letters_in(self.letters.values())
        refused: Refused | None = None
        for tried in TRIED:
            sizes = Sizes({letter: tried[k % len(tried)] for k, letter in enumerate(letters)}, (2,))
            shapes = {each.name: sizes.shape(self.letters[each.name]) for each in self.inputs}
            ones = {
                name: np.zeros(shape, np.int64) if self.letters[name].below else np.ones(shape)
                for name, shape in shapes.items()
            }
            try:
                with np.errstate(all="ignore"):
                    result, again = self.program(p, **ones), self.program(p, **ones)
            except Refused as error:
                refused = refused or error
            except Exception as error:
                refused = refused or self.raised(error, shapes)
            else:
                self._refuse_what_is_drawn(result, again)
                self.small = tried
                return result
        assert refused is not None
        raise refused

    def _refuse_what_is_drawn(self, one: Any, other: Any) -> None:
        """Raises Refused where two calls with the same arrays have different results."""
        pairs = zip(_flat(one), _flat(other), strict=True)
        if not all(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") for a, b in pairs):
            raise Refused(
                say(
                    "{name} gave two results for the same arrays: it draws random numbers, or keeps something between "
                    "calls",
                    name=self.title,
                ),
                fix=say('give it what is drawn as another array: def f(x: "N D", noise: "N D")'),
            )

    @property
    def how_to_refuse(self) -> str:
        return say("state the shapes it takes in its letters, or draw its cases in a function cases(chooser) beside it")


def _flat(result: Any) -> Iterable[Any]:
    """The arrays of a result: one, a tuple, or a dict by name."""
    return result.values() if isinstance(result, Mapping) else result if isinstance(result, tuple) else [result]


def _annotated(function: Callable[..., Any]) -> dict[str, str]:
    """The shape that each array of a function is annotated with."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: text for each in parameters if isinstance(text := _plain(each.annotation), str)}


def _described(function: Callable[..., Any]) -> dict[str, str]:
    """The docstring's text on each parameter: a line `name: ...`, or several names before one colon."""
    found = {}
    for names, text in re.findall(r"(?m)^[ \t]*([\w, ]+?)(?: *\([^)]*\))?: +(\S.*)$", inspect.getdoc(function) or ""):
        for name in names.split(","):
            found[name.strip()] = text.strip().rstrip(".")
    return found


def _arguments(function: Callable[..., Any], title: str) -> Iterator[Input | Param]:
    """The parameters of a function as arrays and numbers; raises Refused for one that says neither."""
    described = _described(function)
    for each in inspect.signature(function).parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise Refused(say("{name} must name its arrays: {each} has no shape", name=title, each=str(each)))
        annotation, empty = _plain(each.annotation), inspect.Parameter.empty
        if isinstance(annotation, str):
            letters = Letters.parse(annotation)
            optional = each.default is None
            whole = bool(letters.below)
            told = described.get(each.name) or _told(letters, title)
            yield Input(each.name, each.name, annotation.partition("<")[0].strip(), told, optional=optional,
                        differentiable=not whole, whole=whole)  # fmt: skip
            continue
        default = REQUIRED if each.default is empty else each.default
        kind = _kind(annotation, default)
        if kind is None and isinstance(default, str):
            raise Refused(
                say("{each} of {name} does not say which words are allowed", each=each.name, name=title),
                got=f'{each.name}="{default}"',
                fix=say('write from typing import Literal and {each}: Literal["{word}", "..."] = "{word}"',
                        each=each.name, word=default),
            )  # fmt: skip
        if kind is None:
            raise Refused(
                say("{each} of {name} says neither a shape nor a default", each=each.name, name=title),
                fix=say('an array is annotated, {each}: "N In"; a number has a default, {each}=1.0', each=each.name),
            )
        example = get_args(annotation)[0] if get_origin(annotation) is Literal else None
        told = described.get(each.name) or say("a parameter of {name}", name=title)
        yield Param(each.name, default, kind, told, example=example)


def _told(letters: Letters, title: str) -> str:
    if letters.below:
        return say("whole numbers below {most}", most=letters.below)
    return say("an array of {name}", name=title)


def _plain(annotation: Any) -> Any:
    """An annotation, also where `from __future__ import annotations` keeps it as text."""
    if isinstance(annotation, str) and annotation[:1] in "\"'":
        return ast.literal_eval(annotation)
    return annotation


def _kind(annotation: Any, default: Any) -> Kind | None:
    """What values a parameter takes, by its annotation or its default."""
    if get_origin(annotation) is Literal:
        words = get_args(annotation)
        return Choice(tuple(map(str, words)))
    known: dict[Any, Kind] = {bool: Flag(), int: Whole(), float: Real()}
    if annotation in known:
        return known[annotation]
    if isinstance(default, (tuple, list)) and default and all(type(x) is int for x in default):
        return Whole(dims=len(default))
    if default is None:
        return Maybe(Real())
    return known.get(type(default))


def _values(param: Param) -> tuple[Any, ...]:
    """The values that cases give to a parameter; the default is the simplest."""
    if isinstance(param.kind, Choice):
        words = param.kind.words
        return (
            words if param.default is REQUIRED else (param.default, *(word for word in words if word != param.default))
        )
    if isinstance(param.kind, Flag):
        return (False, True) if param.default is REQUIRED else (param.default, not param.default)
    if param.default is REQUIRED:
        return (1,) if isinstance(param.kind, Whole) else (1.0, 0.5)
    halved = isinstance(param.default, float) and param.default != 0 and np.isfinite(param.default)
    return (param.default, param.default / 2) if halved else (param.default,)


__all__ = ["Function"]
