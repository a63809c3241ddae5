"""Who watches a run: it is told what is about to happen, so that it knows what a process died of."""

from typing import TYPE_CHECKING

from opcheck.verification.casefile import Trial

if TYPE_CHECKING:
    from opcheck.verification.report import Report


class Watcher:
    """Told before each step; this one watches nothing."""

    replaces = False  # whether another process goes on where this one is lost

    def about_to(self, index: int) -> bool:
        """The trial of this index begins; whether to go on."""
        return True

    def runs(self, trial: Trial) -> None:
        """What is left of it, where the implementation does not take all of it."""

    def asks(self, claim: str, layout: str, frozen: tuple[str, ...] = ()) -> None:
        """The implementation is asked about a claim, with its inputs in such memory, of which some need no gradient."""

    def found(self, report: "Report") -> None:
        """What was found in all trials before this one."""


NOBODY = Watcher()
