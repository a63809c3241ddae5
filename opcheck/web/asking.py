"""A link as an exercise: the numbers of an address, and what is asked of them (`ask=y[1,1]`); the answer is hidden."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from opcheck.errors import Refused
from opcheck.explanation.calculation import Calculation
from opcheck.explanation.document import prepare
from opcheck.explanation.gradient import differentiable
from opcheck.language import say
from opcheck.learning.problems import Kind, Problem
from opcheck.operators.spec import Op, Shape
from opcheck.web.exercise import ASK, read
from opcheck.web.explaining import upstream_of

MOST_CELLS, MOST_ASKED = 256, 9  # of an array on paper; elements of an output that is asked for as a whole
PLACE = re.compile(r"([^\W\d][^\[\]]*)(?:\[(\d{1,4}(?:,\d{1,4})*)?\])?")


class Asked(NamedTuple):
    """A problem with numbers that somebody chose, the address that asks it, and the one that shows it worked out."""

    problem: Problem
    address: str
    worked: str


def asked(op: Op, query: Mapping[str, str]) -> Asked:
    """What an address asks; raises Refused."""
    exercise = read(op, {name: text for name, text in query.items() if name != ASK})
    calculation = prepare(op, exercise.given, exercise.shapes, exercise.view.get("seed"))
    if any(array.size > MOST_CELLS for array in calculation.case.arrays.values()):
        raise Refused(say("an exercise has at most {n} numbers in an array", n=MOST_CELLS))
    main = calculation.main_output
    name, at = _place(query[ASK], calculation)
    shown = {text: value for text, value in query.items() if text != ASK}
    address, worked = urlencode(query), urlencode(shown)
    if name == op.output(main).symbol:
        shape = calculation.shapes[main]
        whole = _full(at, calculation.hidden.get(name, 0), shape, query[ASK])
        if not whole and calculation.cells.size <= MOST_ASKED and shape:
            return Asked(Problem(calculation, Kind.OUTPUT), address, worked)
        return Asked(Problem(calculation, Kind.ELEMENT, whole or (0,) * len(shape)), address, worked)
    wrt = next(each for each in op.inputs if each.symbol == name)
    if wrt.name not in calculation.case.arrays or wrt.name not in differentiable(calculation):
        raise Refused(say("{name} has no gradient here", name=name))
    shape = calculation.case.arrays[wrt.name].shape
    whole = _full(at, calculation.hidden.get(name, 0), shape, query[ASK]) or (0,) * len(shape)
    upstream = upstream_of(exercise._replace(view={**exercise.view, "grad": True}), calculation.shapes[main])
    return Asked(Problem(calculation, Kind.GRADIENT, whole, wrt.name, upstream), address, worked)


def sent(op: Op, address: Any) -> Asked:
    """What a page was asked that sends its answer; raises Refused."""
    query = dict(parse_qsl(str(address)))
    if not query.get(ASK):
        raise Refused(say("an answer can only be sent from the page that asked for it"))
    return asked(op, query)


def _place(text: str, calculation: Calculation) -> tuple[str, Shape]:
    """The name and the place of y[1,1]; raises Refused."""
    op, main = calculation.op, calculation.main_output
    found = PLACE.fullmatch(text.strip())
    if found is None:
        raise Refused(say("ask names an element, such as y[0,0]"), got=repr(text[:40]))
    symbols = [op.output(main).symbol, *(each.symbol for each in op.inputs)]
    if found[1] not in symbols:
        raise Refused(say("ask names the output or an input, whose gradient is meant"), got=repr(found[1][:40]),
                      fix=say("it has {names}", names=", ".join(symbols)))  # fmt: skip
    return found[1], tuple(map(int, found[2].split(","))) if found[2] else ()


def _full(at: Shape, hidden: int, shape: Shape, text: str) -> Shape:
    """A place with the leading dimensions that are not shown; raises Refused where an array has no such place."""
    whole = (0,) * hidden + at if at else ()
    if whole and (len(whole) != len(shape) or any(i >= n for i, n in zip(whole, shape, strict=True))):
        sizes = "×".join(map(str, shape[hidden:])) or say("one number")
        raise Refused(say("there is no such element: the array is {sizes}", sizes=sizes), got=repr(text[:40]))
    return whole
