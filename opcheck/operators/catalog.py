"""Finds operators by name: a file here is all that an operator needs, and it is imported when it is asked for."""

import importlib
from functools import cache
from pathlib import Path

from opcheck.language import say
from opcheck.operators.spec import Op, Refused


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
def every() -> tuple[Op, ...]:
    """All operators, by name."""
    return tuple(sorted((op for module in _files().values() for op in _declared(module)), key=lambda op: op.name))


@cache
def get(name: str) -> Op:
    """The operator of that name or alias (torch.nn's class names are aliases: Conv2d, MSELoss)."""
    # a file is named as its operators are, without the dimension: this finds most without importing the rest
    module = _files().get(name.removesuffix("1d").removesuffix("2d"))
    for op in _declared(module) if module else ():
        if op.name == name:
            return op
    for op in every():
        if name == op.name or name.lower() in (alias.lower() for alias in op.aliases):
            return op
    raise UnknownOperator(say("there is no operator {name}", name=repr(name)), fix=_suggestion(name.lower()))


def _suggestion(name: str) -> str:
    """The operators whose names or aliases are near, each once."""
    import difflib

    operators = {spelling.lower(): op.name for op in every() for spelling in (op.name, *op.aliases)}
    near = dict.fromkeys(operators[each] for each in difflib.get_close_matches(name, operators, n=3, cutoff=0.5))
    return say("Did you mean {near}?", near=say(" or ").join(near)) if near else say("opcheck ops lists them")
