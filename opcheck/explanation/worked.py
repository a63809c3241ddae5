"""The worked calculation of an operator's output, and of the gradient of each input."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.explanation.calculation import Calculation
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import ADJOINT, Unfolded
from opcheck.language import say
from opcheck.spec import Array, Refused, Shape, widened
from opcheck.steps import Block, Formula, Grids, Number, Prose, Step, Symbol
from opcheck.trace import TRACED, Tape, Tracer, exact, reverse
from opcheck.trace.arithmetic import as_fraction, exactly

NO_BREAK = "\u00a0"
ZERO = Number(Fraction(0))
MOST_NODES = 3_000_000  # a calculation beyond this is refused rather than left to run for minutes


def heading(calculation: Calculation) -> list[Block]:
    """What is computed: shapes, parameters, the definition, the size of the output."""
    op, p, case = calculation.op, calculation.p, calculation.case
    shapes = {name: array.shape for name, array in case.arrays.items()}

    def across(symbol: str, shape: Shape) -> str:
        shown = calculation.shown_shape(symbol, shape)
        return f"{symbol} {'×'.join(map(str, shown)) if shown else say('a number')}"

    parts = [across(op.input(name).symbol, shape) for name, shape in shapes.items()]
    for param in op.params:
        value = p[param.name]
        if value is None or (param.name not in case.params and param.keyword_only):
            continue
        same = isinstance(value, tuple) and len(set(value)) == 1
        text = value[0] if same else "×".join(map(str, value)) if isinstance(value, tuple) else value
        parts.append(f"{param.name} {text}")
    outs = ", ".join(across(op.output(name).symbol, shape) for name, shape in calculation.shapes.items())
    parts = [part.replace(" ", NO_BREAK) for part in parts]
    return [
        Prose(f"{op.name}   {' · '.join(parts)}  →  {outs}", "title"),
        Prose(op.formula, "definition"),
        *(Prose(f"({note})", "note") for note in op.notes(p, shapes)),
        *sizes(calculation),
    ]


def sizes(calculation: Calculation) -> list[Block]:
    """The output sizes as formulas with numbers; equal ones once."""
    tape = Tape()
    shapes = {name: array.shape for name, array in calculation.case.arrays.items()}
    found = calculation.op.sizes(calculation.p, shapes, lambda name, value: tape.constant(value, name))
    unfolded = Unfolded(tape.graph(), exact(tape.graph()))
    result: list[Formula] = []
    for name, size in found.items():
        names, numbers, *_, value = unfolded.formula(size.id, Symbol(name)).rights
        if not any(each.rights[1] == numbers for each in result):
            result.append(Formula(Symbol(name), (names, numbers, value)))
    return list(result)


# --- forward --------------------------------------------------------------------------------------------------------


def forward_steps(calculation: Calculation, cell: Shape | None, everything: bool, decimal: bool) -> list[Block]:
    """Grids with the window of the first step marked, and one step for each output element that is shown."""
    cells = calculation.cells
    if not cells:
        return [Prose(say("The output has no elements: there is nothing to compute."))]
    small = calculation.is_small
    shown = [cell] if cell is not None else cells if everything else cells[:2]
    tape = Tape()
    outputs = calculation.record(tape, cells if small else shown)
    graph = tape.graph()
    values = exact(graph, decimal)
    unfolded = Unfolded(graph, values, calculation.hidden, everything)
    blocks: list[Block] = []
    grids = _forward_grids(calculation, tape, outputs, shown[0], values if small else None)
    if grids:
        blocks.append(grids)
    one = len(cells) == 1
    left_out = 0
    for k, at in enumerate(shown):
        formulas = []
        for (name, place), tracer in outputs.items():
            if place == at:
                symbol = calculation.op.output(name).symbol
                left = Symbol(symbol, at[calculation.hidden.get(symbol, 0) :])
                formulas += unfolded.formulas(tracer.id, left, brief=k > 0 and not everything)
                left_out += unfolded.left_out(tracer.id) if k == 0 else 0
        title = "" if one else say("step {k} of {n}", k=cells.index(at) + 1, n=len(cells))
        blocks.append(Step(title, tuple(formulas)))
    return [*blocks, *_remainder(len(cells), len(shown), left_out, calculation, cell)]


def _remainder(count: int, shown: int, terms: int, calculation: Calculation, cell: Shape | None) -> list[Block]:
    """How much was left out, and what shows it."""
    blocks: list[Block] = []
    if terms:
        blocks.append(
            Prose(say("… {n} terms of the first step are summed in brackets (--all shows them)", n=terms), "note")
        )
    if count > shown and cell is None:
        symbol = calculation.op.output(calculation.main_output).symbol
        last = calculation.cells[-1][calculation.hidden.get(symbol, 0) :]
        where = ",".join(map(str, last))
        blocks.append(
            Prose(say("… {n} more steps (--all, or --cell {where} for one)", n=count - shown, where=where), "note")
        )
    return blocks


def _forward_grids(
    calculation: Calculation,
    tape: Tape,
    outputs: dict[tuple[str, Shape], Tracer],
    at: Shape,
    values: Sequence[Any] | None,
) -> Grids | None:
    """Each array with what the element `at` reads, and the output with that element marked."""
    roots = [tracer.id for (_, place), tracer in outputs.items() if place == at]
    read = _leaves(tape, roots)
    grids = []
    for name, array in calculation.case.arrays.items():
        spec = calculation.op.input(name)
        marks = [place for label, place in read if label == spec.symbol]
        padding = [node.at for node in tape.nodes if node.op == "padding" and node.label == spec.symbol]
        if array.ndim:
            grids += draw(
                spec.symbol, array.shape, reader(array), marks, padding,
                calculation.hidden.get(spec.symbol, 0),
            )  # fmt: skip
    for name, shape in calculation.shapes.items():
        symbol = calculation.op.output(name).symbol
        known = {} if values is None else {p: as_fraction(values[t.id]) for (n, p), t in outputs.items() if n == name}
        if not known:
            result = calculation.op.run(calculation.case)[name]
            known = {place: as_fraction(result[place].item()) for place in np.ndindex(*shape)}
        if shape:
            grids += draw(symbol, shape, known.get, [at], (), calculation.hidden.get(symbol, 0))
    return Grids(tuple(grids)) if grids else None


def reader(array: Array) -> Callable[[Shape], Fraction | float]:
    """Reads elements of an array as the decimals that they print as."""

    def read(at: Shape) -> Fraction | float:
        decimal: Fraction | float = as_fraction(exactly(array[at].item(), decimal=True))
        return decimal

    return read


def _leaves(tape: Tape, roots: Iterable[int]) -> set[tuple[str, Shape]]:
    """The array elements, padding included, that these nodes are computed from."""
    seen: set[int] = set()
    found = set()
    waiting = list(roots)
    while waiting:
        id = waiting.pop()
        if id in seen:
            continue
        seen.add(id)
        node = tape.nodes[id]
        if node.op in ("input", "padding"):
            found.add((node.label, node.at))
        waiting.extend(node.args)
    return found


# --- gradients ------------------------------------------------------------------------------------------------------


def gradient_steps(
    calculation: Calculation, cotangent: Array | None, cell: Shape | None, everything: bool, decimal: bool
) -> list[Block]:
    """One part for each differentiable input: its gradient as a sum over the outputs that read it."""
    op = calculation.op
    name = calculation.main_output
    shape = calculation.shapes[name]
    g = np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape) if cotangent is None else cotangent
    if g.shape != shape:
        raise Refused(say("the upstream gradient has the shape of the output, {shape}", shape=shape), got=f"{g.shape}")
    symbol = op.output(name).symbol
    blocks: list[Block] = [Prose(_upstream(symbol, default=cotangent is None), "note")]
    hidden = {**calculation.hidden, symbol: calculation.hidden.get(symbol, 0)}
    grids = draw(symbol + ADJOINT, shape, reader(g), [], (), hidden.get(symbol, 0)) if shape else []
    if grids:
        blocks.append(Grids(tuple(grids)))
    for spec in op.inputs:
        array = calculation.case.arrays.get(spec.name)
        if array is None or array.dtype.kind != "f" or not spec.differentiable:
            continue
        blocks.append(_gradient_of(calculation, spec.name, g, cell, everything, decimal))
    return blocks


def _upstream(symbol: str, default: bool) -> str:
    """What the adjoint is, in a sentence."""
    bar = symbol + ADJOINT
    if default:
        return say(
            "{bar} is the upstream gradient ∂L/∂{y}: here 1, 2, 3, ... so that no two places look alike (--upstream)",
            bar=bar,
            y=symbol,
        )
    return say("{bar} is the upstream gradient ∂L/∂{y}", bar=bar, y=symbol)


def _gradient_of(
    calculation: Calculation, name: str, g: Array, cell: Shape | None, everything: bool, decimal: bool
) -> Step:
    spec, shape = calculation.op.input(name), calculation.case.arrays[name].shape
    places = list(np.ndindex(*shape))
    inside = cell is not None and len(cell) == len(shape) and all(i < n for i, n in zip(cell, shape, strict=True))
    shown = [cell] if inside and cell is not None else places if everything else places[:2]
    tape, adjoints = _backward(calculation, name, g, shown)
    values = exact(tape.graph(), decimal)
    unfolded = Unfolded(tape.graph(), values, calculation.hidden, everything)
    hidden = calculation.hidden.get(spec.symbol, 0)
    blocks: list[Block] = []
    left_out = 0
    for k, at in enumerate(shown):
        left = Symbol(spec.symbol, at[hidden:], adjoint=True)
        tracer = adjoints.get(at)
        if tracer is None:
            blocks.append(Step("", (Formula(left, (ZERO,)),)))
            continue
        formulas = unfolded.formulas(tracer.id, left, brief=k > 0 and not everything)
        blocks.append(Step("", tuple(formulas)))
        left_out += unfolded.left_out(tracer.id) if k == 0 else 0
    if len(places) > len(shown) and not inside:
        where = ",".join(map(str, places[-1][hidden:]))
        blocks.append(
            Prose(say("… {n} more (--all, or --cell {where} for one)", n=len(places) - len(shown), where=where), "note")
        )
    if left_out:
        blocks.append(Prose(say("… {n} terms are summed in brackets (--all shows them)", n=left_out), "note"))
    return Step(say("gradient of {name}", name=spec.name), tuple(blocks))


def _backward(
    calculation: Calculation, name: str, g: Array, shown: Sequence[Shape]
) -> tuple[Tape, dict[Shape, Tracer]]:
    """Records the outputs that read the shown elements, sweeps back over tracers, and finds those elements' adjoints.

    The outputs are recorded last to first, so that the sweep meets them first to last.
    """
    tape = Tape()
    cells = calculation.cells if calculation.is_small else _readers(calculation, name, shown)
    outputs = calculation.record(tape, reversed(cells))
    output = calculation.main_output
    symbol = calculation.op.output(output).symbol
    seeds = {
        tracer.id: tape.input(symbol + ADJOINT, g[at].item(), at)
        for (out, at), tracer in outputs.items()
        if out == output
    }
    graph = tape.graph()
    numbers = exact(graph, decimal=True)
    count = len(graph.nodes)
    forward_nodes = list(graph.nodes)
    adjoints = reverse(graph, seeds, tape.tracers(), TRACED, numbers)
    for id in range(count):
        node, adjoint = forward_nodes[id], adjoints[id]
        if adjoint is not None and node.label and not node.is_leaf:
            _name_adjoint(tape, adjoint, node.label + ADJOINT, node.at)
    wanted = calculation.op.input(name).symbol
    found = {
        node.at: adjoints[id]
        for id, node in enumerate(forward_nodes)
        if node.op == "input" and node.label == wanted and adjoints[id] is not None
    }
    return tape, found


def _name_adjoint(tape: Tape, adjoint: Tracer, label: str, at: Shape) -> None:
    node = tape.nodes[adjoint.id]
    if not node.label and not node.is_leaf:
        tape.nodes[adjoint.id] = node._replace(label=label, at=at)


def _readers(calculation: Calculation, name: str, shown: Sequence[Shape]) -> list[Shape]:
    """The output elements that depend on the shown elements, asked of the fast reference's JVP with unit tangents.

    It sees the values: an output that a zero weight hides is not listed, which changes no gradient.
    """
    array = calculation.case.arrays[name]
    found: set[Shape] = set()
    for at in shown:
        unit = np.zeros(array.shape)
        unit[at] = 1.0
        tangent = calculation.op.jvp(calculation.p, {name: unit}, **widened(calculation.case.arrays))
        main = calculation.op.by_name(tangent, calculation.shapes)[calculation.main_output]
        found.update(zip(*(axis.tolist() for axis in np.nonzero(main)), strict=True) if main.ndim else [()])
    tape = Tape()
    calculation.record(tape, calculation.cells[:1])
    if len(found) * len(tape.nodes) > MOST_NODES:
        raise Refused(
            say("this gradient is a sum over {n} outputs: too many to write down", n=len(found)),
            fix=say("explain it on a smaller input; the rule is the same"),
        )
    return sorted(found)
