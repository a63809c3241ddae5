"""The worked calculation of the gradient of each input: one reverse sweep over tracers, read like the forward one."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.explanation.calculation import MOST_NODES, Calculation, Pages, Places, leaves, reached, reader
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import ADJOINT, Unfolded, barred, cancellation
from opcheck.language import say
from opcheck.operators.fills import upstream as filled
from opcheck.operators.spec import Array, Closed, Output, Refused, Shape, widened
from opcheck.render.names import clauses
from opcheck.steps import Block, Formula, Grids, Number, Prose, Step, Symbol
from opcheck.tracing import TRACED, Node, Tracer, exact, reverse
from opcheck.tracing.arithmetic import as_fraction
from opcheck.tracing.primitives import PRIMITIVES

ZERO = Number(Fraction(0))
RESIDUE = 1e-3  # of what arrives: a gradient whose terms cancel has no more
CHOICE = re.compile(r"\[[^\[\]]* [=<>≤] ")  # [c = t[n]] in a formula


def gradient_steps(
    calculation: Calculation, upstream: Array | None, cell: Shape | None, everything: bool, symbolic: bool = False
) -> list[Block]:
    """One part for each differentiable input: its gradient as a sum over the outputs that read it."""
    op = calculation.op
    shape = calculation.shapes[calculation.main_output]
    g = upstream_gradient(calculation, upstream)
    names = differentiable(calculation)
    shown = {name: _shown(calculation.case.arrays[name].shape, cell, everything) for name in names}
    sweep = Sweep(calculation, g, shown)
    unfolded = Unfolded(sweep.tape.graph(), sweep.values, calculation.hidden, everything, symbolic)
    output = op.output(calculation.main_output)
    told = upstream_meaning(output, shape, upstream is not None)
    blocks: list[Block] = [Prose(told, "note")]
    written = closed_forms(calculation, g, sweep)
    for name in names:
        part = _gradient_of(calculation, name, g, sweep, unfolded, cell, everything)
        blocks.append(part._replace(blocks=(*written.get(name, ()), *part.blocks)))
    if upstream is None and sweep.complete and 0 < _largest(calculation, names, sweep) < RESIDUE * float(abs(g).max()):
        left = say("the upstream gradient 1, 2, 3, ... almost cancels here: another one shows more (--upstream)")
        blocks.insert(1, Prose(left, "note"))
    return blocks


def _largest(calculation: Calculation, names: Sequence[str], sweep: "Sweep") -> float:
    """The largest number of all gradients."""
    arrays, op = calculation.case.arrays, calculation.op
    places = ((op.input(name).symbol, at) for name in names for at in np.ndindex(*arrays[name].shape))
    return max((abs(float(sweep.gradient(*place))) for place in places), default=0.0)


def closed_forms(calculation: Calculation, g: Array, sweep: "Sweep") -> dict[str, tuple[Prose, ...]]:
    """By input, its gradient as a textbook writes it, where that was proved on these numbers."""
    if not calculation.op.closed or not sweep.complete:
        return {}
    from opcheck.explanation.closed import proved

    def gradient(symbol: str) -> Callable[[Shape], Any]:
        return lambda at: sweep.gradient(symbol, at)

    def output(name: str) -> Callable[[Shape], Any]:
        return lambda at: sweep.values[sweep.outputs[name, at].id]

    found, told = proved(calculation, g, gradient, output), set[str]()
    return {
        name: (Prose(once(found[name].formula, told), "definition"),
               *(Prose(each, "note") for each in _about(calculation, found[name])))
        for name in calculation.case.arrays if name in found
    }  # fmt: skip


def once(formula: str, told: set[str]) -> str:
    """A formula without the definitions behind its "with" that were told before; those that it adds are told now."""
    head, *behind = clauses(formula)
    definitions = [each.removeprefix("with ").removesuffix(",") for each in behind]
    new = [each for each in definitions if each not in told]
    if len(new) == len(definitions):
        told |= set(definitions)
        return formula
    known = [each.partition("[")[0].partition(" ")[0] for each in definitions if each in told]
    used = [
        name for name in known if re.search(rf"(?<!\w){re.escape(name)}(?![\w′\u0300-\u036f])", " ".join((head, *new)))
    ]
    told |= set(new)
    above = say("{names} as above", names=", ".join(used))
    return f"{head}   with {', '.join((*new, above))}"


def _about(calculation: Calculation, closed: Closed) -> Iterator[str]:
    """What is said below a closed form: the sizes in it, and that it was proved."""
    op, arrays = calculation.op, calculation.case.arrays
    known = {*(each.symbol for each in op.inputs), *(each.symbol for each in op.params)}
    letters = closed.letters(calculation.p, {name: array.shape for name, array in arrays.items()}) or {}
    sizes = [f"{name} = {size}" for name, size in letters.items() if isinstance(size, int) and name not in known]
    if sizes:
        yield say("({sizes})", sizes=", ".join(sizes))
    if CHOICE.search(closed.formula):
        yield say("(closed form, where [...] is 1 if it holds and 0 otherwise; proved equal to the calculation for "
                  "these numbers)")  # fmt: skip
    else:
        yield say("(closed form; proved equal to the calculation for these numbers)")


def upstream_gradient(calculation: Calculation, upstream: Array | None) -> Array:
    """The upstream gradient in the shape of the output: the one that was given, else the default; raises Refused."""
    shape = calculation.shapes[calculation.main_output]
    g = filled(calculation.op.output(calculation.main_output), shape) if upstream is None else upstream
    if g.shape != shape:
        hidden = calculation.hidden.get(calculation.op.output(calculation.main_output).symbol, 0)
        if g.shape != shape[hidden:]:
            raise Refused(
                say("the upstream gradient has the shape of the output, {shape}", shape=shape[hidden:]),
                got=f"{g.shape}",
            )
    return g.reshape(shape)


def differentiable(calculation: Calculation) -> list[str]:
    """The inputs of this call that have a gradient; raises Refused if there are none."""
    arrays = calculation.case.arrays
    inputs = (spec.name for spec in calculation.op.inputs if spec.differentiable)
    names = [name for name in inputs if name in arrays and arrays[name].dtype.kind == "f"]
    if not names:
        raise Refused(say("{op} has no input that can be differentiated", op=calculation.op.name))
    return names


def meaning(symbol: str) -> str:
    """What the upstream gradient is, in a sentence."""
    return say("{bar} is the upstream gradient ∂loss/∂{y}", bar=barred(symbol), y=symbol)


def upstream_meaning(output: Output, shape: Shape, given: bool) -> str:
    """The same, and what it is where none was given."""
    symbol, bar = output.symbol, barred(output.symbol)
    if given:
        return meaning(symbol)
    if not shape:
        return say("{bar} = ∂{y}/∂{y} = 1: {y} itself is differentiated (--upstream)", bar=bar, y=symbol)
    if output.upstream == "squares":
        return say("{bar} is the upstream gradient ∂loss/∂{y}: here 1, −4, 9, −16, ..., because a normalisation "
                   "cancels almost all of 1, 2, 3, ... (--upstream)", bar=bar, y=symbol)  # fmt: skip
    return say("{bar} is the upstream gradient ∂loss/∂{y}: here 1, 2, 3, ... so that no two positions look alike "
               "(--upstream)", bar=bar, y=symbol)  # fmt: skip


def _shown(shape: Shape, cell: Shape | None, everything: bool) -> Sequence[Shape]:
    """The elements whose gradient may be shown: the cell that was asked for, all, or those to choose from."""
    places = Places(shape)
    if cell is not None:
        full = (0,) * (len(shape) - len(cell)) + cell
        if len(full) == len(shape) and all(0 <= i < n for i, n in zip(full, shape, strict=True)):
            return [full]
    return places if everything else places[:CANDIDATES]


FEW = 3  # elements that are all shown; of more, the first two
CANDIDATES = 64  # the first elements with a gradient are looked for among so many


class Sweep:
    """The definition recorded and swept back over tracers, with the adjoints of the inputs by symbol and place."""

    def __init__(self, calculation: Calculation, g: Array, shown: Mapping[str, Sequence[Shape]]) -> None:
        self.tape = Pages()
        small = calculation.is_small
        cells = calculation.cells if small else _readers(calculation, {name: at[:2] for name, at in shown.items()})
        # last to first, so that the sweep meets the outputs first to last
        self.outputs = outputs = calculation.record(self.tape, reversed(cells))
        main = calculation.main_output
        symbol = calculation.op.output(main).symbol
        seeds: dict[int, Tracer] = {}
        for (name, at), tracer in outputs.items():
            if name == main:  # several outputs may be one element of an input: a row that is looked up twice
                seed = self.tape.input(symbol + ADJOINT, g[at].item(), at)
                seeds[tracer.id] = seeds[tracer.id] + seed if tracer.id in seeds else seed
        for (name, at), tracer in outputs.items():  # a gradient that reuses an output shows it by its name
            self._name(tracer, calculation.op.output(name).symbol, at)
        graph = self.tape.graph()
        recorded = list(graph.nodes)
        numbers = exact(graph, decimal=True)
        adjoints = reverse(graph, seeds, self.tape.tracers(), TRACED, numbers)
        self.adjoints: dict[tuple[str, Shape], Tracer] = {}
        self.between: dict[tuple[str, Shape], Tracer] = {}  # of what the definition names on its way
        for node, adjoint in zip(recorded, adjoints, strict=False):
            if adjoint is not None and node.op == "input":
                self.adjoints[node.label, node.at] = adjoint
            elif adjoint is not None and node.label and not node.is_leaf:
                self.between[node.label, node.at] = adjoint
                self._name(adjoint, node.label + ADJOINT, node.at)
        self.values = exact(self.tape.graph(), decimal=True)
        self.complete = small

    def gradient(self, symbol: str, at: Shape) -> Any:
        """The exact number of an element of a gradient; 0 where nothing reaches it."""
        found = self.adjoints.get((symbol, at))
        return Fraction(0) if found is None else self.values[found.id]

    def read_by(self, symbol: str, at: Shape) -> set[tuple[str, Shape]]:
        """The elements that the gradient of this one is computed from, and those that decide where it goes: that of a
        maximum is not computed from what is compared. Where there are none, itself: it decides that nothing goes there.
        """
        adjoint = self.adjoints.get((symbol, at))
        read = leaves(self.tape, [adjoint.id]) if adjoint is not None else set()
        if any(label == symbol for label, _ in read):
            return read
        upstream = {place for label, place in read if label.endswith(ADJOINT)}
        reached_outputs = [t.id for (_, place), t in self.outputs.items() if not upstream or place in upstream]
        pieces = (id for id in reached(self.tape, reached_outputs) if _is_piecewise(self.tape.nodes[id]))
        compared = (leaves(self.tape, [id]) for id in pieces)
        found = read.union(*(each for each in compared if (symbol, at) in each))
        return found or {(symbol, at)}

    def _name(self, adjoint: Tracer, label: str, at: Shape) -> None:
        node = self.tape.nodes[adjoint.id]
        if not node.label and not node.is_leaf:
            self.tape.nodes[adjoint.id] = node._replace(label=label, at=at)


def _is_piecewise(node: Node) -> bool:
    return node.op in PRIMITIVES and PRIMITIVES[node.op].piecewise


def _gradient_of(
    calculation: Calculation,
    name: str,
    g: Array,
    sweep: Sweep,
    unfolded: Unfolded,
    cell: Shape | None,
    everything: bool,
) -> Step:
    spec, array = calculation.op.input(name), calculation.case.arrays[name]
    hidden = calculation.hidden.get(spec.symbol, 0)
    places = _shown(array.shape, cell, everything)
    reached = [at for at in places if (spec.symbol, at) in sweep.adjoints]
    few = array.size <= FEW and len(reached) == array.size
    shown = places if everything or few or len(places) == 1 else (reached or places)[:2]
    blocks: list[Block] = list(_grids(calculation, name, g, sweep, shown[0])) if shown else []
    left_out, cancels = 0, False
    for k, at in enumerate(shown):
        left = Symbol(spec.symbol, at[hidden:], adjoint=True)
        tracer = sweep.adjoints.get((spec.symbol, at))
        if tracer is None:
            blocks.append(Step("", (Formula(left, (ZERO,), brief=True),)))
            continue
        brief = k > 0 and not everything
        blocks.append(Step("", tuple(unfolded.formulas(tracer.id, left, brief))))
        cancels = cancels or unfolded.cancels(tracer.id)
        left_out += unfolded.left_out(tracer.id) if k == 0 else 0
    blocks += [cancellation()] if cancels else []
    rest = array.size - len(shown)
    if rest > 0 and not (cell is not None and len(shown) == 1):
        others = (np.unravel_index(k, array.shape) for k in range(array.size - 1, -1, -1))
        where = ",".join(map(str, next(at for at in others if at not in shown)[hidden:]))
        blocks.append(Prose(say("… {n} more (--all, or --cell {where} for one)", n=rest, where=where), "note"))
    if left_out:
        blocks.append(Prose(say("… {n} terms are summed in brackets (--all shows them)", n=left_out), "note"))
    return Step(say("gradient of {name}", name=name), tuple(blocks))


def _grids(calculation: Calculation, name: str, g: Array, sweep: Sweep, at: Shape) -> list[Block]:
    """The upstream gradient, the arrays that the first shown element's gradient depends on, and the gradient itself."""
    spec, array = calculation.op.input(name), calculation.case.arrays[name]
    output = calculation.op.output(calculation.main_output).symbol
    read = sweep.read_by(spec.symbol, at)
    drawn: dict[str, tuple[Array, int]] = {output + ADJOINT: (g, calculation.hidden.get(output, 0))}
    for other, values in calculation.case.arrays.items():
        symbol = calculation.op.input(other).symbol
        if values.dtype.kind != "f" or any(label == symbol for label, _ in read):  # classes are never traced
            drawn[symbol] = (values, calculation.hidden.get(symbol, 0))
    grids = []
    for label, (values, hidden) in drawn.items():
        if values.ndim:
            marks = [place for each, place in read if each == label]
            title = barred(label.removesuffix(ADJOINT)) if label.endswith(ADJOINT) else label
            grids += draw(title, values.shape, reader(values), marks, (), hidden)
    if array.ndim and sweep.complete:

        def result(place: Shape) -> Any:
            return as_fraction(sweep.gradient(spec.symbol, place))

        grids += draw(barred(spec.symbol), array.shape, result, [at], (), calculation.hidden.get(spec.symbol, 0))
    return [Grids(tuple(grids))] if grids else []


def _readers(calculation: Calculation, shown: Mapping[str, Sequence[Shape]]) -> list[Shape]:
    """The output elements that depend on the shown elements, asked of the fast reference's JVP with unit tangents.

    It sees the values: an output that a zero weight hides is not listed, which changes no gradient.
    """
    arrays = widened(calculation.case.arrays)
    found: set[Shape] = set()
    for name, places in shown.items():
        for at in places:
            unit = np.zeros(arrays[name].shape)
            unit[at] = 1.0
            tangent = calculation.op.jvp(calculation.p, {name: unit}, **arrays)
            main = np.asarray(calculation.op.by_name(tangent, calculation.shapes)[calculation.main_output])
            found.update(map(tuple, np.argwhere(main).tolist()) if main.ndim else [()])
    tape = Pages()
    calculation.record(tape, calculation.cells[:1])
    if len(found) * len(tape.nodes) > MOST_NODES:
        raise Refused(
            say("these gradients are sums over {n} outputs: too many to write down", n=len(found)),
            fix=say("explain it on a smaller input; the rule is the same"),
        )
    return sorted(found)
