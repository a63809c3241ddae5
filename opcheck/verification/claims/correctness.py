"""Claims about numbers: shapes, dtypes, values, gradients, tangents. Each takes a Check and yields findings."""

from collections.abc import Iterator, Mapping

import numpy as np

from opcheck.backends.base import NoCounterpart
from opcheck.language import say
from opcheck.operators.spec import Array
from opcheck.verification.check import Check, Finding, Overflowed, differs
from opcheck.verification.truth.adjudication import Exact, Short, TooLong
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.truth.definition import Definition, as_float
from opcheck.verification.truth.rearrangement import magnitudes, may_overflow
from opcheck.verification.verdict import Status, Verdict

SMALL = 24  # numbers of a case whose second derivative is traced
MOST_READ = 400_000  # lines of a definition that is read in full to see where special values are fixed
SAMPLED, MOST_SAMPLED = 8, 10_000  # elements and lines of a longer one


def answers(check: Check) -> Iterator[Finding]:
    """The call returns arrays of numbers and does not raise."""
    yield Finding("answers", elements=len(check.got))


def shape(check: Check) -> Iterator[Finding]:
    finding = Finding("shape", elements=len(check.got))
    for name, expected in check.expected.items():
        finding.verdict = finding.verdict or check.same_shape("shape", name, check.got[name], expected)
    yield finding


def dtype(check: Check) -> Iterator[Finding]:
    finding = Finding("dtype", elements=len(check.got))
    for output in check.op.outputs:
        found = check.session.dtypes.get(output.name)
        wanted = "int64" if output.whole else check.trial.dtype
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
        yield check.compare("special", "output", check.got, free=undecided(check))
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
        if name not in check.got_gradients and name not in check.trial.frozen:
            message = say("there is no gradient of {name}", name=name)
            yield Finding(
                f"vjp:{name}", verdict=Verdict(Status.MALFORMED, f"vjp:{name}", check.trial, name, message=message)
            )


def jvp(check: Check) -> Iterator[Finding]:
    if check.trial.policy == "special" or not check.trial.tangents or not check.op.is_derivative(check.p):
        return
    yield check.compare("jvp", "tangent", check.got_tangents)


def adjoint(check: Check) -> Iterator[Finding]:
    """<g, Jv> = <J'g, v>, on exact inputs where both sides are sums without rounding."""
    if check.trial.policy != "exact" or not check.trial.tangents or check.trial.frozen or check.op.draws:
        return
    if not check.op.is_derivative(check.p):
        return
    trial = check.trial
    forward = sum(float((trial.cotangent[n] * t).sum()) for n, t in check.got_tangents.items() if n in trial.cotangent)
    backward = sum(float((g * trial.tangents[n]).sum()) for n, g in check.got_gradients.items() if n in trial.tangents)
    # the two sides differ by at most what the bounds of both allow
    f = check.f.tiers()[-1]
    tangents, gradients = check.bounds_of("tangent", f), check.bounds_of("gradient", f)
    allowed = size = 0.0
    for name, (bound, *_) in tangents.items():
        y = check.expected_tangents[name]
        allowed += float((np.abs(trial.cotangent[name]) * f.stored(y, bound)).sum())
        size += float(np.abs(trial.cotangent[name] * y).sum())
    for name, (bound, *_) in gradients.items():
        if name not in check.expected_gradients:
            continue
        y = check.expected_gradients[name]
        overflow = check.tolerance("gradient", f, [name])[name]  # where it is infinite
        allowed += float((np.abs(trial.tangents[name]) * np.maximum(f.stored(y, bound), overflow)).sum())
        size += float(np.abs(trial.tangents[name] * y).sum())
    products = sum(each.size for each in (*trial.cotangent.values(), *trial.tangents.values()))
    allowed += (products + 1) * 2.0**-52 * size  # our own two sums, in float64: twice gamma_products covers its square
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


def second(check: Check) -> Iterator[Finding]:
    """The gradient of the gradient, within the bound of every arrangement of the definition's own second derivative."""
    trial = check.trial
    small = sum(array.size for array in trial.case.arrays.values()) <= SMALL
    if trial.policy == "special" or not trial.tangents or trial.frozen or not small or check.f.digits < 24:
        return
    if not check.op.is_derivative(check.p) or check.op.draws:
        return
    if not check.op.second_derivative:
        raise NoCounterpart(say("the gradient is clamped, so its second derivative is undefined"))
    definition = Definition(check.op, trial.case)
    nodes = definition.second(trial.cotangent, trial.tangents)
    got = check.session.second(trial.cotangent, trial.tangents)
    finding = Finding("second")
    sizes = magnitudes(definition.graph(), check.f)
    overflows = may_overflow(definition.graph(), [each.value for each in sizes], check.f)
    more = check.bounds.rounding.second(check.f, one_or_dict(check.op, trial.cotangent), trial.tangents)
    for name, row in nodes.items():
        shape = trial.case.arrays[name].shape
        expected = np.array([sizes[node.id].value for node in row]).reshape(shape)
        bound = np.array([sizes[node.id].error(check.f) for node in row]).reshape(shape) + more.get(name, 0.0)
        wrong, ratio, free = differs(got[name], expected, bound, check.f)
        lost = wrong & np.array([overflows[node.id] for node in row], dtype=bool).reshape(shape)
        lost &= np.isnan(got[name]) | (got[name] == 0)
        wrong &= ~lost
        finding.elements, finding.free = finding.elements + expected.size, finding.free + free + int(lost.sum())
        finding.ratio = max(finding.ratio, ratio)
        while wrong.any() and finding.verdict is None:
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            value = as_float(definition.exactly(row[int(np.ravel_multi_index(at, shape)) if at else 0]))
            exact = Exact(value, 0.0, say("the definition, exactly"))
            try:
                finding.verdict = check.confirmed(
                    "second", name, at, exact, float(got[name][at]), float(bound[at]), int(wrong.sum()), expected.size,
                    float(expected[at]),
                )  # fmt: skip
            except Overflowed:
                lost = wrong & ~np.isfinite(expected)
                finding.free, finding.lost = finding.free + int(lost.sum()), finding.lost + int(lost.sum())
                wrong &= ~lost
    yield finding


def undecided(check: Check, got: Mapping[str, Array] | None = None) -> dict[str, Array]:
    """Special values are fixed where two independent readings agree; elsewhere any result is accepted (and counted). If
    a case is too long for the definition, a sample of the elements that may be wrong in `got` is read; if the result
    agrees with the reference, as it nearly always does, nothing is."""
    if _agrees(check, check.got if got is None else got):
        return {}
    if "long" not in check.kept:
        check.kept["long"] = _long(check)
    if check.kept["long"] is not None:
        got = check.got if got is None else got
        return {
            name: _of_a_sample(check, check.kept["long"], name, got[name]) for name in check.expected if name in got
        }
    if "undecided" not in check.kept:
        check.kept["undecided"] = _undecided(check)
    found: dict[str, Array] = check.kept["undecided"]
    return found


def _agrees(check: Check, got: Mapping[str, Array]) -> bool:
    """Whether every element is within its tightest bound."""
    names = [name for name, expected in check.expected.items() if name in got and got[name].shape == expected.shape]
    tolerance = check.tolerance("output", check.f.tiers()[0], names)
    return len(names) == len(got) and not any(
        differs(got[name], check.expected[name], tolerance[name], check.f)[0].any() for name in names
    )


def _undecided(check: Check) -> dict[str, Array]:
    definition = Definition(check.op, check.case)
    by_definition, by_the_way = definition.outputs(), definition.undecided(check.f.largest, check.f.tiny, check.f.u)
    return {name: _free(check, expected, by_definition.get(name, expected), by_the_way.get(name, False))
            for name, expected in check.expected.items()}  # fmt: skip


def _long(check: Check) -> Definition | None:
    """The definition on a tape of few lines, if it is too long to be read in full."""
    short = Definition(check.op, check.case, Short(MOST_SAMPLED))
    try:
        return short if short.size() > MOST_READ else None
    except TooLong:
        return short


def _free(check: Check, expected: Array, other: Array, by_the_way: Array | bool) -> Array:
    """Positions are not a function of the numbers: there is no second witness, and `other` is `expected`."""
    finite_inputs = all(np.isfinite(array).all() for array in check.arrays.values())
    finite = np.isfinite(expected)
    free = (finite != np.isfinite(other)) | (~finite & (expected != other) & ~(np.isnan(expected) & np.isnan(other)))
    # an overflow on the way, which may meet an infinity, or padding times one: the result depends on the order
    return np.asarray(free | by_the_way | (~finite & finite_inputs))


def _of_a_sample(check: Check, definition: Definition, name: str, got: Array) -> Array:
    """Free: what may be wrong and is not in the sample, or for which the readings differ."""
    expected = check.expected[name]
    if got.shape != expected.shape or check.op.output(name).whole:
        return np.zeros(expected.shape, bool)
    close = np.abs(got - expected) <= 2.0 ** -(check.f.digits // 2) * np.abs(expected)
    free = ~(close | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    places = np.argwhere(free)
    for k in np.unique(np.linspace(0, len(places) - 1, SAMPLED).astype(int)) if len(places) else ():
        at = tuple(int(i) for i in places[k])
        try:
            value, by_the_way = definition.read(name, at, check.f.largest, check.f.tiny, check.f.u)
        except TooLong:
            break
        free[at] = _free(check, expected[at], np.asarray(value), by_the_way)
    return np.asarray(free)
