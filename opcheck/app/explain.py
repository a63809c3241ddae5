"""`opcheck explain OP`: one subcommand per operator, its flags made from the declaration."""

from typing import Any

import click
import numpy as np

from opcheck import arrays, pictures, specs
from opcheck.app import Group
from opcheck.app.output import OPTIONS, format_of, show
from opcheck.language import say
from opcheck.learning import shelf
from opcheck.operators import catalog, fills
from opcheck.operators.spec import Input, Op, Param, Refused, Shape
from opcheck.steps import Prose, Step
from opcheck.tracing.rounding import UNIT_ROUNDOFF


def _cell(ctx: click.Context, param: click.Parameter, value: str | None) -> Shape | None:
    if value is None:
        return None
    try:
        return tuple(int(place) for place in value.split(",")) if value else ()
    except ValueError:
        raise Refused(say("--cell takes a position, such as 0,0,1,1"), got=repr(value)) from None


CALCULATION = (
    click.Option(["--grad"], is_flag=True, help="The gradient of every differentiable input."),
    click.Option(
        ["--upstream"],
        metavar="ARRAY",
        help="The upstream gradient.  [default: 1, 2, 3, ...; of a normalisation 1, −4, 9, −16, ...]",
    ),
    click.Option(["--cell"], callback=_cell, metavar="I,J,...", help="One element in full."),
    click.Option(["--all", "everything"], is_flag=True, help="Leave nothing out."),
    click.Option(["--exact"], is_flag=True, help="Fractions instead of decimals."),
    click.Option(
        ["--dtype"], type=click.Choice(list(UNIT_ROUNDOFF)), help="Result in this type, with its error bound."
    ),
    click.Option(["--got"], metavar="VALUE", help="Explain this observed number or array."),
    click.Option(["--printed-digits"], type=click.IntRange(0, 30), help="Decimals with which the inputs were printed."),
    click.Option(["--seed"], type=click.IntRange(0), help="Small random numbers instead of 1, 2, 3, ..."),
    click.Option(["--image"], metavar="FILE", help="A picture as input, in grey from 0 to 255."),
)


SET = click.Option(
    ["--set", "given"], multiple=True, metavar="NAME=VALUE", help="A parameter whose name is also an option's."
)
TAKEN = {
    *(option.name for option in (*CALCULATION, *OPTIONS)),
    *(flag.lstrip("-") for option in (*CALCULATION, *OPTIONS, SET) for flag in (*option.opts, *option.secondary_opts)),
}  # names that an argument of an operator cannot have as a flag


class Operators(Group):
    """Every operator of the catalogue is a subcommand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [op.name for op in catalog.every()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        return operator_command(specs.get(name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Operators"):
            formatter.write_dl([(op.name, op.summary) for op in catalog.every()])


command = Operators(
    name="explain",
    help="A step-by-step worked calculation of an operator.\n\n"
    f"An ARRAY is {arrays.FORMS}.\n\nTry: opcheck explain conv2d --input 4x4",
    options_metavar="",
    subcommand_metavar="OP [OPTIONS]",
)


def operator_command(op: Op) -> click.Command:
    """The subcommand of one operator."""

    def run(**options: Any) -> None:
        refuse_words(op, click.get_current_context().args)
        explain(op, options)

    own = [_option(argument) for argument in op.arguments if argument.name not in TAKEN]
    hidden = [argument.name for argument in op.arguments if argument.name in TAKEN]
    more = "".join(
        f" {say('Give {name} as --set {name}=VALUE: an option already has that name.', name=name)}" for name in hidden
    )
    return click.Command(
        op.name,
        params=[*own, *CALCULATION, SET, *OPTIONS],
        callback=run,
        help=f"{op.summary}\n\n{op.formula}",
        epilog=f"An ARRAY is {arrays.FORMS}. A VALUE of several numbers is 2,1.{more}",
        context_settings={
            "token_normalize_func": lambda flag: flag.replace("_", "-"),  # --kernel_size is torch's name
            "allow_extra_args": True,
        },
    )


def refuse_words(op: Op, words: list[str]) -> None:
    """Raises Refused for words that belong to no option."""
    if not words:
        return
    first = next((each for each in op.inputs if not each.optional), op.inputs[0]).name
    flags = [f"--{each.name.replace('_', '-')}" for each in op.arguments]
    likely = next((flag for flag in flags if flag.startswith("--grad")), f"--{first}")
    meant = likely if likely.startswith("--grad") and click.get_current_context().params.get("grad") else ""
    torn = any("]" in word for word in words)
    raise Refused(
        say("each value must follow its option; --grad, --all and --exact take no value"),
        got=" ".join(words),
        fix=say("quote a literal: '[1, 2]'")
        if torn and not meant
        else say("{flag} {word}?", flag=likely, word=words[0]),
    )


def _option(argument: Input | Param) -> click.Option:
    """The flag of an argument; the argument's kind checks its value, not click."""
    flag = f"--{argument.name.replace('_', '-')}"
    if isinstance(argument, Input):
        return click.Option([flag, argument.name], metavar="ARRAY", help=f"{argument.letters}: {argument.help}.")
    kind = argument.kind.describe()
    if kind == say("True or False"):
        return click.Option([f"{flag}/--no-{flag[2:]}", argument.name], default=None, help=f"{argument.help}.")
    return click.Option([flag, argument.name], metavar="VALUE", help=f"{argument.help}; {kind}.")


def explain(op: Op, options: dict[str, Any]) -> None:
    """Parses the arrays and parameters that were given and prints the explanation."""
    from opcheck.explanation import explain as explanation_of

    given: dict[str, Any] = {}
    shapes: dict[str, Shape] = {}
    sizes: dict[str, str] = {}  # arrays of classes: 2 may mean a class
    words = written(op, options)
    if options["image"] is not None:
        words[pictures.taking(op)] = "@" + options["image"]
    for argument in op.arguments:
        text = words.get(argument.name)
        if text is None:
            continue
        if isinstance(argument, Param):
            given[argument.name] = argument.kind.parse(argument.name, text) if isinstance(text, str) else text
        elif isinstance(value := arrays.parse(f"--{argument.name}", text, options["seed"] or 0), tuple):
            shapes[argument.name] = value
            if argument.whole and text.strip().isdigit():
                sizes[argument.name] = text.strip()
        else:
            given[argument.name] = value
    upstream = _upstream(op, options["upstream"], options["seed"])
    try:
        result = explanation_of(
            op.name,
            given=given,
            shapes=shapes,
            seed=options["seed"],
            cell=options["cell"],
            grad=options["grad"] or upstream is not None,
            upstream=upstream,
            all=options["everything"],
            exact=options["exact"],
            dtype=options["dtype"],
            got=_observed(options["got"]),
            printed_digits=options["printed_digits"],
        )
    except Refused as refused:
        meant = next((name for name in sizes if name in refused.rule), None)
        if meant is None:
            raise
        fix = say("--{name} {n} is an array of {n} numbers; one class is --{name} [{n}]", name=meant, n=sizes[meant])
        raise type(refused)(refused.rule, got=refused.got, fix=fix) from None
    show(with_hints(result.document(format_of(options)), op.name), options, fractions=options["exact"])


def written(op: Op, options: dict[str, Any]) -> dict[str, Any]:
    """What was given for each argument: by its flag, or by --set."""
    words = {name: value for name, value in options.items() if name not in TAKEN}
    known = [argument.name for argument in op.arguments]
    for word in options["given"]:
        name, sign, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or name not in known:
            raise Refused(
                say("--set takes a parameter of {op} and its value: --set NAME=VALUE", op=op.title or op.name),
                got=repr(word),
                fix=say("its parameters are {names}", names=", ".join(known)),
            )
        words[name] = text.strip()
    return words


def with_hints(step: Step, operator: str) -> Step:
    """The document followed by the lessons that cover the operator, and its problems."""
    if shelf.reading.get():
        return step
    hints = []
    entries = shelf.treating(operator)
    if len(entries) == 1:
        hints.append(say("Lesson {n} covers it: opcheck learn {n}", n=entries[0].number))
    elif entries:
        numbers = ", ".join(str(entry.number) for entry in entries)
        hints.append(say("Lessons {numbers} cover it: opcheck learn {n}", numbers=numbers, n=entries[0].number))
    hints.append(say("Problems to try: opcheck practice {op}", op=operator))
    return step._replace(blocks=(*step.blocks, *(Prose(hint, "hint") for hint in hints)))


def _upstream(op: Op, text: str | None, seed: int | None) -> Any:
    """--upstream: an array, or the shape of one that holds what it holds by default."""
    if text is None:
        return None
    value = arrays.parse("--upstream", text, seed or 0)
    return fills.upstream(op.outputs[0], value) if isinstance(value, tuple) else value


def _observed(text: str | None) -> Any:
    """--got: a number or an array."""
    if text is None:
        return None
    if text.startswith(("[", "@")):
        return arrays.parse("--got", text, 0)
    try:
        return np.asarray(float(text))
    except ValueError:
        raise Refused(
            say("--got takes a number, or an array of the output's shape: [[1,2],[3,4]], @y.npy"), got=repr(text)
        ) from None
