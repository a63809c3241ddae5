"""`opcheck practice OP`: problems to solve with a pen, with checked answers."""

import secrets
import webbrowser
from html import escape
from pathlib import Path

import click

from opcheck import specs
from opcheck.app import completion
from opcheck.app.output import File, by_ending, open_page, page_width, speaks_unicode, write
from opcheck.errors import Refused
from opcheck.files import check_file
from opcheck.language import say
from opcheck.learning.drawing import LEVELS
from opcheck.learning.progress import default_path
from opcheck.operators import catalog
from opcheck.render import render
from opcheck.steps import Prose, Step, Table

SHEETS = ("html", "latex", "markdown")


@click.command(
    "practice",
    help="Problems with checked answers.\n\nWithout OP: the operators and your score. An answer is a number, a "
    "fraction, an array such as [[1,2],[3,4]] or a calculation such as 1*2+3*4; from a pipe, one per line.\n\n"
    "Try: opcheck practice conv2d",
)
@click.argument("wanted", metavar="[OP]", required=False, shell_complete=completion.operators)
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many problems.")
@click.option("--level", type=click.IntRange(1, 6),
              help="Level of the first problem, 1 to 5; of a whole worksheet, 1 to 6.")  # fmt: skip
@click.option("--worksheet", "sheet", type=click.IntRange(1, 200), metavar="N",
              help="A printable sheet of N exercises, and its answers. OP may also be mlp, mlp_loss, convnet or "
                   "attention.")  # fmt: skip
@click.option(
    "--format",
    "format",
    type=click.Choice(SHEETS),
    help="Format of the worksheet.  [default: what the ending of -o says, or html]",
)
@click.option(
    "-o", "output", type=File(), help="Write the worksheet to this file, and its answers to a second file beside it."
)
@click.option("--open", "opens", is_flag=True, help="Open the worksheet in a browser.")
@click.option("--grad", is_flag=True, help="Gradients only.")
@click.option("--seed", type=click.IntRange(0), help="Repeat the same problems.  [default: new ones]")
@click.option("--plain", is_flag=True, help="Words instead of drawing, for screen readers.")
@click.option("--ascii", is_flag=True, help="ASCII only: no Σ, ⌊ or ·.")
@click.option("--width", type=click.IntRange(20, 1000), help="Width in columns.  [default: the terminal's, or 80]")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour.")
def command(
    wanted: str | None,
    count: int,
    level: int | None,
    sheet: int | None,
    format: str | None,
    output: Path | None,
    opens: bool,
    grad: bool,
    seed: int | None,
    plain: bool,
    ascii: bool,
    width: int | None,
    color: str,
) -> None:
    if sheet is not None:
        if wanted is None:
            raise Refused(
                say("which operator is the worksheet for?"), fix=say("opcheck practice conv2d --worksheet 20")
            )
        worksheet(wanted, sheet, secrets.randbelow(10**6) if seed is None else seed, level, format, output, opens)
        return
    if output is not None or opens:
        raise Refused(
            say("-o and --open are for worksheets"), fix=say("opcheck practice conv2d --worksheet 20 -o sheet.html")
        )
    if level is not None and level > LEVELS:
        raise Refused(say("the levels go from 1 to {n}", n=LEVELS), got=str(level))
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
    score = Practice(op, Terminal(color, width, ascii, plain), drawn, count, level or 1, grad).run()
    trouble = scores.add(default_path(FILE), op.name, score)
    if trouble:
        click.echo(say("opcheck: the score cannot be saved: {trouble}", trouble=trouble), err=True)


def worksheet(
    wanted: str, count: int, seed: int, level: int | None, format: str | None, output: Path | None, opens: bool
) -> None:  # fmt: skip
    """Writes a sheet, and its answers to their own file; to stdout, the answers after the sheet."""
    from opcheck.learning.worksheets import drawn, networks
    from opcheck.learning.worksheets.paper import printed

    format = format or by_ending(output, "html")
    if format not in SHEETS:
        raise Refused(say("a worksheet is written as {formats}", formats=", ".join(SHEETS)), got=str(output))
    sheet = drawn(networks.find(wanted) or specs.get(wanted), count, seed, level)
    exercises, answers = printed(sheet, format), printed(sheet, format, key=True)
    if output is None and opens:
        open_page(exercises if format == "html" else f"<pre>{escape(exercises)}</pre>", None)
        return
    if output is None:
        click.echo(f"{exercises}\n{answers}")
        return
    key = output.with_name(f"{output.stem}-answers{output.suffix}")
    check_file(key)
    write(exercises, output)
    write(answers, key)
    click.echo(say("opcheck: {sheet} and its answers, {key}", sheet=output, key=key), err=True)
    if opens:
        webbrowser.open(output.resolve().as_uri())


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
            Table((say("operator"), say("questions"), say("correct so far")), tuple(rows)),
            Prose(say("opcheck practice OP starts"), "note"),
        ),
    )
