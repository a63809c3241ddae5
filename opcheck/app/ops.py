"""`opcheck ops`: the list of operators; `opcheck ops conv2d`: everything that is declared about one."""

from typing import Any

import click

from opcheck import specs
from opcheck.app import completion
from opcheck.app.output import output_options, show
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Op
from opcheck.steps import Block, Prose, Step, Table


@click.command()
@click.argument("op", required=False, shell_complete=completion.operators)
@click.option("--convention", metavar="NAME", help="A course's calling convention: cs231n, cmu, ... (opcheck grade).")
@output_options
def command(op: str | None, convention: str | None, **options: Any) -> None:
    """List the operators, or show one: signature, parameters, formula, mistakes, source.

    \b
    Try: opcheck ops conv2d
         opcheck ops conv2d --convention cs231n
         opcheck ops --convention cs231n
    """
    if convention is not None:
        from opcheck.app import signatures

        blocks = signatures.describe(op, convention) if op else signatures.listing(convention)
    else:
        blocks = describe(specs.get(op)) if op else listing()
    show(Step("", tuple(blocks)), options)


def listing() -> list[Block]:
    rows = tuple((op.name, op.summary) for op in catalog.every())
    return [Table((say("operator"), say("what it computes")), rows), Prose(say("opcheck ops OP shows one"), "hint")]


def describe(op: Op) -> list[Block]:
    """The declaration of one operator as a page."""
    blocks: list[Block] = [
        Prose(f"{op.title or op.name}{signature(op)}", "title"),
        Prose(op.summary),
        Prose(op.formula, "definition"),
    ]
    arrays = tuple(
        (spec.name, spec.symbol, spec.letters, spec.help + (say(" (optional)") if spec.optional else ""))
        for spec in op.inputs
    )
    blocks.append(Table((say("array"), say("symbol"), say("shape"), ""), arrays))
    if op.params:
        params = tuple((param.name, _default(param.default), param.help, param.kind.describe()) for param in op.params)
        blocks.append(Table((say("parameter"), say("default"), "", say("allowed")), params))
    if op.mistakes:
        mistakes = tuple((mistake.name, mistake.sentence) for mistake in op.mistakes)
        blocks.append(Table((say("known mistake"), say("what went wrong")), mistakes))
    if op.forms:
        forms = tuple((form.name, form.sentence, form.domain) for form in op.forms)
        blocks.append(Table((say("form"), say("where it loses accuracy"), say("as accurate as any where")), forms))
    return [*blocks, Prose(say("source: {source}", source=op.source), "note")]


def signature(op: Op) -> str:
    return str(op.signature)


def _default(value: Any) -> str:
    return say("required") if value is REQUIRED else str(value)
