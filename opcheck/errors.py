"""The errors that opcheck raises on purpose: a refused argument, and a machine that lacks something."""

from opcheck.language import say

LONGEST = 500  # characters of a line of a message


def told(error: BaseException) -> str:
    """The message of an exception, or a note that it cannot be printed."""
    try:
        return shortened(str(error))
    except Exception:
        return say("(its message cannot be printed)")


def shortened(text: str) -> str:
    """Text as a message quotes it: only the beginning and the end of a very long line."""
    return "\n".join(
        line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 5 :]}"
        for line in text.split("\n")
    )


def pointed(text: str, start: int, end: int = 0) -> tuple[str, str]:
    """The line around a position in a text, with carets under that position."""
    first = max(0, start - LONGEST // 2) if len(text) > LONGEST else 0
    line = text[first : first + LONGEST]
    width = max(1, min(end, first + len(line)) - start)
    return line, " " * (start - first) + "^" * width


class Refused(ValueError):
    """Bad input: the rule that it breaks, what was given, and what to do. opcheck refuses whatever torch refuses."""

    def __init__(self, rule: str, *, got: str = "", fix: str = "") -> None:
        self.rule, self.got, self.fix = rule, got, fix
        super().__init__(". ".join(part for part in (rule, got and say("Got {got}", got=got), fix) if part))


class RefusedType(Refused, TypeError):
    """A Refused argument whose type is wrong."""


class CouldNotRun(RuntimeError):
    """This machine lacks something: an extra, a device, a sandbox. The message says what to install or do."""
