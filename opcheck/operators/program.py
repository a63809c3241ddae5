"""Operators that are declared by a program: everything else is a reading of it.

A `Program` says with numpy's functions what its outputs are; its element, gradients, tangents and error bounds follow.
An operator may still write any of these itself: an element that reads better, a VJP that is faster.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.loading import line_of
from opcheck.operators.shapes import Letters, Sizes, letters_in
from opcheck.operators.shared.roundoff.base import Bound, Rounding
from opcheck.operators.spec import Array, Op, Params, Refused, Shape, results_of
from opcheck.programs.arrays import ArrayTape, TracedArray, recording
from opcheck.programs.bound import running
from opcheck.programs.elements import Elements
from opcheck.programs.names import with_names
from opcheck.programs.running import Format, Running
from opcheck.programs.sweeps import forward as pushed
from opcheck.programs.sweeps import reverse as pulled
from opcheck.programs.work import work_of

MOST_KEPT = 512  # shapes of calls that are remembered


class Recording:
    """A program recorded on the arrays of one call; `variant`: arguments of its own, such as a mistaken form.

    `written`: another program for the same operator, called `written(op, p, **arrays)`. `named`: intermediate arrays
    are called as the program calls them, which takes twice the time. `literal`: for people to read (`ArrayTape`)."""

    def __init__(
        self, op: Op, p: Params, arrays: Mapping[str, Array], expanded: bool = False, named: bool = False,
        written: Callable[..., Any] | None = None, literal: bool = False, **variant: Any,
    ) -> None:  # fmt: skip
        self.op, self.tape = op, ArrayTape(expanded, literal=literal)
        self.tape.torn = expanded and not op.elsewhere  # what torch has there is no matter of a program of one's own
        self.inputs = {
            name: self.tape.input(name, array) if array.dtype.kind == "f" else array for name, array in arrays.items()
        }
        with recording(self.tape):
            if written is not None:
                result = written(op, p, **self.inputs)
            elif named:
                result = with_names(self.tape, op.code, lambda: op.program(p, **self.inputs, **variant))
            else:
                result = op.program(p, **self.inputs, **variant)
        results = results_of(op, result)
        self.outputs = {name: self.tape.lifted(result) for name, result in results.items()}

    @property
    def leaves(self) -> dict[str, int]:
        """The nodes of the inputs that can be differentiated."""
        smooth = {each.name for each in self.op.inputs if each.differentiable}
        return {name: x.id for name, x in self.inputs.items() if isinstance(x, TracedArray) and name in smooth}

    def value(self, id: int) -> Any:
        return self.tape.nodes[id].value

    def gradients(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        seeds = {self.outputs[name].id: g for name, g in cotangent.items()}
        found = pulled(self.tape.nodes, seeds, self.leaves.values(), self.value)
        return {name: self.full(found[id], id) for name, id in self.leaves.items()}

    def tangents(self, tangents: Mapping[str, Array]) -> dict[str, Array]:
        found = pushed(self.tape.nodes, {self.leaves[name]: t for name, t in tangents.items()}, self.value)
        return {name: self.full(found[y.id], y.id) for name, y in self.outputs.items() if self._is_smooth(name)}

    def traced_gradients(self, cotangent: Mapping[str, Array]) -> dict[str, Any]:
        """The gradients with the reverse sweep recorded behind the program; None where nothing reaches."""
        seeds = {self.outputs[name].id: self.tape.input(f"cotangent of {name}", g) for name, g in cotangent.items()}
        nodes = tuple(self.tape.nodes)
        with recording(self.tape):
            found = pulled(nodes, seeds, self.leaves.values(), lambda id: TracedArray(self.tape, id))
        return {name: found[id] for name, id in self.leaves.items()}

    def traced_tangents(self, tangents: Mapping[str, Array]) -> dict[str, Any]:
        """The tangents, with the forward sweep recorded after the program; None where no tangent arrives."""
        seeds = {self.leaves[name]: self.tape.input(f"tangent of {name}", t) for name, t in tangents.items()}
        nodes = tuple(self.tape.nodes)
        with recording(self.tape):
            found = pushed(nodes, seeds, lambda id: TracedArray(self.tape, id))
        return {name: found[y.id] for name, y in self.outputs.items() if self._is_smooth(name)}

    def _is_smooth(self, name: str) -> bool:
        return self.op.output(name).differentiable

    def full(self, found: Any, id: int) -> Array:
        shape = self.value(id).shape
        return np.zeros(shape) if found is None else np.array(np.broadcast_to(found, shape), dtype=np.float64)


class Derived(Rounding):
    """The bounds of a program by running error analysis (`opcheck.programs`).

    What was recorded for the last case is kept: its outputs, gradients and tangents are asked for in several formats.
    """

    def __init__(self, **widest: Any) -> None:
        self._widest = widest  # arguments of the program, besides those of the operator
        self._kept: dict[str, tuple[list[Any], Recording, dict[str, Any]]] = {}

    def forward(self, op: Op, p: Params, f: Format, /, **arrays: Array) -> Any:
        smooth = {each.name for each in op.outputs if not each.whole}

        def outputs(made: Recording) -> dict[str, Any]:
            return {name: y for name, y in made.outputs.items() if name in smooth}

        made, results = self._recorded("outputs", op, p, arrays, {}, outputs)
        return self._bounds(made, f, results, {name: y.shape for name, y in results.items()})

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, /, **arrays: Array) -> dict[str, Bound]:
        seeds = results_of(op, cotangent)
        made, results = self._recorded("gradients", op, p, arrays, seeds, lambda r: r.traced_gradients(seeds))
        return self._bounds(made, f, results, {name: arrays[name].shape for name in results})

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], /, **arrays: Array) -> Any:
        made, results = self._recorded("tangents", op, p, arrays, tangents, lambda r: r.traced_tangents(tangents))
        return self._bounds(made, f, results, {name: made.outputs[name].shape for name in results})

    def _recorded(
        self, kind: str, op: Op, p: Params, arrays: Mapping[str, Array], seeds: Mapping[str, Array],
        results: Callable[[Recording], dict[str, Any]],
    ) -> tuple[Recording, dict[str, Any]]:  # fmt: skip
        """What the last call recorded, if this one has the same arrays."""
        asked = [op, p, *(each for pair in (*arrays.items(), *seeds.items()) for each in pair)]
        known = self._kept.get(kind)
        if known and len(known[0]) == len(asked) and all(a is b for a, b in zip(known[0], asked, strict=True)):
            return known[1:]
        made = Recording(op, p, arrays, expanded=True, **{**op.widest, **self._widest})
        found = results(made)
        self._kept[kind] = (asked, made, found)
        return made, found

    def _bounds(
        self, made: Recording, f: Format, results: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> dict[str, Bound]:
        found = running(made.tape.nodes, f, only=[y.id for y in results.values() if y is not None])
        return {
            name: Bound(np.zeros(shapes[name])) if y is None else bound_of(f, found[y.id], y.shape)
            for name, y in results.items()
        }


class EitherWay(Derived):
    """The bound of an operator that is computed in two ways, of which neither rounds more on every case."""

    def __init__(self, **other: Any) -> None:
        super().__init__()
        self.ways = Derived(), Derived(**other)

    def forward(self, op: Op, p: Params, f: Format, /, *args: Any, **arrays: Any) -> dict[str, Bound]:
        one, other = self.ways
        return _wider(one.forward(op, p, f, **arrays), other.forward(op, p, f, **arrays))

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, /, *args: Any, **arrays: Any) -> dict[str, Bound]:
        one, other = self.ways
        return _wider(one.vjp(op, p, f, cotangent, **arrays), other.vjp(op, p, f, cotangent, **arrays))

    def jvp(self, op: Op, p: Params, f: Format, tangents: dict[str, Array], /, *args: Any, **arrays: Any) -> Any:
        one, other = self.ways
        return _wider(one.jvp(op, p, f, tangents, **arrays), other.jvp(op, p, f, tangents, **arrays))


def _wider(one: Mapping[str, Bound], other: Mapping[str, Bound]) -> dict[str, Bound]:
    def of(a: Bound, b: Bound) -> Bound:
        exact = None if a.exact is None or b.exact is None else a.exact & b.exact
        return a._replace(error=np.maximum(a.error, b.error), exact=exact)

    return {name: of(bound, other[name]) for name, bound in one.items()}


@contextmanager
def derived_bounds(ops: Iterable[Op]) -> Iterator[None]:
    """Within this block, these operators use bounds derived from their programs, whatever they declare."""
    declared = [(op, op.rounding) for op in ops]
    for op, _ in declared:
        op.rounding = Derived()
    try:
        yield
    finally:
        for op, rounding in declared:
            op.rounding = rounding


def bound_of(f: Format, result: Running, shape: Shape) -> Bound:
    """The bound of a result that is stored."""
    with np.errstate(all="ignore"):
        error = np.array(np.broadcast_to(result.error(f), shape), dtype=np.float64)
        error[np.isnan(error) | np.isnan(result.value)] = np.inf  # no number: nothing is said of what comes
        exact = np.broadcast_to(np.asarray(result.exact(f)) & (error == 0), shape)
        return Bound(error, np.broadcast_to(result.terms, shape), exact=exact)


def _is_inside(at: Shape, shape: Shape) -> bool:
    """Whether an output of this shape has that element: outputs may differ in shape."""
    return len(at) == len(shape) and all(k < n for k, n in zip(at, shape, strict=True))


class Program(Op):
    """An operator that is a short program over arrays: see `silu.py`."""

    small: tuple[int, ...] = (2, 3, 4, 5)  # sizes of its letters where nobody gave others

    rounding: Rounding | None = Derived()

    @abstractmethod
    def program(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        """The outputs (several: a tuple in order, or a dict by name), with numpy's functions over arrays that record.

        Real arrays may be traced; arrays of whole numbers (classes) are plain.
        """

    @cached_property
    def letters(self) -> dict[str, Letters]:
        """The declared shape of each array."""
        return {each.name: Letters.parse(each.letters) for each in self.inputs}

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """What fits to the letters, and what the program then makes of it; raises Refused for all else."""
        Sizes.match(self.letters, shapes)
        try:
            return self.shape_by_running(p, shapes)
        except Refused:
            raise
        except Exception as error:
            raise self.raised(error, shapes) from error

    def raised(self, error: Exception, shapes: Mapping[str, Shape]) -> Refused:
        """What is said where the program raises for shapes that fit to its letters."""
        line, name = line_of(error), self.title or self.name
        return Refused(
            say("{name} raised {kind}: {error}", name=name, kind=type(error).__name__, error=error),
            got=", ".join([*(f"{name} {shape}" for name, shape in shapes.items()), *([line] if line else [])]),
            fix=say("an input is not changed: write x = x - y instead of x -= y") if "read-only" in str(error)
            else self.how_to_refuse,
        )  # fmt: skip

    @property
    def how_to_refuse(self) -> str:
        """What its author can do about shapes that fit to its letters and that it does not take."""
        return say("state the shapes it takes in its letters, or write shape(p, shapes)")

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        """With the sizes that the given arrays have, and small ones for the rest."""
        if not any(letters.sizes for letters in self.letters.values()):  # any shape will do
            return super().default_shape(name, params, shapes)
        sizes = Sizes.match({each: self.letters[each] for each in shapes}, shapes)
        for k, letter in enumerate(letters_in(self.letters.values())):
            sizes.of.setdefault(letter, self.small[k % len(self.small)])
        sizes.leading = sizes.leading if sizes.leading is not None else (2,)
        return sizes.shape(self.letters[name])

    def shape_by_running(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """By running the program on ones, once for each shape."""
        key = (repr(p), *sorted(shapes.items()))
        known = self.__dict__.setdefault("_shapes", {})
        if key not in known:
            if len(known) > MOST_KEPT:
                known.clear()
            known[key] = self._shape(p, shapes)
        return dict(known[key])

    def _shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        with np.errstate(all="ignore"):
            return {name: np.shape(y) for name, y in results_of(self, self.program(p, **self._ones(shapes))).items()}

    def _ones(self, shapes: Mapping[str, Shape]) -> dict[str, Array]:
        return {
            name: np.broadcast_to(np.int64(0) if self.input(name).whole else 1.0, shape)  # one number, however large
            for name, shape in shapes.items()
        }

    def work(self, p: Params, shapes: Mapping[str, Shape]) -> int:
        """How many numbers a call of these shapes makes on its way to its outputs; 0 where it is no call."""
        key = (repr(p), *sorted(shapes.items()))
        known: dict[Any, int] = self.__dict__.setdefault("_work", {})
        if key not in known:
            if len(known) > MOST_KEPT:
                known.clear()
            try:
                known[key] = work_of(Recording(self, p, self._ones(shapes), expanded=True).tape.nodes)
            except Exception:  # whatever a program raises for shapes that it does not take
                known[key] = 0
        return known[key]

    def element(self, p: Params, at: Shape, /, *args: Any, **views: Any) -> Any:
        first = next(view for view in views.values() if hasattr(view, "once"))
        elements, outputs = first.once(("program", id(self), repr(p)), lambda: self._elements(p, views))
        shapes = {name: np.shape(elements.nodes[id].value) for name, id in outputs.items()}
        found = {name: elements.read(id, at) for name, id in outputs.items() if _is_inside(at, shapes[name])}
        return found if len(self.outputs) > 1 else next(iter(found.values()))

    def _elements(self, p: Params, views: Mapping[str, Any]) -> tuple[Elements, dict[str, int]]:
        arrays = {name: view.array if hasattr(view, "once") else view for name, view in views.items()}
        tape = next((view.tape for view in views.values() if hasattr(view, "tape")), None)
        made = Recording(self, p, arrays, named=True, literal=tape is None or tape.literal)
        leaves: dict[int, Callable[[Shape], Any]] = {
            x.id: views[name].__getitem__ for name, x in made.inputs.items() if isinstance(x, TracedArray)
        }
        kinds = () if tape is None else (tape.constant, lambda at: tape.padding("", 0.0, at))
        found = Elements(made.tape.nodes, leaves, self._labels(made), *kinds)
        return found, {name: y.id for name, y in made.outputs.items()}

    def _labels(self, made: Recording) -> dict[int, str]:
        """The intermediate arrays that have their own name; one that is called as an input or an output is has a
        prime."""
        taken = {each.symbol for each in self.inputs} | {each.symbol for each in self.outputs}
        outputs = {y.id for y in made.outputs.values()}
        return {
            id: name + "′" if name in taken else name
            for id, name in made.tape.names.items()
            if made.tape.nodes[id].rule is not None and id not in outputs
        }

    def forward(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            found = results_of(self, self.program(p, **arrays))
            if not self.elsewhere and not all(np.isfinite(y).all() for y in found.values()):  # as gradients are read
                found = {name: y.value for name, y in Recording(self, p, arrays).outputs.items()}
        whole = {each.name for each in self.outputs if each.whole}
        found = {name: np.asarray(y) if name in whole else np.asarray(y, dtype=np.float64) for name, y in found.items()}
        return found if len(self.outputs) > 1 else next(iter(found.values()))

    def vjp(self, p: Params, cotangent: Any, /, *args: Any, **arrays: Any) -> dict[str, Array]:
        return Recording(self, p, arrays).gradients(results_of(self, cotangent))

    def vjp_of(self, p: Params, cotangent: Any, arrays: Mapping[str, Array], **variant: Any) -> dict[str, Array]:
        """The gradients of a variant of the program: for mistakes."""
        return Recording(self, p, arrays, **variant).gradients(results_of(self, cotangent))

    def jvp(self, p: Params, tangents: dict[str, Array], /, *args: Any, **arrays: Any) -> Any:
        found = Recording(self, p, arrays).tangents(tangents)
        return found if len(self.outputs) > 1 else next(iter(found.values()))
