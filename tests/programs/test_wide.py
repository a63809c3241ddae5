"""Programs over arrays of many digits: as exact as the element reading, within an error of their own."""

import mpmath
import numpy as np
import pytest

from opcheck.programs import wide
from opcheck.programs.elements import Elements
from opcheck.tracing import Graph, Tape, Tracer, exact
from tests.programs.functions import ALL
from tests.programs.test_rules import draw, recorded


@pytest.mark.parametrize("name", sorted(ALL))
def test_it_agrees_with_the_exact_reading_of_each_element(name):
    rng = np.random.default_rng(8)
    arrays = draw("normal", rng)
    tape, inputs, out = recorded(ALL[name], arrays)
    found, error = wide.value(tape.nodes, [out.id])[out.id]
    assert found.shape == error.shape == out.shape
    assert (error <= 1e-30 * (1 + np.abs(out.value)) * 100).all()
    scalar = Tape()
    leaves = {x.id: (lambda at, key=key: scalar.input(key, arrays[key][at].item(), at)) for key, x in inputs.items()}
    elements = Elements(tape.nodes, leaves, {}, scalar.constant)
    for at in [(), *np.ndindex(*out.shape)][-2:] if out.shape else [()]:
        number = elements.read(out.id, at)
        number = number if isinstance(number, Tracer) else scalar.constant(float(number))
        truth = exact(Graph(scalar.nodes, [number.id]).pruned())[-1]
        with mpmath.workprec(200):
            truth = (
                mpmath.mpf(truth.numerator) / truth.denominator if hasattr(truth, "numerator") else mpmath.mpf(truth)
            )
            assert abs(truth - found[at]) <= error[at]


def test_it_is_right_where_float64_is_not():
    """The variance of numbers that agree to 12 digits, and the rest of a cancelled sum."""
    tape, _, out = recorded(lambda x: (x * x).sum() - x[0] ** 2 - x[1] ** 2, {"x": np.array([1e8 + 1, 1.0 / 3])})
    found, error = wide.value(tape.nodes, [out.id])[out.id]
    assert abs(found[()]) <= error
    assert 0 < error < 1e-15
    tape, _, out = recorded(lambda x: np.log(np.exp(x).sum()) - x[0], {"x": np.array([0.0, -60.0])})
    found, error = wide.value(tape.nodes, [out.id])[out.id]
    assert out.value == 0
    with mpmath.workprec(200):
        assert abs(found[()] - mpmath.log1p(mpmath.exp(-60))) <= error < 1e-33


def test_special_values_are_as_ieee_754_has_them():
    tape, _, out = recorded(lambda x: x / np.array([0.0, 0.0, 2.0]), {"x": np.array([1.0, 0.0, np.inf])})
    found, _ = wide.value(tape.nodes, [out.id])[out.id]
    assert [str(float(each)) for each in found] == ["inf", "nan", "inf"]
