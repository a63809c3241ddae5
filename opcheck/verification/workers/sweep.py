"""A sweep in tasks: in this process, in worker processes that may crash or hang, or in any concurrent.futures.Executor.

A trial is a function of its address, so the same seed finds the same wherever and in whatever order the tasks are done.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from opcheck.errors import CouldNotRun, Refused
from opcheck.verification.diagnosis.shrink import explain_failures
from opcheck.verification.report import Report, key_of
from opcheck.verification.run import Found, Progress, Shard, hopeless, quiet, run_shard
from opcheck.verification.workers.alone import minimise_crashes
from opcheck.verification.workers.crew import Crew
from opcheck.verification.workers.tally import Tally
from opcheck.verification.workers.worker import Target

MOST_TASKS = 100  # of one operator in one dtype
TRIALS = 100  # of one task: small enough to spread, large enough to be cheap
PATIENCE = 60.0  # seconds for one trial


def run(
    shards: list[Shard],
    target: Target,
    options: Mapping[str, Any],
    jobs: int = 0,
    executor: Executor | None = None,
    progress: Progress = quiet,
    patience: float = PATIENCE,
) -> Report:
    """Every shard's findings, merged: by an executor, by `jobs` worker processes, or (0) in this process."""
    report = Report(seed=shards[0].seed if shards else 0)
    tasks = [part for shard in shards for part in split(shard, options.get("seconds") is not None)]
    found: Found = []
    tally = Tally(tasks, progress, options.get("seconds") is not None)
    try:
        if executor is not None:
            tasks = spread(tasks, target, options, executor, found, tally)
            jobs = len(tasks)  # those that the executor lost
        if jobs and tasks:
            with Crew(target, options, min(jobs, len(tasks)), patience, found) as crew:
                crew.run(tasks, tally)
        elif executor is None:
            here(tasks, target, options, found, tally)
    except KeyboardInterrupt:
        report.interrupted = True
    assemble(report, found, shards)
    if options.get("seconds") is not None and not report.interrupted:
        report.late = {(each.op, each.dtype) for each in shards if is_late(report, each)}
    if jobs and not report.interrupted:
        with suppress(KeyboardInterrupt):
            minimise_crashes(report, target, patience)
    return report


def here(tasks: list[Shard], target: Target, options: Mapping[str, Any], found: Found, tally: Tally) -> None:
    """The tasks one after the other in this process, until one is interrupted."""
    backend, before = target.load(), Report()
    for task in tasks:
        if hopeless(before, task.op, task.dtype):
            continue
        part = run_shard(target.spec(task.op), task, backend, done=partial(tally.at, task), **options)
        found.append((task, part))
        if part.interrupted:
            return
        explain_failures(part, backend, target.spec, options.get("seconds"))
        before.merge(part)


def spread(
    tasks: list[Shard], target: Target, options: Mapping[str, Any], executor: Executor, found: Found, tally: Tally
) -> list[Shard]:
    """The tasks over an executor's workers. Those that a worker's death took away are returned: they are run again in
    a process of ours, which tells the case that it died of."""
    waiting = [(task, executor.submit(run_task, target, task, dict(options))) for task in tasks]
    lost = []
    try:
        for task, future in waiting:
            try:
                found.append((task, future.result()))
            except (Refused, CouldNotRun):
                raise
            except Exception:  # each kind of executor has its own error for this
                lost.append(task)
            tally.at(task, task.last - task.first)
    except BaseException:
        for _, future in waiting:
            future.cancel()
        raise
    return lost


def run_task(target: Target, shard: Shard, options: Mapping[str, Any]) -> Report:
    """One shard, wherever it runs: an Executor's worker, a machine of a cluster."""
    backend = target.load()
    report = run_shard(target.spec(shard.op), shard, backend, **options)
    explain_failures(report, backend, target.spec, options.get("seconds"))
    return report


def is_late(report: Report, shard: Shard) -> bool:
    """Whether time ran out before a random case, although they would have been of use."""
    key = (shard.op, shard.dtype)
    ran = not report.random[key] and key not in report.not_run
    return ran and not hopeless(report, *key) and shard.last > 0


def assemble(report: Report, found: Found, shards: list[Shard]) -> None:
    """Merge in the order of the trials, whatever the order in which they were done: a seed finds the same each time.

    What lies behind the failures that are kept is left away; a worker may have done it or not.
    """
    place = {(shard.op, shard.dtype): k for k, shard in enumerate(shards)}
    for task, part in sorted(found, key=lambda each: (place[each[0].op, each[0].dtype], each[0].first)):
        if not hopeless(report, task.op, task.dtype):
            agree_on_resemblance(report, part)
            report.merge(part)


def agree_on_resemblance(report: Report, part: Report) -> None:
    """A mistake explains a claim's failures only if it explains those of every part."""
    explained = {(*key_of(verdict), verdict.cause): verdict for verdict in reversed(part.failures)}
    for k, verdict in enumerate(report.failures):
        other = explained.get((*key_of(verdict), verdict.cause))
        if other is not None and verdict.resembles:
            common = tuple(name for name in verdict.resembles if name in other.resembles)
            report.failures[k] = replace(verdict, resembles=common)


def split(shard: Shard, timed: bool) -> list[Shard]:
    """A shard in tasks of TRIALS (more where there would be too many tasks); one that ends by time stays whole."""
    if timed:
        return [shard]
    each = max(TRIALS, (shard.last - shard.first) // MOST_TASKS)
    starts = range(shard.first, shard.last, each)
    return [replace(shard, first=start, last=min(start + each, shard.last)) for start in starts]
