"""Hints for a problem, one after the other: the formula, what it reads, its numbers, the calculation."""

from collections.abc import Iterable, Iterator

import numpy as np

from opcheck.explanation import worked
from opcheck.explanation.calculation import reader
from opcheck.explanation.gradient import gradient_steps
from opcheck.explanation.grids import draw
from opcheck.explanation.unfold import barred
from opcheck.language import say
from opcheck.learning.problems import Kind, Problem
from opcheck.operators.spec import Input, Output, Shape
from opcheck.render.signs import Signs
from opcheck.steps import Block, Formula, Grid, Grids, Prose, Step

Hint = tuple[Block, ...]


def setting(problem: Problem) -> Hint:
    """What is given: the call, and its numbers if they matter."""
    calculation = problem.calculation
    title = worked.heading(calculation)[0]
    assert isinstance(title, Prose)
    blocks: list[Block] = [title._replace(text=title.text.partition("→")[0].strip())]
    if problem.kind is not Kind.SHAPE:
        grids: list[Grid] = []
        for name, array in calculation.case.arrays.items():
            symbol = problem.op.input(name).symbol
            places: Iterable[Shape] = np.ndindex(*array.shape)
            grids += draw(symbol, array.shape, reader(array), (), (), calculation.hidden.get(symbol, 0), places)
        blocks.append(Grids((*grids, *_upstream(problem))))
    return tuple(blocks)


def _upstream(problem: Problem) -> list[Grid]:
    if problem.upstream is None:
        return []
    symbol = problem.op.output(problem.calculation.main_output).symbol
    g, hidden = problem.upstream, problem.calculation.hidden.get(symbol, 0)
    return draw(barred(symbol), g.shape, reader(g), (), (), hidden, np.ndindex(*g.shape))


def hints(problem: Problem) -> list[Hint]:
    """All hints, the mildest first; the last one is the whole calculation, with the answer."""
    if problem.kind is Kind.SHAPE:
        return _sizes(problem)
    grids, steps = _worked(problem)
    formula = tuple(block for block in worked.heading(problem.calculation) if _is_rule(block))
    if problem.kind is Kind.GRADIENT and not problem.numbers[0].value and len(steps) == 1:
        name = Signs().write(problem.symbol._replace(adjoint=False))
        why = Prose(say("No gradient reaches {name}: no output depends on it here, or everything cancels.",
                        name=name), "note")  # fmt: skip
        steps = (*steps, why)
    found: list[Hint] = [formula, grids, _begun(problem, steps), steps]
    return [hint for hint in found if hint]


def _is_rule(block: Block) -> bool:
    return isinstance(block, Prose) and block.kind in ("definition", "note")


def _worked(problem: Problem) -> tuple[Hint, Hint]:
    """The arrays with what is read marked (the result left out), and the steps."""
    calculation = problem.calculation
    if problem.kind is Kind.GRADIENT:
        title = say("gradient of {name}", name=problem.wrt)
        parts = gradient_steps(calculation, problem.upstream, problem.at, True)
        blocks = next(part.blocks for part in parts if isinstance(part, Step) and part.title == title)
        results = {barred(problem.op.input(problem.wrt).symbol)}
    else:
        cell = problem.at if problem.kind is Kind.ELEMENT else None
        blocks = tuple(worked.forward_steps(calculation, cell, True, decimal=True))
        results = {problem.op.output(name).symbol for name in calculation.shapes}
    shown = tuple(
        grid
        for block in blocks
        if isinstance(block, Grids)
        for grid in block.grids
        if grid.title.partition("[")[0] not in results
    )
    read = any(cell.marked for grid in shown for row in grid.rows for cell in row)
    steps = tuple(step._replace(title="") if problem.kind is not Kind.OUTPUT else step
                  for step in blocks if isinstance(step, Step))  # fmt: skip
    return ((Grids(shown),) if read else ()), steps


def _begun(problem: Problem, steps: Hint) -> Hint:
    """The numbers put into the formula: of a whole output the first element, of one element all but the result."""
    first = steps[0]
    assert isinstance(first, Step)
    if problem.kind is Kind.OUTPUT:
        return (first,) if len(steps) > 1 else ()
    *before, last = (block for block in first.blocks if isinstance(block, Formula))
    rights = last.rights[: 2 if len(last.rights) > 2 else 1] if len(last.rights) > 1 else ()
    begun = (last._replace(rights=rights),) if rights else ()
    return (first._replace(blocks=(*before, *begun)),) if before or begun else ()


def _sizes(problem: Problem) -> list[Hint]:
    """The sizes in names, in numbers, and worked out."""
    formulas = [block for block in worked.sizes(problem.calculation) if isinstance(block, Formula)]
    symbol = problem.symbol.name
    sizes = "×".join(map(str, problem.shape)) or say("one number")
    answer = Prose(say("The shape of {name} is {sizes}.", name=symbol, sizes=sizes))
    rule = tuple(block for block in worked.heading(problem.calculation) if _is_rule(block))
    if not formulas:
        reasons = tuple(_by_letters(problem))
        return [(*rule, *reasons), (*reasons, answer)]
    return [
        (*rule, *(formula._replace(rights=formula.rights[:1]) for formula in formulas)),
        tuple(formula._replace(rights=formula.rights[:2]) for formula in formulas),
        (*formulas, answer),
    ]


def _by_letters(problem: Problem) -> Iterator[Prose]:
    """What the letters of each shape are, where no formula gives a size: those of the result are read off them."""
    calculation, op = problem.calculation, problem.op
    arrays = calculation.case.arrays
    main = op.output(calculation.main_output)
    declared: list[tuple[Input | Output, Shape]] = [(op.input(name), array.shape) for name, array in arrays.items()]
    for each, whole in (*declared, (main, calculation.shapes[calculation.main_output])):
        shape = calculation.shown_shape(each.symbol, whole)
        letters = _fitting(each.letters.split(), len(shape))
        if not letters and shape:
            continue  # a vector in the place of a matrix
        if each is main:
            yield Prose(say("{name} has the shape {letters}.", name=each.symbol, letters="×".join(letters)) if letters
                        else say("{name} is one number.", name=each.symbol))  # fmt: skip
        else:
            sizes = "×".join(map(str, shape)) or say("one number")
            yield Prose(say("{name} has the shape {letters}, here {sizes}.", name=each.symbol,
                            letters="×".join(letters), sizes=sizes))  # fmt: skip


def _fitting(letters: list[str], dimensions: int) -> list[str]:
    """The letters of so many dimensions: leading ones that were left out are not named, any number of them is "...".
    None where they do not fit."""
    fixed = [each.replace("*", "·") for each in letters if each != "*"]
    more = dimensions - len(fixed)
    if more < 0:
        return fixed[-dimensions:] if fixed[0] == "N" and more == -1 else []
    return ["...", *fixed] if more and len(fixed) < len(letters) else fixed if not more else []
