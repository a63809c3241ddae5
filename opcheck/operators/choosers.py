"""Choosers: where the numbers of a case come from.

An operator's `sample(chooser)` asks a chooser for sizes, options and arrays. One sampler then serves three drivers:
random cases from a seed (here), every combination of a small scope (here), and hypothesis (`opcheck.testing`), which
shrinks what fails.
"""

from __future__ import annotations  # numpy.random is imported when a chooser is made, not when an operator is

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from opcheck.operators.spec import Array, Case, Shape

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
    """How a chooser fills arrays, from a numpy generator. Subclasses differ in the kind of number."""

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
        signs = self.rng.choice([-1.0, 1.0], size=shape)
        return np.asarray(size * signs, dtype=np.float64)  # numpy chooses whole numbers if there are none to choose

    def unit(self, *shape: int) -> Array:
        return np.asarray(self.rng.integers(1, 7, size=shape, endpoint=True) / 8.0)

    def positive(self, *shape: int) -> Array:
        return np.asarray(2.0 ** self.rng.integers(-2, 2, size=shape, endpoint=True))


class _Deciding:
    """A chooser whose sizes and options all come from one question: which of so many?"""

    def __init__(self, filled: Values) -> None:
        self.array, self.unit = filled.array, filled.unit
        self.positive, self.classes = filled.positive, filled.classes

    def decide(self, count: int) -> int:
        raise NotImplementedError

    def whole(self, low: int, high: int) -> int:
        return low + self.decide(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self.decide(len(options))]


class RandomChooser(_Deciding):
    """Everything at random, from a seed."""

    def __init__(self, seed: int | Sequence[int], values: Callable[[np.random.Generator], Values] = RealValues) -> None:
        self.rng = np.random.default_rng(seed)
        super().__init__(values(self.rng))

    def decide(self, count: int) -> int:
        return int(self.rng.integers(count))


class ScopeChooser(_Deciding):
    """Replays a list of decisions and then takes the first option each time, noting how many there were."""

    def __init__(self, decisions: Sequence[int], seed: int, values: Callable[[np.random.Generator], Values]) -> None:
        super().__init__(values(np.random.default_rng([seed, *decisions])))
        self.decisions = list(decisions)
        self.counts: list[int] = []

    def decide(self, count: int) -> int:
        k = len(self.counts)
        self.counts.append(count)
        if k == len(self.decisions):
            self.decisions.append(0)
        return self.decisions[k]


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


Place = tuple[int, int]  # a decision: how many came before it in its case, and how many options it has
Taken = tuple[Place, int]  # a decision and the option that was taken


class Pairs:
    """The options taken so far, and the pairs of options that occurred together in one case."""

    def __init__(self) -> None:
        self.met: set[tuple[Taken, Taken]] = set()
        self.later: dict[Taken, set[Place]] = {}  # the decisions that were seen to follow
        self.times: Counter[Taken] = Counter()

    def worth(self, before: Sequence[Taken], taken: Taken) -> tuple[bool, int, float]:
        """What speaks for an option: being new, the pairs it makes, and those it allows (less, if often taken)."""
        makes = sum((earlier, taken) not in self.met for earlier in before)
        return not self.times[taken], makes, (self._allows(taken) + 1) / (self.times[taken] + 1)

    def _allows(self, taken: Taken) -> int:
        later = self.later.get(taken, ())
        return sum((taken, (place, k)) not in self.met for place in later for k in range(place[1]))

    def add(self, case: Sequence[Taken]) -> bool:
        """Note the decisions of a case; whether it had a new option or pair."""
        before = len(self.times) + len(self.met)
        for k, taken in enumerate(case):
            self.later.setdefault(taken, set()).update(place for place, _ in case[k + 1 :])
            self.met.update((taken, later) for later in case[k + 1 :])
        self.times.update(case)
        return len(self.times) + len(self.met) > before

    def complete(self) -> bool:
        """Whether every pair known to be possible has occurred."""
        options = {(place, k) for place, _ in self.times for k in range(place[1])}
        return len(options) == len(self.times) and not any(self._allows(taken) for taken in self.times)


class PairsChooser(_Deciding):
    """Takes the option that makes the most new pairs, the first of equals."""

    def __init__(self, pairs: Pairs, filled: Values) -> None:
        super().__init__(filled)
        self.pairs = pairs
        self.case: list[Taken] = []

    def decide(self, count: int) -> int:
        place = (len(self.case), count)
        best = max(range(count), key=lambda k: self.pairs.worth(self.case, (place, k)))
        self.case.append((place, best))
        return best


def pairwise_cases(
    sample: Callable[[Any], Case],
    seed: int = 0,
    values: Callable[[np.random.Generator], Values] = ExactValues,
    patience: int = 20,
) -> Iterator[Case]:
    """Few cases in which any two options of any two decisions meet, for samplers with too many cases for all of them.

    Greedy, one decision after the other (Cohen and others, The AETG system, IEEE Trans. Software Eng. 23, 1997), since
    which decisions there are depends on earlier ones. It ends when every pair that is known to be possible was made, or
    after `patience` cases that made none: a pair that takes a third decision to reach may be missed.
    """
    pairs, fruitless, k = Pairs(), 0, 0
    while fruitless < patience:
        chooser = PairsChooser(pairs, values(np.random.default_rng([seed, k])))
        yield sample(chooser)
        fruitless = 0 if pairs.add(chooser.case) else fruitless + 1
        if pairs.complete():
            return
        k += 1
