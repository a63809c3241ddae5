"""The names of an address: operators of the catalogue, and the programs that the command line of `serve` names."""

from collections.abc import Sequence

from opcheck import specs
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Op

PROGRAMS: dict[str, Op] = {}  # by the name that an address uses


def load(places: Sequence[str]) -> None:
    """Reads the programs that the command line names; raises Refused."""
    for place in places:
        op = specs.get(place)
        name = called(op)
        if PROGRAMS.get(name, op).name != op.name:
            raise Refused(say("two programs have the name {name}", name=name), got=place)
        PROGRAMS[name] = op


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
