"""Progress of grading a class: one line with counts on a terminal."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opcheck.grading.results import Outcome, Result
from opcheck.language import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


def bar(wanted: bool | None = None) -> "Bar":
    """A bar on stderr, with what its tasks have in `counts`. `wanted` None: only if stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    class Quiet(Bar):
        """A bar that nobody sees ends without the empty line that rich before 13.8 prints."""

        def stop(self) -> None:
            if not self.disable:
                super().stop()

    shown = sys.stderr.isatty() if wanted is None else wanted
    counts = TextColumn("{task.fields[counts]}", markup=False)
    columns = (BarColumn(24), MofNCompleteColumn(), counts, TimeRemainingColumn(compact=True))
    console = Console(stderr=True, force_terminal=True if wanted else None)
    return Quiet(*columns, console=console, disable=not shown, transient=True)


class Progress:
    """A bar on stderr while the block runs. `wanted` None: only if stderr is a terminal."""

    def __init__(self, total: int, wanted: bool | None = None) -> None:
        self._full = self._some = self._none = self._trouble = self._reused = self._failed = 0
        self._bar = bar(wanted)
        self._task: TaskID = self._bar.add_task("", total=total, counts="")

    def graded(self, result: Result) -> None:
        """One more result."""
        outcomes = {check.outcome for check in result.checks}
        if result.score >= result.points:
            self._full += 1
        elif result.score > 0:
            self._some += 1
        else:
            self._none += 1
        self._trouble += bool(
            outcomes & {Outcome.CRASHED, Outcome.CRASHED_ALWAYS, Outcome.TOO_SLOW, Outcome.DOES_NOT_LOAD}
        )
        self._advance()

    def reused(self) -> None:
        """One more that was in the journal."""
        self._reused += 1
        self._advance()

    def failed(self) -> None:
        """One more that could not be graded."""
        self._failed += 1
        self._advance()

    @property
    def counts(self) -> str:
        """What stands beside the bar."""
        parts = [
            (self._full, say("full marks")),
            (self._some, say("part")),
            (self._none, say("no points")),
            (self._trouble, say("crash or do not load")),
            (self._reused, say("from the journal")),
            (self._failed, say("not graded")),
        ]
        return " · ".join(f"{n} {what}" for n, what in parts if n)

    def _advance(self) -> None:
        self._bar.update(self._task, advance=1, counts=self.counts)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
