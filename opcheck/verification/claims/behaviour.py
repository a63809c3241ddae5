"""Claims about behaviour: memory layouts, inputs that need no gradient, batches, refusals."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart
from opcheck.language import say
from opcheck.operators.spec import Case, Op, Refused
from opcheck.verification import known
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, FalseAlarm, Finding
from opcheck.verification.claims.correctness import undecided
from opcheck.verification.raised import malformed
from opcheck.verification.verdict import Status, Verdict


def layout(check: Check) -> Iterator[Finding]:
    """The same numbers from every memory layout."""
    layouts = check.backend.layouts if check.trial.layout == "contiguous" else (check.trial.layout,)
    if check.watcher.replaces and check.trial.layout == "contiguous":
        layouts = (*layouts, *check.backend.guards)
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
            if each == "expanded" and finding.verdict.of_gradient:
                only = say("where the cotangent is one number in memory, as for a sum")
            judged = finding.verdict.trial or check.trial
            finding.verdict = replace(
                finding.verdict, trial=judged.replace(layout=each), message=f"{message} {only}".strip()
            )
        yield finding


def _from_memory(check: Check, layout: str) -> Finding:
    session = check.open(layout)
    outputs = session.outputs()
    if check.trial.policy == "special":
        return check.compare("layout", "output", outputs, free=undecided(check, outputs))
    finding = check.compare("layout", "output", outputs)
    if finding.verdict is None and check.trial.tangents:
        if layout == "expanded":
            check = _of_a_sum(check)
        try:
            gradients = session.vjp(check.trial.cotangent)
        except NoCounterpart:
            return finding
        finding = check.compare("layout", "gradient", gradients)
    if finding.verdict is None and check.trial.tangents and check.op.is_derivative(check.p) and layout == one_of(check):
        with suppress(NoCounterpart):
            return check.compare("layout", "tangent", session.jvp(check.trial.tangents))
    return finding


def _of_a_sum(check: Check) -> Check:
    """The check with equal numbers in each cotangent, stored as one number in memory: that is the gradient of a sum, on
    which most kernel tests call backward()."""
    equal = {name: np.full(g.shape, g.flat[0] if g.size else 1.0) for name, g in check.trial.cotangent.items()}
    return check.beside(check.trial.replace(cotangent=equal))


def frozen(check: Check) -> Iterator[Finding]:
    """The same gradients if not all inputs need one, and the same outputs if none does."""
    trial = check.trial
    if trial.policy == "special" or not check.backend.freezes or not trial.tangents:
        return
    choices = [trial.frozen] if trial.frozen else choices_to_freeze(list(trial.tangents))
    for k, names in enumerate(choices):
        memory = trial.layout if trial.frozen else in_turns(check, k)
        asked = replace(trial, frozen=names, layout=memory)
        deviation = None if check.watcher.replaces else known.fatal(asked, check.backend)
        if deviation is not None:
            yield Finding("frozen", left_out=say("known deviation {name} would end this process", name=deviation))
            continue
        check.watcher.asks("frozen", memory, names)
        finding = _with_frozen(check, names, memory)
        if finding is not None and finding.verdict is not None and memory != trial.layout:
            plainly = _with_frozen(check, names, trial.layout)  # a fault that is there in any memory is told so
            if plainly is not None and plainly.verdict is not None:
                finding = plainly
            elif _from_memory(check, memory).verdict is not None:  # `layout` tells it
                continue
        if finding is not None:
            yield finding


def in_turns(check: Check, k: int) -> str:
    """The memory in which the `k`-th question of a case is asked: every other one as the case has it."""
    turn = k + sum(check.trial.seeds)
    return check.trial.layout if turn % 2 == 0 else one_of(check, turn // 2)


def one_of(check: Check, turn: int | None = None) -> str:
    """One of the layouts that are not contiguous, where the case has no other: another one in each case."""
    others = [each for each in check.backend.layouts if each not in ("contiguous", "expanded")]
    if check.trial.layout != "contiguous" or not others:
        return check.trial.layout
    return others[(sum(check.trial.seeds) if turn is None else turn) % len(others)]


def _with_frozen(check: Check, names: tuple[str, ...], memory: str) -> Finding | None:
    """The other gradients where these inputs need none, the outputs where no input does; None without gradients."""
    trial = check.trial
    needed = [name for name in trial.tangents if name not in names]
    session = check.open(memory, gradients=bool(needed))
    if needed:
        session.freeze(names)
        try:
            finding = check.compare("frozen", "gradient", session.vjp(trial.cotangent))
        except NoCounterpart:  # no gradient at all of these: `vjp` says so
            return None
        when = say("where {names} needs no gradient", names=", ".join(names))
    else:
        finding = check.compare("frozen", "output", session.outputs())
        when = say("where no input needs a gradient")
    if finding.verdict is not None:
        only = "" if memory == "contiguous" else say("for {layout} memory only", layout=memory)
        message = " ".join(filter(None, (finding.verdict.message, when, only)))
        finding.verdict = replace(finding.verdict, trial=trial.replace(frozen=names, layout=memory), message=message)
    return finding


def choices_to_freeze(names: list[str]) -> list[tuple[str, ...]]:
    """Each input alone, all but each of them, and all."""
    alone = [(name,) for name in names]
    rest = [tuple(each for each in names if each != name) for name in names]
    return [each for each in dict.fromkeys([*alone, *rest, tuple(names)]) if each]


def batch(check: Check) -> Iterator[Finding]:
    """The first and the last of a batch give the same alone as in the batch."""
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
        try:
            trial = check.trial.replace(case=Case(check.op.name, one, check.trial.case.params))
            alone = check.beside(trial)
        except Refused:  # a batch of one may be too small
            return
        yield alone.compare("batch", "output", alone.got)


def refuses(check: Check) -> Iterator[Finding]:
    """Arguments that do not fit together raise; nothing is computed from them."""
    for bad in longer(check.trial.case) if check.op.refuses else ():
        yield from refusal(check.op, check.trial.replace(case=bad, cotangent={}, tangents={}), check.backend)


def longer(case: Case) -> Iterator[Case]:
    """The case with one array longer by one along one axis, for each of them."""
    for name, array in case.arrays.items():
        for axis in range(array.ndim if array.size else 0):
            last = array[-1:] if axis == 0 else np.take(array, [-1], axis)
            yield case._replace(arrays={**case.arrays, name: np.concatenate([array, last], axis)})


def refusal(op: Op, trial: Trial, backend: Backend) -> Iterator[Finding]:
    """Whether an implementation refuses what the definition refuses; nothing for a call that the definition accepts."""
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
