"""What opcheck raises on purpose: an argument that is not allowed, and a machine that cannot do it."""

from opcheck.language import say


class Refused(ValueError):
    """Bad input: the rule that it breaks, what was given, and what to do. Where torch refuses, so does opcheck."""

    def __init__(self, rule: str, *, got: str = "", fix: str = "") -> None:
        self.rule, self.got, self.fix = rule, got, fix
        super().__init__(". ".join(part for part in (rule, got and say("Got {got}", got=got), fix) if part))


class RefusedType(Refused, TypeError):
    """A Refused argument whose type is wrong."""


class CouldNotRun(RuntimeError):
    """This machine lacks something: an extra, a device, a sandbox. The message says what to install or do."""
