"""Claims about behaviour: memory layouts, purity, repetition, batches, refusals."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart
from opcheck.language import say
from opcheck.spec import Array, Case, Op, Refused
from opcheck.verification import known
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, FalseAlarm, Finding
from opcheck.verification.claims.correctness import undecided
from opcheck.verification.raised import asked_to_stop, malformed
from opcheck.verification.streams import trial as trial_at
from opcheck.verification.verdict import Status, Verdict

AGAIN = 6  # calls that must give the same bits


def layout(check: Check) -> Iterator[Finding]:
    """The same numbers from every memory layout."""
    layouts = check.backend.layouts if check.trial.layout == "contiguous" else (check.trial.layout,)
    for each in layouts:
        if each == "contiguous":
            continue
        check.watcher.asks("layout", each)
        deviation = None if check.watcher.replaces else known.fatal(check.trial.replace(layout=each), check.backend)
        if deviation is not None:
            yield Finding("layout", left_out=say("known deviation {name} would end this process", name=deviation))
            continue
        try:
            finding = _from_memory(check, each)
        except (NoCounterpart, NotImplementedError, FalseAlarm):
            raise
        except Exception as error:  # what the implementation raises
            finding = Finding("layout", verdict=malformed("layout", check.trial, error))
        if finding.verdict is not None:
            message = finding.verdict.message
            only = say("for {layout} memory only", layout=each)
            finding.verdict = replace(
                finding.verdict, trial=check.trial.replace(layout=each), message=f"{message} {only}".strip()
            )
        yield finding


def _from_memory(check: Check, layout: str) -> Finding:
    session = check.open(layout)
    outputs = session.outputs()
    if check.trial.policy == "special":
        return check.compare("layout", "output", outputs, free=undecided(check))
    finding = check.compare("layout", "output", outputs)
    if finding.verdict is None and check.trial.tangents:
        try:
            gradients = session.vjp(check.trial.cotangent)
        except NoCounterpart:
            return finding
        return check.compare("layout", "gradient", gradients)
    return finding


def pure(check: Check) -> Iterator[Finding]:
    """The inputs are as they were, and no output lies in an input's memory."""
    session = check.open(gradients=False)
    before = session.outputs()
    finding = Finding("pure", elements=len(check.trial.case.arrays))
    changed, shared = session.changed, session.shares_memory()
    message = ""
    if changed:
        message = say("the call changed its input {name}", name=changed[0])
    elif shared:
        message = say("the output {name} lies in the memory of an input", name=shared[0])
    else:
        check.open(gradients=False).outputs()
        again = session.outputs()
        spoiled = [name for name in before if not same_bits(before[name], again[name])]
        if spoiled:
            message = say("a second call changed the output {name} of the first", name=spoiled[0])
    if message:
        finding.verdict = Verdict(Status.DIFFERS, "pure", check.trial, (*changed, *shared, "")[0], message=message)
    yield finding


def repeat(check: Check) -> Iterator[Finding]:
    """The same call gives the same bits again: at once, after a call of another shape, and from two threads."""
    finding = Finding("repeat", elements=sum(each.size for each in check.got.values()))
    _call_another_shape(check)
    expected, *answers = [check.open(check.trial.layout, gradients=False).outputs() for _ in range(AGAIN)]
    when = say("the next time")
    if check.backend.concurrent and all(same_answer(expected, each) for each in answers):
        with ThreadPoolExecutor(2) as threads:
            calls = [threads.submit(check.open(check.trial.layout, gradients=False).outputs) for _ in range(4)]
            answers, when = [call.result() for call in calls], say("in another thread")
    for again in answers:
        for name, first in expected.items():
            if not same_bits(first, again[name]):
                message = say("the same call gave another {name} {when}", name=name, when=when)
                finding.verdict = Verdict(Status.DIFFERS, "repeat", check.trial, name, message=message)
    yield finding


def _call_another_shape(check: Check) -> None:
    """A call that may leave something behind: a cache, a buffer of another size."""
    if len(check.trial.address) == 4:
        _, dtype, seed, index = check.trial.address
        other = trial_at(check.op, dtype, seed, index + 1)
        if not check.backend.lacks(check.op, other.case):
            try:
                check.backend.open(check.op, other.case, dtype, gradients=False).outputs()
            except BaseException as error:  # if it fails, it fails in its own trial
                if asked_to_stop(error):
                    raise


def batch(check: Check) -> Iterator[Finding]:
    """The first and the last of a batch alone give what they give in the batch."""
    arrays = check.trial.case.arrays
    batched = [
        each.name for each in check.op.inputs
        if each.name in arrays and each.letters.startswith("N ") and arrays[each.name].ndim == len(each.letters.split())
    ]  # fmt: skip
    count = arrays[batched[0]].shape[0] if batched else 0
    if (
        count < 2
        or not all(each.letters.startswith("N ") for each in check.op.outputs)
        or check.trial.policy == "special"
    ):
        return
    for k in (0, count - 1):
        one = {name: array[k : k + 1] if name in batched else array for name, array in arrays.items()}
        alone = Check(
            check.op, check.trial.replace(case=Case(check.op.name, one, check.trial.case.params)), check.backend
        )
        yield alone.compare("batch", "output", alone.got)


def refuses(check: Check) -> Iterator[Finding]:
    """Arguments that do not fit each other raise; nothing is computed from them."""
    case = check.trial.case
    for name, array in case.arrays.items():
        for axis in range(array.ndim):
            longer = (
                np.concatenate([array, array[-1:] if axis == 0 else np.take(array, [-1], axis)], axis)
                if array.size
                else array
            )
            bad = check.trial.replace(case=Case(check.op.name, {**case.arrays, name: longer}, case.params))
            yield from refusal(check.op, bad, check.backend)


def refusal(op: Op, trial: Trial, backend: Backend) -> Iterator[Finding]:
    """Whether an implementation refuses what the definition refuses; nothing for a call that the definition takes."""
    try:
        op.checked(trial.case)
        return
    except Refused as refused:
        rule = refused.rule
    finding = Finding("refuses", elements=1)
    try:
        backend.open(op, trial.case, trial.dtype, gradients=False).attempt()
    except NoCounterpart:
        raise
    except Exception:  # any refusal will do
        yield finding
        return
    message = say("computed something, although {rule}", rule=rule)
    finding.verdict = Verdict(Status.DIFFERS, "refuses", trial, message=message)
    yield finding


def same_answer(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return all(same_bits(each, b[name]) for name, each in a.items())


def same_bits(a: Array, b: Array) -> bool:
    """Equal, NaN with NaN."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))
