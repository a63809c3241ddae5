"""The functions and classes that a question asks for: names and parameters, as its convention has them."""

import importlib
import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from opcheck.errors import CouldNotRun
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Question
from opcheck.grading.handouts.example import MODULE, Example, names
from opcheck.grading.submissions.locate import Found
from opcheck.operators import catalog
from opcheck.sandbox import Call, Definition, Parameter, Place
from opcheck.verification.casefile import Trial

_MODULE_CLASS = "torch.nn.Module"


class Stub(NamedTuple):
    """A function with its parameters, or a class with its methods; `base` is a class's own."""

    name: str
    parameters: str
    methods: tuple["Stub", ...] = ()
    base: str = ""
    is_class: bool = False
    static: bool = False

    @property
    def lines(self) -> list[str]:
        """What a signature sheet shows of it."""
        static = any(each.static for each in self.methods)
        own = [] if static else [f"{self.name}({self.parameters})"]
        return own + [f"{self.name}.{each.name}({each.parameters})" for each in self.methods]


def stubs(question: Question, example: Example, trials: Sequence[Trial]) -> list[Stub]:
    """What a submission has to define for a question: the forward function and the backward one, or a class."""
    if question.convention.name == "functional":
        return _functional(question, trials)
    asked = [question.entry.forward[0], *question.entry.backward[:1]]
    known = _known(question)
    if known and all(hasattr(known, name.partition(".")[0]) for name in asked):
        return _with_methods([_of(known, name, example) for name in asked])
    return _with_methods(_from_calls(example))


def _functional(question: Question, trials: Sequence[Trial]) -> list[Stub]:
    """torch's signature, without what no case has."""
    op = question.op
    used = {name for each in trials for name in (*each.case.arrays, *each.case.params)}
    used |= {each.part_of for each in op.inputs if each.part_of and each.name in used}
    parameters = [each for each in op.signature.parameters.values()
                  if each.name in used or each.default is each.empty]  # fmt: skip
    words = str(op.signature.replace(parameters=parameters))[1:-1]
    forward = Stub(question.entry.forward[0], words)
    if not question.entry.backward or not any(part.startswith("vjp") for part in question.points):
        return [forward]
    upstream = [f"d{names(op)[each.name]}" for each in op.outputs if each.differentiable and not each.updates]
    first = upstream[0] if len(upstream) == 1 else "gradients"
    return [forward, Stub(question.entry.backward[0], f"{first}, {words}")]


def _known(question: Question) -> Any:
    """The module with correct solutions in a convention of ours, whose signatures are those of the course."""
    name = question.convention.name
    if name not in (*conventions.NAMES, *conventions.COURSES) or question.op not in catalog.every():
        return None
    try:
        return importlib.import_module(f"opcheck.grading.solutions.{name}")
    except CouldNotRun:  # without torch
        return None


def known_class(question: Question) -> Found | None:
    """The class that a right solution has, which tells what a constructor takes; None where it has functions."""
    name = question.entry.forward[0]
    kind = getattr(_known(question), name, None)
    if not inspect.isclass(kind):
        return None
    methods = inspect.getmembers(kind, inspect.isfunction)
    written = [each for base in kind.__mro__ for each in vars(base).values() if inspect.isfunction(each)]
    kept = tuple(dict.fromkeys(name for each in written for name in each.__code__.co_names))
    of_class = tuple(Definition(each, "method", True, _described(method)) for each, method in methods)
    return Found(f"{MODULE}.{name}", "", Definition(name, "class", True, _described(kind), of_class, MODULE, kept))


def _described(function: Any) -> tuple[Parameter, ...]:
    known = inspect.signature(function).parameters.values()
    return tuple(Parameter(each.name, each.kind.name, each.default is not each.empty) for each in known)


def _of(module: Any, name: str, example: Example) -> Stub:
    owner, _, method = name.partition(".")
    found = getattr(module, owner)
    if method:
        stub = Stub(method, _parameters(getattr(found, method)), static=True)
        return Stub(owner, "", (stub,), is_class=True)
    if not inspect.isclass(found):
        return Stub(name, _parameters(found))
    called = [each.function for each in example.steps if isinstance(each, Call)]
    own = [each.partition(".")[2] for each in called if each.startswith(("layer.", "optimizer."))]
    methods = [each for each in dict.fromkeys(own) if each in ("forward", "backward", "step")]
    torch = any(f"{each.__module__}.{each.__name__}".startswith("torch.nn") for each in found.__mro__)
    if torch:
        methods = ["forward"]
        theirs = [each for each in found.__mro__ if each.__module__.startswith("torch.nn")]
        found = theirs[0] if theirs[0].__name__ != "Module" else found
    written = tuple(Stub(each, _method(found, each, example)) for each in methods)
    return Stub(name, _parameters(found.__init__, skip=1), written, _MODULE_CLASS if torch else "", True)


def _method(found: Any, name: str, example: Example) -> str:
    """The parameters of a method; of one that an object gets when it is made, those with which it is called."""
    method = getattr(found, name, None)
    if method is None:
        calls = [each for each in example.steps if isinstance(each, Call)]
        return _words(next(each for each in calls if each.function == f"layer.{name}"), example)
    return _parameters(method, skip=1)


def _parameters(function: Any, skip: int = 0) -> str:
    """The names and defaults of a signature, without annotations."""
    if function is object.__init__:
        return ""
    words = []
    for each in list(inspect.signature(function).parameters.values())[skip:]:
        if each.kind is not inspect.Parameter.VAR_KEYWORD and each.kind is not inspect.Parameter.VAR_POSITIONAL:
            words.append(each.name if each.default is inspect.Parameter.empty else f"{each.name}={each.default!r}")
    return ", ".join(word for word in words if not word.startswith(("device=", "dtype=")))


def _from_calls(example: Example) -> list[Stub]:
    """What follows from the calls alone: of a convention or an operator of the teacher's own."""
    found = []
    calls = [each for each in example.steps if isinstance(each, Call)]
    for call in calls:
        owner, _, name = call.function.partition(".")
        if owner != MODULE:
            continue
        methods = [Stub(each.function.partition(".")[2], _words(each, example)) for each in calls
                   if call.keep and each.function in (f"{call.keep}.forward", f"{call.keep}.backward")]  # fmt: skip
        found.append(Stub(name, _words(call, example), tuple(methods), is_class=bool(methods)))
    return found


def _words(call: Call, example: Example) -> str:
    words: list[str] = []
    for value in call.args:
        match value:
            case Place(text):
                words.append(text if text.isidentifier() else "cache")
            case np.ndarray():
                words.append(example.names.get(id(value), f"array{len(words) + 1}"))
            case dict():
                words.append("options")
            case _:
                words.append(f"value{len(words) + 1}")
    return ", ".join([*words, *call.kwargs])


def _with_methods(found: Sequence[Stub]) -> list[Stub]:
    """Methods of one class together: Conv.forward and Conv.backward."""
    joined: dict[str, Stub] = {}
    for each in found:
        if each.name in joined:
            each = each._replace(methods=(*joined[each.name].methods, *each.methods))
        joined[each.name] = each
    return [*joined.values()]
