"""What is answered to an address: the page of an exercise, its form as data, or one sentence about what is impossible.

These functions run in a process of their own (`workroom`) and give back text, so that nothing but text leaves it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from opcheck.errors import CouldNotRun, Refused
from opcheck.explanation.document import Explanation, explain, prepare
from opcheck.language import say
from opcheck.operators.spec import Array, Shape
from opcheck.web import forms
from opcheck.web.code import code
from opcheck.web.exercise import Exercise, Impossible, read
from opcheck.web.named import find

HTML, JSON, PLAIN = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """What goes to the browser; `kept`: the same address will get the same answer, so it may be kept for a while."""

    status: int
    kind: str
    text: str
    kept: bool = False


Query = Mapping[str, str]
ANSWERS: dict[str, Callable[[str, Query], Reply]] = {}  # by the first word of an address


def answers(name: str) -> Callable[[Callable[[str, Query], Reply]], Callable[[str, Query], Reply]]:
    """Registers the function that answers addresses of that name."""

    def kept(function: Callable[[str, Query], Reply]) -> Callable[[str, Query], Reply]:
        ANSWERS[name] = function
        return function

    return kept


def answer(what: str, name: str, query: Query) -> Reply:
    """The answer to one address; what is impossible is one sentence, and the field that it belongs to."""
    try:
        return ANSWERS[what](name, query)
    except Refused as refused:
        return impossible(refused)
    except CouldNotRun as error:
        return sentence(404, str(error))
    except MemoryError:
        return sentence(413, say("This needs more memory than a page may use: try smaller arrays."))
    except RecursionError:
        return sentence(400, say("This is nested too deeply."))


def sentence(status: int, text: str, field: str = "") -> Reply:
    """An answer that is one sentence."""
    return Reply(status, JSON, json.dumps({"sentence": text, "field": field}))


def impossible(refused: Refused) -> Reply:
    """What is said under a field: its own, or the first that the sentence names."""
    field = refused.field if isinstance(refused, Impossible) else ""
    return sentence(400, spoken(refused), field)


def spoken(refused: Refused) -> str:
    """A refusal as sentences, each with its capital and its full stop."""
    parts = (refused.rule, refused.got and say("Got {got}", got=refused.got), refused.fix)
    told = (" ".join(part.split()) for part in parts if part)
    return " ".join(f"{part[0].upper()}{part[1:]}{'' if part[-1] in '.?!' else '.'}" for part in told)


@answers("page")
def page(name: str, query: Query) -> Reply:
    """The worked calculation of an exercise as a page that needs nothing else."""
    return Reply(200, HTML, explained(read(find(name), query)).render("html"), kept=True)


@answers("data")
def data(name: str, query: Query) -> Reply:
    """The worked calculation as JSON."""
    return Reply(200, JSON, explained(read(find(name), query)).to_json())


@answers("form")
def form(name: str, query: Query) -> Reply:
    """What stands in the fields of an exercise, its code, and that its page can be made."""
    exercise = read(find(name), query)
    explained(exercise).render("html")
    return Reply(200, JSON, json.dumps(described(exercise, query)), kept=True)


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
    wanted = shape if given is None or isinstance(given, tuple) else given.shape
    filled = np.arange(1.0, np.prod(wanted, dtype=int) + 1).reshape(wanted)
    return (filled if given is None or isinstance(given, tuple) else given * 1.0).reshape(shape)


def explained(exercise: Exercise) -> Explanation:
    """The worked calculation."""
    view = dict(exercise.view)
    upstream = view.pop("upstream", None)
    if isinstance(upstream, tuple):
        upstream = np.arange(1.0, np.prod(upstream, dtype=int) + 1).reshape(upstream)
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
