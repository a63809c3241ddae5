"""The names of an address: operators of the catalogue, and the programs that the command line of `serve` names."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opcheck import specs
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Op

PROGRAMS: dict[str, Op] = {}  # by the name that an address uses
NUMBERS: dict[str, tuple[str, Callable[..., Any]]] = {}  # functions of numbers, which are traced: place and function


def load(places: Sequence[str]) -> None:
    """Reads the programs that the command line names; raises Refused."""
    for place in places:
        found = read(place)
        name = called(found) if isinstance(found, Op) else found.__name__
        before = PROGRAMS[name].name if name in PROGRAMS else NUMBERS.get(name, (place,))[0]
        if before != (found.name if isinstance(found, Op) else place):
            raise Refused(say("two programs have the name {name}", name=name), got=place)
        if isinstance(found, Op):
            PROGRAMS[name] = found
        else:
            NUMBERS[name] = place, found


def read(place: str) -> Op | Callable[..., Any]:
    """A program, or a function of numbers as micrograd's demo is one; raises Refused."""
    try:
        return specs.get(place)
    except Refused:
        path, _, name = place.rpartition(":")
        if not path.endswith(".py"):
            raise
        function = traced_function(Path(path), name)
        if function is None:
            raise
        return function


def traced_function(path: Path, name: str) -> Callable[..., Any] | None:
    """The function of that name if it takes numbers: no argument says a shape, and it can be traced at 1, 2, 3, ..."""
    from opcheck.traces import load, trace

    try:
        function = load(path, name)
        if isinstance(function, type) or any(isinstance(each, str) for each in function.__annotations__.values()):
            return None
        trace(function, numbers_of(function))
    except (Refused, AttributeError):
        return None
    return function


def numbers_of(function: Callable[..., Any]) -> dict[str, float]:
    """The numbers of a function where nobody gave others: its own, else 1, 2, 3, ..."""
    parameters = inspect.signature(function).parameters.values()
    is_own = {
        each.name: isinstance(each.default, int | float) and not isinstance(each.default, bool) for each in parameters
    }
    return {
        each.name: each.default if is_own[each.name] else k + 1
        for k, each in enumerate(parameters)
        if is_own[each.name] or each.default is each.empty
    }


def called(op: Op) -> str:
    """What an operator or a program is called in an address."""
    return op.title or op.name


def find(name: str) -> Op:
    """The program of that name, else the operator of the catalogue; never a place in a file system. Raises Refused."""
    return PROGRAMS.get(name) or catalog.get(name)


def every() -> list[Op]:
    """The programs, then the operators."""
    return [*PROGRAMS.values(), *catalog.every()]


def words() -> set[str]:
    """The names that a sentence may begin with: of operators and programs, and of their arguments."""
    return {name for op in every() for name in (called(op), op.name, *(each.name for each in op.arguments))}
