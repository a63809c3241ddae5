"""A board: every number behind an explanation, what it was made of, and its gradient beside it."""

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest

from opcheck import explain, specs
from opcheck.explanation.document import prepare
from opcheck.explanation.gradient import differentiable, upstream_gradient
from opcheck.operators import catalog
from opcheck.operators.spec import widened
from opcheck.render import json
from opcheck.steps import SAME, Board, Number, Panel, Step
from opcheck.tracing import EXACT, FLOATS
from opcheck.verification.check import one_or_dict

OPERATORS = [op.name for op in catalog.every()]
CONV = {"input": (3, 3), "weight": (2, 2)}


def board_of(step: Step) -> Board:
    return next(block for block in step.blocks if isinstance(block, Board))


def board(name, **options) -> Board:
    return board_of(explain(name, **options).document("html"))


def panels(of: Board, title: str) -> list[Panel]:
    """The panels of an array: y, y[0], y[1], ..."""
    return [panel for row in of.rows for panel in row if panel.title.partition("[")[0] == title]


def numbers(of: Board, title: str, gradient: bool = False) -> np.ndarray:
    places = [place for panel in panels(of, title) for row in panel.rows for place in row]
    ids = [place.gradient if gradient else place.line for place in places]
    return np.array([float(of.lines[id].value.value) for id in ids if id is not None and of.lines[id].op != "padding"])


@pytest.mark.parametrize("name", OPERATORS)
def test_every_line_is_what_its_arguments_make_of_it(name):
    of = board(name)
    for line in of.lines:
        args = [of.lines[arg].value for arg in line.args]
        if line.op == SAME:
            assert line.value == args[0]
        elif args and not any(arg.inexact for arg in (*args, line.value)):
            assert EXACT.functions[line.op](*(arg.value for arg in args)) == line.value.value
        elif args:
            found = FLOATS.functions[line.op](*(float(arg.value) for arg in args))
            assert np.isclose(float(found), float(line.value.value), rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", OPERATORS)
def test_values_are_those_of_the_reference_and_gradients_those_of_its_vjp(name):
    calculation = prepare(op := specs.get(name), {})
    of = board(name)
    results = op.run(calculation.case)
    for output, shape in calculation.shapes.items():
        found = numbers(of, op.output(output).symbol)
        assert op.output(output).whole or np.allclose(found, results[output].reshape(-1)), shape
    cotangent = {each: np.zeros(shape) for each, shape in calculation.shapes.items() if op.output(each).differentiable}
    cotangent[calculation.main_output] = upstream_gradient(calculation, None)
    gradients = op.vjp(calculation.p, one_or_dict(op, cotangent), **widened(calculation.case.arrays))
    for each in differentiable(calculation):
        assert np.allclose(numbers(of, op.input(each).symbol, gradient=True), gradients[each].reshape(-1)), each


def test_sums_say_what_they_have_come_to():
    of = board("conv2d", shapes=CONV, padding=1)
    sums = [line for line in of.lines if line.op == "sum"]
    assert any(line.partial for line in sums)
    for line in sums:
        terms = [of.lines[arg].value.value for arg in line.args]
        assert [each.value for each in line.partial] == [*accumulate(terms)][1:-1]


def test_what_has_no_name_of_its_own_gets_one():
    of = board("linear", shapes={"input": (1,), "weight": (1, 1)})
    (place,) = panels(of, "x")[0].rows[0]
    assert of.lines[place.gradient].symbol == ("x", (0,), True, False)
    of = board("relu", input=[-1.0, 2.0])
    (dead, alive) = (of.lines[place.gradient] for place in panels(of, "x")[0].rows[0])
    assert (dead.value, alive.value) == (Number(Fraction(0)), Number(Fraction(2)))
    assert (dead.symbol, alive.symbol) == (("x", (0,), True, False), ("x", (1,), True, False))


def test_padding_is_drawn_where_it_is_read():
    (x,) = panels(of := board("conv2d", shapes=CONV, padding=1), "x")
    assert [len(row) for row in x.rows] == [5] * 5
    assert of.lines[x.rows[0][0].line].op == "padding"
    assert x.rows[0][0].gradient is None and x.rows[1][1].gradient is not None


def test_arrays_stand_beside_the_operator_that_reads_them():
    def titles(name, **given):
        return [[panel.title for panel in row] for row in board(name, **given).rows]

    assert titles("softmax") == [["x", "e"], ["S"], ["y"]]
    assert titles("layer_norm") == [["x", "μ"], ["d"], ["v"], ["s"], ["y"]]
    assert titles("nll_loss") == [["x", "t", "ℓ"], ["L"]]  # classes, which no number is computed from
    closed = [[True, True, False], [False, False, False]]  # the second row has no sum
    assert titles("attention", attn_mask=closed) == [["q", "k", "mask", "s"], ["e"], ["S"], ["w"], ["v", "y"]]


def test_a_channel_stands_beside_its_filter():
    def titles(name, **given):
        return [[panel.title for panel in row] for row in board(name, **given).rows]

    two = titles("conv2d", shapes={"input": (2, 3, 3), "weight": (2, 2, 2, 2)})
    assert two == [["x[0]", "x[1]"], ["w[0,0]", "w[0,1]", "y[0]"], ["w[1,0]", "w[1,1]", "y[1]"]]
    grouped = titles("conv2d", shapes={"input": (2, 3, 3), "weight": (2, 1, 2, 2)}, groups=2, padding=1)
    assert grouped == [["x[0]", "w[0,0]", "y[0]"], ["x[1]", "w[1,0]", "y[1]"]]


def test_what_several_gradients_are_made_of_is_none_of_them():
    of = board("avg_pool2d", shapes={"input": (3, 3)}, kernel_size=2, stride=1)
    (x,) = panels(of, "x")
    at = {place.gradient for row in x.rows for place in row}
    assert not at & {arg for line in of.lines for arg in line.args}


def test_what_is_asked_first():
    of = board("conv2d", shapes=CONV, cell=(1, 0))
    assert of.lines[of.focus].symbol[:2] == ("y", (1, 0))
    of = board("conv2d", shapes=CONV, grad=True)
    assert of.lines[of.focus].symbol == ("x", (0, 0), True, False)
    of = board("max_pool2d", shapes={"input": (4, 4)}, grad=True)  # the first gradient that is not 0
    assert of.lines[of.focus].symbol == ("x", (1, 1), True, False)
    of = board("conv2d", shapes=CONV, grad=True, cell=(2, 1))
    assert of.lines[of.focus].symbol == ("x", (2, 1), True, False)


def test_of_what_is_large_there_is_a_part():
    shapes = {"input": (1, 3, 224, 224), "weight": (8, 3, 3, 3)}
    of = board("conv2d", shapes=shapes, cell=(0, 2, 100, 221))
    assert len(of.lines) < 10000
    (y,) = panels(of, "y")
    assert y.title == "y[0,2]  (rows 94–105 of 222, columns 210–221 of 222)"
    assert of.lines[of.focus].symbol[:2] == ("y", (0, 2, 100, 221))


def test_where_there_is_nothing_to_ask_it_is_written_down():
    for shown in (explain("relu", np.zeros((0,))), explain("relu", np.array(2.0))):
        assert not any(isinstance(block, Board) for block in shown.document("html").blocks)


@pytest.mark.parametrize("grad", [False, True])
def test_json_keeps_boards(grad):
    for name in ("softmax", "conv2d", "max_pool1d"):
        step = explain(name, grad=grad).document("html")
        assert json.load(json.render(step)) == step


def test_a_second_output_that_the_first_is_made_of_has_its_gradient_and_the_page_says_what_a_bar_is():
    (board,) = (block for block in explain("lstm_cell").document("html").blocks if isinstance(block, Board))
    (panel,) = (each for row in board.rows for each in row if each.title == "c′")
    line = board.lines[panel.rows[0][0].gradient]
    assert float(line.value.value) == pytest.approx(0.3844, abs=1e-4)
    assert board.meaning.startswith("h̄′ is the upstream gradient ∂loss/∂h′")
    assert "A bar means the gradient" in explain("conv2d", shapes={"input": (3, 3)}).render("html")
