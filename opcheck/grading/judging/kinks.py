"""Gradients at kinks: relu at 0, equal maxima, |x| at 0. No derivative is there, and every subgradient is right.

What the neighbours of a case have on the two sides of its kinks shows which numbers may come: an element may have
anything between the smallest and the largest of them; and where a kink only says to whom a gradient goes (to one of
several equal maxima), what all of these get together is what it always is.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from opcheck.operators.spec import Array
from opcheck.verification.check import Check
from opcheck.verification.truth.bounds import one_or_dict

NUDGE = 2.0**-24  # far less than what tells the numbers of a case apart, far more than float64 loses
NEAR = 1e-5  # of the largest number: what smooth functions change by such a nudge is less
DIRECTIONS = 32
MOST = 200  # places that are nudged one by one


class Kinks:
    """The gradients around one case: a row of `samples` has all gradients at one of its neighbours."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.names = [name for name, each in check.expected_gradients.items() if each.shape == check.arrays[name].shape]
        sizes = [check.arrays[name].size for name in self.names]
        self._ends = np.cumsum([0, *sizes])

    def allow(self, got: Mapping[str, Array], tolerance: Mapping[str, Array]) -> bool:
        """Whether these gradients, right elsewhere, are subgradients at the kinks."""
        if not got or any(name not in self.names or self.at(name).shape != each.shape for name, each in got.items()):
            return False
        columns = np.concatenate([np.arange(*self._range(name)) for name in got])
        numbers, room = (np.concatenate([each[name].ravel() for name in got]) for each in (got, tolerance))
        room = room + self.near
        samples, kinked = self.samples[:, columns], self.kinked[columns]
        inside = (samples.min(0) - room <= numbers) & (numbers <= samples.max(0) + room)
        if not inside[kinked].all():
            return False
        return all(
            abs(numbers[where].sum() - total) <= room[where].sum()
            for places, total in self.shared
            if (where := np.isin(columns, places)).sum() == len(places)
        )

    def at(self, name: str) -> Array:
        """Where a gradient has a kink."""
        return self.kinked[slice(*self._range(name))].reshape(self.check.arrays[name].shape)

    @cached_property
    def any(self) -> bool:
        """Whether there are kinks at all: two neighbours on opposite sides tell."""
        there, back = (self._near(sign * self._directions[0]) for sign in (1, -1))
        return bool(np.isfinite(there + back).all() and (np.abs(there - back) > self.near).any())

    @cached_property
    def near(self) -> float:
        return NEAR * max((float(np.abs(each).max(initial=0.0)) for each in self.check.expected_gradients.values()),
                          default=0.0) + NEAR  # fmt: skip

    @cached_property
    def samples(self) -> Array:
        """In random directions, up and down the arrays in their order, and place by place."""
        ramp = np.linspace(0.5, 1.0, self._ends[-1])
        apart = [*self._directions, ramp, -ramp, np.abs(self._directions[0]), -np.abs(self._directions[0])]
        return np.array([*map(self._near, apart), *(each for pair in self._moved.values() for each in pair)])

    @cached_property
    def kinked(self) -> Array:
        found = np.array([self._near(sign * each) for each in self._directions for sign in (1, -1)])
        return np.asarray(np.ptp(found, axis=0) > self.near)

    @cached_property
    def shared(self) -> list[tuple[Array, float]]:
        """Places that share what goes to them whatever is nudged, and what that is together."""
        places = np.flatnonzero(self.kinked)
        group = {int(place): {int(place)} for place in places}
        for place, (up, down) in self._moved.items():
            for other in np.flatnonzero(np.abs(up - down) > self.near):
                if int(other) in group and group[int(other)] is not group[place]:
                    both = group[place] | group[int(other)]
                    group |= dict.fromkeys(both, both)
        found = []
        for each in {min(every): every for every in group.values()}.values():
            together = self.samples[:, [*each]].sum(axis=1)
            if len(each) > 1 and np.ptp(together) <= self.near * len(each):
                found.append((np.array([*each]), float(together[0])))
        return found

    @cached_property
    def _moved(self) -> dict[int, tuple[Array, Array]]:
        """The gradients where one place with a kink is nudged up, and down."""
        one = np.eye(self._ends[-1])
        return {int(k): (self._near(one[k]), self._near(-one[k])) for k in np.flatnonzero(self.kinked)[:MOST]}

    @cached_property
    def _directions(self) -> Array:
        rng = np.random.default_rng(0)
        shape = (DIRECTIONS, self._ends[-1])
        return np.asarray(rng.uniform(0.5, 1.0, shape) * rng.choice([-1, 1], shape))

    def _near(self, direction: Array) -> Array:
        check, arrays = self.check, dict(self.check.arrays)
        for name, by in self._split(direction):
            arrays[name] = arrays[name] + NUDGE * np.maximum(1.0, np.abs(arrays[name])) * by
        with np.errstate(all="ignore"):
            found = check.op.vjp(check.p, one_or_dict(check.op, check.trial.cotangent), **arrays)
        return np.concatenate([np.ravel(found[name]) for name in self.names])

    def _split(self, flat: Array) -> Iterator[tuple[str, Array]]:
        for name in self.names:
            yield name, flat[slice(*self._range(name))].reshape(self.check.arrays[name].shape)

    def _range(self, name: str) -> tuple[int, int]:
        place = self.names.index(name)
        return int(self._ends[place]), int(self._ends[place + 1])
