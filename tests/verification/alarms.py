"""The hunt for false alarms: torch, and correct implementations in other orders and forms, over many cases.

    python -m tests.verification.alarms                         # nightly: 100,000 cases an operator, hours
    python -m tests.verification.alarms --cases 300 --seed 1    # a slice
    python -m tests.verification.alarms linear conv2d --only torch --dtype float64

Every operator of torch in every dtype runs its stream (and its whole small scope, as far as the number of cases
allows); every alternative runs its own. Chunk by chunk, so that memory stays small, an alarm ends nothing, and Ctrl-C
prints what was found so far. Exit code 1 if anything was accused.
"""

import itertools
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from opcheck import verify
from opcheck.operators import catalog
from opcheck.operators.program import derived_bounds
from opcheck.verification.report import Report, sentence
from opcheck.verification.streams import scope_size
from tests.verification.alternatives import Alternative, forms, orders_of

CHUNK = 500
MOST_NODES = (
    20_000  # of a call in another order: one case of sixteen had more, and took a hundred times the others' time
)


@dataclass(frozen=True)
class Job:
    """A chunk of cases of one implementation in one dtype."""

    op: str
    kind: str  # torch, torch small scope, orders, forms
    dtype: str
    cases: int
    seed: int
    alternative: Alternative | None = None


@dataclass
class Tally:
    """What was found for one kind of implementation of one operator."""

    cases: Counter[str] = field(default_factory=Counter)  # by dtype
    numbers: int = 0
    worst: float = 0.0
    known: int = 0
    alarms: list[str] = field(default_factory=list)

    def add(self, job: Job, report: Report) -> None:
        self.cases[job.dtype] += report.trials
        for row in report.rows.values():
            self.numbers += row.elements
            self.worst, self.known = max(self.worst, row.ratio), self.known + row.known
        name = job.alternative.name if job.alternative else job.kind
        for verdict in report.failures:
            address = verdict.trial.address if verdict.trial else ()
            self.alarms.append(f"{job.op} {job.dtype} {name} {verdict.claim} {address}: {sentence(verdict)}")


def run(job: Job, jobs: int) -> Report:
    """One chunk; the scope of torch is walked exhaustively, on exact inputs."""
    if job.alternative is None:
        exhaustive = job.kind == "torch scope"
        return verify(job.op, dtype=job.dtype, cases=job.cases, seed=job.seed, jobs=jobs, exhaustive=exhaustive)
    alternative = job.alternative
    return verify(
        job.op, alternative.function, arrays="numpy", dtype=job.dtype, cases=job.cases, seed=job.seed,
        claims=alternative.claims,
    )  # fmt: skip


def jobs_of(op: Any, dtype: str, cases: int, only: tuple[str, ...], seeds: Iterator[int]) -> Iterator[Job]:
    """All chunks of one operator in one dtype."""
    alternatives = [each for each in forms() if each.op == op.name]
    if "torch" in only:
        for first in range(0, cases, CHUNK):
            yield Job(op.name, "torch", dtype, min(CHUNK, cases - first), next(seeds))
        yield Job(op.name, "torch scope", dtype, min(cases, scope_size(op)), next(seeds))
    for kind, found in (("orders", list(orders_of(op, MOST_NODES))), ("forms", alternatives)):
        each = -(-cases // len(found)) if found else 0  # the cases of an operator are shared by its alternatives
        for alternative, first in itertools.product(found if kind in only else (), range(0, each, CHUNK)):
            yield Job(op.name, kind, dtype, min(CHUNK, each - first), next(seeds), alternative)


def hunt(jobs: list[Job], processes: int = 0, progress: Progress | None = None) -> tuple[dict[Any, Tally], bool]:
    """Run every chunk; what was found by (operator, kind), and whether it was interrupted."""
    found: dict[Any, Tally] = {}
    task = progress.add_task("", total=len(jobs)) if progress else None
    try:
        for job in jobs:
            if progress and task is not None:
                progress.update(task, description=f"{job.op} {job.dtype} {job.kind}")
            tally = found.setdefault((job.op, job.kind), Tally())
            try:
                report = run(job, processes)
                tally.add(job, report)
                if report.interrupted:
                    return found, True
            except (AssertionError, RuntimeError) as error:  # an accusation that the definition does not confirm
                tally.alarms.append(f"{job.op} {job.dtype} {job.kind} seed {job.seed}: {error}")
            if progress and task is not None:
                progress.advance(task)
    except KeyboardInterrupt:
        return found, True
    return found, False


def table(found: dict[Any, Tally], dtypes: list[str]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("operator", no_wrap=True)
    shown.add_column("against", no_wrap=True)
    for heading in (*dtypes, "numbers", "worst", "known", "alarms"):
        shown.add_column(heading, justify="right")
    for (op, kind), tally in sorted(found.items()):
        cases = [f"{tally.cases[dtype]:,}" for dtype in dtypes]
        shown.add_row(
            op, kind, *cases, f"{tally.numbers:,}", f"{tally.worst:.2f}", str(tally.known), str(len(tally.alarms))
        )
    return shown


@click.command(help=__doc__.split("\n", 1)[0])
@click.argument("ops", nargs=-1)
@click.option(
    "--cases", default=100_000, show_default=True, help="For each operator, kind of implementation and dtype."
)
@click.option("--dtype", default="float32,float64", show_default=True)
@click.option("--only", default="torch,orders,forms", show_default=True)
@click.option("--seed", type=int, help="Repeat a run.  [default: a new seed, printed]")
@click.option("--derived", is_flag=True, help="With the bounds that follow from programs (in this process only).")
@click.option("--jobs", default=0, show_default=True, help="Worker processes for torch (0: in this process).")
def main(ops: tuple[str, ...], cases: int, dtype: str, only: str, seed: int | None, derived: bool, jobs: int) -> None:
    start, dtypes = time.perf_counter(), dtype.split(",")
    seed = secrets.randbelow(2**31) if seed is None else seed
    seeds = itertools.count(seed)
    chosen = [catalog.get(name) for name in ops] if ops else list(catalog.every())
    chunks = [
        job for op in chosen for each in dtypes for job in jobs_of(op, each, cases, tuple(only.split(",")), seeds)
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        derived_bounds(chosen if derived else ()),
        Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        found, interrupted = hunt(chunks, jobs, progress)
    console = Console(highlight=False, soft_wrap=True, width=max(110, Console().width))
    console.print(table(found, dtypes))
    alarms = [line for tally in found.values() for line in tally.alarms]
    for line in alarms:
        console.print(line, markup=False)
    total = sum(sum(tally.cases.values()) for tally in found.values())
    console.print(f"{len(alarms)} alarms in {total:,} cases, {time.perf_counter() - start:.0f} s, seed {seed}")
    if interrupted:
        console.print("interrupted: these are the findings so far")
    sys.exit(1 if alarms else 0)


if __name__ == "__main__":
    main()
