"""What an implementation of an operator claims: one small function each.

A claim takes a Check (one trial, one implementation) and yields findings. `EVERY` lists them with one sentence each;
`opcheck verify --list-claims` prints it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from opcheck.backends.base import NoCounterpart
from opcheck.language import say
from opcheck.spec import Array, Refused
from opcheck.verify.check import Check, Finding, malformed
from opcheck.verify.definition import Definition
from opcheck.verify.verdict import Status, Verdict


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim: its name, one sentence, and how often it is checked (on every how many-th trial)."""

    name: str
    sentence: str
    check: Callable[[Check], Iterator[Finding]]
    every: int = 1


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
        y = check.expected_gradients[name]
        allowed += float((np.abs(trial.tangents[name]) * f.stored(y, bound)).sum())
        size += float(np.abs(trial.tangents[name] * y).sum())
    allowed += 1e4 * 2.0**-53 * size  # our own two sums, in float64
    finding = Finding("adjoint", elements=1)
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
    for each in check.backend.layouts:
        if each == "contiguous":
            continue
        session = check.open(each)
        finding = _policy(check, "layout", session.outputs())
        if finding.verdict is None and check.trial.tangents and check.trial.policy != "special":
            try:
                gradients = session.vjp(check.trial.cotangent)
            except NoCounterpart:
                gradients = {}
            if gradients:
                finding = check.compare("layout", "gradient", gradients)
        if finding.verdict is not None:
            finding.verdict = _renamed(finding.verdict, check, each)
        yield finding


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
    """The same call gives the same bits again."""
    finding = Finding("repeat", elements=sum(each.size for each in check.got.values()))
    for _ in range(3):
        again = check.open(check.trial.layout).outputs()
        for name, first in check.got.items():
            if not same_bits(first, again[name]):
                finding.verdict = Verdict(
                    Status.DIFFERS,
                    "repeat",
                    check.trial,
                    name,
                    message=say("the same call gave another {name} the second time", name=name),
                )
                yield finding
                return
    yield finding


def same_bits(a: Array, b: Array) -> bool:
    """Equal, NaN with NaN."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))


def _policy(check: Check, claim: str, got: dict[str, Array]) -> Finding:
    if check.trial.policy == "special":
        return check.compare(claim, "output", got, free=_where_definition_and_reference_disagree(check))
    return check.compare(claim, "output", got)


def _renamed(verdict: Verdict, check: Check, layout: str) -> Verdict:
    from dataclasses import replace

    return replace(
        verdict,
        trial=check.trial.replace(layout=layout),
        message=verdict.message or say("wrong for {layout} memory only", layout=layout),
    )


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
    Claim("adjoint", "<g, Jv> = <J'g, v>", adjoint, every=3),
    Claim("layout", "the same answer for transposed, strided, offset, channels-last and expanded memory", layout, every=5),
    Claim("pure", "inputs unchanged; outputs in memory of their own", pure, every=7),
    Claim("repeat", "the same bits for the same call again", repeat, every=7),
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
