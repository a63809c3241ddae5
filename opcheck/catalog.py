"""Finds operators by name: a file in ops/ is all that an operator needs, and it is imported when it is asked for."""

import importlib
import pkgutil
from functools import cache

from opcheck.language import say
from opcheck.spec import Op, Refused


class UnknownOperator(Refused):
    """There is no operator of that name."""


@cache
def _family(module: str) -> tuple[Op, ...]:
    return tuple(importlib.import_module(f"opcheck.ops.{module}").OPS)


@cache
def families() -> tuple[str, ...]:
    """The files of ops/, without importing them."""
    package = importlib.import_module("opcheck.ops")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


@cache
def every() -> tuple[Op, ...]:
    """All operators, by name."""
    return tuple(sorted((op for family in families() for op in _family(family)), key=lambda op: op.name))


@cache
def get(name: str) -> Op:
    """The operator of that name or alias (torch.nn's class names are aliases: Conv2d, MSELoss)."""
    # a family file is named as its operators are, without the dimension: this finds most without importing the rest
    family = name.removesuffix("1d").removesuffix("2d")
    if family in families():
        for op in _family(family):
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
