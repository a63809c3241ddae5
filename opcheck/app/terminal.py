"""The terminal as a screen for lessons and problems; on a pipe it never pauses and reads the answers line by line."""

import contextlib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from opcheck.app.output import page_width, speaks_unicode, wants_color
from opcheck.learning import shelf
from opcheck.learning.screen import Quit
from opcheck.render import render
from opcheck.render.signs import in_words, to_ascii
from opcheck.steps import Block, Step

INDENT = "  "  # of code; what a command prints has the whole width
DRAWN = str.maketrans("═─╌•▌", "=--*|")  # rules, bullets and quotations in ASCII


class Terminal:
    """A Screen on stdin and stdout. `ascii`: no other letters; `plain`: words instead of drawing, and no colour."""

    def __init__(self, color: str, width: int | None, ascii: bool = False, plain: bool = False) -> None:
        from rich.console import Console
        from rich.theme import Theme

        tty = sys.stdout.isatty()
        self.plain = plain
        self.color = wants_color(color, tty) and not plain
        self.interactive = tty and sys.stdin.isatty()
        self.unicode = speaks_unicode(None) and not ascii and not plain
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
        from opcheck.app.markdown import HELD, markdown

        self._write(self._shown(markdown(text)).replace(HELD, " "))

    def document(self, blocks: tuple[Block, ...]) -> None:
        self._begin("prose")
        options = {"ascii": not self.unicode, "plain": self.plain, "color": self.color}
        self._write(render(Step("", blocks), "text", width=self.console.width, **options))

    def _shown(self, *what: Any, **style: Any) -> str:
        self._begin("prose")
        with self.console.capture() as captured:
            self.console.print(*what, **style)
        lines = (line.rstrip() for line in captured.get().strip("\n").split("\n"))  # rich pads them with spaces
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))

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
        self._write(self._shown(in_words(text) if self.plain else text, style="bold", markup=False))

    def pause(self, prompt: str, within_code: bool) -> str:
        if not self.interactive:
            return ""
        self._begin("code" if within_code else "prose")
        typed = self._line(prompt) or ""
        if self.color:
            click.echo("\x1b[1A\x1b[2K", nl=False, color=True)  # the prompt is no longer needed
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
            if self.interactive:  # Ctrl-D
                raise Quit from None
            return None
        if not self.interactive:
            click.echo(line)  # so that the transcript shows it
        return line

    def _begin(self, kind: str) -> None:
        """An empty line between paragraphs, and between text and code; none within code or after a prompt."""
        if self.last and not (kind == self.last == "code"):
            click.echo()
        self.last = kind

    def command(self, line: str, directory: Path) -> None:
        """In this process: it starts at once. A refusal is part of the lesson."""
        from opcheck.app import run

        reading = shelf.reading.set(True)
        environ = dict(os.environ)
        os.environ |= {"COLUMNS": str(self.console.width), "NO_COLOR": "" if self.color else "1", "FORCE_COLOR": "1"}
        try:
            with contextlib.chdir(directory), contextlib.redirect_stderr(sys.stdout):
                run(shlex.split(line)[1:])
        finally:
            os.environ.clear()
            os.environ.update(environ)
            shelf.reading.reset(reading)
        self.last = "output"
