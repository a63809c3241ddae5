"""A trace: of an expression, `of=ln(x1)+x1*x2&at.x1=2`, which the parser of traces reads without evaluating anything,
of a function that the command line of `serve` names, or of an operator, `of=softmax`."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from opcheck import filling
from opcheck.errors import Refused
from opcheck.explanation.document import prepare
from opcheck.language import say
from opcheck.traces import trace
from opcheck.traces.given import value
from opcheck.traces.scalar.expression import parse
from opcheck.web import exercise, forms
from opcheck.web.exercise import Impossible
from opcheck.web.named import NUMBERS, PROGRAMS, called, every, find, numbers_of
from opcheck.web.reply import HTML, Query, Reply, answers, data, spoken

FIRST = "ln(x1) + x1*x2 - sin(x2)", {"x1": "2", "x2": "5"}  # Baydin et al., "Automatic differentiation", table 2
MODES = ("both", "forward", "reverse")
SWITCHES = ("exact", "jacobian", "hessian", "step")
LONGEST, MOST_NUMBERS = 400, 400  # characters of an expression; numbers of all arrays
AT = "at."
ZERO = re.compile(r"\.0(?=[],])")


class What(NamedTuple):
    """What is traced: its text, the words of its inputs, and the trace at the inputs that were given."""

    text: str
    given: dict[str, str]
    traced: Callable[[], Any]
    command: str  # what the command line calls it


def read(query: Query) -> What:
    """What an address traces: an expression, or a function or an operator by its name. Raises Impossible."""
    text, exact = query.get("of", "").strip(), bool(query.get("exact"))
    if text in NUMBERS:
        place, function = NUMBERS[text]
        words = {name: f"{value:g}" for name, value in numbers_of(function).items()}
        given = {name: query.get(AT + name, "").strip() or word for name, word in words.items()}
        return What(text, given, lambda: trace(function, at(given, exact), exact=exact), place)
    if text.isidentifier() and (text in PROGRAMS or text in {op.name for op in every()}):
        return _program(text, query, exact)
    text, given = numbers(query)
    return What(text, given, lambda: trace(text, at(given, exact), exact=exact), text)


def numbers(query: Query) -> tuple[str, dict[str, str]]:
    """The expression and the text of each of its variables; what nobody gave is 1, 2, 3, ... Raises Impossible."""
    text = query.get("of", "").strip()
    if not text:
        return FIRST
    if len(text) > LONGEST:
        raise Impossible("of", Refused(say("an expression has at most {n} characters here", n=LONGEST)))
    try:
        names = parse(text).names
    except Refused as refused:
        raise Impossible("of", refused) from None
    return text, {name: query.get(AT + name, "").strip() or str(k + 1) for k, name in enumerate(names)}


def at(given: Mapping[str, str], exact: bool) -> dict[str, Any]:
    """The numbers of the inputs; raises Impossible."""
    found = {}
    for name, word in given.items():
        try:
            if "@" in word or ":" in word or "[" in word:
                raise Refused(say("{name} must be a number, such as 2, 1/3 or pi/2", name=name), got=repr(word[:40]))
            found[name] = value(name, word, exact)
        except Refused as refused:
            raise Impossible(AT + name, Refused(refused.rule, got=refused.got)) from None
    return found


def _program(name: str, query: Query, exact: bool) -> What:
    """A program of arrays, or an operator: as `exercise` reads its arguments. Raises Impossible."""
    op = find(name)
    if exact:
        raise Impossible("exact", Refused(say("exact numbers need a function of numbers, and this one takes arrays")))
    words = {key.removeprefix(AT): text for key, text in query.items() if key.startswith(AT) and text.strip()}
    try:
        call = exercise.read(op, words)
    except Impossible as refused:
        raise Impossible(AT + refused.field, refused) from None
    case = prepare(op, call.given, call.shapes, call.view.get("seed")).case
    if sum(array.size for array in case.arrays.values()) > MOST_NUMBERS:
        raise Refused(say("a trace of arrays shows at most {n} numbers", n=MOST_NUMBERS))
    shown = {
        each: ZERO.sub("", json.dumps(array.tolist(), separators=(",", ":"))) for each, array in case.arrays.items()
    }
    given = {**shown, **{each.name: words[each.name] for each in op.params if each.name in words}}
    arguments = {**case.arrays, **{each: call.given[each] for each in given if each not in shown}}

    def traced() -> Any:
        if name not in PROGRAMS:
            return filling.traced(op, arguments, None)
        function, inputs = filling.completed(op.name, getattr(op, "function", op.program), arguments)
        return trace(function, inputs)

    return What(name, given, traced, op.name)


def rendered(query: Query) -> str:
    """The page of the trace; raises Refused."""
    what = read(query)
    mode = query.get("mode") or "both"
    if mode not in MODES:
        raise Impossible(
            "mode", Refused(say("the mode must be one of {names}", names=", ".join(MODES)), got=repr(mode[:40]))
        )
    try:
        traced = what.traced()
        options = {name: bool(query.get(name)) for name in SWITCHES if name != "exact"}
        page = traced.page(mode=mode, moves=True, **options)
    except Impossible:
        raise
    except Refused as refused:
        raise Impossible("of", refused) from None
    from opcheck.render import render

    return render(page.step, "html", fractions=bool(query.get("exact")))


@answers("traced-page")
def page(name: str, query: Query) -> Reply:
    """The trace as a page that needs nothing else."""
    return Reply(200, HTML, rendered(query), kept=True)


@answers("traced-form")
def form(name: str, query: Query) -> Reply:
    """The variables of the expression, and the command that prints the same."""
    import shlex

    page = rendered(query)
    what = read(query)
    given = what.given
    pairs = ",".join(f"{each}={word}" for each, word in given.items())
    words = ["opcheck", "trace", what.command, *(["--at", pairs] if pairs else [])]
    words += ["--mode", query["mode"]] if query.get("mode") else []
    words += [f"--{each}" for each in SWITCHES if query.get(each)]
    code = {"shell": shlex.join(words)}
    if what.command == what.text and what.text not in {op.name for op in every()}:
        values = ", ".join(f"{each!r}: {word}" for each, word in given.items())
        code["python"] = f"import opcheck\n\nprint(opcheck.trace({what.text!r}, at={{{values}}}))"
    return data({"fields": {}, "variables": given, "code": code}, kept=True)._replace(page=page)


@answers("trace")
def workbench(name: str, query: Query) -> Reply:
    """The form of an expression with the page of its trace beside it."""
    told, status = "", 200
    try:
        text, given, *_ = read(query)
    except Refused as refused:
        told, status, text, given = spoken(refused), 400, query.get("of", ""), {}
    address = urlencode({each: word for each, word in query.items() if word})
    shown = forms.template("trace.html.jinja").render(
        names=[*NUMBERS, *map(called, every())],
        text=text,
        given=given,
        query=query,
        told=told,
        address=address,
        here="trace",
        modes=MODES,
        at=AT,
    )
    return Reply(status, HTML, shown)
