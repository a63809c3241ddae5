"""One exercise: what is given, the calculation with blanks, the arrays with blanks, and what stands in each blank."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from opcheck.errors import Refused
from opcheck.explanation import worked
from opcheck.explanation.calculation import Calculation, Pages, reached
from opcheck.explanation.gradient import Sweep, differentiable, gradient_steps
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import as_number, barred
from opcheck.language import say
from opcheck.learning import drawing
from opcheck.learning.hints import setting
from opcheck.learning.problems import Kind, Problem
from opcheck.learning.worksheets import networks
from opcheck.operators.spec import Op, Shape
from opcheck.steps import Apply, Block, Cell, Expression, Formula, Grid, Number, Step, Symbol
from opcheck.tracing import exact
from opcheck.tracing.arithmetic import as_fraction

LETTERS = "ⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩ"  # a blank is one of these signs until it is printed
MOST_BLANKS = 8
MOST_LINES = 14
DRAWS = 30  # of an exercise, until the level is given up for the one below


class Level(NamedTuple):
    """What is asked on a level, and how many operations that takes at most."""

    title: str
    operations: int
    difficulty: int  # as `drawing` counts it: parameters that are not the simplest


LEVELS = (
    Level("one element, step by step", 60, 1),
    Level("the whole output", 90, 1),
    Level("the whole output, with parameters", 120, 3),
    Level("one element of a gradient, step by step", 60, 1),
    Level("the gradient of one array", 200, 1),
    Level("the gradient of a layer", 400, 2),
)


class Blank(NamedTuple):
    """A place to be filled in: its sign, what it stands for (None: a number on the way), and its number."""

    sign: str
    of: Symbol | None
    value: Number


class Exercise(NamedTuple):
    """`title` says the call; `given` and `asked` are arrays, those of `asked` with blanks; `lines` is a calculation."""

    level: int
    title: Block
    question: str
    given: tuple[Grid, ...]
    lines: tuple[Formula, ...]
    asked: tuple[Grid, ...]
    blanks: tuple[Blank, ...]
    operations: int
    problem: Problem


class Unfit(Exception):
    """This draw is no exercise for a person."""


def drawn(op: Op, level: int, rng: np.random.Generator) -> Exercise:
    """An exercise of that level, from 1; where the operator has none, of the highest one below it, or else above."""
    for each in (*range(level, 0, -1), *range(level + 1, len(LEVELS) + 1)):
        for _ in range(DRAWS):
            with contextlib.suppress(Unfit, Refused):
                return _attempt(op, each, rng)
    raise Refused(say("{op} has no exercise that fits on paper", op=op.title or op.name))


def _attempt(op: Op, level: int, rng: np.random.Generator) -> Exercise:
    calculation = networks.call(op, rng) or drawing.drawn(op, LEVELS[level - 1].difficulty, rng)
    found = (_stepwise if level in (1, 4) else _arrays)(calculation, level, rng)
    if not 1 <= len(found.blanks) <= len(LETTERS) or found.operations > LEVELS[level - 1].operations:
        raise Unfit
    if any(not _is_handy(blank.value) for blank in found.blanks):
        raise Unfit
    if all(blank.value.value == 0 for blank in found.blanks):
        raise Unfit  # nothing flows: that is a question, but nothing to work out
    return found


def _is_handy(number: Number) -> bool:
    """Whether a person can write it down: a short fraction, or a number that three decimals tell something about."""
    if number.inexact or not isinstance(number.value, Fraction):
        return bool(0.01 <= abs(float(number.value)) < 1000)
    return abs(number.value) < 1000 and (number.value.denominator <= 12 or 1000 % number.value.denominator == 0)


# --- one element, step by step ---------------------------------------------------------------------------------------


def _stepwise(calculation: Calculation, level: int, rng: np.random.Generator) -> Exercise:
    """The calculation of one element, its later lines with blanks."""
    problem = _problem(calculation, Kind.ELEMENT if level == 1 else Kind.GRADIENT, rng)
    result = problem.numbers[0]
    if result.value == 0:
        raise Unfit  # nothing reaches it: that is a question, but no calculation
    lines, blanks = _blanked(_formulas(problem), result, _arrays_of(problem))
    title, given = _given(problem)
    question = say("Fill in the blanks.")
    return Exercise(level, title, question, given, lines, (), blanks, _operations(problem, [problem.at]), problem)


def _problem(calculation: Calculation, kind: Kind, rng: np.random.Generator) -> Problem:
    cells = calculation.cells
    at = cells[int(rng.integers(len(cells)))]
    if kind is Kind.ELEMENT:
        return Problem(calculation, kind, at)
    names = differentiable(calculation)
    if not names:
        raise Unfit
    wrt = names[int(rng.integers(len(names)))]
    shape = calculation.shapes[calculation.main_output]
    upstream = rng.integers(1, 4, size=shape).astype(float) if shape else np.array(1.0)  # of a loss
    places = list(np.ndindex(*calculation.case.arrays[wrt].shape))
    return Problem(calculation, kind, places[int(rng.integers(len(places)))], wrt, upstream)


def _formulas(problem: Problem) -> list[Formula]:
    """The written calculation of the element that is asked for; before it, that of what it uses and others show."""
    calculation = problem.calculation
    if problem.kind is Kind.ELEMENT:
        return list(_found(worked.forward_steps(calculation, problem.at, True, decimal=True)))
    title = say("gradient of {name}", name=problem.wrt)
    parts = gradient_steps(calculation, problem.upstream, problem.at, True)
    own = list(_found(next(part.blocks for part in parts if isinstance(part, Step) and part.title == title)))
    everywhere = (*gradient_steps(calculation, problem.upstream, None, True),
                  *worked.forward_steps(calculation, None, True, decimal=True))  # fmt: skip
    shown = {formula.left: formula for formula in _found(everywhere) if len(formula.rights) > 1}
    return _with_their_sources(own, shown)


def _with_their_sources(formulas: Sequence[Formula], shown: Mapping[Expression, Formula]) -> list[Formula]:
    """The lines, each after those that compute what it uses, as far as they are few."""
    found: dict[Expression, Formula] = {}

    def add(formula: Formula) -> None:
        for symbol in _symbols(formula.rights[0]):
            if symbol not in found and symbol in shown and symbol != formula.left and len(found) < MOST_LINES:
                add(shown[symbol])
        found.setdefault(formula.left, formula)

    for formula in formulas:
        add(formula)
    return list(found.values())


def _found(blocks: Sequence[Block]) -> Iterator[Formula]:
    for block in blocks:
        if isinstance(block, Formula):
            yield block
        elif isinstance(block, Step):
            yield from _found(block.blocks)


def _arrays_of(problem: Problem) -> set[str]:
    """The names of the arrays that the exercise gives."""
    op, calculation = problem.op, problem.calculation
    upstream = {barred(op.output(calculation.main_output).symbol)} if problem.upstream is not None else set()
    return {op.input(name).symbol for name in calculation.case.arrays} | upstream


def _blanked(
    formulas: Sequence[Formula], result: Number, given: set[str]
) -> tuple[tuple[Formula, ...], tuple[Blank, ...]]:  # fmt: skip
    """The first line in full but for its products and its result; of each later line, what it is computed from. A
    number on the way that no line computes is given."""
    if not 1 <= len(formulas) <= MOST_LINES:
        raise Unfit
    lines: list[Formula] = [Formula(symbol, (number,)) for symbol, number in _on_the_way(formulas, given)]
    blanks: list[Blank] = []
    for k, formula in enumerate(formulas):
        *before, last = formula.rights
        before = [right for right in before if not isinstance(right, Number)]  # 5/2 = 2.5: the first says the second
        last = result if k == len(formulas) - 1 else last
        if not isinstance(last, Number) or not isinstance(formula.left, Symbol):
            raise Unfit
        if k == len(formulas) - 1 or len(blanks) < MOST_BLANKS - 1:
            rights: list[Expression] = before[:2] if not blanks else before[:1]
            if not blanks and len(before) > 2:
                rights.append(_products(before[2], blanks))
            lines.append(Formula(formula.left, (*rights, _blank(blanks, formula.left, last))))
        else:
            lines.append(Formula(formula.left, (*before[:1], last)))
    return tuple(lines), tuple(blanks)


def _on_the_way(formulas: Sequence[Formula], given: set[str]) -> Iterator[tuple[Symbol, Number]]:
    """What the lines use and neither the arrays nor an earlier line says, with its number."""
    known: set[Expression] = set()
    for formula in formulas:
        numbers = dict(_paired(formula.rights[0], formula.rights[1])) if len(formula.rights) > 1 else {}
        for symbol in _symbols(formula.rights[0]):
            if symbol in known or _called(symbol) in given:
                continue
            if symbol not in numbers:
                raise Unfit
            known.add(symbol)
            yield symbol, numbers[symbol]
        known.add(formula.left)


def _called(symbol: Symbol) -> str:
    return barred(symbol.name) if symbol.adjoint else symbol.name


def _symbols(expression: Expression) -> Iterator[Symbol]:
    if isinstance(expression, Symbol):
        yield expression
    elif isinstance(expression, Apply):
        for arg in expression.args:
            yield from _symbols(arg)


def _paired(names: Expression, numbers: Expression) -> Iterator[tuple[Symbol, Number]]:
    """Each name of an expression, and what stands in its place in the same expression with numbers."""
    if isinstance(names, Symbol) and isinstance(numbers, Number):
        yield names, numbers
    elif isinstance(names, Apply) and isinstance(numbers, Apply) and len(names.args) == len(numbers.args):
        for one, other in zip(names.args, numbers.args, strict=True):
            yield from _paired(one, other)


def _products(right: Expression, blanks: list[Blank]) -> Expression:
    """The line of products of a sum: all but the first are blanks."""
    if not isinstance(right, Apply) or right.op not in ("sum", "add"):
        return right
    terms = [right.args[0]]
    for term in right.args[1:]:
        blank = isinstance(term, Number) and len(blanks) < MOST_BLANKS - 2
        terms.append(_blank(blanks, None, term) if blank and isinstance(term, Number) else term)
    return right._replace(args=tuple(terms))


def _blank(blanks: list[Blank], of: Symbol | None, value: Number) -> Symbol:
    sign = LETTERS[len(blanks)]
    blanks.append(Blank(sign, of, value))
    return Symbol(sign)


# --- whole arrays ----------------------------------------------------------------------------------------------------


def _arrays(calculation: Calculation, level: int, rng: np.random.Generator) -> Exercise:
    """The output, or gradients, with some of the numbers left out."""
    if level in (2, 3):
        problem = Problem(calculation, Kind.OUTPUT, calculation.cells[0])
        if len(calculation.cells) < 2:
            raise Unfit
        symbol = problem.op.output(calculation.main_output).symbol
        arrays = {symbol: (calculation.shapes[calculation.main_output], values(problem))}
        question = say("Fill in the blanks of {name}.", name=symbol)
    else:
        problem = _problem(calculation, Kind.GRADIENT, rng)
        names = [problem.wrt] if level == 5 else differentiable(calculation)
        if level == 6 and len(names) < 2 and len(differentiable(calculation)) > 1:
            raise Unfit
        arrays = {barred(problem.op.input(name).symbol): (calculation.case.arrays[name].shape, gradient(problem, name))
                  for name in names}  # fmt: skip
        question = say("Fill in the blanks of the gradients: {names}.", names=", ".join(arrays))
    blanks: list[Blank] = []
    grids: list[Grid] = []
    share = max(2, MOST_BLANKS // len(arrays))
    for symbol, (shape, found) in arrays.items():
        grids += _grids(calculation, symbol, shape, found, _chosen(found, share, rng), blanks)
    title, given = _given(problem)
    places = [at for _, found in arrays.values() for at in found]
    return Exercise(
        level, title, question, given, (), tuple(grids), tuple(blanks), _operations(problem, places), problem
    )


def values(problem: Problem) -> dict[Shape, Number]:
    """The output by place, read exactly from the definition."""
    calculation = problem.calculation
    tape = Pages()
    recorded = calculation.record(tape, calculation.cells)
    read = exact(tape.graph(), decimal=True)
    return {at: as_number(read[recorded[calculation.main_output, at].id]) for at in calculation.cells}


def gradient(problem: Problem, name: str) -> dict[Shape, Number]:
    """The gradient of an input by place, read exactly from the sweep back through the definition."""
    assert problem.upstream is not None
    symbol = problem.op.input(name).symbol
    places = list(np.ndindex(*problem.calculation.case.arrays[name].shape))
    sweep = Sweep(problem.calculation, problem.upstream, {name: places})
    found: dict[Shape, Number] = {}
    for at in places:
        tracer = sweep.adjoints.get((symbol, at))
        found[at] = Number(Fraction(0)) if tracer is None else as_number(sweep.values[tracer.id])
    return found


def _chosen(found: Mapping[Shape, Number], share: int, rng: np.random.Generator) -> set[Shape]:
    """Which places are blank: half of them or `share`; the first one is an example where there are others."""
    places = list(found)
    count = min(share, max(1, (len(places) + 1) // 2))
    tail = places[1:] or places
    return {tail[k] for k in rng.permutation(len(tail))[:count]}


def _grids(
    calculation: Calculation, symbol: str, shape: Shape, found: Mapping[Shape, Number], chosen: set[Shape],
    blanks: list[Blank],
) -> list[Grid]:  # fmt: skip
    """The array as grids; a blank is a marked cell without a number."""
    plain = next((each for each in calculation.hidden if barred(each) == symbol or each == symbol), symbol)
    hidden = calculation.hidden.get(plain, 0)
    grids = draw(symbol, shape, lambda at: as_fraction(found[at].value), chosen, (), hidden, found)
    rows = []
    order = iter(found)
    for grid in grids:
        lines = []
        for line in grid.rows:
            cells = []
            for cell in line:
                at = next(order)
                cells.append(Cell(None, marked=True) if at in chosen else cell._replace(value=found[at], marked=False))
                if at in chosen:
                    _blank(blanks, Symbol(symbol, at[hidden:]), found[at])
            lines.append(tuple(cells))
        rows.append(grid._replace(rows=tuple(lines)))
    if next(order, None) is not None:
        raise Unfit  # it has more slices than are drawn
    return rows


# --- what both have ---------------------------------------------------------------------------------------------------


def _given(problem: Problem) -> tuple[Block, tuple[Grid, ...]]:
    """The call, and its arrays."""
    title, *blocks = setting(problem)
    grids = tuple(grid for block in blocks for grid in getattr(block, "grids", ()))
    return title, grids


def _operations(problem: Problem, places: Sequence[Shape]) -> int:
    """How many operations a person carries out, at most, if every number is computed once."""
    calculation = problem.calculation
    if problem.kind is Kind.GRADIENT:
        assert problem.upstream is not None
        names = differentiable(calculation)
        sweep = Sweep(calculation, problem.upstream, {name: list(np.ndindex(*calculation.case.arrays[name].shape))
                                                      for name in names})  # fmt: skip
        own = problem.op.input(problem.wrt).symbol
        one = len(places) == 1
        roots = [
            tracer.id for (symbol, at), tracer in sweep.adjoints.items() if not one or (symbol, at) == (own, places[0])
        ]
        tape = sweep.tape
    else:
        tape = Pages()
        recorded = calculation.record(tape, places)
        roots = [tracer.id for tracer in recorded.values()]
    return sum(not tape.nodes[id].is_leaf for id in reached(tape, roots))
