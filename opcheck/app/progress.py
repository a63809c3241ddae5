"""How far `opcheck verify` is, on stderr: a bar on a terminal, else a line now and then."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from opcheck import specs
from opcheck.language import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

EVERY = 30.0  # seconds between two lines of a log


class Progress:
    """While the block runs: operator, dtype, cases that are done, time."""

    def __init__(self) -> None:
        self.began = self.told = time.monotonic()
        self.counts: dict[tuple[str, str], tuple[int, int]] = {}  # cases that are done, and how many there are
        self.bar: Bar | None = None

    def __call__(self, op: str, dtype: str, done: int, total: int) -> None:
        self.counts[op, dtype] = done, total
        name = say("{op} {dtype}", op=specs.title(op), dtype=dtype)
        now = time.monotonic()
        elapsed = f"{now - self.began:.0f}"
        if self.bar is not None:
            every = [each for _, each in self.counts.values()]
            self.bar.update(
                self.bar.task_ids[0], completed=sum(each for each, _ in self.counts.values()),
                total=sum(every) if all(every) else None, counts=say("{name}, {n} s", name=name, n=elapsed),
            )  # fmt: skip
        elif now - self.told >= EVERY:
            self.told = now
            click.echo(self.line(name, done, total, elapsed), err=True)

    def line(self, name: str, done: int, total: int, elapsed: str) -> str:
        """What a log shows."""
        if not total:
            return say("opcheck: {name}, {done} cases done after {n} s", name=name, done=done, n=elapsed)
        return say("opcheck: {name}, {done} of {total} cases done after {n} s", name=name, done=done, total=total,
                   n=elapsed)  # fmt: skip

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from opcheck.grading.classes.progress import bar

            self.bar = bar()
            self.bar.add_task("", total=None, counts="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
