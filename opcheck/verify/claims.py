"""What an implementation of an operator claims: one small function each.

A claim takes a Check (one trial, one implementation) and yields findings. `EVERY` lists them with one sentence each;
`opcheck verify --list-claims` prints it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from opcheck.backends.base import NoCounterpart
from opcheck.language import say
from opcheck.spec import Array, Case, Refused
from opcheck.verify.check import Check, FalseAlarm, Finding, malformed
from opcheck.verify.definition import Definition
from opcheck.verify.streams import trial as trial_at
from opcheck.verify.verdict import Status, Verdict

AGAIN = 6  # calls that must give the same bits


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim: its name, one sentence, how often it is checked (on every how many-th trial), and whether there is a
    point in it where the values or gradients are wrong already."""

    name: str
    sentence: str
    check: Callable[[Check], Iterator[Finding]]
    every: int = 1
    needs_right_values: bool = False


def shape(check: Check) -> Iterator[Finding]:
    finding = Finding("shape", elements=len(check.got))
    for name, expected in check.expected.items():
        finding.verdict = finding.verdict or check.same_shape("shape", name, check.got[name], expected)
    yield finding


def dtype(check: Check) -> Iterator[Finding]:
    finding = Finding("dtype", elements=len(check.got))
    for output in check.op.outputs:
        found = check.session.dtypes.get(output.name)
        wanted = check.trial.dtype if output.differentiable else "int64"
        if found is not None and found != wanted and finding.verdict is None:
            finding.verdict = Verdict(
                Status.DIFFERS,
                "dtype",
                check.trial,
                output.name,
                message=say("{name} is {got}; the inputs are {want}", name=output.name, got=found, want=wanted),
            )
    yield finding


def numbers(check: Check) -> Iterator[Finding]:
    """The outputs: exact, rounding or special, as the trial's values say."""
    policy = check.trial.policy
    if policy == "special":
        yield check.compare("special", "output", check.got, free=_where_definition_and_reference_disagree(check))
    elif policy == "exact":
        yield check.compare("exact", "output", check.got)
    else:
        yield check.compare("rounding", "output", check.got)


def vjp(check: Check) -> Iterator[Finding]:
    if check.trial.policy == "special" or not check.trial.tangents:
        return
    for name, gradient in check.got_gradients.items():
        if name not in check.expected_gradients:
            continue
        yield check.compare(f"vjp:{name}", "gradient", {name: gradient})
    for name in check.expected_gradients:
        if name not in check.got_gradients:
            message = say("there is no gradient of {name}", name=name)
            yield Finding(f"vjp:{name}", verdict=Verdict(Status.MALFORMED, f"vjp:{name}", check.trial, name, message=message))


def jvp(check: Check) -> Iterator[Finding]:
    if check.trial.policy == "special" or not check.trial.tangents:
        return
    yield check.compare("jvp", "tangent", check.got_tangents)


def adjoint(check: Check) -> Iterator[Finding]:
    """<g, Jv> = <J'g, v>, on exact inputs where both sides are sums without rounding."""
    if check.trial.policy != "exact" or not check.trial.tangents:
        return
    trial = check.trial
    forward = sum(float((trial.cotangent[n] * t).sum()) for n, t in check.got_tangents.items() if n in trial.cotangent)
    backward = sum(float((g * trial.tangents[n]).sum()) for n, g in check.got_gradients.items() if n in trial.tangents)
    # the two sides differ by at most what the bounds of both allow
    f = check.f.tiers()[-1]
    tangents, gradients = check.bounds.tangents(f, trial.tangents), check.bounds.gradients(f, trial.cotangent)
    allowed = size = 0.0
    for name, (bound, *_) in tangents.items():
        y = check.expected_tangents[name]
        allowed += float((np.abs(trial.cotangent[name]) * f.stored(y, bound)).sum())
        size += float(np.abs(trial.cotangent[name] * y).sum())
    for name, (bound, *_) in gradients.items():
        if name not in check.expected_gradients:
            continue
        y = check.expected_gradients[name]
        allowed += float((np.abs(trial.tangents[name]) * f.stored(y, bound)).sum())
        size += float(np.abs(trial.tangents[name] * y).sum())
    allowed += 1e4 * 2.0**-53 * size  # our own two sums, in float64
    finding = Finding("adjoint", elements=1)
    if not np.isfinite(allowed):  # the mean of no rows is NaN on both sides
        finding.free = 1
        yield finding
        return
    error = abs(forward - backward)
    finding.ratio = error / allowed if allowed else 0.0
    if not error <= allowed:
        finding.verdict = Verdict(
            Status.DIFFERS,
            "adjoint",
            trial,
            expected=forward,
            got=backward,
            bound=allowed,
            message=say("⟨g, Jv⟩ = {a} and ⟨Jᵀg, v⟩ = {b} should be equal", a=forward, b=backward),
        )
    yield finding


def layout(check: Check) -> Iterator[Finding]:
    """The same numbers from every memory layout."""
    layouts = check.backend.layouts if check.trial.layout == "contiguous" else (check.trial.layout,)
    for each in layouts:
        if each == "contiguous":
            continue
        try:
            finding = _from_memory(check, each)
        except (NoCounterpart, KeyboardInterrupt, FalseAlarm):
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
        return check.compare("layout", "output", outputs, free=_where_definition_and_reference_disagree(check))
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
            check.backend.open(check.op, other.case, dtype, gradients=False).outputs()


def batch(check: Check) -> Iterator[Finding]:
    """The first and the last of a batch alone give what they give in the batch."""
    arrays = check.trial.case.arrays
    batched = [
        each.name for each in check.op.inputs
        if each.name in arrays and each.letters.startswith("N ") and arrays[each.name].ndim == len(each.letters.split())
    ]  # fmt: skip
    count = arrays[batched[0]].shape[0] if batched else 0
    if count < 2 or not all(each.letters.startswith("N ") for each in check.op.outputs) or check.trial.policy == "special":
        return
    for k in (0, count - 1):
        one = {name: array[k : k + 1] if name in batched else array for name, array in arrays.items()}
        alone = Check(check.op, check.trial.replace(case=Case(check.op.name, one, check.trial.case.params)), check.backend)
        yield alone.compare("batch", "output", alone.got)


def second(check: Check) -> Iterator[Finding]:
    """The gradient of the gradient, to half of the type's digits: its structure, not its rounding."""
    trial = check.trial
    small = sum(array.size for array in trial.case.arrays.values()) <= 24
    if trial.policy != "exact" or not trial.tangents or not small or check.f.digits < 24:
        return
    definition = Definition(check.op, trial.case)
    expected = definition.second(trial.cotangent, trial.tangents)
    if any(node.op == "with_slope" for node in definition.tape.nodes):
        raise NoCounterpart(say("the definition declares its gradient, so it says nothing of a second one"))
    got = check.session.second(trial.cotangent, trial.tangents)
    finding = Finding("second")
    for name, right in expected.items():
        finding.elements += right.size
        found = got[name]
        scale = float(np.max(np.abs(right), initial=1.0))
        bound = np.full(right.shape, 2.0 ** -(check.f.digits // 2) * scale)
        with np.errstate(all="ignore"):
            wrong = ~((np.abs(found - right) <= bound) | ~np.isfinite(right))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            finding.verdict = Verdict(
                Status.DIFFERS, "second", trial, name, at, float(right[at]), float(found[at]), float(bound[at]),
                wrong=int(wrong.sum()), elements=right.size,
            )  # fmt: skip
    yield finding


def refuses(check: Check) -> Iterator[Finding]:
    """Arguments that do not fit each other raise; nothing is computed from them."""
    case = check.trial.case
    for name, array in case.arrays.items():
        for axis in range(array.ndim):
            longer = np.concatenate([array, array[-1:] if axis == 0 else np.take(array, [-1], axis)], axis) if array.size else array
            bad = Case(check.op.name, {**case.arrays, name: longer}, case.params)
            try:
                check.op.checked(bad)
                continue
            except Refused as refusal:
                rule = refusal.rule
            finding = Finding("refuses", elements=1)
            try:
                check.backend.open(check.op, bad, check.trial.dtype, gradients=False).attempt()
            except NoCounterpart:
                raise
            except Exception:  # any refusal will do
                yield finding
                continue
            message = say("computed something for {name} of shape {shape}: {rule}", name=name, shape=longer.shape, rule=rule)
            bad_trial = check.trial.replace(case=bad)
            finding.verdict = Verdict(Status.DIFFERS, "refuses", bad_trial, name, message=message)
            yield finding


def same_answer(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return all(same_bits(each, b[name]) for name, each in a.items())


def same_bits(a: Array, b: Array) -> bool:
    """Equal, NaN with NaN."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))


def _where_definition_and_reference_disagree(check: Check) -> dict[str, Array]:
    """Special values are fixed where two independent readings agree; elsewhere the answer is free (and counted)."""
    free = {}
    by_definition = Definition(check.op, check.trial.case).outputs()
    for name, expected in check.expected.items():
        other = by_definition.get(name, expected)  # positions are no function of the numbers: there is no second witness
        finite = np.isfinite(expected)
        free[name] = (finite != np.isfinite(other)) | (~finite & (expected != other) & ~(np.isnan(expected) & np.isnan(other)))
    return free


def answers(check: Check) -> Iterator[Finding]:
    """The call returns arrays of numbers and does not raise."""
    yield Finding("answers", elements=len(check.got))


EVERY = (
    Claim("answers", "the call returns arrays of real numbers, as many as torch, and does not raise", answers),
    Claim("shape", "every output has torch's shape", shape),
    Claim("dtype", "every output has the dtype of the inputs", dtype),
    Claim("values", "exact: bit-equal on whole numbers; rounding: within the proven bound; special: NaN, ±inf, ...", numbers),
    Claim("vjp", "vjp:<input>: the gradient for random cotangents is within its bound, exact on whole numbers", vjp),
    Claim("jvp", "the tangent for random tangents is within its bound, exact on whole numbers", jvp),
    Claim("adjoint", "<g, Jv> = <J'g, v>", adjoint, every=3, needs_right_values=True),
    Claim("layout", "the same answer for transposed, strided, offset, channels-last and expanded memory", layout, every=5,
          needs_right_values=True),  # fmt: skip
    Claim("batch", "the first and the last of a batch alone give what they give in the batch", batch, every=5,
          needs_right_values=True),  # fmt: skip
    Claim("second", "the gradient of the gradient, to half of the type's digits", second, every=9,
          needs_right_values=True),  # fmt: skip
    Claim("refuses", "arguments that do not fit each other raise", refuses, every=11),
    Claim("pure", "inputs unchanged; outputs in memory of their own", pure, every=7),
    Claim("repeat", "the same bits again: at once, after another shape, from two threads", repeat, every=5),
)


def chosen(wanted: Iterable[str] | None) -> tuple[Claim, ...]:
    """The claims of these names (all for None); `answers` and `shape` always, as the others stand on them."""
    if wanted is None:
        return EVERY
    names = {each.partition(":")[0] for each in wanted} | {"answers", "shape"}
    names |= {"values"} if names & {"exact", "rounding", "special"} else set()
    known = {claim.name for claim in EVERY} | {"exact", "rounding", "special"}
    for name in sorted(names - known):
        raise Refused(say("there is no claim {name}", name=repr(name)), fix=say("they are {names}", names=", ".join(sorted(known))))
    return tuple(claim for claim in EVERY if claim.name in names)
