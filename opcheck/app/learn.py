"""`opcheck learn`: the lessons, in the terminal, with what they show run before the reader's eyes."""

import contextlib

import click

from opcheck.app.terminal import Terminal
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning import shelf
from opcheck.learning.progress import Progress, default_path
from opcheck.learning.shelf import Entry


@click.command("learn", help="Lessons with live code: read, press Enter, answer.\n\nLESSON is a number or a name.")
@click.argument("wanted", metavar="[LESSON]", required=False)
@click.option("--list", "listing", is_flag=True, help="List the lessons and your progress.")
@click.option("--reset", is_flag=True, help="Reset your progress, in LESSON or in all lessons.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour.")
@click.option("--width", type=click.IntRange(20, 1000), help="Width in columns.  [default: the terminal's, or 80]")
def command(wanted: str | None, listing: bool, reset: bool, color: str, width: int | None) -> None:
    entry = None if wanted is None else shelf.find(wanted)
    progress = Progress(default_path())
    if reset:
        progress.forget(entry and entry.name)
        what = say("all lessons") if entry is None else say("lesson {n}", n=entry.number)
        click.echo(say("Progress in {what} was reset.", what=what))
    elif listing:
        show_list(progress)
    else:
        from opcheck.learning.screen import Quit

        with contextlib.suppress(Quit):
            lessons(Terminal(color, width), progress, entry)
    if progress.trouble:
        click.echo(say("opcheck: progress cannot be saved: {trouble}", trouble=progress.trouble), err=True)


def show_list(progress: Progress) -> None:
    """One line per lesson: a sign for how far, the number, the title."""
    for entry in shelf.every():
        mark = progress.of(entry.name)
        if mark.finished:
            state = say("done, {right} of {all} right", right=mark.right, all=mark.questions)
        else:
            state = say("{percent} % read", percent=100 * mark.part // mark.parts) if mark.part else ""
        click.echo(f"{entry.number:3}  {entry.title}{f'  ({state})' if state else ''}")


def lessons(screen: Terminal, progress: Progress, entry: Entry | None) -> None:
    """The lesson that was asked for; without one, the menu after each lesson."""
    from opcheck.learning.tutor import Tutor

    if entry is not None:
        mark = Tutor(entry, screen, progress).teach()
        screen.tell(
            say("That was lesson {n}: {right} of {all} right.", n=entry.number, right=mark.right, all=mark.questions)
        )
        return
    while (entry := chosen(screen, progress)) is not None:
        lessons(screen, progress, entry)


def chosen(screen: Terminal, progress: Progress) -> Entry | None:
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
