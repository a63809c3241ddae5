"""Computes every blank of an exercise a second time: lines by reading what is printed, arrays and results by the fast
reference, which shares nothing with the definition."""

import unicodedata
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.explanation.unfold import barred
from opcheck.learning.problems import Kind
from opcheck.learning.worksheets.exercise import LETTERS, LEVELS, Exercise
from opcheck.learning.worksheets.paper import PRECISION, written
from opcheck.operators.spec import widened
from opcheck.render import render
from opcheck.render.numbers import Style, is_rounded
from opcheck.steps import Step
from tests.render.intervals import Interval, point
from tests.render.readback import Reader, check, formulas


def checked(exercise: Exercise) -> int:
    """How many numbers were compared; raises AssertionError where one is wrong or too hard for its level."""
    assert [blank.sign for blank in exercise.blanks] == list(LETTERS[: len(exercise.blanks)])
    assert exercise.operations <= LEVELS[exercise.level - 1].operations
    return _lines(exercise) + _arrays(exercise)


def filled(exercise: Exercise) -> str:
    """The calculation as text, with the numbers of the key in its blanks."""
    text = render(Step("", exercise.lines), "text", width=1000, precision=PRECISION, interactive=False)
    for blank in exercise.blanks:
        sign = "≈" if is_rounded(blank.value.value, Style(PRECISION, fractions=True), blank.value.inexact) else "="
        text = text.replace(f"= {blank.sign}", f"{sign} {written(blank)}").replace(blank.sign, written(blank))
    assert not any(sign in text for sign in LETTERS)
    return text


def _lines(exercise: Exercise) -> int:
    if not exercise.lines:
        return 0
    text = filled(exercise)
    reader = Reader(_names(exercise), precision=PRECISION)
    return sum(check(formula, reader, {}) for formula in formulas(text, ()))


def _names(exercise: Exercise) -> dict[str, Interval]:
    """Every number that is given, by the name that a formula has for it."""
    problem = exercise.problem
    calculation = problem.calculation
    arrays: dict[str, Any] = {problem.op.input(name).symbol: a for name, a in calculation.case.arrays.items()}
    if problem.upstream is not None:
        arrays[barred(problem.op.output(calculation.main_output).symbol)] = problem.upstream
    found: dict[str, Interval] = {}
    for symbol, array in arrays.items():
        hidden = calculation.hidden.get(symbol.replace("\u0304", ""), 0)
        for at in np.ndindex(*array.shape):
            shown = ",".join(map(str, at[hidden:]))
            name = f"{symbol}[{shown}]" if shown else symbol
            found[unicodedata.normalize("NFC", name)] = point(Fraction(repr(float(array[at]))))
    return found


def _arrays(exercise: Exercise) -> int:
    """Blanks with a place, and the result of the lines, against the fast reference."""
    problem = exercise.problem
    calculation = problem.calculation
    arrays = widened(calculation.case.arrays)
    if problem.kind is Kind.GRADIENT:
        shapes, main = calculation.shapes, calculation.main_output
        names = [each.name for each in problem.op.outputs if each.differentiable and each.name in shapes]
        g: Any = problem.upstream
        if len([each for each in problem.op.outputs if each.differentiable]) > 1:
            g = {name: problem.upstream if name == main else np.zeros(shapes[name]) for name in names}
        results = problem.op.vjp(calculation.p, g, **arrays)
        wanted = {barred(problem.op.input(name).symbol): np.asarray(found) for name, found in results.items()}
        asked = barred(problem.op.input(problem.wrt).symbol)
    else:
        results = problem.op.by_name(problem.op.forward(calculation.p, **arrays), calculation.shapes)
        asked = problem.op.output(calculation.main_output).symbol
        wanted = {asked: np.asarray(results[calculation.main_output])}
    compared = 0
    blanks = exercise.blanks[-1:] if exercise.lines else exercise.blanks
    for blank in blanks:
        assert blank.of is not None
        name = asked if exercise.lines else blank.of.name
        array = wanted[name]
        at = problem.at if exercise.lines else (0,) * (array.ndim - len(blank.of.at)) + blank.of.at
        assert np.isclose(float(blank.value.value), float(array[at]), rtol=1e-9, atol=1e-12), (blank, array[at])
        compared += 1
    return compared
