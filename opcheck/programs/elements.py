"""The element reading: one element of a program's result over numbers that remember (`opcheck.tracing`).

First it is found out, from the result back, which elements of which arrays it is made of; then these are recorded, in
the order of the program. So nothing else is touched, however large the arrays are.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import ArrayNode
from opcheck.programs.rule import Shape
from opcheck.tracing import PRIMITIVES, RATIONAL, Blank, named

Leaf = Callable[[Shape], Any]  # one element of an input


def _zero(at: Shape) -> float:
    return 0.0


class Reading:
    """How the rule of a node reads elements of its arguments."""

    def __init__(
        self, read: Callable[[int, Shape], Any], whole: Callable[[int], Any], facts: dict[str, Any],
        padding: Callable[[Shape], Any],
    ) -> None:  # fmt: skip
        self.read, self.whole, self.facts, self.made = read, whole, facts, dict[Hashable, Any]()
        self.padding = padding

    def __call__(self, argument: int, at: Shape) -> Any:
        return self.read(argument, at)


class Elements:
    """The elements of a program's arrays, each recorded once. leaves: by node, how an input's element is read.

    constant: how a number is recorded of which a function is taken that is not rational, such as log(2): an exact
    reading then knows it to all of its digits. padding: how the zero at a place beside an array is recorded, which a
    kernel may leave out.
    """

    def __init__(
        self, nodes: Sequence[ArrayNode], leaves: Mapping[int, Leaf], labels: Mapping[int, str],
        constant: Callable[[float], Any] = float, padding: Callable[[Shape], Any] = _zero,
    ) -> None:  # fmt: skip
        self.padding = padding
        self.nodes, self.leaves, self.labels, self.constant = nodes, leaves, labels, constant
        self.found: dict[tuple[int, Shape], Any] = {}
        self._readings: dict[int, Reading] = {}
        self._facts: dict[int, dict[str, Any]] = {}

    def read(self, id: int, at: Shape) -> Any:
        """The number of one element of node `id`."""
        for other, places in self._needed(id, at):
            for place in places:
                self.found[other, place] = self._made(other, place)
        return self.found[id, at]

    def _made(self, id: int, at: Shape) -> Any:
        node = self.nodes[id]
        if id in self.leaves:
            return self.leaves[id](at)
        if node.rule is None or not _is_real(node):  # a constant, or a decision: as it came out
            return node.value[at].item()
        shapes = [_shape(self.nodes[arg]) for arg in node.args]
        if id not in self._readings:
            is_function = node.rule.name in PRIMITIVES and node.rule.name not in RATIONAL
            only_numbers = is_function and all(
                self.nodes[arg].rule is None and arg not in self.leaves for arg in node.args
            )
            lifted = self.constant if only_numbers else _itself
            self._readings[id] = self._reading(id, lambda k, place: lifted(self.found[node.args[k], place]))
        made = node.rule.element(self._readings[id], at, shapes, **node.params)
        return named(self.labels[id], made, at) if id in self.labels else made

    def _reading(self, id: int, read: Callable[[int, Shape], Any]) -> Reading:
        args = self.nodes[id].args
        return Reading(read, lambda k: self.nodes[args[k]].value, self._facts.setdefault(id, {}), self.padding)

    def _needed(self, id: int, at: Shape) -> list[tuple[int, list[Shape]]]:
        """The elements that are not recorded yet and that this one is made of, by node, in the order of the program."""
        if (id, at) in self.found:
            return []
        waiting: dict[int, dict[Shape, None]] = {id: {at: None}}
        order = []
        some = Blank().constant(1.0)
        for k in range(id, -1, -1):
            places = waiting.pop(k, None)
            if places is None:
                continue
            order.append((k, list(places)))
            node = self.nodes[k]
            if node.rule is None or not _is_real(node):
                continue
            shapes = [_shape(self.nodes[arg]) for arg in node.args]

            def note(argument: int, place: Shape, node: ArrayNode = node) -> Any:
                other = node.args[argument]
                if not _is_real(self.nodes[other]):
                    self.found[other, place] = self.nodes[other].value[place].item()
                    return self.found[other, place]
                if (other, place) not in self.found:
                    waiting.setdefault(other, {})[place] = None
                return some

            reading = self._reading(k, note)
            for place in places:
                node.rule.element(reading, place, shapes, **node.params)
        return order[::-1]


def _itself(x: Any) -> Any:
    return x


def _is_real(node: ArrayNode) -> bool:
    return isinstance(node.value, dict) or node.value.dtype.kind == "f"


def _shape(node: ArrayNode) -> Any:
    """The shape of an array; of a node with several outputs, those by name."""
    if isinstance(node.value, dict):
        return {name: value.shape for name, value in node.value.items()}
    return node.value.shape


class ElementView:
    """An array of a program as a definition reads it: like `opcheck.tracing.View`, over elements of another graph."""

    __slots__ = ("_made", "_padding", "_read", "array", "shape")

    def __init__(self, array: Any, read: Leaf, made: dict[Hashable, Any], padding: Any = None) -> None:
        self.array, self.shape = array, np.shape(array)
        self._read, self._made, self._padding = read, made, padding

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def padded(self, value: Any) -> "ElementView":
        return ElementView(self.array, self._read, self._made, value)

    def __getitem__(self, index: int | Shape) -> Any:
        place = index if isinstance(index, tuple) else (index,)
        if len(place) == len(self.shape) and all(0 <= i < n for i, n in zip(place, self.shape, strict=True)):
            return self._read(place)
        if self._padding is None or len(place) != len(self.shape):
            raise IndexError(f"{list(place)} is outside the shape {self.shape}")
        return self._padding
