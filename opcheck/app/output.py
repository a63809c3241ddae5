"""The options of every command that prints a document, and where its text goes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from opcheck import files
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say
from opcheck.render import FORMATS, render
from opcheck.steps import Step

F = TypeVar("F", bound=Callable[..., Any])


class Named(click.Path):
    """A file or folder that has a name: a variable of the shell that is empty does not mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "" and param is not None:
            option = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name.rstrip(".")
            raise Refused(say("{option} is empty", option=option), fix=say("name a file or a folder; . is this folder"))
        return super().convert(value, param, ctx)


class File(Named):
    """A file that the command writes: whether that works is checked before the work, not after it.

    `check`: the function of opcheck.files that finds out.
    """

    def __init__(self, check: Callable[[Path], None] = files.check_file) -> None:
        super().__init__(path_type=Path)
        self.check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path: Path = super().convert(value, param, ctx)
        self.check(path)
        return path


class Format(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """A document format. If the command also draws graphs, a graph format gets a hint."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        graph = next((each.type for each in ctx.command.params if each.name == "graph"), None) if ctx else None
        if isinstance(graph, click.Choice) and value in graph.choices and value not in self.choices:
            self.fail(say("{value!r} is a format for the graph only: use --graph {value}", value=value), param, ctx)
        return super().convert(value, param, ctx)


OPTIONS = (
    click.Option(
        ["--format", "format"],
        type=Format(FORMATS),
        help="What to print.  [default: what the ending of -o says, or text]",
    ),
    click.Option(["-o", "output"], type=File(), help="Write to this file."),
    click.Option(["--open", "opens"], is_flag=True, help="Open it in a browser, as a page."),
    click.Option(["--plain"], is_flag=True, help="Words instead of drawing, for screen readers."),
    click.Option(["--ascii"], is_flag=True, help="ASCII only: no Σ, ⌊ or ·."),
    click.Option(
        ["--width"], type=click.IntRange(20, 1000), help="Width in columns.  [default: the terminal's, or 80]"
    ),
    click.Option(["--color"], type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour."),
    click.Option(
        ["--precision"], type=click.IntRange(0, 50), default=4, show_default=True, help="Digits after the point."
    ),
)
NAMES = tuple(str(option.name) for option in OPTIONS)


def output_options(function: F) -> F:
    """Adds OPTIONS to a click command written as a decorated function."""
    if not hasattr(function, "__click_params__"):
        function.__click_params__ = []  # type: ignore[attr-defined]  # click's own place for them
    function.__click_params__.extend(reversed(OPTIONS))  # type: ignore[attr-defined]
    return function


def wants_color(color: str, stream_is_tty: bool) -> bool:
    """Precedence: flag, NO_COLOR, FORCE_COLOR, a tty that is not dumb."""
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream_is_tty and os.environ.get("TERM") != "dumb"


def page_width(width: int | None) -> int:
    """The flag, else COLUMNS, else the terminal, else 80."""
    if width is not None:
        return width
    if os.environ.get("COLUMNS", "").isdigit():
        return max(20, int(os.environ["COLUMNS"]))
    return max(20, _terminal_width()) if sys.stdout.isatty() else 80


def _terminal_width() -> int:
    """As from shutil, which would import four compression modules first."""
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80


def show(step: Step, options: dict[str, Any], fractions: bool = False) -> None:
    """Prints the document as the options say, or writes it to the file that they name."""
    output: Path | None = options["output"]
    tty = sys.stdout.isatty() and output is None
    narrow = not speaks_unicode(output)
    text = render(
        step,
        format_of(options),
        width=page_width(options["width"]),
        precision=options["precision"],
        fractions=fractions,
        ascii=options["ascii"] or narrow,
        plain=options["plain"],
        page=True,
        interactive=tty and not options["plain"],
        color=wants_color(options["color"], tty) and not options["plain"] and output is None,
    )
    if options["opens"]:
        open_page(text, output)
        return
    # what a web page or a Markdown file cannot say in a narrow encoding it says as &#8217;
    write(text.encode("ascii", "xmlcharrefreplace").decode("ascii") if narrow else text, output)


def format_of(options: dict[str, Any]) -> str:
    """The requested format; for a browser it is a page."""
    return "html" if options["opens"] else str(options["format"] or by_ending(options["output"], "text"))


ENDINGS = {".html": "html", ".htm": "html", ".tex": "latex", ".latex": "latex", ".md": "markdown", ".json": "json"}


def by_ending(output: Path | None, default: str) -> str:
    """The format that the name of a file asks for; raises Refused for a PDF, which a browser or LaTeX makes."""
    ending = output.suffix.lower() if output is not None else ""
    if output is not None and ending == ".pdf":
        raise Refused(
            say("no command writes a PDF"), got=str(output),
            fix=say("-o {page} is a page, and a browser prints it as a PDF", page=f"{output.stem}.html"),
        )  # fmt: skip
    return ENDINGS.get(ending, default)


def open_page(text: str, output: Path | None) -> None:
    """Writes the page and opens it in a browser; prints its path if there is none."""
    import tempfile
    import webbrowser

    if output is None:
        descriptor, name = tempfile.mkstemp(prefix="opcheck-", suffix=".html")
        os.close(descriptor)
        output = Path(name)
    write(text, output)
    click.echo(say("opcheck: the page is {path}", path=output), err=True)
    if not webbrowser.open(output.resolve().as_uri()):
        raise CouldNotRun(say("there is no browser to open it with"))


def speaks_unicode(output: Path | None) -> bool:
    """Files are UTF-8; a stream may be in a narrower encoding, which then gets ASCII rather than an error."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return output is not None or encoding.startswith("utf")


def write(text: str, output: Path | None) -> None:
    """To stdout, or to the file that an option names."""
    if output is None:
        click.echo(text, color=True)
    else:
        files.write(output, text + "\n")
