"""`opcheck practice OP`: problems with checked answers, for somebody with a pen."""

import secrets

import click

from opcheck import specs
from opcheck.app.output import page_width, speaks_unicode
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning.drawing import LEVELS
from opcheck.learning.progress import default_path
from opcheck.operators import catalog
from opcheck.render import render
from opcheck.steps import Prose, Step, Table


@click.command(
    "practice",
    help="Problems with checked answers.\n\nWithout OP: what there is, and your score. An answer is a number, a "
    "fraction, an array such as [[1,2],[3,4]] or a calculation such as 1*2+3*4; on a pipe, one a line.\n\n"
    "Try: opcheck practice conv2d",
)
@click.argument("wanted", metavar="[OP]", required=False)
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many problems.")
@click.option(
    "--level", type=click.IntRange(1, LEVELS), default=1, show_default=True, help="How hard the first one is."
)
@click.option("--grad", is_flag=True, help="Gradients only.")
@click.option("--seed", type=click.IntRange(0), help="The same problems again.  [default: fresh ones]")
@click.option("--plain", is_flag=True, help="Words instead of drawing, for screen readers.")
@click.option("--ascii", is_flag=True, help="ASCII only: no Σ, ⌊ or ·.")
@click.option("--width", type=click.IntRange(20, 1000), help="Columns of the page.  [default: the terminal's, or 80]")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour.")
def command(
    wanted: str | None,
    count: int,
    level: int,
    grad: bool,
    seed: int | None,
    plain: bool,
    ascii: bool,
    width: int | None,
    color: str,
) -> None:
    if wanted is None:
        narrow = ascii or not speaks_unicode(None)
        click.echo(render(listing(), "text", width=page_width(width), ascii=narrow, plain=plain))
        return
    from opcheck.app.terminal import Terminal
    from opcheck.learning import scores
    from opcheck.learning.practice import FILE, Practice

    op = specs.get(wanted)
    if grad and not any(each.differentiable for each in op.inputs):
        raise Refused(say("{op} has no input that can be differentiated", op=op.name))
    drawn = secrets.randbelow(10**6) if seed is None else seed
    score = Practice(op, Terminal(color, width, ascii, plain), drawn, count, level, grad).run()
    trouble = scores.add(default_path(FILE), op.name, score)
    if trouble:
        click.echo(say("opcheck: the score is not kept: {trouble}", trouble=trouble), err=True)


def listing() -> Step:
    """The operators, with what was practised."""
    from opcheck.learning import scores
    from opcheck.learning.practice import FILE
    from opcheck.learning.problems import kinds

    known = scores.read(default_path(FILE))
    rows = []
    for op in catalog.every():
        mine = known.get(op.name)
        told = (
            ""
            if mine is None
            else say("{right}/{all}, level {level}", right=mine.right, all=mine.asked, level=mine.level)
        )
        rows.append((op.name, ", ".join(say(kind.value) for kind in kinds(op)), told))
    return Step(
        "",
        (
            Table((say("operator"), say("what is asked for"), say("right so far")), tuple(rows)),
            Prose(say("opcheck practice OP begins"), "note"),
        ),
    )
