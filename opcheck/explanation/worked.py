"""The worked calculation of an operator's output, and of the gradient of each input."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages, leaves, reader
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import Unfolded
from opcheck.language import say
from opcheck.operators.spec import Array, Shape
from opcheck.steps import Block, Formula, Grids, Number, Prose, Step, Symbol
from opcheck.tracing import Tape, Tracer, exact
from opcheck.tracing.arithmetic import as_fraction

NO_BREAK = "\u00a0"
ZERO = Number(Fraction(0))
LONGEST = 12  # signs of a parameter that is written in full


def heading(calculation: Calculation) -> list[Block]:
    """What is computed: shapes, parameters, the definition."""
    op, p, case = calculation.op, calculation.p, calculation.case
    shapes = {name: array.shape for name, array in case.arrays.items()}

    def across(symbol: str, shape: Shape) -> str:
        shown = calculation.shown_shape(symbol, shape)
        size = "×".join(map(str, shown)) if shown else say("a number")
        return f"{symbol} {size}".replace(" ", NO_BREAK)

    parts = [across(op.input(name).symbol, shape) for name, shape in shapes.items()]
    for param in op.params:
        value = p[param.name]
        if value is None or (param.quiet and case.params.get(param.name, param.default) == param.default):
            continue
        if isinstance(value, bool):
            parts += [param.name] if value else []
            continue
        parts.append(f"{param.name} {_written(value, whole=getattr(param.kind, 'count', 1) == 0)}")
    outs = ", ".join(across(op.output(name).symbol, shape) for name, shape in calculation.shapes.items())
    parts = [part.replace(" ", NO_BREAK) for part in parts]
    return [
        Prose(f"{op.title or op.name}   {' · '.join(parts)}  →{NO_BREAK * 2}{outs}", "title"),
        Prose(op.formula_of(p, shapes), "definition"),
        *(
            Prose(f"({note})", "note")
            for note in (*symbols(calculation), *op.notes(p, shapes), *op.remarks(p, **case.arrays))
        ),
    ]


def symbols(calculation: Calculation) -> tuple[str, ...]:
    """The parameter that a letter stands for, where its name does not show it: ε = label_smoothing."""
    op, p = calculation.op, calculation.p
    shapes = {name: array.shape for name, array in calculation.case.arrays.items()}
    letters = set(re.findall(r"\w+", op.formula_of(p, shapes)))
    told = []
    for param in op.params:
        stands = param.symbol.split(", ")
        used = not letters.isdisjoint(stands) or p[param.name]
        if param.symbol and used and not param.name.startswith(tuple(stands)):
            told.append(f"{param.symbol} = {param.name}")
    return ("; ".join(told),) if told else ()


def _written(value: Any, whole: bool = False) -> str:
    """A parameter as a person writes it: 2 for (2, 2), unless so many sizes are not one for each dimension (`whole`);
    2×3 for (2, 3), "0.9, 0.999" for numbers that are no sizes, ≈ 0.7071 for one that nobody writes in full."""
    if isinstance(value, float) and len(str(value)) > LONGEST:
        return f"≈ {value:.4g}"
    if not isinstance(value, tuple):
        return str(value)
    if len(set(value)) == 1 and not whole:
        return str(value[0])
    return ("×" if all(isinstance(each, int) for each in value) else ", ").join(map(str, value))


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


FEW = 3  # up to so many output elements are all shown; of more, the first two


def forward_steps(
    calculation: Calculation, cell: Shape | None, everything: bool, decimal: bool, symbolic: bool = False
) -> list[Block]:
    """Grids with the window of the first step marked, and one step for each output element that is shown. symbolic:
    numbers that are not fractions are written in symbols before their decimals."""
    cells = calculation.cells
    if not cells:
        return [Prose(say("The output has no elements: there is nothing to compute."))]
    small = calculation.is_small
    few = cells if len(cells) <= FEW else cells[:2]  # saying that one is left out would take as much room
    shown = [cell] if cell is not None else cells if everything else few
    if not small:
        calculation.refuse_length(len(shown))
    tape = Pages()
    outputs = calculation.record(tape, cells if small else shown)
    others = [] if cell is not None else beside(calculation, everything)
    outputs |= calculation.record(tape, others)
    graph = tape.graph()
    values = exact(graph, decimal)
    unfolded = Unfolded(graph, values, calculation.hidden, everything, symbolic)
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
    for at in others:
        lines = [f for (name, place), tracer in outputs.items() if place == at
                 for f in unfolded.formulas(tracer.id, Symbol(calculation.op.output(name).symbol, at))]  # fmt: skip
        blocks.append(Step("", tuple(lines)))
    return [*blocks, *_remainder(len(cells), len(shown), left_out, calculation, cell)]


def beside(calculation: Calculation, everything: bool) -> list[Shape]:
    """The first places (or all) of outputs of other shapes than the main one, such as statistics of a channel."""
    main = calculation.shapes[calculation.main_output]
    op, shapes = calculation.op, calculation.shapes
    others = dict.fromkeys(s for name, s in shapes.items() if s != main and not op.output(name).whole)
    places = [list(np.ndindex(*shape)) for shape in others]
    return [at for each in places for at in (each if everything else each[:1])]


def _remainder(count: int, shown: int, terms: int, calculation: Calculation, cell: Shape | None) -> list[Block]:
    """How much was left out, and the flag that shows it."""
    blocks: list[Block] = []
    if terms:
        blocks.append(
            Prose(say("… {n} terms of the first step are summed in brackets (--all shows them)", n=terms), "note")
        )
    if count > shown and cell is None:
        symbol = calculation.op.output(calculation.main_output).symbol
        last = calculation.cells[-1][calculation.hidden.get(symbol, 0) :]
        where = ",".join(map(str, last))
        more = say("… {n} more steps (--all, or --cell {where} for one)", n=count - shown, where=where)
        blocks.append(Prose(more, "note"))
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
    read = leaves(tape, roots)
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
        whole = len(known) == np.prod(shape, dtype=int)
        element = known.get if whole else fast(calculation.op.run(calculation.case)[name])
        if shape:
            marks = [at] if len(at) == len(shape) else []
            grids += draw(symbol, shape, element, marks, (), calculation.hidden.get(symbol, 0))
    return Grids(tuple(grids)) if grids else None


def fast(array: Array) -> Callable[[Shape], Any]:
    """Reads elements of a result of the fast reference."""
    return lambda at: as_fraction(array[at].item())
