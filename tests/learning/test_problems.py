"""Problems of every operator: the right answer is right, a known mistake is named, and the hints lead to the answer."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import specs
from opcheck.explanation.unfold import barred
from opcheck.learning import answers, drawing, problems
from opcheck.learning.answers import Match
from opcheck.learning.hints import hints, setting
from opcheck.learning.judging import judge
from opcheck.learning.problems import Kind, Problem
from opcheck.operators import catalog
from opcheck.render import render
from opcheck.render.numbers import Style, digits
from opcheck.steps import Grids, Step

OPERATORS = [op.name for op in catalog.every()]
LEVELS = st.integers(1, drawing.LEVELS)
SEEDS = st.integers(0, 10**6)


def problem(name: str, level: int, seed: int, kind: Kind | None = None) -> Problem:
    op, rng = catalog.get(name), np.random.default_rng(seed)
    asked = [*problems.kinds(op), Kind.GRADIENT]
    return problems.drawn(op, asked[seed % len(asked)] if kind is None else kind, level, rng)


def typed(value: Any, decimals: int | None) -> str:
    """An answer as somebody would type it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(typed(each, decimals) for each in value)}]"
    value = value.value if isinstance(value, answers.Number) else value
    if decimals is None or not np.isfinite(float(value)):
        return str(Fraction(value)) if np.isfinite(float(value)) else str(float(value))
    return f"{float(value):.{decimals}f}"


@pytest.mark.share(17)
@pytest.mark.parametrize("name", OPERATORS)
@given(level=LEVELS, seed=SEEDS)
def test_a_problem(name, level, seed):
    asked = problem(name, level, seed)
    the_right_answer_is_right(asked)
    the_answer_is_what_the_fast_reference_says(asked)
    a_mistake_is_refused_and_named(asked)
    hints_lead_to_the_answer_and_only_the_last_one_gives_it_away(asked)
    it_is_for_a_pen(asked)


def the_right_answer_is_right(asked):
    judged = asked.judge(typed(asked.wanted, asked.decimals))
    assert judged.right, (asked, judged)


def the_answer_is_what_the_fast_reference_says(asked):
    calculation = asked.calculation
    case, main = calculation.case, calculation.main_output
    if asked.kind is Kind.GRADIENT:
        several = sum(each.differentiable for each in asked.op.outputs) > 1
        cotangent: Any = {main: asked.upstream} if several else asked.upstream
        known = asked.op.vjp(calculation.p, cotangent, **case.arrays)[asked.wrt][asked.at]
        wanted = [known]
    else:
        result = asked.op.run(case)[main]
        wanted = [result[asked.at]] if asked.kind is Kind.ELEMENT else result.ravel()
        wanted = asked.shape if asked.kind is Kind.SHAPE else wanted
    found = [float(number.value) for number in asked.numbers]
    near = [abs(a - b) <= 2.0**-40 * max(1.0, abs(b)) for a, b in zip(found, wanted, strict=True)]  # float64's rounding
    assert all(near), (found, wanted)


def a_mistake_is_refused_and_named(asked):
    given_by = [(mistake.sentence, answers.expected(value)) for mistake, value in asked.mistaken()]
    for _, value in given_by:
        text = typed(value, asked.decimals)
        read = answers.read(text)
        if answers.compare(read, asked.wanted, asked.decimals) is not Match.WRONG:
            continue  # here it makes no difference, or one of rounding only
        judged = asked.judge(text)
        alike = [
            sentence for sentence, other in given_by if answers.compare(read, other, asked.decimals) is Match.RIGHT
        ]
        assert not judged.right
        assert judged.told in [f"Not yet: this is a known mistake. {sentence}" for sentence in alike]


@pytest.mark.parametrize("name", OPERATORS)
def test_some_mistake_shows_in_ten_problems(name):
    told = [
        asked.judge(typed(answers.expected(value), asked.decimals)).told
        for seed in range(10)
        for asked in [problem(name, 3, seed)]
        for _, value in asked.mistaken()
    ]
    assert any("this is a known mistake." in sentence for sentence in told)


def hints_lead_to_the_answer_and_only_the_last_one_gives_it_away(asked):
    told = hints(asked)
    result = barred(asked.symbol.name) if asked.symbol.adjoint else asked.symbol.name
    text = render(Step("", told[-1]), "text", width=200)
    for number in asked.numbers:
        assert digits(number.value, Style(), number.inexact) in text, (text, asked.numbers)
    assert 2 <= len(told) <= 4
    assert len(set(told)) == len(told), "a hint says what the one before it said"
    for hint in told[:-1]:
        for block in hint:
            if isinstance(block, Grids):
                assert all(grid.title.partition("[")[0] != result for grid in block.grids)


def it_is_for_a_pen(asked):
    assert "→" not in render(Step("", setting(asked)), "text"), "the output's shape is told"
    if asked.kind is Kind.SHAPE:
        return
    shown = [cell.value for block in setting(asked) if isinstance(block, Grids)
             for grid in block.grids for row in grid.rows for cell in row]  # fmt: skip
    assert len(shown) >= sum(array.size for array in asked.calculation.case.arrays.values() if array.ndim)
    for argument, array in asked.calculation.case.arrays.items():
        spec = asked.op.input(argument)
        if not spec.whole and spec.default != "binary":
            assert 0 not in array
            assert len(np.unique(array)) == array.size or not drawing.is_rational(asked.op)
            assert array.size <= drawing.MOST_NUMBERS
    assert all(abs(number.value) < 10_000 for number in asked.numbers) or asked.kind is Kind.GRADIENT


@pytest.mark.share(4)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_seed_repeats_and_levels_grow(name):
    def described(asked: Problem) -> tuple:
        return asked.kind, asked.at, str(asked.calculation.case)

    assert described(problem(name, 2, 5)) == described(problem(name, 2, 5))
    assert len({described(problem(name, 2, seed)) for seed in range(12)}) > 6
    given_at = {
        level: max(len(problem(name, level, seed).calculation.case.arrays) +
                   _unusual(problem(name, level, seed)) for seed in range(12))
        for level in (1, drawing.LEVELS)
    }  # fmt: skip
    assert given_at[1] < given_at[drawing.LEVELS]


def _unusual(asked: Problem) -> int:
    """Parameters that are not the simplest, and more than one dimension."""
    case, simplest = asked.calculation.case, drawing._simplest(asked.op)
    unusual = sum(case.params.get(name) != simplest.get(name) for name in {*case.params, *simplest})
    return unusual + next(iter(case.arrays.values())).ndim - asked.calculation.hidden.get(asked.op.inputs[0].symbol, 0)


def test_what_is_asked_follows_from_the_declaration():
    assert problems.kinds(catalog.get("conv2d")) == (Kind.SHAPE, Kind.ELEMENT, Kind.OUTPUT, Kind.GRADIENT)
    assert problems.kinds(catalog.get("tanh")) == (Kind.ELEMENT, Kind.OUTPUT, Kind.GRADIENT)
    assert problems.kinds(catalog.get("adam")) == (Kind.ELEMENT, Kind.OUTPUT)


def test_one_number_for_a_shape_is_no_try():
    problem = problems.drawn(catalog.get("conv2d"), Kind.SHAPE, 1, np.random.default_rng(1))
    assert not problem.judge("12").read
    assert problem.judge("x".join(map(str, problem.shape))).right


def test_a_network_of_fixed_sizes_has_problems_on_every_level():
    def fixed_network(x: "2", w: "3 2", b: "3"):  # noqa: F722
        return (np.tanh(w @ x + b) ** 2).sum()

    op = specs.get(fixed_network)
    for level in (1, 3, 5):
        found = drawing.drawn(op, level, np.random.default_rng(level))
        assert [array.shape for array in found.case.arrays.values()] == [(2,), (3, 2), (3,)]


def test_a_decimal_with_a_comma_is_told_and_no_wrong_try():
    judged = judge("1,5", answers.expected(1.5), None, ())
    assert (judged.right, judged.read) == (False, False)
    assert judged.told == "A comma stands between numbers here: write a decimal with a point, such as 1.5."
    assert judge("1,5", answers.expected([1, 5]), None, ()).right
