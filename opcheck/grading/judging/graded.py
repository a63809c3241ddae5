"""One trial as a grade sees it: right is whatever shows that the formula was understood, in any of its forms.

A grade leaves more room than the verifier's bound, which holds for the definition in any order: the room of the worst
form of the operator, and some roundings of the largest number that comes up on the way.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.judging.kinks import Kinks
from opcheck.language import say
from opcheck.operators.shared.roundoff import Bound
from opcheck.operators.spec import Array, Form
from opcheck.verification.check import Check, Finding
from opcheck.verification.truth.adjudication import Exact
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.truth.formats import Format
from opcheck.verification.truth.forms import gradient_widths, output_widths
from opcheck.verification.verdict import Verdict

ROOM = 16  # roundings of the largest number on the way
TINY = 1e-5  # an eps up to which no digit that counts depends on it
EPS = (1e-5, 1e-8, 1e-7, 1e-6, 1e-12, 1e-10, 1e-9)  # that people write, the likeliest first
OTHER_EPS = Form(
    "eps_of_its_own",
    "it uses an eps other than 1e-5, which matters where numbers hardly vary",
    "the variance is far above eps",
    lambda op, p, **arrays: op.forward(p.replace(eps=EPS[1]), **arrays),
)


OTHER_DERIVATIVE = Form(
    "derivative_of_its_own",
    "at a kink (0 of relu, equal maxima) torch takes another derivative; both are right",
    "no kink",
    lambda op, p, **arrays: op.forward(p, **arrays),
)


class Graded(Check):
    """`forms`: those in which it was needed, to be right, once it has been compared."""

    allows_forms = True
    forms: tuple[Form, ...] = ()
    _clearly: bool = False  # whether the number that is looked at is wrong whatever the exact one is

    def compare(
        self, claim: str, kind: str, got: Mapping[str, Array], free: Mapping[str, Array] | None = None
    ) -> Finding:
        hidden = getattr(self.backend, "hides_eps", False) and self.p.eps <= TINY
        known, self.forms = self.op.forms, ()
        if kind == "gradient" and free is None and self._has_other_derivatives(claim, got):
            self.forms = (OTHER_DERIVATIVE,)
            return Finding(claim)
        if not (known or hidden) or not self.allows_forms or kind == "tangent" or free is not None:
            return super().compare(claim, kind, got, free)
        if self._within(got, kind, []):
            return Finding(claim)
        if hidden and any(self._is_with(eps, got, kind) for eps in EPS):
            self.forms = (OTHER_EPS,)
            return Finding(claim)
        widths = {form: self._widths(form, kind) for form in known}
        self.forms = tuple(form for form in known if self._within(got, kind, [widths[form]]))
        if self.forms or self._within(got, kind, list(widths.values())):
            return Finding(claim)
        return super().compare(claim, kind, got, free)  # which asks the definition, and takes its time

    def _has_other_derivatives(self, claim: str, got: Mapping[str, Array]) -> bool:
        """Whether gradients are right but for their choice at kinks, where every subgradient is right."""
        expected, f = self.expected_gradients, self.f.tiers()[-1]
        names = [name for name, each in got.items() if name in expected and each.shape == expected[name].shape]
        if len(names) < len(got) or self.op.draws or self.trial.policy == "special":
            return False
        room = self.tolerance("gradient", f, names)
        if not any((np.abs(got[name] - expected[name]) > room[name]).any() for name in names) or not self.kinks.any:
            return False
        if not self.kinks.allow(got, room):
            return False
        return super().compare(claim, "gradient", got, {name: self.kinks.at(name) for name in names}).verdict is None

    @cached_property
    def kinks(self) -> Kinks:
        return Kinks(self)

    def tolerance(self, kind: str, f: Format, names: list[str]) -> dict[str, Array]:
        """The verifier's, and room for an order of summation that no definition has."""
        found = super().tolerance(kind, f, names)
        bounds, expected = self.bounds_of(kind, f), self.expected_of(kind)
        return {
            name: each + (self._room(f, bounds[name], expected[name]) if name in bounds else 0.0)
            for name, each in found.items()
        }

    def _adjudicate(
        self, claim: str, kind: str, got: Mapping[str, Array], expected: Mapping[str, Array],
        wrong: Mapping[str, Array], tolerance: Mapping[str, Array],
    ) -> Verdict:  # fmt: skip
        """The reference is within the bound of the exact number itself: what is two bounds away from it is wrong, and
        only what is nearer has to wait for the definition."""
        name, mask = next(iter(wrong.items()))
        at = tuple(np.argwhere(mask)[0])
        right = expected[name][at]
        with np.errstate(all="ignore"):
            near = np.abs(got[name][at] - right) <= 2 * tolerance[name][at]
        self._clearly = bool(np.isfinite(right) and not near)
        return super()._adjudicate(claim, kind, got, expected, wrong, tolerance)

    def exact(self, kind: str, name: str, at: tuple[int, ...]) -> Exact:
        if self._clearly:
            return Exact(float(self.expected_of(kind)[name][at]), 0.0, say("the reference"))
        return super().exact(kind, name, at)

    def _room(self, f: Format, bound: Bound, expected: Array) -> float:
        largest = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
        if bound.partial is not None:
            partial = np.asarray(bound.partial)
            largest = max(largest, np.max(partial, initial=0.0, where=np.isfinite(partial)))
        return float(ROOM * f.u * largest)

    def _widths(self, form: Form, kind: str) -> dict[str, Array]:
        """How far a form may be off on this trial; nothing where it is not made for it."""
        try:
            if kind == "output":
                return output_widths(self.op, self.p, self.f, form, self.arrays, self.expected)
            return gradient_widths(
                self.op, self.p, self.f, form, self.arrays, self.trial.cotangent, self.expected_gradients
            )
        except (Refused, ValueError, IndexError, TypeError):
            return {}

    def _is_with(self, eps: float, got: Mapping[str, Array], kind: str) -> bool:
        """Whether every number is right by another eps."""
        p = self.p.replace(eps=eps)
        with np.errstate(all="ignore"):
            if kind == "output":
                made = self.op.by_name(self.op.forward(p, **self.arrays), self.shapes)
            else:
                made = self.op.vjp(p, one_or_dict(self.op, self.trial.cotangent), **self.arrays)
        return self._within(got, kind, [], made)

    def _within(
        self, got: Mapping[str, Array], kind: str, widths: list[dict[str, Array]],
        others: Mapping[str, Array] | None = None,
    ) -> bool:  # fmt: skip
        """Whether every number is within the verifier's bound and room, or the widest of these, of what is expected or
        of these others."""
        expected = {**self.expected_of(kind), **(others or {})}
        names = [name for name in got if name in expected]
        own = self.tolerance(kind, self.f.tiers()[-1], names)
        with np.errstate(all="ignore"):
            for name in names:
                if got[name].shape != expected[name].shape:
                    return False
                most = np.max([own[name], *(each[name] + own[name] for each in widths if name in each)], axis=0)
                error = np.abs(got[name] - expected[name])
                same = (got[name] == expected[name]) | (np.isnan(got[name]) & np.isnan(expected[name]))
                if not np.all(same | (error <= most) | np.isinf(most)):
                    return False
        return True


class Strict(Graded):
    """In one of the forms that stay right for these inputs."""

    allows_forms = False


class Accurate(Graded):
    """As accurate as the operator can be computed, with room for another arrangement of it."""

    allows_forms = False

    def tolerance(self, kind: str, f: Format, names: list[str]) -> dict[str, Array]:
        found = Check.tolerance(self, kind, f, names)
        return {name: 4 * each for name, each in found.items()}
