"""A trace of a function of numbers: its graph, its values, and both modes of differentiation over them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opcheck.errors import Refused, RefusedType
from opcheck.language import say
from opcheck.steps import Step
from opcheck.traces.scalar.lines import Lines
from opcheck.traces.traced import Document, Traced, forward_or_reverse
from opcheck.tracing import EXACT, FLOATS, TRACED, Graph, Tape, Tracer, bound, exact, values
from opcheck.tracing.autodiff import Dual, forward, forward_over_reverse, reverse

if TYPE_CHECKING:
    from opcheck.traces.drawing import Boxes
    from opcheck.traces.page import Sections


_Sweep = tuple[Graph, dict[str, Tracer | None], list[float]]  # recorded: derivatives by input as nodes of the graph


class Trace(Traced):
    """One evaluation of a function of numbers: v₋₁, v₀ for the inputs, v₁, v₂, ... for what was computed.

    `graph` is the Wengert list, `values` its numbers, `inputs` the node of each input, `tracked` the inputs that
    derivatives are taken by. `forward` and `reverse` sweep over it; `gradients` is what the reverse sweeps left behind.

    >>> import opcheck
    >>> trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    >>> trace.forward("x1").derivatives, trace.reverse().gradient["x1"]
    ({'x1': 5.5}, 5.5)
    """

    def __init__(
        self,
        graph: Graph,
        title: str,
        *,
        wrt: Iterable[str] | None = None,
        exact_numbers: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.graph, self.notes, self.exact = graph, tuple(notes), exact_numbers
        super().__init__(title, {node.label: id for id, node in enumerate(graph.nodes) if node.op == "input"}, wrt)
        self.arithmetic = EXACT if exact_numbers else FLOATS
        self.values: list[Any] = exact(graph, decimal=True) if exact_numbers else values(graph)

    @property
    def value(self) -> Any:
        """The number that the function returned; a tuple if it returned several."""
        return self._one_or_all(self.values)

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.graph, self.values)

    # --- the two modes --------------------------------------------------------------------------------------------

    def forward(self, *wrt: str | Mapping[str, Any]) -> "Tangents":
        """Forward mode: one sweep for each of `wrt`, an input's name or a direction such as {"x1": 1, "x2": -1}.

        Without arguments, one sweep for each tracked input. Raises Refused for an input that is unknown or not tracked.
        """
        directions = {}
        for each in wrt or self.tracked:
            direction = {each: 1} if isinstance(each, str) else dict(each)
            name = each if isinstance(each, str) else ", ".join(f"{key}={value}" for key, value in direction.items())
            directions[name] = {self.inputs[self._tracks(key)]: self._number(x) for key, x in direction.items()}
        columns = {name: forward(self.graph, seeds, self.values, self.arithmetic) for name, seeds in directions.items()}
        return Tangents(self, directions, columns)

    def reverse(self, seed: Any = 1, output: int | None = None) -> "Adjoints":
        """Reverse mode: one sweep from the output, whose adjoint is `seed`. Gradients accumulate in `gradients`.

        A function with several outputs needs `output` (which one), or one seed for each in `seed`.
        """
        sweep = self.adjoints(seed, output)
        for name, number in sweep.gradient.items():
            self.gradients[name] = self.gradients[name].after(number)
        return sweep

    def adjoints(self, seed: Any = 1, output: int | None = None) -> "Adjoints":
        """The sweep of `reverse`, which leaves nothing behind."""
        count = len(self.graph.outputs)
        several = isinstance(seed, (tuple, list))
        if not several and output is None and count > 1:
            raise Refused(
                say("the function has {n} outputs, and reverse mode starts from one", n=count),
                fix=say("say which (output=0), or give a seed for each (seed=(1, 0))"),
            )
        if output is not None and not 0 <= output < count:
            raise Refused(say("outputs count from 0 to {last}", last=count - 1), got=f"output={output}")
        if several and len(seed) != count:
            raise Refused(say("one seed for each output"), got=say("{m} seeds for {n}", m=len(seed), n=count))
        seeds: dict[int, Any] = {}
        for id, number in zip(self.graph.outputs, seed if several else [], strict=False):
            seeds[id] = seeds.get(id, 0) + self._number(number)  # one number may be returned twice
        if not several:
            seeds = {self.graph.outputs[output or 0]: self._number(seed)}
        return Adjoints(self, seeds, reverse(self.graph, seeds, self.values, self.arithmetic))

    # --- matrices of derivatives ----------------------------------------------------------------------------------

    def jacobian(self, mode: str | None = None) -> "Jacobian":
        """∂ outputs / ∂ tracked inputs, by the mode that needs fewer sweeps unless `mode` says which."""
        outputs = range(len(self.graph.outputs))
        sweeps = {"forward": len(self.tracked), "reverse": len(outputs)}
        mode = forward_or_reverse(mode, sweeps)
        if mode == "forward":
            columns = [self.forward(name)._of(name) for name in self.tracked]
            rows = [[self.zero(column[id]) for column in columns] for id in self.graph.outputs]
        else:
            rows = [list(self.adjoints(output=k).gradient.values()) for k in outputs]
        return Jacobian(self.tracked, tuple(map(tuple, rows)), mode, sweeps)

    def hessian(self) -> dict[str, dict[str, Any]]:
        """∂²f / ∂a ∂b by forward over reverse, one pair of sweeps an input: hessian()["x1"]["x2"]."""
        columns = {name: self.hessian_vector_product({name: 1}) for name in self.tracked}
        return {row: {name: columns[name][row] for name in self.tracked} for row in self.tracked}

    def hessian_vector_product(self, direction: Mapping[str, Any]) -> dict[str, Any]:
        """The Hessian times a direction, by one reverse sweep over dual numbers: no matrix is formed."""
        seed, tangents = {self._only_output(): self._number(1)}, self._direction(direction)
        found = forward_over_reverse(self.graph, seed, tangents, self.values, self.arithmetic)
        duals = {name: found[self.inputs[name]] for name in self.tracked}
        return {name: self.zero(None if each is None else each.tangent) for name, each in duals.items()}

    def recorded(self, direction: Mapping[str, Any]) -> tuple[Tape, dict[str, Dual]]:
        """Forward over reverse as a graph: a tape that goes on where `graph` ends, and on it the derivative by each
        tracked input (a tracer, or None for 0) with its own tangent along the direction."""
        tape = Tape()
        tape.nodes.extend(self.graph.nodes)
        numbers = tape.tracers()
        seed = {self._only_output(): tape.constant(1)}
        tangents = {id: tape.constant(x) for id, x in self._direction(direction).items()}
        found = forward_over_reverse(self.graph, seed, tangents, numbers, TRACED, self.values)
        return tape, {name: found[self.inputs[name]] or Dual(None) for name in self.tracked}

    def rounding(self, name: str, mode: str = "reverse") -> float:
        """A bound on the rounding error of a mode's derivative by `name` in float64, from the graph of its sweep."""
        try:
            graph, derivatives, numbers = self._backward if mode == "reverse" else self._ahead(name)
            derivative = derivatives[name]
            return 0.0 if derivative is None else bound(graph, derivative.id, "float64", numbers)
        except OverflowError:  # a fraction on the way is larger than float64's largest number
            return math.inf

    @cached_property
    def _backward(self) -> _Sweep:
        tape, found = self.recorded({})
        graph = tape.graph()
        return graph, {name: dual.value for name, dual in found.items()}, values(graph)

    def _ahead(self, name: str) -> _Sweep:
        tape = Tape()
        tape.nodes.extend(self.graph.nodes)
        numbers = tape.tracers()
        tangents = forward(self.graph, {self.inputs[name]: tape.constant(1)}, numbers, TRACED, self.values)
        graph = tape.graph()
        return graph, {name: tangents[self._only_output()]}, values(graph)

    def _only_output(self) -> int:
        if len(self.graph.outputs) != 1:
            raise Refused(say("a Hessian needs a single output"), got=say("{n} outputs", n=len(self.graph.outputs)))
        return self.graph.outputs[0]

    def _direction(self, direction: Mapping[str, Any]) -> dict[int, Any]:
        return {self.inputs[self._tracks(name)]: self._number(x) for name, x in direction.items()}

    # --- what it looks like ---------------------------------------------------------------------------------------

    def step(self) -> Step:
        from opcheck.traces.scalar.tables import evaluation

        return evaluation(self)

    @property
    def fractions(self) -> bool:
        return self.exact

    def sections(self) -> "Sections":
        from opcheck.traces.scalar.page import ScalarSections

        return ScalarSections(self)

    def boxes(self) -> "Boxes":
        from opcheck.traces.scalar.tables import boxes

        return boxes(self)

    def to_json(self) -> str:
        from opcheck.traces.scalar.data import document

        return document(self)

    def node(self, name: str) -> int:
        """The node that is called v3, v-1 or x1; raises Refused."""
        if name in self.inputs:
            return self.inputs[name]
        if name and name in self.lines.names:
            return self.lines.names.index(name)
        names = ", ".join(each for each in self.lines.names if each)
        raise Refused(say("there is no {name} in this trace", name=name), fix=say("its lines are {names}", names=names))

    def _number(self, x: Any) -> Any:
        if getattr(x, "ndim", 0) or isinstance(x, (list, tuple, str)):
            raise RefusedType(say("seeds and directions of a function of numbers are numbers"), got=f"{x!r}")
        return Fraction(x) if self.fractions and math.isfinite(x) else float(x)

    def zero(self, x: Any) -> Any:
        """A derivative that no path leads to is 0."""
        return self._number(0) if x is None else x

    def _one_or_all(self, column: Sequence[Any]) -> Any:
        found = tuple(column[id] for id in self.graph.outputs)
        return found[0] if len(found) == 1 else found


@dataclass(frozen=True)
class Tangents(Document):
    """What forward mode found: a tangent v̇ for every line, in each direction."""

    trace: Trace
    directions: Mapping[str, Mapping[int, Any]]
    columns: Mapping[str, Sequence[Any]]

    @property
    def fractions(self) -> bool:
        return self.trace.fractions

    @property
    def derivatives(self) -> dict[str, Any]:
        """The derivative of the output in each direction (a tuple of them if there are several outputs)."""
        return {name: self.trace._one_or_all(self._of(name)) for name in self.columns}

    def __getitem__(self, line: str) -> Any:
        """The tangent of a line (v3, v-1, x1); by direction if there are several."""
        id = self.trace.node(line)
        found = {name: self.trace.zero(column[id]) for name, column in self.columns.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def _of(self, name: str) -> list[Any]:
        return [self.trace.zero(x) for x in self.columns[name]]

    def step(self) -> Step:
        from opcheck.traces.scalar.tables import tangents

        return tangents(self)


@dataclass(frozen=True)
class Adjoints(Document):
    """What one reverse sweep found: an adjoint v̄ for every line."""

    trace: Trace
    seeds: Mapping[int, Any]
    column: Sequence[Any]

    @property
    def fractions(self) -> bool:
        return self.trace.fractions

    @property
    def gradient(self) -> dict[str, Any]:
        """The derivative by each tracked input; 0 where the output does not depend on it."""
        return {name: self.trace.zero(self.column[self.trace.inputs[name]]) for name in self.trace.tracked}

    def __getitem__(self, line: str) -> Any:
        """The adjoint of a line (v3, v-1, x1)."""
        return self.trace.zero(self.column[self.trace.node(line)])

    def step(self) -> Step:
        from opcheck.traces.scalar.tables import adjoints

        return adjoints(self)


@dataclass(frozen=True)
class Jacobian:
    """Derivatives of every output by every tracked input, and how many sweeps each mode needs for it."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    mode: str
    sweeps: Mapping[str, int]
