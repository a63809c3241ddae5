"""Choosers: where the numbers of a case come from.

An operator's `sample(chooser)` asks a chooser for sizes, options and arrays. One sampler then serves three drivers:
random cases from a seed (here), every combination of a small scope (here), and hypothesis (`opcheck.testing`), which
shrinks what fails.
"""

from __future__ import annotations  # numpy.random is imported when a chooser is made, not when an operator is

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from opcheck.spec import Array, Case, Shape

T = TypeVar("T")


class Chooser(Protocol):
    """What a sampler may ask for."""

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included; low is the simplest."""

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""

    def array(self, *shape: int) -> Array:
        """Real numbers."""

    def unit(self, *shape: int) -> Array:
        """Numbers from 0 to 1, such as probabilities."""

    def positive(self, *shape: int) -> Array:
        """Numbers above zero, such as class weights."""

    def classes(self, shape: Shape, options: Sequence[int]) -> Array:
        """Whole numbers out of `options`."""


class Values:
    """How a chooser fills arrays, from a numpy generator. Subclasses are the value policies of numerics.md."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def array(self, *shape: int) -> Array:
        raise NotImplementedError

    def unit(self, *shape: int) -> Array:
        raise NotImplementedError

    def positive(self, *shape: int) -> Array:
        raise NotImplementedError

    def classes(self, shape: Shape, options: Sequence[int]) -> Array:
        return self.rng.choice(np.asarray(options, dtype=np.int64), size=shape)


class RealValues(Values):
    """Normal numbers on one of several scales: rounding errors show."""

    scales = (1.0, 1.0, 1.0, 1e-3, 1e3)

    def array(self, *shape: int) -> Array:
        return np.asarray(self.rng.normal(size=shape) * self.rng.choice(self.scales))

    def unit(self, *shape: int) -> Array:
        return np.asarray(self.rng.uniform(0.001, 0.999, size=shape))

    def positive(self, *shape: int) -> Array:
        return np.asarray(self.rng.uniform(0.25, 4.0, size=shape))


class ExactValues(Values):
    """Small whole numbers without zeros (and dyadic fractions): every order of summation gives the same bits."""

    def __init__(self, rng: np.random.Generator, largest: int = 8) -> None:
        super().__init__(rng)
        self.largest = largest

    def array(self, *shape: int) -> Array:
        size = self.rng.integers(1, self.largest, size=shape, endpoint=True)
        return np.asarray(size * self.rng.choice([-1.0, 1.0], size=shape))

    def unit(self, *shape: int) -> Array:
        return np.asarray(self.rng.integers(1, 7, size=shape, endpoint=True) / 8.0)

    def positive(self, *shape: int) -> Array:
        return np.asarray(2.0 ** self.rng.integers(-2, 2, size=shape, endpoint=True))


class RandomChooser:
    """Everything at random, from a seed."""

    def __init__(self, seed: int | Sequence[int], values: Callable[[np.random.Generator], Values] = RealValues) -> None:
        self.rng = np.random.default_rng(seed)
        self.values = values(self.rng)
        self.array, self.unit = self.values.array, self.values.unit
        self.positive, self.classes = self.values.positive, self.values.classes

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]


class ScopeChooser:
    """Replays a list of decisions and then takes the first option each time, noting how many there were."""

    def __init__(self, decisions: Sequence[int], seed: int, values: Callable[[np.random.Generator], Values]) -> None:
        self.decisions = list(decisions)
        self.counts: list[int] = []
        filled = values(np.random.default_rng([seed, *decisions]))
        self.array, self.unit = filled.array, filled.unit
        self.positive, self.classes = filled.positive, filled.classes

    def _decide(self, count: int) -> int:
        k = len(self.counts)
        self.counts.append(count)
        if k == len(self.decisions):
            self.decisions.append(0)
        return self.decisions[k]

    def whole(self, low: int, high: int) -> int:
        return low + self._decide(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self._decide(len(options))]


def every_case(
    sample: Callable[[Any], Case], seed: int = 0, values: Callable[[np.random.Generator], Values] = ExactValues
) -> Iterator[Case]:
    """Every case that `sample` can make, in lexicographic order of its decisions."""
    decisions: list[int] = []
    while True:
        chooser = ScopeChooser(decisions, seed, values)
        yield sample(chooser)
        decisions = chooser.decisions
        while decisions and decisions[-1] + 1 >= chooser.counts[len(decisions) - 1]:
            decisions.pop()
        if not decisions:
            return
        decisions[-1] += 1
