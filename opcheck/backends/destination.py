"""Candidates that write their results into arrays that they are given: f(input, ..., output, ..., sizes, ...).
Benchmarks call kernels this way: `solve(A, B, C, M, N, K)`, a function with a required `out`, a solution in
"destination passing style". Outputs arrive full of NaN, between red zones, so that unwritten elements and writes beyond
them show.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from opcheck.backends import guarded
from opcheck.backends.base import Malformed, arguments, required, signature_of, takes
from opcheck.language import say
from opcheck.operators.shapes import Letters, Sizes, letters_in
from opcheck.operators.spec import Array, Case, Input, Op, Shape

ZONE = 16  # elements on each side of an output
FRESH = -7  # what a zone of whole numbers has everywhere; one of real numbers has NaN
NAMES = ("result", "results", "dst", "dest")  # and what begins with "out"


def writes(op: Op, function: Callable[..., Any]) -> bool:
    """Whether a function takes arrays to write its results into, judged by the number and names of its arguments."""
    if getattr(function, "destination_passing", False):
        return True
    accepted = signature_of(function)
    if accepted is None:
        return False
    asked = required(function)
    own = {each.part_of or each.name if isinstance(each, Input) else each.name for each in op.arguments}
    if "out" in asked:
        return True
    first = sum(not each.optional for each in op.inputs)
    outputs, rest = asked[first : first + len(op.outputs)], asked[first + len(op.outputs) :]
    if not outputs or {*outputs, *rest} & own:
        return False
    named = all(name.lower() in NAMES or name.lower().startswith("out") for name in outputs)
    return (named or getattr(function, "__name__", "") == "solve") and len(rest) in _counts(op)


def lacking(op: Op, case: Case, function: Callable[..., Any]) -> str:
    """The first optional input or parameter of this case that a function of this kind does not take; empty if none."""
    _, keywords = arguments(op, case.arrays, case.params, function)
    optional = (name for name in case.arrays if op.input(name).optional)
    return [*optional, *(name for name in keywords if not takes(function, name)), ""][0]


def takes_out(function: Callable[..., Any]) -> bool:
    """Whether a function has an argument `out` by keyword, as those of numpy and torch have."""
    accepted = (signature_of(function) or {}).get("out")
    return accepted is not None and accepted.kind in (accepted.KEYWORD_ONLY, accepted.POSITIONAL_OR_KEYWORD)


def _counts(op: Op) -> set[int]:
    """How many sizes may follow: none, every letter, or the number of elements alone."""
    return {0, 1, len(_letters(op))}


def _letters(op: Op) -> list[str]:
    return letters_in([_parsed(each) for each in op.inputs if not each.whole])


def _parsed(each: Input) -> Letters:
    return Letters.parse(each.letters or "*")


def sizes(op: Op, case: Case, count: int) -> list[int]:
    """The sizes that are passed: of the letters, in the order in which they first stand; else of the first input."""
    if not count:
        return []
    letters = _letters(op)
    shapes = {name: array.shape for name, array in case.arrays.items()}
    if count == len(letters):
        declared = {each.name: _parsed(each) for each in op.inputs if not each.whole}
        found = Sizes.match(declared, {name: shapes[name] for name in declared if name in shapes}).of
        return [found[letter] for letter in letters]
    first = next(iter(shapes.values()))
    return list(first) if count == len(first) else [int(np.prod(first))]


def with_outputs(
    op: Op, case: Case, function: Callable[..., Any], positional: Sequence[Any], keywords: Mapping[str, Any],
    make: Callable[[Shape, bool], Any],
) -> Any:  # fmt: skip
    """What a function wrote into the outputs that `make(shape, whole)` gave it, or what it returned instead."""
    _, shapes = op.checked(case)
    outputs = [make(shape, op.output(name).whole) for name, shape in shapes.items()]
    accepted = signature_of(function) or {}
    if "out" in accepted and accepted["out"].kind is inspect.Parameter.KEYWORD_ONLY:
        result = function(*positional, **keywords, out=outputs[0] if len(outputs) == 1 else tuple(outputs))
    else:
        given = len(positional) + len(outputs)
        count = len([name for name in required(function) if name not in keywords]) - given
        result = function(*positional, *outputs, *sizes(op, case, max(0, count)), **keywords)
    if result is not None:
        return result
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


LEFT_OVER: ContextVar[float] = ContextVar("LEFT_OVER", default=math.nan)  # what an output holds before it is written


@contextmanager
def left_over(number: float) -> Iterator[None]:
    """Outputs that opcheck allocates meanwhile are filled with this number."""
    token = LEFT_OVER.set(number)
    try:
        yield
    finally:
        LEFT_OVER.reset(token)


class Kept:
    """Outputs that a later call is given again, in the order in which they were made."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.next = 0

    def rewind(self) -> None:
        self.next = 0

    def take(self, make: Callable[[], Any]) -> Any:
        if self.next == len(self.arrays):
            self.arrays.append(make())
        self.next += 1
        return self.arrays[self.next - 1]


KEPT: ContextVar[Kept | None] = ContextVar("KEPT", default=None)


@contextmanager
def same_outputs() -> Iterator[Kept]:
    """After each rewind(), the outputs that opcheck allocated before are given again, with what they hold."""
    kept = Kept()
    token = KEPT.set(kept)
    try:
        yield kept
    finally:
        KEPT.reset(token)


def kept_or_new(make: Callable[[], Any]) -> Any:
    """An output that a call is given: one that an earlier call was given, or a new one."""
    kept = KEPT.get()
    return make() if kept is None else kept.take(make)


class Zoned:
    """Arrays of numpy between red zones."""

    def __init__(self) -> None:
        self.rooms: list[tuple[Any, int]] = []

    def array(self, shape: Shape, number: Any, layout: str = "") -> Array:
        """One array; in a guarded layout it has a guard page instead of a zone."""
        made: Array = kept_or_new(lambda: self._array(shape, number, layout))
        return made

    def _array(self, shape: Shape, number: Any, layout: str) -> Array:
        whole = np.dtype(number).kind in "iu"
        if layout in guarded.LAYOUTS:
            return guarded.guarded(np.full(shape, FRESH if whole else np.nan, number), layout)
        size = math.prod(shape)
        room = np.full(size + 2 * ZONE, FRESH if whole else np.nan, number)
        self.rooms.append((room, size))
        inside = room[ZONE : ZONE + size]
        if not whole:
            inside.fill(LEFT_OVER.get())
        return inside.reshape(shape)

    def check(self) -> None:
        """Raises Malformed where a zone was written."""
        for room, size in self.rooms:
            if not self._is_fresh(room[:ZONE]):
                raise Malformed(say("it writes before the memory of its output"))
            if not self._is_fresh(room[ZONE + size :]):
                raise Malformed(say("it writes past the end of its output's memory"))

    def _is_fresh(self, zone: Any) -> bool:
        return bool(zone.tobytes() == np.full_like(zone, FRESH if zone.dtype.kind in "iu" else np.nan).tobytes())


class ZonedTensors(Zoned):
    """Tensors of torch between red zones."""

    def __init__(self, torch: Any, device: str) -> None:
        super().__init__()
        self.torch, self.device = torch, device

    def tensor(self, shape: Shape, number: Any) -> Any:
        """One tensor of that type."""
        return kept_or_new(lambda: self._tensor(shape, number))

    def _tensor(self, shape: Shape, number: Any) -> Any:
        size, real = math.prod(shape), number.is_floating_point
        room = self.torch.full((size + 2 * ZONE,), math.nan if real else FRESH, dtype=number, device=self.device)
        self.rooms.append((room, size))
        inside = room[ZONE : ZONE + size]
        if real:
            inside.fill_(LEFT_OVER.get())
        return inside.view(shape)

    def _is_fresh(self, zone: Any) -> bool:
        fresh = self.torch.full_like(zone, math.nan if zone.is_floating_point() else FRESH)
        return bool(self.torch.equal(zone.view(self.torch.uint8), fresh.view(self.torch.uint8)))
