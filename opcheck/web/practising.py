"""Problems with checked answers: an address says the operator, the seed, the level and the number of the problem, so
that a link is a problem. What was answered is kept where `opcheck practice` keeps it."""

import json
import secrets
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning import problems, scores
from opcheck.learning.drawing import LEVELS
from opcheck.learning.hints import hints, setting
from opcheck.learning.practice import FILE, Score, drawn
from opcheck.learning.problems import Kind, Problem
from opcheck.learning.progress import default_path
from opcheck.operators.spec import Op
from opcheck.render import render
from opcheck.steps import Block, Step
from opcheck.web import asking, forms
from opcheck.web.exercise import ASK, MOST_SEED
from opcheck.web.named import called, every, find
from opcheck.web.reply import HTML, Query, Reply, answers, data

KINDS = {"shape": (Kind.SHAPE,), "value": (Kind.ELEMENT, Kind.OUTPUT), "gradient": (Kind.GRADIENT,)}


def whole(query: Query, name: str, low: int, high: int, default: int) -> int:
    """A whole number of an address; raises Refused."""
    text = query.get(name, "") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise Refused(say("{name} must be a whole number from {low} to {high}", name=name, low=low, high=high),
                      got=repr(text[:40]))  # fmt: skip
    return int(text)


def fragment(blocks: tuple[Block, ...]) -> Any:
    """Part of a document, whose style the page has already."""
    from markupsafe import Markup

    return Markup(render(Step("", blocks), "html", page=False).partition("</style>")[2])


def style() -> Any:
    """The style of documents."""
    from markupsafe import Markup

    return Markup(render(Step("", ()), "html", page=False).partition("</style>")[0] + "</style>")


@answers("practice")
def page(name: str, query: Query) -> Reply:
    """One problem; without a name, the operators and how far the reader is."""
    if not name:
        known = scores.read(default_path(FILE))
        rows = [(called(op), op.summary, known.get(op.name)) for op in every()]
        return Reply(200, HTML, forms.template("practices.html.jinja").render(rows=rows, here="practice"))
    op = find(name)
    if query.get(ASK):
        exercise = asking.asked(op, query)
        return Reply(200, HTML, written(name, exercise.problem, exercise))
    seed = whole(query, "seed", 0, MOST_SEED, secrets.randbelow(10**6))
    number = whole(query, "number", 0, 999, 0)
    level = whole(query, "level", 1, LEVELS, 1)
    kind = kind_of(op, query)
    problem = drawn(op, seed, number, level, KINDS.get(kind, ()))
    return Reply(200, HTML, written(name, problem, number=number, level=level, seed=seed, kind=kind))


def written(name: str, problem: Problem, exercise: asking.Asked | None = None, **address: Any) -> str:
    """The page of a problem: one that was drawn, or an exercise of somebody's."""
    return forms.template("practice.html.jinja").render(
        name=name, levels=LEVELS, style=style(), here="practice", kinds=kinds(problem.op), exercise=exercise,
        setting=fragment(setting(problem)), question=problems.question(problem), score=score(problem.op),
        hints=[fragment(hint) for hint in hints(problem)], is_shape=problem.kind is problems.Kind.SHAPE, **address,
    )  # fmt: skip


def kinds(op: Op) -> tuple[tuple[str, str], ...]:
    """What may be asked for: a word of an address, and what it is called."""
    asked = problems.kinds(op)
    return (
        ("", say("everything")),
        *((("shape", say("shapes")),) if Kind.SHAPE in asked else ()),
        ("value", say("values")),
        *((("gradient", say("gradients")),) if any(each.differentiable for each in op.inputs) else ()),
    )


def kind_of(op: Op, query: Query) -> str:
    """What an address wants asked; raises Refused."""
    found, known = query.get("kind", ""), [word for word, _ in kinds(op)]
    if found not in known:
        raise Refused(say("kind must be one of {names}", names=", ".join(filter(None, known))), got=repr(found[:40]))
    return found


def score(op: Op) -> str:
    """What is kept of an operator."""
    mine = scores.read(default_path(FILE)).get(op.name)
    return say("{right} of {all} right so far", right=mine.right, all=mine.asked) if mine else ""


@answers("practice-answer")
def judge(name: str, query: Query) -> Reply:
    """How an answer stands; one that ends the problem is counted."""
    op, sent = find(name), body(query)
    level = 1
    if "exercise" in sent:
        problem = asking.sent(op, sent["exercise"]).problem
    else:
        numbers = {each: str(sent.get(each, "")) for each in ("seed", "number", "level", "kind")}
        level = whole(numbers, "level", 1, LEVELS, 1)
        place = whole(numbers, "seed", 0, MOST_SEED, 0), whole(numbers, "number", 0, 999, 0)
        problem = drawn(op, *place, level, KINDS.get(kind_of(op, numbers), ()))
    if sent.get("skip") is True:
        trouble = scores.add(default_path(FILE), op.name, Score(1, 0, 0, level))
        return _told(op, right=False, told=say("It goes like this:"), ends=True, trouble=trouble)
    judged = problem.judge(str(sent.get("answer", "")))
    trouble = ""
    if judged.right:
        at_once = sent.get("first") is True
        trouble = scores.add(default_path(FILE), op.name, Score(1, 1, int(at_once), level))
    return _told(op, right=judged.right, told=judged.told, ends=judged.right, trouble=trouble)


def _told(op: Op, **found: Any) -> Reply:
    return data({**found, "score": score(op)})


def body(query: Query) -> dict[str, Any]:
    """What a page sent; raises Refused for what none sends."""
    try:
        found = json.loads(query.get("body", ""))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(say("an answer can only be sent from the page that asked for it"))
    return found
