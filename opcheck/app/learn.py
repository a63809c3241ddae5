"""`opcheck learn`: the lessons, in the terminal, with what they show run before the reader's eyes."""

import contextlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from opcheck.app.output import page_width, speaks_unicode, wants_color
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning import shelf
from opcheck.learning.progress import Progress, default_path
from opcheck.learning.shelf import Entry
from opcheck.render.signs import to_ascii

INDENT = "  "  # of code; what a command prints has the whole width
DRAWN = str.maketrans("═─╌•▌", "=--*|")  # rules, bullets and quotations in ASCII


@click.command("learn", help="Lessons that run: read, press Enter, answer.\n\nLESSON is a number or a name.")
@click.argument("wanted", metavar="[LESSON]", required=False)
@click.option("--list", "listing", is_flag=True, help="The lessons and how far you are.")
@click.option("--reset", is_flag=True, help="Forget how far you are, in LESSON or in all.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour.")
@click.option("--width", type=click.IntRange(20, 1000), help="Columns of the page.  [default: the terminal's, or 80]")
def command(wanted: str | None, listing: bool, reset: bool, color: str, width: int | None) -> None:
    entry = None if wanted is None else shelf.find(wanted)
    progress = Progress(default_path())
    if reset:
        progress.forget(entry and entry.name)
        what = say("all lessons") if entry is None else say("lesson {n}", n=entry.number)
        click.echo(say("Forgotten: how far you were in {what}.", what=what))
    elif listing:
        show_list(progress)
    else:
        from opcheck.learning.tutor import Quit

        with contextlib.suppress(Quit):
            lessons(Terminal(color, width), progress, entry)
    if progress.trouble:
        click.echo(say("opcheck: progress is not kept: {trouble}", trouble=progress.trouble), err=True)


def show_list(progress: Progress) -> None:
    """One line a lesson: a sign for how far, the number, the title."""
    for entry in shelf.every():
        mark = progress.of(entry.name)
        if mark.finished:
            state = say("done, {right} of {all} right", right=mark.right, all=mark.questions)
        else:
            state = say("{percent} % read", percent=100 * mark.part // mark.parts) if mark.part else ""
        click.echo(f"{entry.number:3}  {entry.title}{f'  ({state})' if state else ''}")


def lessons(screen: "Terminal", progress: Progress, entry: Entry | None) -> None:
    """The lesson that was asked for; without one, the menu again and again."""
    from opcheck.learning.tutor import Tutor

    if entry is not None:
        mark = Tutor(entry, screen, progress).teach()
        screen.tell(
            say("That was lesson {n}: {right} of {all} right.", n=entry.number, right=mark.right, all=mark.questions)
        )
        return
    while (entry := chosen(screen, progress)) is not None:
        lessons(screen, progress, entry)


def chosen(screen: "Terminal", progress: Progress) -> Entry | None:
    """What the reader picks from the menu; None to leave."""
    show_list(progress)
    following = next((each for each in shelf.every() if not progress.of(each.name).finished), None)
    offered = say("Enter for {n}, ", n=following.number) if following else ""
    while (line := screen.ask(say("lesson ({offered}q quits): ", offered=offered))) is not None:
        word = line.strip()
        if word.lower() in ("q", "quit"):
            return None
        if not word and following is not None:
            return following
        try:
            return shelf.find(word)
        except Refused as error:
            screen.tell(str(error))
    return None


class Terminal:
    """A Screen on stdin and stdout; on a pipe it pauses nowhere and reads the answers line by line."""

    def __init__(self, color: str, width: int | None) -> None:
        from rich.console import Console
        from rich.theme import Theme

        tty = sys.stdout.isatty()
        self.color = wants_color(color, tty)
        self.interactive = tty and sys.stdin.isatty()
        self.unicode = speaks_unicode(None)
        self.last = ""  # what was shown last
        self.console = Console(
            file=sys.stdout,
            width=page_width(width),
            force_terminal=self.color,
            color_system="auto" if self.color else None,
            highlight=False,
            theme=Theme({"markdown.code": "cyan"}),
        )

    def markdown(self, text: str) -> None:
        from opcheck.app.markdown import markdown

        self._show(markdown(text))

    def _show(self, *what: Any, **style: Any) -> None:
        self._begin("prose")
        with self.console.capture() as captured:
            self.console.print(*what, **style)
        lines = (line.rstrip() for line in captured.get().strip("\n").split("\n"))  # rich pads them with spaces
        self._write(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)))

    def _write(self, text: str) -> None:
        click.echo(text if self.unicode else to_ascii(text.translate(DRAWN)), color=self.color)

    def code(self, text: str) -> None:
        self._begin("code")
        for line in text.rstrip("\n").split("\n"):
            shown = f"{INDENT}{line}".rstrip()
            self._write(click.style(shown, fg="cyan") if self.color else shown)

    def printed(self, text: str) -> None:
        for line in text.split("\n") if text else ():
            self._write(f"{INDENT}{line}".rstrip())

    def tell(self, text: str) -> None:
        self._show(text, style="bold", markup=False)

    def pause(self, prompt: str, within_code: bool) -> str:
        if not self.interactive:
            return ""
        self._begin("code" if within_code else "prose")
        typed = self._line(prompt) or ""
        if self.color:
            click.echo("\x1b[1A\x1b[2K", nl=False, color=True)  # the prompt has served and goes
            self.last = "code" if within_code else ""
        return typed

    def ask(self, prompt: str) -> str | None:
        self._begin("prose")
        self.last = ""
        return self._line(prompt)

    def _line(self, prompt: str) -> str | None:
        try:
            line = input(prompt)
        except EOFError:
            click.echo()
            return None
        if not self.interactive:
            click.echo(line)  # so that the transcript shows it
        return line

    def _begin(self, kind: str) -> None:
        """An empty line between prose and prose, and between prose and code; none within code or after a prompt."""
        if self.last and not (kind == self.last == "code"):
            click.echo()
        self.last = kind

    def command(self, line: str, directory: Path) -> None:
        """In this process: it starts at once, and the terminal's width and colour are its own."""
        from opcheck.app import run

        reading = shelf.reading.set(True)
        try:
            with contextlib.chdir(directory), contextlib.redirect_stderr(sys.stdout):  # a refusal is part of the lesson
                run(shlex.split(line)[1:])
        finally:
            shelf.reading.reset(reading)
        self.last = "output"
