"""A trace of a tensor program: a graph whose nodes are array operations and operators of the catalogue."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.spec import as_array
from opcheck.programs.arrays import ArrayNode, ArrayTape, TracedArray, recording
from opcheck.programs.sweeps import check_one_number, forward, reverse
from opcheck.steps import Step
from opcheck.traces.function import not_numbers, result_of, returned
from opcheck.traces.path import Decisions, plain_python, whole_inputs
from opcheck.traces.traced import Traced, forward_or_reverse

if TYPE_CHECKING:
    from opcheck.traces.drawing import Boxes
    from opcheck.traces.page import Sections


MOST_ROWS = 200  # of a whole Hessian


def trace_arrays(
    function: Callable[..., Any],
    inputs: Mapping[str, Any],
    fixed: Mapping[str, Any],
    name: str,
    wrt: Iterable[str] | None,
    notes: Sequence[str] = (),
) -> "ArrayTrace":
    """Runs `function` on traced arrays. Whole numbers count as real ones where the function takes them so; else those
    stay whole that must (classes, indices), and nothing is differentiated by them. `notes` are told beside it."""
    given = {each: as_array(x, each) for each, x in inputs.items()}
    whole = [each for each in whole_inputs(given) if wrt is None or each not in list(wrt)]
    first: Refused | None = None
    for count in range(len(whole) + 1):
        for kept in combinations(whole, count):
            try:
                return _traced(function, given, {**fixed, **{each: given[each] for each in kept}}, name, wrt, notes)
            except Refused as refused:
                first = first or refused
    assert first is not None
    raise first


def _traced(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    fixed: Mapping[str, Any],
    name: str,
    wrt: Iterable[str] | None,
    told: Sequence[str],
) -> "ArrayTrace":
    """The trace with what is fixed as it is."""
    decisions = Decisions()
    tape = ArrayTape(decided=decisions)
    leaves = {each: tape.input(each, x if x.dtype.kind == "f" else x * 1.0) for each, x in given.items()
              if each not in fixed}  # fmt: skip
    with recording(tape), plain_python(function):
        results = returned(function, {**leaves, **fixed})
    outputs = [lifted(name, tape, each).id for result in results for each in flattened(result)]
    kept = [each for each in given if each in fixed]
    notes = [say("{names} stays whole: nothing is differentiated with respect to it", names=each) for each in kept]
    whole = {**getattr(function, "whole", {}), **{each: given[each] for each in kept}}
    title = f"{name}({', '.join((*given, *(each for each in whole if each not in given)))})"
    return ArrayTrace(tuple(tape.nodes), outputs, title, wrt, (*told, *notes, *decisions.notes()), whole)


def lifted(name: str, tape: ArrayTape, x: Any) -> TracedArray:
    """What the function returned as a node; raises RefusedType for what is neither a number nor an array."""
    if isinstance(x, (int, float, Fraction)):
        x = float(result_of(name, x))
    if not isinstance(x, TracedArray) and np.asarray(x).dtype.kind not in "fiub":
        raise not_numbers(name, x)
    return tape.lifted(x)


def flattened(result: Any) -> list[Any]:
    """The arrays of nested tuples, lists and dicts, such as (loss, [w1, w2])."""
    if isinstance(result, dict):
        result = list(result.values())
    return [each for part in result for each in flattened(part)] if isinstance(result, (tuple, list)) else [result]


class ArrayTrace(Traced):
    """One run of a function of arrays. `nodes` are its lines; `inputs` and `outputs` are places in it.

    >>> import numpy as np
    >>> trace = trace_arrays(lambda x: (x * x).sum(), {"x": np.array([1.0, 2.0])}, {}, "f", None)
    >>> trace.reverse()["x"]
    array([2., 4.])
    """

    def __init__(
        self,
        nodes: tuple[ArrayNode, ...],
        outputs: list[int],
        title: str,
        wrt: Iterable[str] | None,
        notes: Iterable[str] = (),
        whole: Mapping[str, Any] | None = None,
    ) -> None:
        self.whole = whole or {}  # inputs of whole numbers, by which nothing is differentiated
        self.nodes, self.outputs, self.notes = nodes, tuple(outputs), tuple(notes)
        super().__init__(title, {node.label: id for id, node in enumerate(nodes) if node.label}, wrt)

    @property
    def value(self) -> Any:
        """What the function returned; a tuple if it returned several arrays."""
        found = tuple(self.nodes[id].value for id in self.outputs)
        return found[0] if len(found) == 1 else found

    def read(self, id: int) -> Any:
        return self.nodes[id].value

    # --- the two modes --------------------------------------------------------------------------------------------

    def forward(self, direction: Mapping[str, Any]) -> dict[str, Any]:
        """Forward mode: the tangent of each line (v1, v2, ...) for tangents of some inputs, by name."""
        tangents = self.tangents(direction)
        return {name: self._zero(tangents[id], id) for id, name in self.names.items()}

    def tangents(self, direction: Mapping[str, Any]) -> list[Any]:
        """The tangent of each node; None where none reaches."""
        return forward(
            self.nodes, {self.inputs[self._tracks(k)]: self._like(k, x) for k, x in direction.items()}, self.read
        )

    def jvp(self, direction: Mapping[str, Any]) -> Any:
        """The tangent of the output (a tuple if there are several)."""
        tangents = self.tangents(direction)
        found = tuple(self._zero(tangents[id], id) for id in self.outputs)
        return found[0] if len(found) == 1 else found

    def reverse(self, seed: Any = None, output: int = 0) -> dict[str, Any]:
        """Reverse mode: the gradient by each tracked input. Gradients accumulate in `gradients`.

        seed: the cotangent of the output, of its shape (default 1, for an output that is one number).
        """
        gradient = self.gradient(seed, output)
        for name, found in gradient.items():
            self.gradients[name] = self.gradients[name].after(found)
        return gradient

    def gradient(self, seed: Any = None, output: int = 0) -> dict[str, Any]:
        """What `reverse` returns, leaving nothing behind."""
        adjoints = self.adjoints(seed, output)
        return {name: self._zero(adjoints[self.inputs[name]], self.inputs[name]) for name in self.tracked}

    def adjoints(
        self, seed: Any = None, output: int = 0, note: Callable[[int, int, Any], None] | None = None
    ) -> list[Any]:
        """The adjoint of each node; None where none reaches or where no tracked input is behind it."""
        id, g = self._seed(seed, output)
        return reverse(self.nodes, {id: g}, [self.inputs[name] for name in self.tracked], self.read, note)

    def _seed(self, seed: Any, output: int) -> tuple[int, Any]:
        if not 0 <= output < len(self.outputs):
            raise Refused(say("outputs count from 0 to {last}", last=len(self.outputs) - 1), got=f"output={output}")
        id = self.outputs[output]
        shape = self.nodes[id].value.shape
        if seed is None:
            check_one_number(self.nodes[id].value)
            return id, np.ones(shape)
        g = as_array(seed, "seed") * 1.0
        if g.shape != shape:
            raise Refused(say("the seed has the shape of the output, {shape}", shape=shape), got=f"{g.shape}")
        return id, g

    # --- second derivatives, and matrices -------------------------------------------------------------------------

    def hessian_vector_product(self, direction: Mapping[str, Any]) -> dict[str, Any]:
        """The Hessian times a direction, by forward mode over the recorded reverse sweep: no matrix is formed."""
        nodes, adjoints = self.second_order
        seeds = {self.inputs[self._tracks(name)]: self._like(name, x) for name, x in direction.items()}
        tangents = forward(nodes, seeds, lambda id: nodes[id].value)
        places = {name: self.inputs[name] for name in self.tracked}
        found = {name: adjoints[place] for name, place in places.items()}
        return {name: self._zero(None if id is None else tangents[id], places[name]) for name, id in found.items()}

    def hessian(self) -> dict[str, dict[str, Any]]:
        """∂²f / ∂a ∂b as hessian()["a"]["b"], an array of shape (*a, *b), by one Hessian-vector product an element.

        Raises Refused where the inputs have more than MOST_ROWS elements.
        """
        shapes = {name: self.nodes[self.inputs[name]].value.shape for name in self.tracked}
        rows = sum(math.prod(shape) for shape in shapes.values())
        if rows > MOST_ROWS:
            raise Refused(
                say("a whole Hessian of {n} inputs has {n}·{n} elements, and at most {most} rows are shown",
                    n=rows, most=MOST_ROWS),
                fix=say("ask for its product with a direction (--hvp, in Python .hessian_vector_product), or track "
                        "fewer inputs (--wrt)"),
            )  # fmt: skip
        found = {a: {b: np.zeros((*shapes[a], *shapes[b])) for b in self.tracked} for a in self.tracked}
        for name, shape in shapes.items():
            for at in np.ndindex(*shape):
                for row, column in self.hessian_vector_product({name: one_hot(shape, at)}).items():
                    found[row][name][(..., *at)] = column
        return found

    @cached_property
    def second_order(self) -> tuple[list[ArrayNode], list[int | None]]:
        """The nodes with their own reverse sweep recorded behind them, and the node of each adjoint."""
        tape = ArrayTape()
        tape.nodes.extend(self.nodes)
        id, g = self._seed(None, 0)
        places = [self.inputs[name] for name in self.tracked]
        found = reverse(self.nodes, {id: tape.constant(g)}, places, lambda k: TracedArray(tape, k))
        return tape.nodes, [getattr(adjoint, "id", None) for adjoint in found]

    def jacobian(self, name: str, output: int = 0, mode: str | None = None) -> Any:
        """∂ output / ∂ input as an array of shape (*output, *input), by the mode that needs fewer sweeps."""
        into, out = (
            self.nodes[self.inputs[self._tracks(name)]].value.shape,
            self.nodes[self.outputs[output]].value.shape,
        )
        sweeps = {"forward": int(np.prod(into, dtype=int)), "reverse": int(np.prod(out, dtype=int))}
        chosen = forward_or_reverse(mode, sweeps)
        found = np.zeros((*out, *into))
        for at in np.ndindex(*(into if chosen == "forward" else out)):
            if chosen == "forward":
                tangent = self.tangents({name: one_hot(into, at)})[self.outputs[output]]
                found[(..., *at)] = 0.0 if tangent is None else tangent
            else:
                found[at] = self.gradient(one_hot(out, at), output)[name]
        return found

    # --- what it looks like ---------------------------------------------------------------------------------------

    @cached_property
    def names(self) -> dict[int, str]:
        """v-1, v0 for the inputs and v1, v2, ... for what is computed.

        Constants, nodes with several outputs and outputs of those that the program does not use have no line.
        """
        used = {arg for node in self.nodes for arg in node.args} | set(self.outputs)
        first = 1 - len(self.inputs)
        found = {id: f"v{first + k}" for k, id in enumerate(self.inputs.values())}
        count = 0
        for id, node in enumerate(self.nodes):
            unused = node.rule is not None and node.rule.name == "item" and id not in used
            computed = node.rule is not None and not isinstance(node.value, dict) and not unused
            if computed or (id in self.outputs and id not in found):  # a constant that is returned
                count += 1
                found[id] = f"v{count}"
        return dict(sorted(found.items()))

    def step(self) -> Step:
        from opcheck.traces.tensor.tables import evaluation

        return evaluation(self)

    def sections(self) -> "Sections":
        from opcheck.traces.tensor.page import TensorSections

        return TensorSections(self)

    def boxes(self) -> "Boxes":
        from opcheck.traces.tensor.tables import boxes

        return boxes(self)

    def to_json(self) -> str:
        from opcheck.traces.tensor.data import document

        return document(self)

    def _like(self, name: str, x: Any) -> Any:
        shape = self.nodes[self.inputs[name]].value.shape
        tangent = as_array(x, name) * 1.0
        if tangent.shape != shape:
            raise Refused(
                say("the tangent of {name} has its shape, {shape}", name=name, shape=shape), got=f"{tangent.shape}"
            )
        return tangent

    def _zero(self, x: Any, id: int) -> Any:
        value = self.nodes[id].value
        return np.zeros(value.shape) if x is None and not isinstance(value, dict) else x


def one_hot(shape: tuple[int, ...], at: tuple[int, ...]) -> Any:
    unit = np.zeros(shape)
    unit[at] = 1.0
    return unit
