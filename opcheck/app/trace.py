"""`opcheck trace EXPR --at x1=2,x2=5`: the tables of automatic differentiation, for an expression or a program."""

import builtins
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from opcheck.app import completion
from opcheck.app.output import format_of, output_options, page_width, show, write
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.steps import Block

PROGRAM = re.compile(r"(.+\.py):(\w+)")
MODES = ("forward", "reverse", "both")
GRAPHS = ("text", "dot", "mermaid", "svg")


@click.command(
    "trace",
    help="The tables of automatic differentiation, for an expression or a program.\n\n"
    "WHAT is an expression, FILE.py:NAME for a Python function of numbers or of arrays, or an operator's name.\n\n"
    'Try: opcheck trace "ln(x1)+x1*x2-sin(x2)" --at x1=2,x2=5',
)
@click.argument("what", shell_complete=completion.operators)
@click.argument("more", nargs=-1, metavar="")
@click.option(
    "--at", "at", multiple=True, metavar="X=2,Y=5", help="The inputs: 2, 1/3, pi/2, or an array as in opcheck explain."
)
@click.option("--mode", type=click.Choice(MODES), default="both", help="Which sweeps to show.  [default: both]")
@click.option("--wrt", metavar="X,Y", help="Differentiate with respect to these inputs only.")
@click.option(
    "--step",
    is_flag=True,
    help="One step per line, in order of execution, instead of tables (tables of arrays are in that order already).",
)
@click.option("--exact", is_flag=True, help="Fractions where possible, and sympy's derivative as a formula.")
@click.option("--check", is_flag=True, help="Check against sympy and torch too.")
@click.option(
    "--passes", type=click.IntRange(1, 9), default=1, help="Number of backward passes; their gradients accumulate."
)
@click.option("--seed", type=float, default=1.0, help="The adjoint that reverse mode starts with.  [default: 1]")
@click.option("--jacobian", is_flag=True, help="All derivatives as a matrix, and how many sweeps each mode needs.")
@click.option("--hessian", is_flag=True, help="All second derivatives, by forward over reverse.")
@click.option("--hvp", metavar="X=1,Y=0", help="The Hessian times this direction.")
@click.option("--graph", type=click.Choice(GRAPHS), help="Only the computational graph, in this format.")
@click.option("--all", "everything", is_flag=True, help="Leave nothing out.")
@output_options
def command(what: str, more: tuple[str, ...], at: tuple[str, ...], wrt: str | None, **options: Any) -> None:
    if more:
        raise alone(what, more, at)
    traced = traced_of(what, texts("--at", at), None if wrt is None else wrt.split(","), options["exact"])
    if options["graph"]:
        write(traced.draw(options["graph"]), options["output"])
        return
    format = format_of(options)
    if format == "json":
        write(traced.to_json(), options["output"])
        return
    wanted = {
        name: options[name] for name in ("mode", "step", "check", "passes", "seed", "jacobian", "hessian", "everything")
    }
    room = page_width(options["width"]) if format == "text" and not options["plain"] else 0
    moves = format == "html"
    page = traced.page(
        **wanted, room=room, moves=moves, hvp=inputs("--hvp", (options["hvp"],)) if options["hvp"] else None,
        closed=closed_forms(what, texts("--at", at), traced, options["seed"]),
    )  # fmt: skip
    show(page.step, options, fractions=options["exact"])
    if page.differs:
        click.get_current_context().exit(1)


def traced_of(what: str, words: Mapping[str, str], wrt: list[str] | None, exact: bool) -> Any:
    """The trace of an expression, of a function of a file, or of an operator: a name alone that has no value."""
    from opcheck.traces import load, trace

    program = PROGRAM.fullmatch(what)
    op = operator_called(what) if what.isidentifier() and what not in words else None
    if op is not None:
        from opcheck.filling import operator_trace

        if exact:
            raise Refused(say("exact numbers need a function of numbers, and this one takes arrays"))
        return operator_trace(op, words, wrt)
    function = load(Path(program[1]), program[2]) if program else what
    given = values(words, exact)
    if callable(function) and is_incomplete(function, given):
        from opcheck.filling import completed

        function, given = completed(what, function, given)
    return trace(function, given, wrt=wrt, **({"exact": True} if exact else {}))


def closed_forms(what: str, words: Mapping[str, str], traced: Any, seed: float) -> Sequence[Block]:
    """The gradients as a textbook writes them, of the operator that is traced or of those that a program calls."""
    from opcheck.traces.scalar.trace import Trace

    if isinstance(traced, Trace):
        return ()
    from opcheck import filling
    from opcheck.app import closed

    op = operator_called(what) if what.isidentifier() else None
    return closed.of_calls(traced, seed) if op is None else closed.of_operator(op, filling.operator_case(op, words))


def is_incomplete(function: Callable[..., Any], given: dict[str, Any]) -> bool:
    """Whether this is a spec (a class, or a function whose arrays are annotated with shapes) that leaves something
    open: an array that was not given, or which arrays are classes."""
    if isinstance(function, type):
        return True
    notes = getattr(function, "__annotations__", {}).items()
    shapes = {name: note for name, note in notes if isinstance(note, str) and not hasattr(builtins, note.strip("'\""))}
    return any(name not in given or "<" in note for name, note in shapes.items())


def alone(what: str, more: tuple[str, ...], at: tuple[str, ...]) -> Refused:
    """The message for words besides the expression: inputs without commas between them, or an expression without
    quotes."""
    if all("=" in word for word in more):
        joined = ",".join([*(word.rstrip(", ") for word in at), *more])
        return Refused(
            say("write the inputs without spaces, separated by commas"),
            got=" ".join(more),
            fix=say("--at {joined}", joined=joined),
        )
    whole = " ".join([what, *more])
    return Refused(
        say("the expression must be one argument"),
        got=whole,
        fix=say('put it in quotes: opcheck trace "{whole}"', whole=whole),
    )


def inputs(flag: str, words: tuple[str, ...]) -> dict[str, Any]:
    """The numbers and arrays of --hvp x1=2,x2=5 --hvp w=[[1,2],[3,4]]; raises Refused."""
    return values(texts(flag, words))


def values(words: Mapping[str, str], exact: bool = False) -> dict[str, Any]:
    """The values of inputs given as text; raises Refused."""
    from opcheck.traces.given import value

    return {name: value(name, text, exact) for name, text in words.items()}


def texts(flag: str, words: tuple[str, ...]) -> dict[str, str]:
    """The text of each input: of --at x1=2,x2=5 they are "2" and "5"; raises Refused."""
    found: dict[str, str] = {}
    for word in words:
        for part in re.split(r",(?=\s*[^\W\d]\w*\s*=)", word):
            name, sign, text = (piece.strip() for piece in part.partition("="))
            if not sign or not name.isidentifier():
                raise Refused(say("{flag} takes a value for each input: {flag} x1=2,x2=5", flag=flag), got=repr(part))
            if name in found:
                raise Refused(say("{flag} gives {name} two values", flag=flag, name=name), got=", ".join(words))
            found[name] = text
    return found


def operator_called(name: str) -> Any:
    """The operator of the catalogue of that name; None if there is none."""
    from opcheck.operators import catalog

    try:
        return catalog.get(name)
    except catalog.UnknownOperator:
        return None
