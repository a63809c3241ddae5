"""The interactive worked calculation of an operator: its form, its page, its code."""

from typing import Any

from opcheck.errors import Refused
from opcheck.explanation.document import Explanation, explain, prepare
from opcheck.operators.fills import upstream as filled
from opcheck.operators.spec import Array, Shape
from opcheck.web import forms
from opcheck.web.code import code
from opcheck.web.exercise import Exercise, read
from opcheck.web.named import find
from opcheck.web.reply import HTML, JSON, Query, Reply, answers, data, spoken


@answers("page")
def page(name: str, query: Query) -> Reply:
    """The worked calculation of an exercise as a page that needs nothing else."""
    return Reply(200, HTML, explained(read(find(name), query)).render("html"), kept=True)


@answers("data")
def calculation(name: str, query: Query) -> Reply:
    """The worked calculation as JSON."""
    return Reply(200, JSON, explained(read(find(name), query)).to_json())


@answers("form")
def form(name: str, query: Query) -> Reply:
    """What stands in the fields of an exercise, its code, and that its page can be made."""
    exercise = read(find(name), query)
    page = explained(exercise).render("html")
    return data(described(exercise, query), kept=True)._replace(page=page)


def described(exercise: Exercise, query: Query) -> dict[str, Any]:
    """The fields and the code of an exercise."""
    calculation = prepare(exercise.op, exercise.given, exercise.shapes, exercise.view.get("seed"))
    shape = calculation.shapes[calculation.main_output]
    upstream = upstream_of(exercise, shape)
    return {
        "fields": forms.filled(exercise, calculation, query, upstream),
        "code": code(exercise, calculation.case, dict(query), upstream),
    }


def upstream_of(exercise: Exercise, shape: Shape) -> Array | None:
    """The upstream gradient that the exercise shows; None where it shows no gradient."""
    given = exercise.view.get("upstream")
    if given is None and not exercise.view.get("grad"):
        return None
    return (
        filled(exercise.op.outputs[0], shape) if given is None or isinstance(given, tuple) else given * 1.0
    ).reshape(shape)


def explained(exercise: Exercise) -> Explanation:
    """The worked calculation."""
    view = dict(exercise.view)
    upstream = view.pop("upstream", None)
    if isinstance(upstream, tuple):
        upstream = filled(exercise.op.outputs[0], upstream)
    view["grad"] = bool(view.get("grad")) or upstream is not None
    return explain(exercise.op, given=exercise.given, shapes=exercise.shapes, upstream=upstream, **view)


@answers("explain")
def workbench(name: str, query: Query) -> Reply:
    """The form of an operator with the page of the exercise beside it."""
    op = find(name)
    told, status = "", 200
    try:
        read(op, query)
    except Refused as refused:
        told, status = spoken(refused), 400
    return Reply(status, HTML, forms.workbench(op, query, told))


@answers("home")
def home(name: str, query: Query) -> Reply:
    """The first page."""
    return Reply(200, HTML, forms.home())
