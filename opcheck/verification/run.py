"""The runner: trials of one operator in one dtype against one implementation, claim by claim."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from opcheck import backends
from opcheck.backends import environment
from opcheck.backends.base import Backend, NoCounterpart
from opcheck.language import say
from opcheck.operators.spec import Op
from opcheck.specs import title
from opcheck.verification import causes, claims, directed, inside
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, FalseAlarm, Finding, Readings
from opcheck.verification.claims import behaviour
from opcheck.verification.diagnosis.precision import explanation, lower_sums
from opcheck.verification.known import recognised
from opcheck.verification.pace import Pace, Slow
from opcheck.verification.raised import asked_to_stop, first_words, is_ours, malformed
from opcheck.verification.reach import within_reach
from opcheck.verification.report import KEPT, Report, Row, key_of, shapes_of
from opcheck.verification.streams import every_trial
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.watcher import NOBODY, Watcher

DEFAULT_CASES = 300
WRONG_KEPT = 64  # wrong elements that stay with a verdict, once a known deviation had to explain every one of them
SHARE = 0.25  # of the time of a run that is limited by it: for making failures small and naming them
SLOW = 2  # hangs or exhausted memories that end the run of an operator

# operator, dtype, how many of its cases are done, and how many there are (0: as many as the time allows)
Progress = Callable[[str, str, int, int], None]
Done = Callable[[int], None]  # how many trials of a shard are done


def quiet(op: str, dtype: str, done: int, total: int) -> None:
    """No progress."""


@dataclass(frozen=True)
class Shard:
    """A part of a sweep: trials `first` to `last` (not included) of one operator in one dtype; below 0 directed."""

    op: str
    dtype: str
    seed: int
    first: int
    last: int


class DeviceLost(Exception):
    """The implementation took the device down with it: every later call of this process would fail."""


def _note_library(op: Op, made: Trial, backend: Backend, report: Report) -> None:
    """Which operators of a library a candidate calls, by the first trial."""
    if op.name not in report.library and backend.name not in backends.KNOWN:
        with suppress(Exception):  # what it raises was judged
            report.library[op.name] = set(backend.library(op, made.case, made.dtype))


Found = list[tuple[Shard, Report]]  # tasks that were done, and what they found


def run_shard(
    op: Op,
    shard: Shard,
    backend: Backend,
    *,
    seconds: float | None = None,
    wanted: Iterable[str] | None = None,
    watcher: Watcher = NOBODY,
    done: Done = lambda _: None,
    known: bool = True,
    exhaustive: bool = False,
) -> Report:
    """Check every trial of a shard; the watcher is told before each, and says whether to go on."""
    report = Report(backend=backend.name, version=backend.version(), seed=shard.seed, settings=backend.settings())
    report.allowed = set(backend.all_allowed(shard.dtype))
    if reason := _unavailable(op, backend, shard.dtype):
        report.not_run[op.name, shard.dtype] = reason
        return report
    start = time.perf_counter()
    chosen = claims.chosen(wanted)
    try:
        for index, made in trials(op, shard, exhaustive):
            if seconds is not None and time.perf_counter() - start > seconds * (1 - SHARE * bool(report.failures)):
                break
            if not watcher.about_to(index):
                report.interrupted = True
                break
            done(index - shard.first)
            watcher.found(report)
            report.count(index, made)
            possible = askable(op, made, backend, report, watcher)
            if possible is None:
                continue
            possible = bearable(op, possible, backend, report, watcher)
            check_trial(op, possible, backend, report, chosen, index, known, watcher)
            _note_library(op, possible, backend, report)
            if hopeless(report, op.name, shard.dtype):
                break
    except KeyboardInterrupt:
        report.interrupted = True
    except DeviceLost as error:
        if watcher.replaces:  # a worker process ends of it, and another one goes on
            raise
        lost = Verdict(Status.CRASHED, "answers", possible, message=say("the device is lost: {error}", error=error))
        report.add(op.name, shard.dtype, Finding("answers", verdict=lost))
        report.interrupted = True  # nothing more can be checked in this process
    report.flushes = environment.candidate_flushes()
    report.seconds = time.perf_counter() - start
    return report


def _unavailable(op: Op, backend: Backend, dtype: str) -> str:
    """Why a backend cannot run an operator in a type at all; empty if it can."""
    reason = backend.unavailable(op, dtype)
    if not op.elsewhere and backend.name in backends.KNOWN:
        return say("{backend} cannot run a program: give --impl FILE.py:NAME", backend=backend.name)
    return reason


def askable(op: Op, made: Trial, backend: Backend, report: Report, watcher: Watcher) -> Trial | None:
    """The trial as the implementation can be asked here; None, counted in the report, if it can not."""
    if made.alone and not watcher.replaces:
        what = say("windows entirely within the padding, without worker processes")
        report.left_out[op.name, what] += 1
        return None
    possible = within_reach(op, made, backend, report)
    if possible is not None and possible is not made:
        watcher.runs(possible)
    return possible


def bearable(op: Op, made: Trial, backend: Backend, report: Report, watcher: Watcher) -> Trial:
    """The trial, or a part of it where the implementation is too slow for the whole, which the report counts."""
    pace = Pace.of(backend)
    part = pace.bearable(op, made, backend)
    if part is not made:
        report.slows(op.name, Slow(shapes_of(made), pace.seconds(op, made)))
        watcher.runs(part)
    return part


def trials(op: Op, shard: Shard, exhaustive: bool = False) -> Iterator[tuple[int, Trial]]:
    """The trials of a shard, with their indices; `exhaustive` takes them from the enumeration."""
    if exhaustive:
        scope = every_trial(op, shard.dtype, shard.seed, shard.first, shard.last)
        yield from enumerate(scope, start=shard.first)
    else:
        for index in range(shard.first, shard.last):
            yield index, directed.trial(op, shard.dtype, shard.seed, index)


def check_trial(
    op: Op, made: Trial, backend: Backend, report: Report, chosen: Iterable[claims.Claim],
    index: int | None = None, known: bool = True,
    watcher: Watcher = NOBODY,
) -> None:  # fmt: skip
    """Every claim on one trial; with no index all of them, else those whose turn it is."""
    check = Check(op, made, backend, watcher)
    check.enough = lambda claim, cause: report.enough(op.name, made.dtype, claim, cause)
    check.readings = report.readings.setdefault((op.name, made.dtype), Readings())
    failed: dict[str, str] = {}
    agreed: set[str] = set()
    try:
        _check_claims(check, report, chosen, index, known, failed, agreed)
    finally:
        report.failing += bool(failed)
        if check.took is not None:
            Pace.of(backend).learns(op, made, check.took)
        report.remember(op.name, made.dtype, causes.Seen(causes.facts(op, made), failed, frozenset(agreed)))


def _check_claims(
    check: Check, report: Report, chosen: Iterable[claims.Claim], index: int | None, known: bool,
    failed: dict[str, str], agreed: set[str],
) -> None:  # fmt: skip
    """The claims one by one; `failed` gets the cause of each that fails, `agreed` those that hold."""
    op, made, backend, watcher = check.op, check.trial, check.backend, check.watcher
    stop = failing = False
    for claim in chosen:
        if index is not None and claim.every > 1 and index % claim.every:
            continue
        if claim.needs_right_values and (failing if claim.carries else stop):
            report.hidden.update([(op.name, made.dtype, claim.name)] if claim.concerns(op) else [])
            continue
        watcher.asks(claim.name, made.layout, made.frozen)
        began, judged = time.perf_counter(), False
        for finding in findings(claim, check):
            judged = judged or not finding.left_out
            now = time.perf_counter()
            wrong = finding.verdict is not None
            if finding.verdict is not None:
                finding.verdict = named(finding.verdict, check, backend, report.version, known)
            elif finding.left_out and known:
                finding = absent(finding, check, backend, report.version)
            elif finding.tier == "T3":
                finding.verdict = loose_sums(finding, check)
            fails = finding.verdict is not None and finding.verdict.status.failed
            if finding.verdict is not None and fails:
                fails = not check.enough(finding.claim, finding.verdict.cause)
            if known and (finding.left_out or fails):
                finding = of_an_operator(finding, claim, check)
            report.add(op.name, made.dtype, finding, now - began)
            if finding.verdict is not None and finding.verdict.status.failed:
                failed.setdefault(finding.claim, finding.verdict.cause)
            elif finding.verdict is None and not finding.left_out and finding.elements:
                agreed.add(finding.claim)
            began = now
            failing = failing or wrong
            stop = stop or (wrong and claim.carries) or (claim.name == "answers" and bool(finding.left_out))
        report.asked[op.name, made.dtype, claim.name] += judged
        if stop and claim.name in ("answers", "shape"):
            return


def check_again(
    op: Op, saved: Trial, backend: Backend, report: Report, claim: str = "", known: bool = False,
    watcher: Watcher = NOBODY,
) -> None:  # fmt: skip
    """Every claim on a saved trial; of a call that must be refused, whether it is: there is nothing else to ask."""
    if claim != "refuses":
        check_trial(op, saved, backend, report, claims.EVERY, known=known, watcher=watcher)
        return
    watcher.asks(claim, saved.layout, saved.frozen)
    for finding in answered(claim, saved, backend, lambda: behaviour.refusal(op, saved, backend)):
        if finding.verdict is not None and known:
            finding.verdict = recognised(finding.verdict, backend.name, report.version)
        report.add(op.name, saved.dtype, finding)


def named(verdict: Verdict, check: Check, backend: Backend, version: str, known: bool) -> Verdict:
    """The verdict under the name of a known deviation or of a lower precision, where one explains it."""
    if known:
        verdict = recognised(verdict, backend.name, version)
        if verdict.status.failed and verdict.trial is not None and backend.name not in backends.KNOWN:
            kin = backend.kin(check.op, verdict.trial.case, verdict.trial.dtype)
            verdict = recognised(verdict, kin, version) if kin else verdict
    if "wrong" in verdict.details:
        verdict = replace(verdict, details={**verdict.details, "wrong": verdict.details["wrong"][:WRONG_KEPT]})
    found = explanation(check, verdict) if verdict.status is Status.DIFFERS else None
    if found is not None:
        status = Status.LOWER_PRECISION if found.allowed else Status.DIFFERS
        message = f"{verdict.message} {found.sentence()}".strip()
        return replace(verdict, status=status, message=message, details={**verdict.details, "precision": found.names})
    return verdict


def absent(finding: Finding, check: Check, backend: Backend, version: str) -> Finding:
    """The finding under the name of a known deviation, where a library is known to lack what was left out."""
    missing = Verdict(Status.NOT_RUN, finding.claim, check.trial, message=finding.left_out)
    verdict = recognised(missing, backend.name, version)
    return finding if verdict is missing else replace(finding, verdict=verdict, left_out="")


def of_an_operator(finding: Finding, claim: claims.Claim, check: Check) -> Finding:
    """The finding under the name of a known deviation, where an operator of torch that ran inside is to blame."""

    def again(right: Check) -> list[Finding]:
        return [each for each in findings(claim, right) if each.claim == finding.claim or each.verdict is not None]

    def replays(op: Op, made: Trial, backend: Backend) -> set[str]:
        report = Report(backend=backend.name, version=backend.version())
        check_trial(op, made, backend, report, claims.EVERY)
        return set(report.known_counts())

    return inside.explained(finding, check, again, replays)


def loose_sums(finding: Finding, check: Check) -> Verdict | None:
    """What the ladder says of an answer that is right only if sums are kept in float16 or bfloat16."""
    found = lower_sums(check, finding.claim)
    if found is None:
        return None
    status = Status.LOWER_PRECISION if found.allowed else Status.DIFFERS
    return Verdict(status, finding.claim, check.trial, message=found.sentence(), details={"precision": found.names})


def findings(claim: claims.Claim, check: Check) -> Iterator[Finding]:
    """What a claim finds; what the implementation raises is a finding too."""
    return answered(claim.name, check.trial, check.backend, lambda: claim.check(check))


def answered(
    claim: str, trial: Trial, backend: Backend, question: Callable[[], Iterable[Finding]]
) -> Iterator[Finding]:  # fmt: skip
    """What is found when an implementation is asked something, and what it raises."""
    try:
        # NaN and infinities are numbers like any other here, and an implementation may warn of what it likes
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(question())
        yield from found
    except NoCounterpart as error:
        yield Finding(claim, left_out=str(error))
    except NotImplementedError as error:  # it says itself what it does not do
        if is_ours(error):
            raise
        yield Finding(claim, left_out=say("not implemented: {what}", what=str(error) or say("it does not say what")))
    except FalseAlarm:
        raise
    except BaseException as error:
        if is_ours(error) or asked_to_stop(error):
            raise
        if backend.is_lost():
            raise DeviceLost(first_words(str(error))) from error
        yield Finding(claim, verdict=malformed(claim, trial, error))


def hopeless(report: Report, op: str, dtype: str) -> bool:
    """Whether going on is useless: nothing ever answers, most cases fail alike, or what hangs or crashes takes long.

    Failures of some cases end no run, however many: they may hide another cause.
    """
    rows = {claim: row for (name, kind, claim), row in report.rows.items() if (name, kind) == (op, dtype)}
    plain = (row for claim, row in rows.items() if claim not in ("answers", "refuses", "special"))
    if any(row.failed >= 4 * KEPT and 2 * row.failed >= row.cases for row in plain):
        return True
    own = [each for each in report.failures if key_of(each)[:2] == (op, dtype)]
    slow = sum(each.status in (Status.TIMED_OUT, Status.MEMORY) for each in own)
    crashed = Counter(each.cause for each in own if each.status is Status.CRASHED)
    answers = rows.get("answers", Row())
    never = answers.failed == answers.cases and answers.failed >= KEPT
    return slow >= SLOW or max(crashed.values(), default=0) >= KEPT or never


def nothing_checked(report: Report) -> str:
    """Why nothing was checked, or none of the random cases, for the person who asked; empty if something was."""
    if report.late:
        names = ", ".join(f"{title(op)} {dtype}" for op, dtype in sorted(report.late))
        return say("time ran out before the first random case of {names}: give more --seconds, or --cases", names=names)
    if report.checked:
        return ""
    reasons = {*report.not_run.values(), *(why for _, why in report.left_out)}
    return say("nothing was checked: {reasons}", reasons="; ".join(sorted(reasons)) or say("no cases"))
