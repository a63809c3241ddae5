"""Finds operators by name: a file here is all that an operator needs, and it is imported when it is asked for."""

import importlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from opcheck.language import say
from opcheck.operators.spec import Op, Refused

GROUP = "opcheck.operators"


class UnknownOperator(Refused):
    """There is no operator of that name."""


@cache
def _files() -> dict[str, str]:
    """The modules in which operators may be, by the last part of their name; none is imported."""
    root = Path(__file__).parent
    paths = [path.relative_to(root).with_suffix("") for path in sorted(root.rglob("*.py"))]
    return {path.name: ".".join(("opcheck", "operators", *path.parts)) for path in paths if path.name != "__init__"}


@cache
def _declared(module: str) -> tuple[Op, ...]:
    """The operators of a module: its `OPS`."""
    return tuple(getattr(importlib.import_module(module), "OPS", ()))


@cache
def own() -> tuple[Op, ...]:
    """The operators of this package, by name."""
    return tuple(sorted((op for module in _files().values() for op in _declared(module)), key=lambda op: op.name))


@cache
def elsewhere() -> tuple[Op, ...]:
    """Operators from other packages, registered under the entry-point group `opcheck.operators`: an `Op`, its
    class, or a module with `OPS`. Finding them takes time, so that they are asked for last."""
    from importlib.metadata import entry_points

    found: list[Op] = []
    for entry in entry_points(group=GROUP):
        try:
            value = entry.load()
            ops = getattr(value, "OPS", None) or (value() if isinstance(value, type) else value,)
        except Exception as error:
            raise Refused(
                say("the operators of {name} cannot be loaded", name=entry.value),
                got=f"{type(error).__name__}: {error}",
                fix=say("fix or uninstall the package that has the entry point {name}", name=entry.name),
            ) from error
        if not all(isinstance(op, Op) for op in ops):
            raise Refused(
                say("the entry point {name} is an operator, its class, or a module with OPS", name=entry.name),
                got=entry.value,
            )
        found += ops
    names = {op.name for op in own()}
    return tuple(op for op in found if op.name not in names)


@cache
def every() -> tuple[Op, ...]:
    """All operators, by name."""
    return tuple(sorted((*own(), *elsewhere()), key=lambda op: op.name))


@cache
def get(name: str) -> Op:
    """The operator of that name or alias (torch.nn's class names are aliases: Conv2d, MSELoss)."""
    # a file is named as its operators are, without the dimension: this finds most without importing the rest
    module = _files().get(name.removesuffix("1d").removesuffix("2d"))
    for op in _declared(module) if module else ():
        if op.name == name:
            return op
    for op in chain(own(), _later(elsewhere)):
        if name == op.name or name.lower() in (alias.lower() for alias in op.aliases):
            return op
    raise UnknownOperator(say("there is no operator {name}", name=repr(name)), fix=_suggestion(name.lower()))


def _later(operators: Callable[[], tuple[Op, ...]]) -> Iterator[Op]:
    """Operators that are loaded only when they are needed."""
    yield from operators()


def _suggestion(name: str) -> str:
    """The operators whose names or aliases are near, each once."""
    import difflib

    operators = {spelling.lower(): op.name for op in every() for spelling in (op.name, *op.aliases)}
    near = dict.fromkeys(operators[each] for each in difflib.get_close_matches(name, operators, n=3, cutoff=0.5))
    return say("Did you mean {near}?", near=say(" or ").join(near)) if near else say("opcheck ops lists them")
