"""One trial of one implementation: what is expected, what came, and where they differ by more than the bound.

The fast reference (float64) finds suspects cheaply. A suspect becomes DIFFERS only when the definition, read exactly,
confirms it; an alarm that the definition does not confirm is a defect of opcheck and is raised as one.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.backends.base import Backend, Outputs, Session
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.shared.roundoff import Bound
from opcheck.operators.spec import Array, Case, Op, widened
from opcheck.verification.casefile import Trial
from opcheck.verification.truth.adjudication import Exact, Vanished, exact
from opcheck.verification.truth.bounds import Bounds, one_or_dict
from opcheck.verification.truth.formats import Format, format_of
from opcheck.verification.verdict import Status, Verdict, kind_of_wrong
from opcheck.verification.watcher import NOBODY, Watcher

SAME_CALL = ("exact", "rounding", "special", "vjp")  # claims about the call whose outputs are `got`


class FalseAlarm(AssertionError):
    """The fast path reported a difference that the definition does not confirm: a defect of opcheck."""


class TwoReadings(Refused, FalseAlarm):
    """The same for a user's spec, which may itself be at fault."""


class Overflowed(Exception):
    """A user's spec gives no number where its exact value is one: it overflows on the way there. Or where its limit is
    one: in exp(x)/(1 + exp(x)) an infinite x is ∞/∞."""


class Undecided(Exception):
    """No reading is precise enough to say whether an element is within its bound."""


@dataclass(slots=True)
class Finding:
    """What one claim found on one trial: how many elements, the worst error as a fraction of its bound, a verdict."""

    claim: str
    elements: int = 0
    free: int = 0  # elements for which any answer is allowed (overflow, conventions that differ)
    lost: int = 0  # of these: where a user's spec overflows on the way to a number
    ratio: float = 0.0
    tier: str = ""
    verdict: Verdict | None = None
    form: str = ""  # what a form of the right function loses, which agrees
    left_out: str = ""  # why the claim was not checked on this trial


OVERFLOW = "overflow of the spec"
NEARLY = 2.0**40  # in the place of an infinity, for a limit
MOST_SHARES = 400  # how many elements' errors a verdict keeps, for a map


class Readings:
    """The time that exact readings of one implementation's elements take: of a wrong mean of thousands of logarithms,
    one takes a second, and every case has some."""

    MOST = 2.0  # seconds, after which the float64 reference decides, where its own bound allows it to

    def __init__(self) -> None:
        self.seconds = self.began = 0.0

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *raised: object) -> None:
        self.seconds += time.perf_counter() - self.began

    @property
    def are_many(self) -> bool:
        return self.seconds > self.MOST


def shares_of(got: Array, expected: Array, tolerance: Array) -> Array:
    """Each error as a share of its bound: infinite where the bound is 0, or where there is no number."""
    with np.errstate(all="ignore"):
        error = np.abs(np.asarray(got, dtype=float) - expected)
        shares = np.where(error == 0, 0.0, error / tolerance)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected)) | np.isinf(tolerance)
    return np.where(same, 0.0, np.where(np.isnan(shares), np.inf, shares))


class Check:
    """A trial and an implementation, with everything that several claims need computed once."""

    def __init__(self, op: Op, trial: Trial, backend: Backend, watcher: Watcher = NOBODY) -> None:
        self.op, self.trial, self.backend, self.watcher = op, trial, backend, watcher
        self.f: Format = format_of(trial.dtype)
        self.p, self.shapes = op.checked(trial.case)
        self.took: float | None = None  # seconds that the call took
        self.kept: dict[Any, Any] = {}  # what was computed once for several claims
        self.readings = Readings()
        self.enough: Callable[[str, str], bool] = lambda claim, cause: (
            False
        )  # whether further failures teach nothing new

    def beside(self, trial: Trial) -> "Check":
        """The check of another call of the same implementation, in the same run."""
        other = Check(self.op, trial, self.backend, self.watcher)
        other.enough, other.readings = self.enough, self.readings
        return other

    @cached_property
    def case(self) -> Case:
        """The case of the trial, with what the implementation drew by chance, read off its outputs."""
        if not self.op.draws or self.op.draws in self.trial.case.arrays:
            return self.trial.case
        try:
            made = next(iter(self.got.values()))
        except Exception:  # an exception is judged where the value is needed
            return self.op.completed(self.trial.case)
        return self._with_draw(next(iter(self.trial.case.arrays.values())), made)

    @cached_property
    def arrays(self) -> dict[str, Array]:
        return widened(self.case.arrays)

    def _with_draw(self, given: Array, made: Array) -> Case:
        made = made if made.shape == given.shape else given
        arrays = {**self.trial.case.arrays, self.op.draws: self.op.observed(self.p, given, made)}
        return self.trial.case._replace(arrays=arrays)

    def _drawn_as(self, other: "Check") -> "Check":
        """The check of this call's gradient: an input that is 0 does not show what was drawn for it, that does."""
        first, drawn = next(iter(self.trial.case.arrays.values())), self.case.arrays[self.op.draws]
        drawn = np.where(first == 0, other.trial.case.arrays[self.op.draws], drawn)
        case = self.trial.case._replace(arrays={**self.trial.case.arrays, self.op.draws: drawn})
        return self.beside(self.trial.replace(case=case))

    def _of_another_call(self, kind: str, got: Mapping[str, Array]) -> "Check":
        """The check of results of another call, which has drawn for itself."""
        made = next(iter(got.values()))
        trial = self.trial
        given = {"output": trial.case.arrays, "tangent": trial.tangents}.get(kind, trial.cotangent)
        case = self._with_draw(next(iter(given.values())), made)
        return self.beside(trial.replace(case=case))

    # --- expected -----------------------------------------------------------------------------------------------------

    @cached_property
    def expected(self) -> Outputs:
        with np.errstate(all="ignore"):
            return self.op.by_name(self.op.forward(self.p, **self.arrays), self.shapes)

    @cached_property
    def expected_gradients(self) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            return self.op.vjp(self.p, one_or_dict(self.op, self.trial.cotangent), **self.arrays)

    @cached_property
    def expected_tangents(self) -> Outputs:
        with np.errstate(all="ignore"):
            return self.op.by_name(self.op.jvp(self.p, dict(self.trial.tangents), **self.arrays), self.shapes)

    def expected_of(self, kind: str) -> Outputs:
        """What is expected of "output", "gradient" or "tangent"."""
        if kind == "output":
            return self.expected
        return self.expected_gradients if kind == "gradient" else self.expected_tangents

    def bounds_of(self, kind: str, f: Format) -> dict[str, Bound]:
        """A bound on each element of "output", "gradient" or "tangent", computed in `f`."""
        along = self.trial.tangents if kind == "tangent" else self.trial.cotangent
        return self.bounds.of_kind(kind, f, along)

    @cached_property
    def bounds(self) -> Bounds:
        return Bounds.of(self.op, self.case)

    @cached_property
    def smooth_outputs(self) -> list[str]:
        return [each.name for each in self.op.outputs if each.differentiable and each.name in self.shapes]

    # --- got ----------------------------------------------------------------------------------------------------------

    def open(self, layout: str = "contiguous", gradients: bool = True) -> Session:
        return self.backend.open(self.op, self.trial.case, self.trial.dtype, layout, gradients)

    @cached_property
    def session(self) -> Session:
        frozen = set(self.trial.frozen)
        session = self.open(self.trial.layout, gradients=not frozen or frozen != set(self.trial.tangents))
        if frozen:
            session.freeze(frozen)
        return session

    @cached_property
    def got(self) -> Outputs:
        session, start = self.session, time.perf_counter()
        found = session.outputs()
        self.took = time.perf_counter() - start
        return found

    @cached_property
    def got_gradients(self) -> dict[str, Array]:
        return self.session.vjp(self.trial.cotangent)

    @cached_property
    def got_tangents(self) -> Outputs:
        return self.session.jvp(self.trial.tangents)

    def got_of(self, kind: str) -> Outputs:
        """What came of "output", "gradient" or "tangent"."""
        if kind == "output":
            return self.got
        return self.got_gradients if kind == "gradient" else self.got_tangents

    # --- comparison ---------------------------------------------------------------------------------------------------

    def same_shape(self, claim: str, name: str, got: Array, expected: Array) -> Verdict | None:
        """A verdict if the shapes differ."""
        if got.shape == expected.shape:
            return None
        return Verdict(
            Status.DIFFERS,
            claim,
            self.trial,
            name,
            message=say("{name} has shape {got}; it should be {want}", name=name, got=got.shape, want=expected.shape),
        )

    def compare(
        self, claim: str, kind: str, got: Mapping[str, Array], free: Mapping[str, Array] | None = None
    ) -> Finding:
        """All arrays of one kind ("output", "gradient", "tangent") against the bound, in the tightest tier."""
        same = claim.startswith(SAME_CALL)
        drawn = self.op.draws and self.op.draws not in self.trial.case.arrays
        if drawn and got and (kind == "gradient" or not same):
            other = self._of_another_call(kind, got)
            finding = (self._drawn_as(other) if same else other).compare(claim, kind, got, free)
            if finding.verdict is not None:
                finding.verdict = replace(finding.verdict, trial=self.trial)
            return finding
        expected = self.expected_of(kind)
        finding = Finding(claim)
        names = [name for name in got if name in expected]
        for name in names:
            verdict = self.same_shape(claim, name, got[name], expected[name])
            if verdict:
                finding.verdict = verdict
                return finding
            finding.elements += expected[name].size
        if not finding.elements:
            return finding
        free = {**self._singular(kind, names), **(free or {})}
        wrong, tolerance = self._beyond(finding, kind, got, names, free)
        while wrong:
            try:
                finding.verdict = self._adjudicate(claim, kind, got, expected, wrong, tolerance)
            except Undecided as reason:
                finding.left_out = str(reason)
            except Overflowed:
                lost = {name: ~np.isfinite(expected[name]) for name in wrong}
                self.kept["lost", kind] = {**self.kept.get(("lost", kind), {}), **lost}
                wrong, tolerance = self._beyond(finding, kind, got, names, free)
                continue
            break
        return finding

    def _beyond(
        self, finding: Finding, kind: str, got: Mapping[str, Array], names: list[str], free: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Where `got` is beyond the bound of every tier, and that bound; what was seen goes into the finding."""
        expected, lost = self.expected_of(kind), self.kept.get(("lost", kind), {})
        wrong: dict[str, Array] = {}
        tolerance: dict[str, Array] = {}
        for f in self.f.tiers():
            tolerance = self.tolerance(kind, f, names)
            finding.ratio, finding.free, finding.lost, finding.tier = 0.0, 0, 0, f.tier
            wrong = {}
            for name in names:
                mask, ratio, freed = differs(got[name], expected[name], tolerance[name], self.f)
                if kind != "output":  # a derivative at a singular place: ∞ or NaN, as the way there has it
                    mask &= ~(np.isnan(expected[name]) & np.isinf(got[name]))
                for each in (free, lost):
                    if name in each:
                        mask &= ~each[name]
                        freed += int(each[name].sum())
                finding.ratio, finding.free = max(finding.ratio, ratio), finding.free + freed
                finding.lost += int(lost[name].sum()) if name in lost else 0
                if mask.any():
                    wrong[name] = mask
            if not wrong:
                break
        return wrong, tolerance

    def seems_right(self, kind: str, got: Mapping[str, Array]) -> bool:
        """Whether all is within the bound of the fast reference: a quick answer, on which nobody is accused."""
        quick = self.beside(self.trial)
        quick.enough = lambda claim, cause: True
        return quick.compare("state", kind, got).verdict is None

    def _singular(self, kind: str, names: list[str]) -> dict[str, Array]:
        """Where real numbers give no number, but their neighbours do: rounding decides there, as for a row of equal
        numbers whose mean is not quite one of them."""
        expected = self.expected_of(kind)
        if self.trial.policy != "real" or all(np.isfinite(expected[name]).all() for name in names):
            return {}
        if ("nudged", kind) not in self.kept:
            try:
                self.kept["nudged", kind] = _nudged(self).expected_of(kind)
            except Refused:  # a probability beyond 1
                self.kept["nudged", kind] = {}
        nudged = self.kept["nudged", kind]
        return {name: ~np.isfinite(expected[name]) & np.isfinite(nudged[name]) for name in names if name in nudged}

    def tolerance(self, kind: str, f: Format, names: list[str]) -> dict[str, Array]:
        """The bound of each element in one tier, the final rounding included; zero for whole-number outputs."""
        expected = self.expected_of(kind)
        bounds = self.bounds_of(kind, f)
        exact_inputs = self.trial.policy == "exact" and self.bounds.rounding.whole
        found = {}
        with np.errstate(all="ignore"):
            for name in names:
                if name not in bounds:
                    found[name] = np.zeros(expected[name].shape)
                    continue
                error, partial, computed, exact = bounds[name]
                tolerance = f.stored(expected[name], error) if computed else np.zeros(expected[name].shape) + error
                if partial is not None and partial.size:
                    if exact_inputs:
                        tolerance = np.where(partial <= f.exact_up_to, 0.0, tolerance)
                    if partial.max() > f.largest:
                        tolerance = np.where(partial > f.largest, np.inf, tolerance)
                if exact is not None:
                    tolerance = np.where(exact, 0.0, tolerance)
                found[name] = np.where(np.isnan(tolerance), np.inf, tolerance)
        return found

    def _adjudicate(
        self, claim: str, kind: str, got: Mapping[str, Array], expected: Mapping[str, Array],
        wrong: Mapping[str, Array], tolerance: Mapping[str, Array],
    ) -> Verdict:  # fmt: skip
        """The first wrong element, with its exact value from the definition, and what every wrong one is."""
        name, mask = next(iter(wrong.items()))
        at = tuple(int(i) for i in np.argwhere(mask)[0])
        number, near = float(got[name][at]), float(expected[name][at])
        cause = f"{Status.DIFFERS.value} {kind_of_wrong(number, near)}"
        known = not self.op.elsewhere and self.trial.policy != "special" and np.isfinite(number)
        seen = self.enough(claim, OVERFLOW) or self.readings.are_many
        if (known and not np.isfinite(near) and seen) or self._is_the_limit(kind, name, at, number):
            raise Overflowed
        again = self.enough(claim, cause)  # the exact value of an element may cost more than everything else
        again = again or (self.readings.are_many and self._is_far(number, near, float(tolerance[name][at])))
        exact = Exact(near, 0.0, say("the reference")) if again else self.exact(kind, name, at)
        verdict = self.confirmed(
            claim, name, at, exact, float(got[name][at]), float(tolerance[name][at]),
            wrong=sum(int(each.sum()) for each in wrong.values()),
            elements=sum(expected[each].size for each in got if each in expected),
            reference=float(expected[name][at]),
        )  # fmt: skip
        rows = [np.stack([got[n][m], expected[n][m], tolerance[n][m]], axis=-1) for n, m in wrong.items()]
        shares = None
        if expected[name].size <= MOST_SHARES:
            shares = shares_of(got[name], expected[name], tolerance[name])
            shares = np.where(mask & (shares <= 1), np.inf, shares)  # an infinity of the wrong sign has no bound
        details = {"wrong": np.concatenate(rows), "of": kind, "exact_by": exact.reading, "shares": shares}
        return replace(verdict, details=details)

    def _is_far(self, number: float, near: float, bound: float) -> bool:
        """Whether a result is further from the float64 reference than its bound and the reference's own, which is the
        same bound in float64; infinities and NaN of a catalogue's reference are what they are."""
        room = bound * (1 + 2.0 ** (self.f.digits - 52))
        if not math.isfinite(near):
            return self.op.elsewhere
        return math.isfinite(room) and not abs(number - near) <= room

    def confirmed(
        self, claim: str, name: str, at: tuple[int, ...], exact: Exact, number: float, bound: float, wrong: int,
        elements: int, reference: float,
    ) -> Verdict:  # fmt: skip
        """The verdict on one wrong element. FalseAlarm where the exact value is within the bound after all, Undecided
        where it is not known well enough to say."""

        def is_wrong(room: float) -> bool:
            found, *_ = differs(np.array([number]), np.array([exact.value]), np.array([room]), self.f, slack=False)
            return bool(found.any())

        if not is_wrong(bound + exact.error):
            if is_wrong(max(0.0, bound - exact.error)):
                raise Undecided(say("too close to its bound for {reading} to decide", reading=exact.reading))
            raise self._alarm(claim, name, at, exact.value, number, bound, reference)
        return Verdict(
            Status.DIFFERS, claim, self.trial, name, at, exact.value, number, bound, wrong=wrong, elements=elements
        )

    def _alarm(
        self, claim: str, name: str, at: tuple[int, ...], exact: float, number: float, bound: float, reference: float
    ) -> Exception:
        """What the two readings of one element say where they differ; a spec from outside may do that itself."""
        if not self.op.elsewhere and not np.isfinite(reference) and np.isfinite(exact):
            return Overflowed()
        if not self.op.elsewhere:
            return TwoReadings(
                say("{op} gives different values over arrays and element by element", op=self.op.title),
                got=say("{claim}: {name}{at} is {reference} and {exact}", claim=claim, name=name, at=list(at),
                        reference=reference, exact=exact),
                fix=say("element() and program(), or forward() and vjp(), must describe the same function: find out "
                        "which of the two numbers is right, and fix the other"),
            )  # fmt: skip
        return FalseAlarm(
            say(
                "{claim} of {op}: {name}{at} = {got} was reported against {reference} (bound {bound}), but the "
                "definition says {exact}: this is a bug in opcheck; the case is {address}",
                claim=claim, op=self.op.name, name=name, at=list(at), got=number, reference=reference,
                bound=bound, exact=exact, address=self.trial.address,
            )
        )  # fmt: skip

    def exact(self, kind: str, name: str, at: tuple[int, ...]) -> Exact:
        """The exact value of one element, by the reading that can afford it; positions are the reference's."""
        if kind == "output" and self.op.output(name).whole:
            return Exact(float(self.expected[name][at]), 0.0, say("the reference"))
        try:
            with self.readings:
                found = exact(self.op, self.trial.replace(case=self.case), kind, name, at)
        except Vanished:
            if self.op.elsewhere or np.isfinite(self.expected_of(kind)[name][at]):
                raise Undecided(say("more digits cancel than an exact reading keeps")) from None
            raise Overflowed from None
        if found is None:
            error = self.bounds_of(kind, format_of("float64"))[name].error
            room = float(np.broadcast_to(error, self.expected_of(kind)[name].shape)[at])
            found = Exact(float(self.expected_of(kind)[name][at]), room, say("float64, with its own bound"))
            if not self.op.elsewhere and not np.isfinite(found.value):
                raise Overflowed  # or no number at all: this reading cannot say which
        return found

    def _is_the_limit(self, kind: str, name: str, at: tuple[int, ...], number: float) -> bool:
        """Whether a user's spec gives NaN for infinite inputs, and `number` is what it tends to."""
        arrays = [*self.arrays.values(), *self.trial.cotangent.values(), *self.trial.tangents.values()]
        infinite = any(np.isinf(each).any() for each in arrays)
        if self.op.elsewhere or not infinite or np.isnan(number) or not np.isnan(self.expected_of(kind)[name][at]):
            return False

        def near(numbers: Mapping[str, Array]) -> dict[str, Array]:
            return {each: np.where(np.isinf(x), np.sign(x) * NEARLY, x) if x.dtype.kind == "f" else x
                    for each, x in numbers.items()}  # fmt: skip

        case = self.case._replace(arrays=near(self.arrays))
        trial = self.trial.replace(case=case, cotangent=near(self.trial.cotangent), tangents=near(self.trial.tangents))
        try:
            found = exact(self.op, trial, kind, name, at)
        except Vanished:
            return True  # it cannot be told
        if found is None or np.isnan(found.value):
            return False
        if np.isinf(number):
            return abs(found.value) > math.sqrt(NEARLY) and np.sign(number) == np.sign(found.value)
        return bool(abs(number - found.value) <= max(1.0, abs(found.value)) / 2**20)


def _nudged(check: Check) -> Check:
    """The same call with each real number one unit of rounding away: up, up, down, up, up, down, ..."""
    u = 2.0 ** (1 - check.f.digits)
    arrays = {
        name: array * (1 + u * np.where(np.arange(array.size).reshape(array.shape) % 3 == 2, -1, 1))
        if array.dtype.kind == "f" else array
        for name, array in check.trial.case.arrays.items()
    }  # fmt: skip
    return Check(check.op, check.trial.replace(case=check.trial.case._replace(arrays=arrays)), check.backend)


def differs(got: Array, expected: Array, bound: Array, f: Format, slack: bool = True) -> tuple[Array, float, int]:
    """Where `got` is further from `expected` than `bound`; the worst error over its bound; how many were free.

    With `slack` the bound leaves room for the float64 reference's own rounding. NaN agrees with NaN only, an infinity
    with the same one; a finite value that may round beyond the largest number of the format may come as infinite.
    """
    with np.errstate(all="ignore"):
        error = np.abs(got - expected)
        allowed = bound * (1 + 2.0 ** (f.digits - 53)) if slack else bound
        right = (error <= allowed) & np.isfinite(expected)  # no bound applies to an infinity
        if right.all():
            return ~right, float(np.max(error / np.where(allowed > 0, allowed, 1.0), initial=0.0)), 0
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        overflow = np.isinf(got) & (np.abs(expected) + bound >= f.largest * (1 + 2.0 ** -(f.digits + 1)))
        overflow &= np.sign(got) == np.sign(expected)
        unbounded = np.isinf(bound) & np.isfinite(expected)
        right |= same | overflow | unbounded
        counted = right & np.isfinite(error) & np.isfinite(allowed) & (allowed > 0)
        ratio = float(np.max(error[counted] / allowed[counted], initial=0.0))
    return ~right, ratio, int((unbounded | overflow).sum())
