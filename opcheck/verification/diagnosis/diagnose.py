"""What a wrong answer looks like: the named mistakes and the general relations that predict it on every failing case.

A prediction must agree with what came in every failure, to ROOM roundings of the largest number, and differ from the
right answer in one at least: so that a name is a finding and not a guess. Where it differs by less than that, a failure
neither speaks for a name nor against it. Whether something is wrong is not decided here: that takes a proven bound.
What a lower precision explains is precision.py's to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from opcheck.backends.base import Backend
from opcheck.language import say
from opcheck.operators.spec import Array, Form, Mistake, Op
from opcheck.verification.check import Check
from opcheck.verification.truth import forms
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.verdict import Status, Verdict

DIGITS = 53  # of float64
FAR_SMALLER = 2.0**-12  # an error that rounding makes; that of another function is the same in any precision
ROOM = 64  # roundings, as a mistaken sum of any length has no bound of its own
NEARLY = 2.0**-10  # of the largest number


def resemblances(
    op: Op, verdicts: Sequence[Verdict], backend: Backend, mistakes: Sequence[Mistake] | None = None,
    relations: bool = True,
) -> tuple[str, ...]:  # fmt: skip
    """The names of all mistakes (those of the operator, unless others are asked) and relations that predict every one
    of these failures; where no mistake does, of the operator's forms."""
    mistakes = op.mistakes if mistakes is None else mistakes
    order = [*(each.name for each in mistakes), *(RELATIONS if relations else ())]
    found: set[str] | None = None
    telling: set[str] = set()
    for verdict in verdicts:
        if verdict.trial is None or verdict.status is not Status.DIFFERS:
            continue
        try:
            names = _explain(Check(op, verdict.trial, backend), verdict, mistakes, relations)
        except Exception:  # a candidate may fail in other ways when it runs again
            names = {}
        telling |= {name for name, differs in names.items() if differs or (found is not None and name not in order)}
        found = set(names) if found is None else found & set(names)
    likely = sorted((found or set()) & telling, key=lambda name: order.index(name) if name in order else len(order))
    if not relations or any(each.name in likely for each in mistakes):
        return tuple(likely)
    return (*(each.name for each in forms_like(op, verdicts, backend)[:1]), *likely)


def looks_like(op: Op, verdicts: Sequence[Verdict], backend: Backend) -> tuple[str, ...]:
    """The same; where nothing has a name, whether the formula is right and only its digits or its range are lost."""
    found = resemblances(op, verdicts, backend)
    if found:
        return found
    asked = [each for each in verdicts if each.trial is not None and each.status is Status.DIFFERS]
    kinds = {_of_float64(op, each, backend) for each in asked}
    return tuple(kinds) if len(kinds) == 1 and "" not in kinds else ()


LOSES, OVERFLOWS = "a form that loses digits", "a form that overflows"


def _of_float64(op: Op, verdict: Verdict, backend: Backend) -> str:
    """What a form of the right function loses, if the same call in float64 is off by far less; else ""."""
    assert verdict.trial is not None
    kind = "output" if verdict.claim == "special" else _kind(verdict.claim)
    try:
        check = Check(op, verdict.trial, backend)
        (got, expected), (finer, _) = (
            _answers(each, kind) for each in (check, Check(op, replace(check.trial, dtype="float64"), backend))
        )
        names = [name for name in got if kind]
        given = max((_largest(each) for each in _seeds(check, kind).values()), default=0.0)
        same = all(_shrinks(got[name], finer[name], expected[name], given) for name in names)
        overflow = any(np.any(np.isfinite(expected[name]) & ~np.isfinite(got[name])) for name in names)
        return (OVERFLOWS if overflow else LOSES) if names and same and check.f.digits < DIGITS else ""
    except Exception:  # a candidate may know no float64, or fail in other ways when it runs again
        return ""


def _seeds(check: Check, kind: str) -> Mapping[str, Array]:
    return {"gradient": check.trial.cotangent, "tangent": check.trial.tangents}.get(kind, {})


def _shrinks(got: Array, finer: Array, right: Array, given: float) -> bool:
    """Whether errors are far smaller in float64, or nothing beside the numbers that were given."""
    with np.errstate(all="ignore"):
        error = np.where(np.isfinite(got), np.abs(got - right), np.inf)
        off, largest = np.abs(finer - right), _largest(right)
        near = (off <= FAR_SMALLER * np.fmin(error, largest)) | (off <= ROOM * 2.0**-DIGITS * max(largest, given))
        alike = (finer == right) | (np.isnan(finer) & np.isnan(right))
        return bool(np.all(alike | (near & np.isfinite(right))))


def forms_like(op: Op, verdicts: Sequence[Verdict], backend: Backend) -> tuple[Form, ...]:
    """The forms that are as far off as what came, in every failure, and come to no number where it did not."""
    asked = [each for each in verdicts if each.trial is not None and each.status is Status.DIFFERS]
    return tuple(form for form in op.forms if asked and all(_is_form(op, each, backend, form) for each in asked))


def _is_form(op: Op, verdict: Verdict, backend: Backend, form: Form) -> bool:
    assert verdict.trial is not None
    kind = "output" if verdict.claim == "special" else _kind(verdict.claim)
    try:
        check = Check(op, verdict.trial, backend)
        got, expected = _answers(check, kind)
        if kind == "output":
            widths = forms.output_widths(op, check.p, check.f, form, check.arrays, expected)
        elif kind == "gradient":
            widths = forms.gradient_widths(
                op, check.p, check.f, form, check.arrays, verdict.trial.cotangent, expected
            )  # fmt: skip
        else:
            return False
        types = ("float64",) if check.f.digits > 24 else ("float32", "float64")
        return any(_comes_of(check, kind, form, widths, got, expected, dtype) for dtype in types)
    except Exception:  # a candidate may fail in other ways when it runs again, and a form is not made for every case
        return False


def _comes_of(
    check: Check, kind: str, form: Form, widths: Mapping[str, Array], got: Mapping[str, Array],
    expected: Mapping[str, Array], dtype: str,
) -> bool:  # fmt: skip
    """Whether these numbers may come of the form where it is computed in that type."""
    arrays = forms.in_precision(check.arrays, dtype)
    if kind == "output":
        made = forms.written_outputs(check.op, check.p, form, arrays)
    else:
        cotangent = forms.in_precision(check.trial.cotangent, dtype)
        made = forms.written_gradients(check.op, check.p, form, arrays, cotangent)
    for name, each in got.items():
        if name not in widths or made[name].shape != each.shape or widths[name].shape != each.shape:
            return False
        with np.errstate(all="ignore"):
            as_near = np.abs(each - expected[name]) <= widths[name] + ROOM * check.f.u * _largest(expected[name])
            alike = (np.isnan(each) & np.isnan(made[name])) | (each == made[name])
            if not np.all((as_near & np.isfinite(each) & np.isfinite(made[name])) | alike):
                return False
    return True


def _explain(check: Check, verdict: Verdict, mistakes: Sequence[Mistake], relations: bool) -> dict[str, bool]:
    """The names that predict this failure, and whether by something that the right answer would not explain too."""
    kind = _kind(verdict.claim)
    if not kind:
        return {}
    got, expected = _answers(check, kind)
    if not got:
        return {}
    predictions = {}
    for each in mistakes:
        made = _mistaken(check, kind, each)
        found = _predicts(check, got, expected, made)
        if found is None and made is not None and _nearly(got, made):  # where digits cancel, of the mistake, too
            found = _predicts(check, got, expected, made, check.tolerance(kind, check.f.tiers()[-1], list(got)))
        predictions[each.name] = found
    names = {name: differs for name, differs in predictions.items() if differs is not None}
    if not relations:
        return names
    same_shape = all(got[name].shape == expected[name].shape for name in got)
    for name, relation in RELATIONS.items():
        try:
            predicted = {each: relation(got[each], expected[each]) for each in got}
        except (ValueError, IndexError):
            continue
        if _predicts(check, got, expected, predicted):
            names[name] = True
    factor = _constant_factor(got, expected) if same_shape else None
    if (
        factor is not None
        and abs(factor - 1) > ROOM * check.f.u
        and _predicts(check, got, expected, {n: expected[n] * factor for n in got})
    ):
        several = bool(sum(map(np.count_nonzero, expected.values())) > 1)  # a factor explains any single number
        names[say("{factor} times the right answer", factor=f"{factor:.6g}")] = several
    return names


def _kind(claim: str) -> str:
    if claim.startswith("vjp"):
        return "gradient"
    return {"jvp": "tangent", "exact": "output", "rounding": "output", "shape": "output"}.get(claim, "")


def _answers(check: Check, kind: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """What came and what was expected; of outputs, gradients or tangents."""
    if kind == "output":
        return {n: a for n, a in check.got.items() if n in check.expected}, check.expected
    if kind == "gradient":
        expected = check.expected_gradients
        return {n: a for n, a in check.got_gradients.items() if n in expected}, expected
    return check.got_tangents, check.expected_tangents


def _mistaken(check: Check, kind: str, mistake: Any) -> dict[str, Array] | None:
    """What somebody who makes this mistake computes."""
    with np.errstate(all="ignore"):
        try:
            if kind == "output" and mistake.forward is not None:
                return dict(check.op.by_name(mistake.forward(check.op, check.p, **check.arrays), check.shapes))
            if kind == "gradient" and mistake.vjp is not None:
                cotangent = one_or_dict(check.op, check.trial.cotangent)
                return dict(mistake.vjp(check.op, check.p, cotangent, **check.arrays))
        except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError):  # this variant has no answer here
            return None
    return None


def _nearly(got: Mapping[str, Array], made: Mapping[str, Array]) -> bool:
    """Whether a prediction is so near that rounding may be all that it is off by."""
    with np.errstate(all="ignore"):
        return all(
            name in made and np.shape(made[name]) == each.shape
            and not np.any(np.abs(each - made[name]) > NEARLY * _largest(np.asarray(made[name])))
            for name, each in got.items()
        )  # fmt: skip


def _predicts(
    check: Check, got: dict[str, Array], expected: dict[str, Array], predicted: dict[str, Array] | None,
    tolerance: Mapping[str, Array] | None = None,
) -> bool | None:  # fmt: skip
    """Whether a prediction, which is what came within the bound, differs from the right answer; None if it is not."""
    if predicted is None:
        return None
    differs = False
    for name, each in got.items():
        other = np.asarray(predicted.get(name))
        if name not in predicted or other.shape != each.shape:
            return None
        u = 2.0**-check.f.digits
        scale = max(_largest(expected[name]), _largest(other))
        room = ROOM * u * (scale + np.where(np.isfinite(other), np.abs(other), 0.0))
        if tolerance is not None and name in tolerance and tolerance[name].shape == room.shape:
            room = room + np.where(np.isfinite(tolerance[name]), tolerance[name], 0.0)
        with np.errstate(all="ignore"):
            if not np.all((np.abs(each - other) <= room) | (each == other) | (np.isnan(each) & np.isnan(other))):
                return None
            right = expected[name]
            differs = differs or right.shape != other.shape or bool(np.any(~(np.abs(other - right) <= room)))
            # an error of few bounds is explained too, if what is left of it is far smaller
            differs = differs or _largest(each - right) > 8 * _largest(each - other)
    return differs


def _largest(a: Array) -> float:
    """The largest finite absolute value."""
    return float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))


def _constant_factor(got: dict[str, Array], expected: dict[str, Array]) -> float | None:
    """The ratio of the largest elements."""
    name = max(got, key=lambda each: float(np.max(np.abs(expected[each]), initial=0.0)))
    if not expected[name].size or not np.isfinite(expected[name]).all():
        return None
    at = np.unravel_index(int(np.argmax(np.abs(expected[name]))), expected[name].shape)
    if expected[name][at] == 0:
        return None
    factor = float(got[name][at] / expected[name][at])
    return factor if np.isfinite(factor) and factor not in (0.0, 1.0) else None


def _shifted(x: Array, axis: int, by: int) -> Array:
    return np.roll(x, by, axis=axis)


RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "zero everywhere": lambda got, right: np.zeros(right.shape),
    "NaN everywhere": lambda got, right: np.full(right.shape, np.nan),
    "negated": lambda got, right: -right,
    "the last two axes transposed": lambda got, right: np.swapaxes(right, -1, -2),
    "flipped along the last axis": lambda got, right: right[..., ::-1],
    "flipped along the last two axes": lambda got, right: right[..., ::-1, ::-1],
    "shifted by one along the last axis": lambda got, right: _shifted(right, -1, 1),
    "shifted back by one along the last axis": lambda got, right: _shifted(right, -1, -1),
    "the first channel repeated": lambda got, right: np.broadcast_to(right[:, :1], right.shape),
    "the first of the batch repeated": lambda got, right: np.broadcast_to(right[:1], right.shape),
}
