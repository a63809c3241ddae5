"""One array in several places: what a call gives that has it for more than one of its inputs, as self-attention has."""

from collections.abc import Iterator, Mapping

import numpy as np

from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Refused, Shape
from opcheck.verification.check import Check, Finding, differs
from opcheck.verification.directed import probed
from opcheck.verification.streams import differentiable, with_directions
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.widening import Sized, resized

FEW = 500  # numbers of a case whose sizes are changed so that its inputs are alike


def one_for_several(check: Check) -> Iterator[tuple[tuple[str, ...], Check]]:
    """All inputs of one shape, and the first two of them, with the call that has the numbers of one in all of them."""
    case = check.trial.case
    if sum(array.size for array in case.arrays.values()) <= FEW:
        case = alike(check.op, case)
    groups: dict[Shape, list[str]] = {}
    for name in _real(check.op, case):
        groups.setdefault(case.arrays[name].shape, []).append(name)
    whole = [tuple(names) for names in groups.values() if len(names) > 1]
    for names in dict.fromkeys([*whole, *(names[:2] for names in whole)]):
        for source in _sources(check.op, names):
            same = case._replace(arrays={**case.arrays, **dict.fromkeys(names, case.arrays[source])})
            trial = check.trial.replace(case=same, policy="real", layout="contiguous", frozen=())
            try:
                other = check.beside(with_directions(check.op, trial, np.random.default_rng(0)))
            except Refused:
                continue
            if all(np.isfinite(each).all() for each in other.expected.values()):
                yield names, other
                break


def _sources(op: Op, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those whose numbers the others may have: where some take any number and some do not (a mean of squares), not
    the first."""
    picky = tuple(name for name in names if name not in probed(op).inputs)
    return picky or names


def alike(op: Op, case: Case) -> Case:
    """The case with its inputs of as many dimensions in one shape, as far as that is legal."""
    rng, models = np.random.default_rng(0), dict[int, str]()
    for name in _real(op, case):
        model = models.setdefault(case.arrays[name].ndim, name)
        for axis, n in enumerate(case.arrays[model].shape):
            if case.arrays[name].shape[axis] != n:
                case = resized(op, case, Sized(op, case).having(name, axis, n), rng)
    return case


def _real(op: Op, case: Case) -> list[str]:
    """The inputs that have a gradient, and are not written."""
    written = {each.name for each in op.outputs if each.updates}
    return [name for name in differentiable(op, case) if name not in written and case.arrays[name].size]


def sum_of_gradients(
    other: Check, names: tuple[str, ...], got: Mapping[str, Array], check: Check
) -> Finding | None:  # fmt: skip
    """A finding if the gradient of the one array is not the sum of those of the inputs that it is given for."""
    smooth = [name for name in names if name in got and name in other.expected_gradients]
    if not smooth:
        return None
    expected = sum((other.expected_gradients[name] for name in smooth), np.zeros(()))
    sizes = sum((np.abs(other.expected_gradients[name]) for name in smooth), np.zeros(()))
    each = other.tolerance("gradient", other.f.tiers()[-1], smooth)
    bound = sum(each.values(), np.zeros(())) * 2 + len(smooth) * 2.0**-other.f.digits * sizes
    total = got[smooth[0]]
    if total.shape != expected.shape:
        return None
    wrong = differs(total, expected, np.where(np.isfinite(expected), bound, np.inf), other.f)[0]
    wrong &= np.isfinite(expected)
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    message = say(
        "the gradient of one array given for {names} is not the sum of their gradients", names=", ".join(names)
    )
    verdict = Verdict(Status.DIFFERS, "state", check.trial, smooth[0], at, float(expected[at]), float(total[at]),
                      float(bound[at]), message=message, wrong=int(wrong.sum()), elements=wrong.size)  # fmt: skip
    return Finding("state", wrong.size, verdict=verdict)
