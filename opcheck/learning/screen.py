"""What lessons and practice share: a screen, a few words, a prompt."""

from pathlib import Path
from typing import Protocol

from opcheck.language import say
from opcheck.steps import Block

HINT, SKIP, QUIT = ("h", "hint"), ("s", "skip"), ("q", "quit")


class Quit(Exception):
    """The reader stops here; what was read is kept."""


class Screen(Protocol):
    """Where a lesson is shown and where its reader answers."""

    def markdown(self, text: str) -> None:
        """Shows prose."""

    def document(self, blocks: tuple[Block, ...]) -> None:
        """Shows a part of a worked calculation."""

    def code(self, text: str) -> None:
        """Shows what runs, or is about to run."""

    def printed(self, text: str) -> None:
        """Shows what a block printed."""

    def tell(self, text: str) -> None:
        """Says something about the answer, or about the lesson."""

    def pause(self, prompt: str, within_code: bool) -> str:
        """Waits until the reader presses Enter, if there is a reader who can; returns what was typed."""

    def ask(self, prompt: str) -> str | None:
        """A line from the reader; None if there will be no more."""

    def command(self, line: str, directory: Path) -> None:
        """Runs `opcheck ...` and shows what it prints."""


def prompt(hints: int) -> str:
    """What a question ends with; `hints`: how many are left."""
    if not hints:
        return say("answer (s skips, q quits): ")
    return say("answer (h: a hint, {n} left; s skips, q quits): ", n=hints)
