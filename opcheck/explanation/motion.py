"""A worked calculation as frames, one a formula: the places that it reads are marked, what is known so far is shown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages, leaves, reader
from opcheck.explanation.gradient import Sweep, differentiable, upstream_gradient
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import ADJOINT, Unfolded, barred
from opcheck.language import say
from opcheck.operators.spec import Array, Shape
from opcheck.steps import Block, Formula, Grid, Grids, Motion, Prose, Step, Symbol
from opcheck.tracing import Node, Tape, Tracer, exact
from opcheck.tracing.arithmetic import as_fraction

MOST_FRAMES = 120


class Drawn(NamedTuple):
    """An array as the frames draw it: what its leaves are called, its title, its shape and its elements."""

    label: str
    title: str
    shape: Shape
    read: Callable[[Shape], Fraction | float | None]
    hidden: int
    padding: tuple[Shape, ...] = ()


class Result(NamedTuple):
    """An element that is computed: its place, what computes it, what the formula calls it, the array that it fills;
    `read_by()` has the elements that it depends on."""

    at: Shape
    tracer: Tracer
    left: Symbol
    array: str
    read_by: Callable[[], set[tuple[str, Shape]]]


def forward_motion(calculation: Calculation, cell: Shape | None, still: Sequence[Block]) -> list[Block]:
    """`still` as a motion over the output elements, first to last; as it is where there is too much or too little."""
    if not calculation.is_small:
        return list(still)
    op = calculation.op
    tape = Pages()
    recorded = calculation.record(tape, [cell] if cell is not None else calculation.cells)
    values = exact(tape.graph(), decimal=True)
    drawn = _inputs(calculation, tape.nodes)
    results = []
    for (name, at), tracer in recorded.items():
        symbol = op.output(name).symbol
        hidden = calculation.hidden.get(symbol, 0)
        results.append(Result(at, tracer, Symbol(symbol, at[hidden:]), symbol, partial(leaves, tape, [tracer.id])))
        known = {place: as_fraction(values[t.id]) for (n, place), t in recorded.items() if n == name}
        drawn.setdefault(symbol, Drawn(symbol, symbol, calculation.shapes[name], known.get, hidden))
    unfolded = Unfolded(tape.graph(), values, calculation.hidden)
    return moving(Film(drawn, tape, unfolded).frames(results), still)


def gradient_motion(
    calculation: Calculation, upstream: Array | None, cell: Shape | None, still: Sequence[Block]
) -> list[Block]:
    """`still` as a motion over the elements of each gradient."""
    if not calculation.is_small or cell is not None:
        return list(still)
    op = calculation.op
    g = upstream_gradient(calculation, upstream)
    sweep = Sweep(calculation, g, {})
    output = op.output(calculation.main_output).symbol
    drawn = _inputs(calculation, sweep.tape.nodes)
    drawn[output + ADJOINT] = Drawn(
        output + ADJOINT, barred(output), g.shape, reader(g), calculation.hidden.get(output, 0)
    )
    unfolded = Unfolded(sweep.tape.graph(), sweep.values, calculation.hidden)
    frames = []
    for name in differentiable(calculation):
        symbol, shape = op.input(name).symbol, calculation.case.arrays[name].shape
        hidden, label = calculation.hidden.get(symbol, 0), symbol + ADJOINT
        found = {at: t for at in np.ndindex(*shape) if (t := sweep.adjoints.get((symbol, at))) is not None}
        values = {at: as_fraction(sweep.values[tracer.id]) for at, tracer in found.items()}

        def read(at: Shape, values: Mapping[Shape, Fraction | float] = values) -> Fraction | float:
            return values.get(at, Fraction(0))  # no output depends on it

        own = drawn | {label: Drawn(label, barred(symbol), shape, read, hidden)}
        results = [
            Result(at, tracer, Symbol(symbol, at[hidden:], adjoint=True), label, partial(sweep.read_by, symbol, at))
            for at, tracer in found.items()
        ]
        frames.append(Film(own, sweep.tape, unfolded, say("gradient of {name}", name=name)).frames(results))
    return moving(chain(*frames), still)


def moving(frames: Iterable[tuple[str, Step]], still: Sequence[Block]) -> list[Block]:
    """The frames, numbered, as one block; no motion if there are not two of them."""
    first = list(islice(frames, MOST_FRAMES + 1))
    more = len(first) > MOST_FRAMES
    first = first[:MOST_FRAMES]
    if len(first) < 2:
        return list(still)
    numbered = []
    for k, (part, frame) in enumerate(first):
        title = say("step {k} of {n}", k=k + 1, n=len(first))
        if more:
            title = say("step {k} of the first {n}", k=k + 1, n=len(first))
        numbered.append(frame._replace(title=f"{title}: {part}" if part else title))
    if more:
        note = Prose(say("The page moves no further. (--all writes every step down.)"), "note")
        numbered[-1] = numbered[-1]._replace(blocks=(*numbered[-1].blocks, note))
    return [Motion(tuple(numbered), tuple(still))]


class Film:
    """Frames that share their arrays: what was computed stands in the grids, what was not stands empty."""

    def __init__(self, drawn: Mapping[str, Drawn], tape: Tape, unfolded: Unfolded, part: str = "") -> None:
        self.drawn, self.tape, self.unfolded, self.part = drawn, tape, unfolded, part

    def frames(self, results: Sequence[Result]) -> Iterator[tuple[str, Step]]:
        """One for each formula: the grids, the formulas that it builds on, and itself."""
        awaited = {(result.array, result.at) for result in results}
        for result, lines, known in self._written(results):
            around = result.read_by()
            decides = around - leaves(self.tape, [result.tracer.id])  # though nothing is computed from it
            for k, (id, formula) in enumerate(lines):
                if k == len(lines) - 1:
                    awaited -= {(each.array, each.at) for each in (result, *known)}
                ids, named = self.unfolded.read_by(id)
                read = {(self.tape.nodes[leaf].label, self.tape.nodes[leaf].at) for leaf in ids} | decides
                before = [self.unfolded.formula(each, self._symbol(each), brief=True) for each in named]
                grids = tuple(self._grids(read, result, awaited, around))
                shown: tuple[Block, ...] = (Grids(grids),) if grids else ()
                yield self.part, Step("", (*shown, *before, formula))

    def _written(self, results: Sequence[Result]) -> Iterator[tuple[Result, list[tuple[int, Formula]], list[Result]]]:
        """Each result with its formulas, and those behind it that have none: they are elements of an input, or were
        worked out under another name."""
        waiting: tuple[Result, list[tuple[int, Formula]], list[Result]] | None = None
        for result in results:
            lines = self.unfolded.lines(result.tracer.id, result.left)
            if not lines and waiting is not None:
                waiting[2].append(result)
                continue
            if waiting is not None:
                yield waiting
            waiting = (result, lines, [])
        if waiting is not None:
            yield waiting

    def _symbol(self, id: int) -> Symbol:
        return self.unfolded.symbol(self.tape.nodes[id])

    def _grids(
        self,
        read: set[tuple[str, Shape]],
        result: Result,
        awaited: set[tuple[str, Shape]],
        around: set[tuple[str, Shape]],
    ) -> Iterator[Grid]:
        """The arrays as they stand, with what the formula reads marked; in sight is all that the result reads."""
        for label, each in self.drawn.items():
            marks = [at for name, at in read if name == each.label]
            marks += [result.at] if label == result.array else []
            near = [at for name, at in around if name == each.label]

            def known(at: Shape, label: str = label, each: Drawn = each) -> Fraction | float | None:
                return None if (label, at) in awaited else each.read(at)

            if each.shape:
                yield from draw(each.title, each.shape, known, marks, each.padding, each.hidden, near)


def _inputs(calculation: Calculation, nodes: Sequence[Node]) -> dict[str, Drawn]:
    """The arrays of the call by what their leaves are called."""
    found = {}
    for name, array in calculation.case.arrays.items():
        symbol = calculation.op.input(name).symbol
        padding = tuple(node.at for node in nodes if node.op == "padding" and node.label == symbol)
        hidden = calculation.hidden.get(symbol, 0)
        found[symbol] = Drawn(symbol, symbol, array.shape, reader(array), hidden, padding)
    return found
