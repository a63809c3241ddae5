"""What a question may ask: of each parameter the values that the course has taught and the convention can say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.conventions.base import Allowed
from opcheck.language import say
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Case, Op

ROUNDED = 1e-6  # more than what a state loses when it is made one of float32

# What may have a range besides parameters and optional arrays, if the operator says so (`also_asked`). `dims` is how
# many dimensions the input may have. `integers` is about forward calls whose first array is of whole numbers: results
# must not be cut to them. `probabilities` is about targets that are a distribution over the classes, or one-hot.
EXTRA = ("kernel_size", "ties", "batch", "probabilities", "dims", "integers")


@dataclass(frozen=True)
class Scope:
    """The ranges of one question. `options` lists a range; `holds` says whether a case stays within all of them."""

    op: Op
    ranges: Mapping[str, tuple[Any, ...]]
    allows: Mapping[str, Allowed] = field(default_factory=dict)
    taught: frozenset[str] = frozenset()  # whose range an assignment gives
    beyond: frozenset[str] = frozenset()  # what may have more than its range
    prepared: Callable[[Op, Case], Case] | None = None  # makes a case one that the code can be brought to

    @classmethod
    def of(
        cls,
        op: Op,
        taught: Mapping[str, Sequence[Any]],
        allows: Mapping[str, Allowed],
        usual: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        prepared: Callable[[Op, Case], Case] | None = None,
    ) -> "Scope":
        """The defaults, or a convention's `usual` ones, with the ranges that an assignment gives in their place; raises
        Refused if nothing is left."""
        ranges: dict[str, tuple[Any, ...]] = {}
        if not is_optimiser(op):  # of these the sampler knows what belongs together
            ranges = {each.name: (each.default,) for each in op.params if each.default is not REQUIRED}
            ranges |= {each.name: (False,) for each in op.inputs if each.optional}
        ranges |= op.taught
        ranges |= {name: tuple(values) for name, values in (*usual.items(), *taught.items())}
        for name, allowed in allows.items():
            if name not in ranges:
                continue
            ranges[name] = tuple(value for value in ranges[name] if allowed(value))
            if not ranges[name]:
                given = taught.get(name, op.taught.get(name, "the default"))
                raise Refused(
                    say("the convention cannot express any of the values of {name}", name=name), got=str(given)
                )
        return cls(op, ranges, allows, frozenset(taught), prepared=prepared)

    def narrower(
        self,
        allows: Mapping[str, Allowed],
        usual: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        prepared: Callable[[Op, Case], Case] | None = None,
    ) -> "Scope":
        """The same, of code that can take only so much; raises Refused if nothing is left."""
        both = {**self.allows, **{name: _both(self.allows.get(name), each) for name, each in allows.items()}}
        ranges = {**self.ranges, **{name: values for name, values in usual.items() if name not in self.taught}}
        return replace(Scope.of(self.op, ranges, both, prepared=prepared or self.prepared), taught=self.taught)

    def fixed(self, name: str, value: Any) -> "Scope":
        """The same with one value of a parameter."""
        ranges = {**self.ranges, name: (value,)}
        return replace(self, ranges=ranges, allows={**self.allows, name: lambda other: bool(other == value)})

    def free(self) -> list[str]:
        """What code may take of itself: parameters and optional arrays; of an optimiser nothing, it is asked all."""
        if is_optimiser(self.op):
            return []
        names = [each.name for each in self.op.params if each.default is not REQUIRED]
        return names + [each.name for each in self.op.inputs if each.optional]

    def opened(self, *names: str) -> "Scope":
        """The same, beyond what is asked of these names: any value where the assignment says nothing, and of the
        numbers that it lists one for each direction."""
        return replace(self, beyond=frozenset(names))

    def options(self, name: str, unset: Sequence[Any] = ()) -> list[Any]:
        """The values that `name` may take; of what has no range, the given ones that the convention can say."""
        if name in self.ranges:
            return [*self.ranges[name]]
        allowed = self.allows.get(name)
        return [value for value in unset if allowed is None or allowed(value)]

    def holds(self, case: Case) -> bool:
        """Whether every parameter and every optional array of the case is within its range; what is drawn by chance
        (a mask) may always be given."""
        for each in self.op.params:
            value = case.params.get(each.name, each.default)
            if not self.within(each.name, value):
                return False
        if not self.within("dims", case.arrays[self.op.inputs[0].name].ndim):
            return False
        if "batch" in self.ranges and not self._holds_batch(len(case.arrays[self.op.inputs[0].name])):
            return False
        optional = [each.name for each in self.op.inputs if each.optional and each.name != self.op.draws]
        named = self.can_say_kernel(case) and all(self.within(name, name in case.arrays) for name in optional)
        return named and (self.prepared is None or _is_same(case, self.prepared(self.op, case)))

    def _holds_batch(self, n: int) -> bool:
        """What takes several examples takes more of them, too, as in a case that is timed."""
        return n in self.ranges["batch"] or n > max(self.ranges["batch"]) > 1

    def can_say_kernel(self, case: Case) -> bool:
        """Whether the convention has words for the kernel, which is no parameter of a convolution, but its weight's."""
        allowed = self.allows.get("kernel_size")
        if allowed is None or "kernel_size" not in self.op.also_asked:
            return True
        sizes = case.arrays["weight"].shape[2:]
        return allowed(sizes[0] if len(set(sizes)) == 1 else sizes)

    def can_say(self, name: str, value: Any) -> bool:
        """Whether the convention has words for a value, asked or not."""
        allowed = self.allows.get(name)
        return allowed is None or allowed(value)

    def narrowed(self, case: Case) -> Case:
        """The case without optional arrays and parameters that are not within the ranges."""
        optional = {each.name for each in self.op.inputs if each.optional}
        arrays = {name: a for name, a in case.arrays.items() if name not in optional or self.within(name, True)}
        found = Case(case.op, arrays, {name: value for name, value in case.params.items() if self.within(name, value)})
        return self.prepared(self.op, found) if self.prepared is not None else found

    def within(self, name: str, value: Any) -> bool:
        """Whether a parameter may have this value; of an optional array, whether it may be given."""
        allowed = self.allows.get(name)
        if name in self.ranges and value in self.ranges[name]:
            return True
        if name in self.ranges and name not in self.beyond:
            return False
        if name in self.taught and not _is_made_of(value, self.ranges[name]):
            return False
        return allowed is None or allowed(value)


def _is_made_of(value: Any, numbers: Sequence[Any]) -> bool:
    """Whether a value is a tuple of some of the numbers, or a word where there are numbers only."""
    if any(isinstance(each, str) for each in numbers):
        return False
    return isinstance(value, str) or (
        isinstance(value, tuple) and len(value) > 1 and all(each in numbers for each in value)
    )


def _is_same(case: Case, other: Case) -> bool:
    """Whether two cases have the same arrays, but for how they are rounded."""
    return case.arrays.keys() == other.arrays.keys() and all(
        np.allclose(array, other.arrays[name], rtol=ROUNDED, atol=0, equal_nan=True)
        for name, array in case.arrays.items()
    )


def _both(first: Allowed | None, second: Allowed) -> Allowed:
    return second if first is None else lambda value: first(value) and second(value)


def is_optimiser(op: Op) -> bool:
    """Whether the operator is a step of an optimiser: it has a learning rate."""
    return any(each.name == "lr" for each in op.params)


def names(op: Op) -> list[str]:
    """What may have a range: parameters, optional arrays, and a few things that are neither."""
    found = [each.name for each in op.params] + [each.name for each in op.inputs if each.optional]
    return found + [name for name in EXTRA if name in op.also_asked and name not in found]
