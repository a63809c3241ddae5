"""An expression as a trace: `of=ln(x1)+x1*x2&at.x1=2`. The parser of traces reads it, which evaluates nothing."""

from urllib.parse import urlencode

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.traces import trace
from opcheck.traces.given import value
from opcheck.traces.scalar.expression import parse
from opcheck.web import forms
from opcheck.web.exercise import Impossible
from opcheck.web.reply import HTML, Query, Reply, answers, data, spoken

FIRST = "ln(x1) + x1*x2 - sin(x2)", {"x1": "2", "x2": "5"}  # Baydin et al., "Automatic differentiation", table 2
MODES = ("both", "forward", "reverse")
SWITCHES = ("exact", "jacobian", "hessian", "step")
LONGEST = 400  # characters
AT = "at."


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


def rendered(query: Query) -> str:
    """The page of the trace; raises Refused."""
    text, given = numbers(query)
    exact = bool(query.get("exact"))
    at = {}
    for name, word in given.items():
        try:
            if "@" in word or ":" in word or "[" in word:
                raise Refused(say("{name} must be a number, such as 2, 1/3 or pi/2", name=name), got=repr(word[:40]))
            at[name] = value(name, word, exact)
        except Refused as refused:
            raise Impossible(AT + name, Refused(refused.rule, got=refused.got)) from None
    mode = query.get("mode") or "both"
    if mode not in MODES:
        raise Impossible(
            "mode", Refused(say("the mode must be one of {names}", names=", ".join(MODES)), got=repr(mode[:40]))
        )
    try:
        traced = trace(text, at, exact=exact)
        options = {name: bool(query.get(name)) for name in SWITCHES if name != "exact"}
        page = traced.page(mode=mode, moves=True, **options)
    except Refused as refused:
        raise Impossible("of", refused) from None
    from opcheck.render import render

    return render(page.step, "html", fractions=exact)


@answers("traced-page")
def page(name: str, query: Query) -> Reply:
    """The trace as a page that needs nothing else."""
    return Reply(200, HTML, rendered(query), kept=True)


@answers("traced-form")
def form(name: str, query: Query) -> Reply:
    """The variables of the expression, and the command that prints the same."""
    import shlex

    page = rendered(query)
    text, given = numbers(query)
    at = ",".join(f"{each}={word}" for each, word in given.items())
    words = ["opcheck", "trace", text, *(["--at", at] if at else [])]
    words += ["--mode", query["mode"]] if query.get("mode") else []
    words += [f"--{each}" for each in SWITCHES if query.get(each)]
    python = (
        f"import opcheck\n\nprint(opcheck.trace({text!r}, at={{{', '.join(f'{k!r}: {v}' for k, v in given.items())}}}))"
    )
    code = {"shell": shlex.join(words), "python": python}
    return data({"fields": {}, "variables": given, "code": code}, kept=True)._replace(page=page)


@answers("trace")
def workbench(name: str, query: Query) -> Reply:
    """The form of an expression with the page of its trace beside it."""
    told, status = "", 200
    try:
        text, given = numbers(query)
    except Refused as refused:
        told, status, text, given = spoken(refused), 400, query.get("of", ""), {}
    address = urlencode({each: word for each, word in query.items() if word})
    shown = forms.template("trace.html.jinja").render(
        text=text, given=given, query=query, told=told, address=address, here="trace", modes=MODES, at=AT
    )
    return Reply(status, HTML, shown)
