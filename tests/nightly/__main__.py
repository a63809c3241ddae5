"""The nightly run: as many cases of everything as the time allows, divided by rate, towards the floors of a release.

    .ci/nightly                           # 8 hours, in an environment of its own that has every peer
    .ci/nightly --hours 3 --part 2/4      # the second of four machines: its share of every floor, with other cases
    .ci/nightly --resume --floors         # goes on with what was kept, until a release may follow

Every run is kept as it ends, in one file for each part. The figures are those of all parts whose files are in the
folder: bring the files of several machines together, and `--hours 0 --resume` prints them. Ctrl-C and SIGTERM stop at
once and print the figures; the runs that they end are done again by --resume. Exit code: 1 if anything failed.
"""

import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tests.nightly import figures, works
from tests.nightly.schedule import Journal, Run, Tally, Work, shares, slice_of, tallies, upcoming

PATIENCE = 1800.0  # seconds for one run, which is planned to take a minute: what takes longer hangs
POLITE = 10.0  # seconds that a run has to end when it is asked to


@dataclass
class Process:
    """A run in progress: its work, the process, the file for its output and the folder for its temporary files."""

    work: Work
    seed: int
    asked: int
    process: subprocess.Popen[bytes]
    printed: Any
    temporary: "tempfile.TemporaryDirectory[str]"
    began: float

    @classmethod
    def start(cls, work: Work, cases: int, folder: Path) -> "Process":
        seed = secrets.randbelow(2**31)
        printed = tempfile.TemporaryFile()  # noqa: SIM115  # it is read when the process has ended
        temporary = tempfile.TemporaryDirectory(prefix="opcheck-nightly-", ignore_cleanup_errors=True)
        process = subprocess.Popen(
            works.command(work, cases, seed, folder), cwd=works.ROOT,
            env=os.environ | works.environment(work, cases) | {"TMPDIR": temporary.name},
            stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        return cls(work, seed, cases, process, printed, temporary, time.monotonic())

    def end(self, how: signal.Signals) -> None:
        """Ask the run and all that it started to end."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)

    def text(self) -> str:
        self.printed.seek(0)
        return str(self.printed.read().decode("utf-8", errors="replace"))


class Night:
    """Starts what is due, keeps what ends, and stops when the time is over or someone asks it to."""

    def __init__(
        self, chosen: list[Work], journal: Journal, seconds: float, jobs: int, folder: Path, floors: bool
    ) -> None:  # fmt: skip
        self.floors = floors
        self.works, self.journal, self.jobs, self.folder = chosen, journal, jobs, folder
        self.done: dict[str, Tally] = tallies(chosen, journal.runs)
        self.deadline = time.monotonic() + seconds
        self.each = slice_of(seconds, len(chosen), jobs)
        self.running: list[Process] = []
        self.unavailable: list[Run] = []
        self.stopped = 0  # the signal that stopped it

    def run(self) -> None:
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not self.stopped and time.monotonic() < self.deadline:
                started = self._start()
                if not self.running and not started:
                    return
                time.sleep(0.05)
                self._collect()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self.stopped = number

    def _start(self) -> bool:
        """Start runs until every job has one; whether any was started."""
        started = False
        while len(self.running) < self.jobs:
            left = self.deadline - time.monotonic()
            running = {each.work.name for each in self.running}
            due = [work for work in self.works if not self.floors or self.done[work.name].done < work.floor]
            found = upcoming(due, self.done, running, left, self.each)
            if found is None:
                return started
            self.running.append(Process.start(*found, self.folder))
            started = True
        return started

    def _collect(self) -> None:
        """Keep the runs that ended, and end those that hang."""
        for each in list(self.running):
            seconds = time.monotonic() - each.began
            if seconds > PATIENCE:
                each.end(signal.SIGKILL)
                each.process.wait()
            if each.process.poll() is None:
                continue
            self.running.remove(each)
            each.temporary.cleanup()
            how = shlex.join(str(word) for word in each.process.args)
            run = works.outcome(each.work, each.seed, each.asked, each.process.returncode, seconds, each.text(), how)
            if run.unavailable:
                self.unavailable.append(run)  # and not kept: it may be there when the run goes on
            else:
                self.journal.add(run)
            self.done[run.work].add(run)
            figures.tell(run)

    def _end(self) -> None:
        """End what still runs: its cases are not counted."""
        for each in self.running:
            each.end(signal.SIGTERM)
        for each in self.running:
            with suppress(subprocess.TimeoutExpired):
                each.process.wait(POLITE)
            each.end(signal.SIGKILL)
            each.process.wait()
            each.temporary.cleanup()


class Part(click.ParamType):
    """K/N: the K-th of N machines."""

    name = "K/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+)/(\d+)", value)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is no part: write K/N with K from 1 to N, as in 2/4", param, ctx)
        return int(found[1]), int(found[2])


def commit() -> str:
    """What the results are of: they are kept apart for each commit."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=works.ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "no-commit"


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--hours", type=click.FloatRange(0), default=8.0, show_default=True, help="0 prints the figures only.")
@click.option("--part", type=Part(), default=(1, 1), metavar="K/N", help="The K-th of N machines.  [default: 1/1]")
@click.option("--resume", is_flag=True, help="Go on with the results that were kept.")
@click.option("--floors", is_flag=True, help="End when every floor of a release is met.")
@click.option("--jobs", type=click.IntRange(1), default=len(os.sched_getaffinity(0)), help="[default: one a core]")
@click.option("--only", default="", metavar="WORD", help="Only what has this in its name: verify jax, conv2d, fuzz.")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where results are kept.  [default: build/nightly/COMMIT]")  # fmt: skip
def main(
    hours: float, part: tuple[int, int], resume: bool, floors: bool, jobs: int, only: str, results: Path | None
) -> None:  # fmt: skip
    folder = (results or works.ROOT / "build" / "nightly" / commit()).resolve()
    named = [work for work in works.every() if only in work.name]
    if not named:
        raise click.UsageError(f"nothing here is called {only!r}; the names are: {', '.join(works.kinds())}")
    journal = Journal(folder / f"part-{part[0]}-of-{part[1]}.jsonl")
    if resume:
        journal.resume()
    else:
        journal.begin()
    night = Night(shares(named, *part), journal, hours * 3600, jobs, folder, floors)
    night.run()
    everything = [run for path in sorted(folder.glob("part-*-of-*.jsonl")) for run in figures.kept(path)]
    done = tallies(named, [*everything, *night.unavailable])
    figures.show(named, done, jobs, folder)
    if night.stopped:
        click.echo("stopped: these are the figures so far, and --resume goes on")
        sys.exit(128 + night.stopped)
    sys.exit(1 if any(tally.failed for tally in done.values()) else 0)


if __name__ == "__main__":
    main()
