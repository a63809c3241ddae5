"""Claims about successive calls: what one leaves behind in its arguments, in cached memory, in other threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from opcheck.backends.base import NoCounterpart, Outputs, Session
from opcheck.backends.destination import same_outputs
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Param, Refused
from opcheck.verification.check import Check, Finding
from opcheck.verification.claims.aliasing import one_for_several, sum_of_gradients
from opcheck.verification.claims.behaviour import longer
from opcheck.verification.directed import trial as trial_at
from opcheck.verification.raised import asked_to_stop, is_ours, malformed
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.widening import is_legal, sees_its_input

AGAIN = 7  # calls that must give the same bits
CROWD = (128, 128)  # numbers of which draws by chance are counted
FEW = 500  # numbers of a call that is made again with other parameters


def pure(check: Check) -> Iterator[Finding]:
    """The inputs are unchanged, and no output shares an input's memory; the backward pass does not change the
    cotangent."""
    session = check.open(gradients=False)
    before = session.outputs()
    finding = Finding("pure", elements=len(check.trial.case.arrays))
    changed, shared = session.changed, session.shares_memory()
    message = ""
    if changed:
        message = say("the call changed its input {name}", name=changed[0])
    elif shared and not check.op.is_identity(check.p):
        message = say("{name} shares memory with an input", name=shared[0])
    else:
        _other_numbers(check).outputs()
        again = session.outputs()
        spoiled = [name for name in before if not same_bits(before[name], again[name])]
        if spoiled:
            message = say("a second call changed the {name} of the first", name=spoiled[0])
        elif _changes_cotangent(check):
            message = say("the backward pass changed its cotangent")
    if message:
        finding.verdict = Verdict(Status.DIFFERS, "pure", check.trial, (*changed, *shared, "")[0], message=message)
    yield finding


def _changes_cotangent(check: Check) -> bool:
    if check.trial.policy == "special" or not check.trial.tangents:
        return False
    session = check.open()
    try:
        session.vjp(check.trial.cotangent)
    except (NoCounterpart, NotImplementedError):
        return False
    return session.changed_cotangent


def repeat(check: Check) -> Iterator[Finding]:
    """The same call gives the same bits again: at once, after a call of another shape, and from two threads."""
    if check.op.draws:
        return
    finding = Finding("repeat", elements=sum(each.size for each in check.got.values()))
    _call_another_shape(check)
    first, *answers = [check.open(check.trial.layout, gradients=False).outputs() for _ in range(AGAIN)]
    pairs, when = [(first, each) for each in answers], say("the next time")
    if check.backend.concurrent and all(same_answer(*pair) for pair in pairs):
        with ThreadPoolExecutor(
            2, initializer=check.backend.in_thread()
        ) as threads:  # calls with other numbers run beside them
            sessions = [(check.open(check.trial.layout, gradients=False), _other_numbers(check)) for _ in range(4)]
            calls = [[threads.submit(each.outputs) for each in pair] for pair in sessions]
            answers, others = zip(*[[call.result() for call in pair] for pair in calls], strict=True)
        pairs = [(first, each) for each in answers] + [(others[0], each) for each in others]
        when = say("in another thread")
    for one, again in pairs:
        for name, before in one.items():
            if not same_bits(before, again[name]):
                message = say("the same call gave a different {name} {when}", name=name, when=when)
                finding.verdict = Verdict(Status.DIFFERS, "repeat", check.trial, name, message=message)
    yield finding


def rate(check: Check) -> Iterator[Finding]:
    """Random draws: their rate, and that each row and each call draws anew."""
    if not check.op.draws or check.trial.policy == "special":
        return
    first = next(iter(check.trial.case.arrays))
    case = Case(check.op.name, {first: np.ones(CROWD)}, check.trial.case.params)
    draws = []
    for _ in range(2):
        made = check.backend.open(check.op, case, check.trial.dtype, gradients=False).outputs()
        draws.append(check.op.observed(check.p, case.arrays[first], next(iter(made.values()))))
    finding = Finding("rate", elements=2 * int(np.prod(CROWD)))
    message = check.op.improbable(check.p, draws)
    if message:
        finding.verdict = Verdict(Status.DIFFERS, "rate", check.trial, message=message)
    yield finding


def state(check: Check) -> Iterator[Finding]:
    """State that a call keeps does no harm: to a call of the same shapes with another parameter, to other numbers in
    the same memory, to a second backward pass, to the backward pass of another call, to a call in another mode, to one
    that is given out=; nor does it harm that several inputs are one array.

    If a number is wrong even without the earlier call, the failure is an ordinary one and its case is shrunk.
    """
    if check.trial.policy == "special":
        return
    yield from _other_parameters(check)
    yield from _new_contents(check)
    yield from _after_a_refusal(check)
    yield from _in_modes(check)
    yield from into_out(check)
    yield from _into_the_same(check)
    yield from _one_array(check)
    if check.trial.tangents:
        yield from _backward_again(check)
        yield from _two_calls(check)


def _reversed(check: Check) -> Case:
    """The call with the same numbers in the opposite order."""
    arrays = {name: array.ravel()[::-1].reshape(array.shape) for name, array in check.trial.case.arrays.items()}
    return Case(check.op.name, arrays, check.trial.case.params)


def _other_numbers(check: Check) -> Session:
    return check.backend.open(check.op, _reversed(check), check.trial.dtype, gradients=False)


def _told(finding: Finding, check: Check, when: str) -> Finding:
    """The finding of another call reported for this trial, saying when it was wrong."""
    if finding.verdict is not None:
        message = f"{finding.verdict.message} {when}".strip()
        finding.verdict = replace(finding.verdict, trial=check.trial, message=message)
    return finding


def _new_contents(check: Check) -> Iterator[Finding]:
    """Other numbers in the same memory: a result cached by address must not be used for them."""
    other = check.beside(check.trial.replace(case=_reversed(check)))
    session = check.open(gradients=False)
    session.outputs()
    try:
        again = session.renewed(other.trial.case.arrays)
    except (NoCounterpart, NotImplementedError):
        return
    yield _of_another(other, again, check, say("after its inputs were changed in place"))


def _of_another(other: Check, got: Outputs, check: Check, when: str) -> Finding:
    """The finding of another call than that of the trial, for which it is reported."""
    if other.seems_right("output", got):
        return Finding("state", elements=sum(each.size for each in got.values()))
    by_itself = _neighbour(other)
    if by_itself.verdict is not None:  # wrong as an ordinary call, too
        return by_itself
    return _told(other.compare("state", "output", got), check, when)


def _after_a_refusal(check: Check) -> Iterator[Finding]:
    """The same outputs after a call that raised: the next call must not find anything half done."""
    if check.backend.compiles or not check.op.refuses:
        return
    bad = next((case for case in longer(check.trial.case) if not is_legal(check.op, case)), None)
    if bad is None:
        return
    try:
        check.backend.open(check.op, bad, check.trial.dtype, gradients=False).attempt()
    except NoCounterpart:
        return
    except Exception:  # any refusal will do; if there is none, `refuses` says so
        got = check.open(check.trial.layout, gradients=False).outputs()
        yield _told(check.compare("state", "output", got), check, say("after a call that raised"))


def _in_modes(check: Check) -> Iterator[Finding]:
    """The same outputs when the library records nothing."""
    for words, mode in () if check.backend.compiles else check.backend.modes().items():
        with mode():
            got = check.open(check.trial.layout, gradients=False).outputs()
        yield _told(check.compare("state", "output", got), check, words)


def into_out(check: Check) -> Iterator[Finding]:
    """The same numbers in `out`, where a function has that argument: in an array of its own, and in one of its inputs,
    where numpy and torch give the same numbers or raise."""
    (name, shape), *more = check.shapes.items()
    if more or check.backend.compiles or check.op.output(name).whole:
        return
    alike = [each for each, a in check.trial.case.arrays.items() if a.shape == shape and a.dtype.kind == "f" and a.size]
    for each in ("", *alike):
        try:
            got = check.open(gradients=False).into(each)
        except (NoCounterpart, NotImplementedError):
            return
        except Exception:
            if each:  # it says that it does not
                continue
            raise
        when = say("where out is its input {name}", name=each) if each else say("in the array given as out")
        yield _told(check.compare("state", "output", got), check, when)


def _into_the_same(check: Check) -> Iterator[Finding]:
    """Two calls with different numbers that write into the same arrays: what the first call left there, or kept by the
    address of its output, must not count."""
    if check.backend.compiles:
        return
    other = check.beside(check.trial.replace(case=_reversed(check)))
    first, second = check.open(gradients=False), other.open(gradients=False)
    with same_outputs() as kept:
        try:
            for session in (first, second):
                kept.rewind()
                got = session.into() if session.takes_out else session.outputs()
                if not kept.arrays:  # it makes its outputs itself
                    return
        except (NoCounterpart, NotImplementedError):
            return
    yield _of_another(other, got, check, say("in arrays that an earlier call wrote its outputs into"))


def _one_array(check: Check) -> Iterator[Finding]:
    """One array given for several inputs, as for self-attention: the same numbers as for equal arrays, and the sum of
    their gradients."""
    for names, other in () if check.backend.compiles else one_for_several(check):
        session = other.open()
        try:
            session.alias(names)
            got = session.outputs()
            finding = _of_another(other, got, check, say("where {names} are one array", names=", ".join(names)))
            exact = not check.backend.all_allowed(check.trial.dtype)  # lower precisions are judged elsewhere
            if finding.verdict is None and session.adds_up and other.trial.tangents and exact:
                finding = sum_of_gradients(other, names, session.vjp(other.trial.cotangent), check) or finding
        except (NoCounterpart, NotImplementedError):
            continue
        yield finding


def _two_calls(check: Check) -> Iterator[Finding]:
    """Two calls, and then their backward passes, in both orders: what the later call saved is not the earlier one's."""
    other = check.beside(check.trial.replace(case=_reversed(check)))
    first, second = check.open(gradients=True), other.open(gradients=True)
    first.outputs(), second.outputs()
    try:
        for each, session in ((check, first), (other, second), (check, first)):
            gradients = session.vjp(check.trial.cotangent)
            finding = each.compare("state", "gradient", gradients)
            if finding.verdict is not None and _is_wrong_alone(each):
                return  # that is what `vjp` is about
            yield _told(finding, check, say("in the backward pass of one of two calls"))
            if finding.verdict is not None:
                return
    except (NoCounterpart, NotImplementedError):
        return


def _is_wrong_alone(check: Check) -> bool:
    """Whether the gradients of a call are wrong with no other call beside it."""
    session = check.open(gradients=True)
    session.outputs()
    return check.compare("state", "gradient", session.vjp(check.trial.cotangent)).verdict is not None


def _other_parameters(check: Check) -> Iterator[Finding]:
    """The same arrays with one parameter changed: a result cached by shape must not be used for them."""
    if check.backend.compiles or sum(array.size for array in check.arrays.values()) > FEW:
        return
    for name, case in neighbours(check.op, check.trial.case):
        if check.backend.lacks(check.op, case):
            continue
        finding = _neighbour(check.beside(check.trial.replace(case=case)))
        if finding.verdict is not None:
            after = say("after a call of the same shapes with a different {name}", name=name)
            message = f"{finding.verdict.message} {after}".strip()
            finding.verdict = replace(finding.verdict, message=message)
        yield finding


def _neighbour(check: Check) -> Finding:
    """Findings about another call: its exceptions and results are its own, and so is the claim that fails."""
    values = "exact" if check.trial.policy == "exact" else "rounding"
    try:
        finding = check.compare("state" if check.op.draws else values, "output", check.open(gradients=False).outputs())
    except (NoCounterpart, NotImplementedError) as error:
        return Finding("state", left_out=str(error))
    except Exception as error:
        if is_ours(error):
            raise
        return Finding("answers", verdict=malformed("answers", check.trial, error))
    if finding.verdict is None:
        finding.claim = "state"
    else:
        finding.claim = values if finding.verdict.expected is not None else "shape"
        finding.verdict = replace(finding.verdict, claim=finding.claim)
    return finding


def neighbours(op: Op, case: Case) -> Iterator[tuple[str, Case]]:
    """The call with one parameter changed, for each parameter for which that is legal."""
    for param in op.params:
        value = case.params.get(param.name, param.default)
        other = _another(param, value)
        if other is None:
            continue
        changed = case._replace(params={**case.params, param.name: other})
        try:
            op.checked(changed)
        except Refused:
            continue
        if sees_its_input(op, changed):
            yield param.name, changed


def _another(param: Param, value: Any) -> Any:
    """Another value of a parameter: its default, or the next one; None if there is none that is plain."""
    match value:
        case bool():
            return not value
        case int():
            return param.default if isinstance(param.default, int) and value != param.default else value + 1
        case float():
            return value / 2 or None
        case (*first, int(last)):
            return (*first, last + 1)
    return None


def _backward_again(check: Check) -> Iterator[Finding]:
    """The gradients of a second backward pass through one call: what the call saved must still be there."""
    session = check.open(check.trial.layout)
    try:
        first = check.compare("state", "gradient", session.vjp(check.trial.cotangent))
        finding = check.compare("state", "gradient", session.vjp(check.trial.cotangent))
    except (NoCounterpart, NotImplementedError):
        return
    if finding.verdict is not None and first.verdict is None:  # else `vjp` says so
        message = say("in a second backward pass")
        yield Finding("state", finding.elements, verdict=replace(finding.verdict, message=message))
    elif finding.verdict is None:
        yield finding


def _call_another_shape(check: Check) -> None:
    """A call that may leave something behind: a cache, a buffer of another size. If the process dies of it, or of the
    next one, both are saved."""
    other = check.trial.before or _next_case(check)
    if other is None or check.backend.lacks(check.op, other):
        return
    check.watcher.runs(check.trial.replace(before=other))
    try:
        check.backend.open(check.op, other, check.trial.dtype, gradients=False).outputs()
    except BaseException as error:  # if it fails, it fails in its own trial
        if asked_to_stop(error):
            raise


def _next_case(check: Check) -> Case | None:
    """The case of the next address."""
    if len(check.trial.address) != 4:
        return None
    _, dtype, seed, index = check.trial.address
    return trial_at(check.op, dtype, seed, index + 1).case


def same_answer(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return all(same_bits(each, b[name]) for name, each in a.items())


def same_bits(a: Array, b: Array) -> bool:
    """Equal, NaN with NaN."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))
