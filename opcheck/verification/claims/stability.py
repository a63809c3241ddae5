"""A claim about digits: small results have all of them if a form is known that keeps them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.shared.roundoff import Rounding
from opcheck.operators.spec import Op
from opcheck.verification.check import Check, Finding, differs
from opcheck.verification.streams import in_format
from opcheck.verification.verdict import Status, Verdict


def concerns(op: Op) -> bool:
    """Whether the operator has a stable form beside the textbook's."""
    return op.rounding is not None and type(op.rounding).stable is not Rounding.stable and not op.draws


def stable(check: Check) -> Iterator[Finding]:
    """Whether a result within the textbook form's bound is also within the stable form's: otherwise a note, and a
    failure only on request."""
    if check.trial.policy == "special" or check.op.rounding is None or check.op.draws:
        return
    for each in filter(None, (check, _further(check))):
        bounds = check.op.rounding.stable(check.op, each.p, each.f.tiers()[-1], **each.arrays)
        if bounds is None:
            return
        finding = each.compare("rounding", "output", each.got)
        if finding.verdict is not None:  # of the case itself, `values` says so
            if each is not check:
                yield finding
            return
        finding = _judged(each, each.op.by_name(bounds, each.shapes))
        if each is not check or finding.form:
            yield finding
            return


def _further(check: Check) -> Check | None:
    """A call like this one with small results; None where the operator, or the implementation, does not take it."""
    assert check.op.rounding is not None
    made = check.op.rounding.confident(check.op, check.trial.case)
    trial = check.trial.replace(case=in_format(made, check.f), policy="real", cotangent={}, tangents={})
    try:
        found = Check(check.op, trial, check.backend, check.watcher)
        return None if check.backend.lacks(check.op, trial.case) else found
    except Refused:
        return None


def _judged(check: Check, bounds: dict[str, Any]) -> Finding:
    """Which results have fewer digits than the stable form gives."""
    f, finding = check.f.tiers()[-1], Finding("stable")
    for name, bound in bounds.items():
        got, expected = check.got[name], check.expected[name]
        room = f.stored(expected, bound.error)
        lost, _, _ = differs(got, expected, np.where(np.isnan(room), np.inf, room), check.f)
        finding.elements += expected.size
        if lost.any() and not finding.form:
            finding.form = say("loses the digits of confident rows (x − lse); a stable form exists")
            if check.backend.stable:
                at = tuple(int(i) for i in np.argwhere(lost)[0])
                finding.verdict = Verdict(  # what 50 digits make of 1 + e^−120 is 1: the reference knows better
                    Status.DIFFERS, "stable", check.trial, name, at, float(expected[at]), float(got[at]),
                    float(room[at]), message=finding.form, wrong=int(lost.sum()), elements=expected.size,
                    details={"exact_by": say("the reference")},
                )  # fmt: skip
    return finding
