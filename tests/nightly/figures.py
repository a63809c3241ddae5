"""What a nightly run prints: a line for each run as it ends, and a table of all of them."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.nightly.schedule import Journal, Run, Tally, Work, hours_to_floors


def tell(run: Run) -> None:
    """One line; what failed is told whole at the end."""
    what = run.unavailable or ("FAILED" if run.failed else "")
    click.echo(f"{run.work}: {run.done:,} in {run.seconds:.0f} s, seed {run.seed} {what}".rstrip())


def kept(path: Path) -> list[Run]:
    journal = Journal(path)
    journal.resume()
    return journal.runs


def table(works: Sequence[Work], done: dict[str, Tally], jobs: int) -> Table:
    """One row for each kind of work."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("what", no_wrap=True)
    for heading in ("cases", "least of one", "floor of one", "met", "a second", "hours to go", "failed"):
        shown.add_column(heading, justify="right")
    for kind in dict.fromkeys(work.kind for work in works):
        group = [work for work in works if work.kind == kind]
        tallies = [done[work.name] for work in group]
        cases, seconds = sum(each.done for each in tallies), sum(each.seconds for each in tallies)
        met = sum(tally.done >= work.floor for work, tally in zip(group, tallies, strict=True))
        unknown = any(not each.rate for each in tallies)
        shown.add_row(
            kind, f"{cases:,}", f"{min(each.done for each in tallies):,}", f"{max(work.floor for work in group):,}",
            f"{met} of {len(group)}", f"{cases / seconds:.1f}" if seconds else "–",
            ("> " if unknown else "") + f"{hours_to_floors(group, done, jobs):.1f}",
            str(sum(len(each.failed) for each in tallies)),
        )  # fmt: skip
    return shown


def show(works: Sequence[Work], done: dict[str, Tally], jobs: int, folder: Path) -> None:
    """The figures, what failed with its output, and whether a release may follow."""
    console = Console(highlight=False, soft_wrap=True, width=max(120, Console().width))
    for tally in done.values():
        for run in tally.failed:
            console.print(f"\nFAILED {run.work}, seed {run.seed}, {run.asked} cases\n{run.failed}", markup=False)
    console.print()
    console.print(table(works, done, jobs))
    for why in dict.fromkeys(tally.unavailable for tally in done.values() if tally.unavailable):
        console.print(f"not run: {why}", markup=False)
    missing = sum(done[work.name].done < work.floor for work in works)
    floors = f"{missing} of {len(works)} floors are not met yet" if missing else "all floors of a release are met"
    console.print(f"{sum(each.done for each in done.values()):,} cases; {floors}; kept in {folder}", markup=False)
