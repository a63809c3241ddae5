"""What a nightly run does next, and how much of it: time is divided by rate.

Each piece of work has a floor, the cases that a release needs of it. Next comes the work that is furthest from its
floor, for about SLICE seconds at the rate that was measured: so what is slow gets more time, all come closer to their
floors together, and whenever a run ends its figures are balanced. Nothing here starts a process or reads a clock.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SLICE = 60.0  # seconds of one run where there is time enough: long against its start, short against a night


@dataclass(frozen=True)
class Work:
    """One thing of which there can always be more: cases of one operator against one peer, seeds, examples."""

    kind: str  # a line of the figures
    of: str  # operator or room
    floor: int  # cases that a release needs
    first: int  # cases to begin with, while the rate is not known
    most: int = 10**9  # cases of one run

    @property
    def name(self) -> str:
        return f"{self.kind} {self.of}"


@dataclass(frozen=True)
class Run:
    """A run of some work: how many cases were asked for, how many were done, in how many seconds, and what failed."""

    work: str
    seed: int
    asked: int
    done: int
    seconds: float
    failed: str = ""  # what it printed, if something is wrong
    unavailable: str = ""  # why it cannot run on this machine


@dataclass
class Tally:
    """All runs of one work so far."""

    done: int = 0
    seconds: float = 0.0
    runs: int = 0
    failed: list[Run] = field(default_factory=list)
    unavailable: str = ""

    def add(self, run: Run) -> None:
        self.done, self.seconds, self.runs = self.done + run.done, self.seconds + run.seconds, self.runs + 1
        self.failed += [run] if run.failed else []
        self.unavailable = run.unavailable

    @property
    def rate(self) -> float:
        """Cases a second, the start of the process included; 0 while it is not known."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def exhausted(self) -> bool:
        """Whether there is no more of it: its peer is missing, or what was asked for gave no case."""
        return bool(self.unavailable) or (self.runs > 0 and not self.done)


def tallies(works: Iterable[Work], runs: Iterable[Run]) -> dict[str, Tally]:
    """What was done of each work; runs of works that are no more are left out."""
    found = {work.name: Tally() for work in works}
    for run in runs:
        if run.work in found:
            found[run.work].add(run)
    return found


def shares(works: Sequence[Work], part: int, parts: int) -> list[Work]:
    """The works of one of several machines, with its share of each floor; the shares of all sum to the floors.

    What cannot be divided (a floor of 1) is dealt: each work begins its count at another machine.
    """
    found = []
    for k, work in enumerate(works):
        place = (part - 1 + k) % parts
        share = work.floor * (place + 1) // parts - work.floor * place // parts
        if share:
            found.append(Work(work.kind, work.of, share, work.first, work.most))
    return found


def slice_of(seconds: float, works: int, jobs: int) -> float:
    """How long one run should take: SLICE, or less where every work is to have its turn in a short time."""
    return min(SLICE, max(1.0, seconds * jobs / max(works, 1) / 2))


def upcoming(
    works: Sequence[Work], done: dict[str, Tally], running: Collection[str], left: float, each: float
) -> tuple[Work, int] | None:
    """The work that is furthest from its floor, and how many cases of it; None if nothing fits into the time left.

    `running`: works of which there is a run now. `left`: seconds for all; `each`: seconds that one run should take.
    """
    waiting = [work for work in works if not done[work.name].exhausted and work.name not in running]
    for work in sorted(waiting, key=lambda work: done[work.name].done / work.floor):
        cases = amount(work, done[work.name], left, each)
        if cases:
            return work, cases
    return None


def amount(work: Work, tally: Tally, left: float, each: float) -> int:
    """How many cases of a work take about `each` seconds, but no more than its floor still needs; 0 if none fits."""
    if not tally.runs:
        return min(work.first, work.most, work.floor)
    if tally.rate * left < 1:
        return 0
    fits = max(1, min(int(tally.rate * min(each, left)), work.most))
    missing = work.floor - tally.done
    return min(fits, missing) if missing > 0 else fits


def hours_to_floors(works: Iterable[Work], done: dict[str, Tally], jobs: int) -> float:
    """How long this machine would need for all cases that are missing, at the rates that were measured."""
    missing = ((max(0, work.floor - done[work.name].done), done[work.name].rate) for work in works)
    return sum(cases / rate for cases, rate in missing if rate) / jobs / 3600


class Journal:
    """The runs of one part, one JSON line each, written as each ends: what was stopped goes on from them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[Run] = []

    def resume(self) -> None:
        """Read the runs of before; a last line that was cut off is a run that did not end."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        self.runs = [Run(**json.loads(line)) for line in whole]
        if whole != lines:
            self.path.write_text("".join(whole), encoding="utf-8")

    def begin(self) -> None:
        """Start from nothing; what was there is kept beside it."""
        if self.path.exists():
            self.path.replace(self.path.with_name(f"{self.path.name}.before"))

    def add(self, run: Run) -> None:
        self.runs.append(run)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(asdict(run)) + "\n")
