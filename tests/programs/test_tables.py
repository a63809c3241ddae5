"""Tables of plain numbers: numbers to Python and numpy, and recorded as they were made."""

import numpy as np
import pytest

import opcheck
from opcheck.operators.program import Recording
from opcheck.specs.function import Function
from tests.specs.programs import chosen, in_place, rotated, windowed


def of_float32(x, base=100.0):
    t, d, _ = x.shape
    frequency = np.float32(base) ** (-np.arange(0, 2 * d, 2, dtype=np.float32) / np.float32(2 * d))
    angle = np.arange(t, dtype=np.float32)[:, None] * frequency
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([x[..., 0] * c - x[..., 1] * s, x[..., 1] * c + x[..., 0] * s], axis=-1)


def test_angles_may_be_rounded_as_a_kernel_rounds_them():
    x = np.random.default_rng(0).normal(size=(301, 2, 2)).astype(np.float32)
    assert opcheck.check(of_float32(x), rotated, x) == ""
    error = opcheck.bounds(rotated, x).error
    assert error[300, 0].min() > 50 * error[1, 0].max()  # the angle grows, and its error
    assert "bounds away" in opcheck.check(of_float32(x, base=99.99), rotated, x)


@pytest.mark.parametrize("function", [rotated, windowed, in_place, chosen])
def test_the_numbers_are_those_of_numpy(function):
    op = Function(function)
    x = np.random.default_rng(1).normal(size=(5, 2, 2) if function is rotated else 5)
    found = Recording(op, op.parameters({}), {"x": x}).outputs["output"]
    assert np.array_equal(found.value, function(x))


def test_a_table_that_was_changed_is_a_constant():
    made = Recording(Function(windowed), {}, {"x": np.ones(4)})
    product = made.tape.nodes[made.outputs["output"].id]
    assert made.tape.nodes[product.args[1]].rule is None
    assert made.outputs["output"].value[0] == 3.0


def test_a_worked_calculation_shows_the_numbers_of_a_table():
    made = Recording(Function(rotated), {"base": 100.0}, {"x": np.ones((2, 1, 2))}, literal=True)
    assert not {"cos", "sin", "power"} & {node.rule.name for node in made.tape.nodes if node.rule}
