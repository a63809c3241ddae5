"""Recording: what tracers do, what they refuse, views, names, and that two tapes share nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.tracing import (
    Tape,
    TracedControlFlowError,
    View,
    cosh,
    detach,
    exp,
    floor,
    maximum,
    minimum,
    named,
    reverse,
    select,
    sin,
    total,
    values,
)


def test_arithmetic_records_in_the_order_of_execution():
    tape = Tape()
    x, y = tape.input("x", 3), tape.input("y", 5)
    out = 2 * x - y / x + (-x) ** 2
    assert [node.op for node in tape.nodes] == [
        "input",
        "input",
        "constant",
        "mul",
        "div",
        "sub",
        "neg",
        "power",
        "sum",
    ]
    assert values(tape.graph(out))[out.id] == 2 * 3 - 5 / 3 + 9


@pytest.mark.parametrize(
    "expression",
    [
        lambda x, a: (x + a, a + x), lambda x, a: (x * a, a * x), lambda x, a: (x - a, -(a - x)),
        lambda x, a: (x / a, 1 / (a / x)), lambda x, a: (x**a, x**a), lambda x, a: (abs(x - a), abs(a - x)),
    ],
)  # fmt: skip
@given(number=st.integers(1, 9))
def test_plain_numbers_on_either_side(expression, number):
    tape = Tape()
    one, two = expression(tape.input("x", 4.0), number)
    found = values(tape.graph(one, two))
    expected = expression(4.0, number)
    assert (found[one.id], found[two.id]) == expected


def test_reversed_power():
    tape = Tape()
    out = 2 ** tape.input("x", 3.0)
    assert values(tape.graph(out))[out.id] == 8.0


def test_a_constant_is_recorded_once_and_signed_zeros_are_two():
    tape = Tape()
    x = tape.input("x", 1.0)
    _ = x + 2, x + 2, x + 0.0, x + -0.0, x + 0.0
    constants = [node.value for node in tape.nodes if node.op == "constant"]
    assert [math.copysign(1, value) * (value or 1) for value in constants] == [2, 1, -1]


@pytest.mark.parametrize(
    "use",
    [
        bool, float, int, complex, range, lambda x: x == 1, lambda x: x != 1, lambda x: x <= 1, lambda x: x >= 1,
        lambda x: max(x, 2), lambda x: min(2, x), lambda x: sorted([x, x + 1]), lambda x: 1 if x > 0 else 2,
        math.sin, lambda x: [1, 2][x], lambda x: f"{x:.2f}",
    ],
)  # fmt: skip
def test_control_flow_on_a_tracer_is_refused(use):
    with pytest.raises(TypeError) as caught:
        use(Tape().input("x", 1.0))
    if isinstance(caught.value, TracedControlFlowError):
        assert "select(a < b, x, y)" in str(caught.value)
        assert "maximum(...)" in str(caught.value)
        assert "np.sin" in str(caught.value)


def test_most_control_flow_has_the_helpful_message():
    for use in (bool, float, int, math.sin, lambda x: max(x, 2), lambda x: 1 if x < 0 else 2, lambda x: x == 1):
        with pytest.raises(TracedControlFlowError):
            use(Tape().input("x", 1.0))


def test_select_maximum_and_minimum_take_its_place():
    tape = Tape()
    x = tape.input("x", -3.0)
    out = select(x < 0, -x, x) + maximum(x, 2) + minimum(x, 2, 1) + floor(x / 2)
    assert values(tape.graph(out))[out.id] == 3 + 2 - 3 - 2


def test_functions_of_plain_numbers_are_plain_numbers():
    assert exp(0.0) == 1.0
    assert maximum(1, 2) == 2
    assert total([]) == 0
    assert total([5]) == 5
    assert total([1, 2, 3]) == 6


@pytest.mark.parametrize("name", ["sin", "exp", "tanh", "log1p", "sqrt", "absolute", "negative", "cosh"])
def test_functions_of_numpy_record(name):
    tape = Tape()
    out = getattr(np, name)(tape.input("x", 0.5))
    assert values(tape.graph(out))[out.id] == getattr(np, name)(0.5) or name in ("sin", "cosh", "exp", "tanh", "log1p")
    assert len(tape.nodes) == 2


def test_binary_functions_of_numpy_record():
    tape = Tape()
    x = tape.input("x", 3.0)
    out = np.add(x, np.float64(2)) * np.maximum(1.0, x) - np.power(x, 2) + np.float64(4) / x
    assert values(tape.graph(out))[out.id] == 15 - 9 + 4 / 3


@pytest.mark.parametrize(
    "name",
    ["square", "reciprocal", "positive", "fabs", "log2", "log10", "exp2", "degrees", "deg2rad", "arcsin", "arctan"],
)
def test_functions_of_numpy_that_are_made_of_others_record_these(name):
    tape = Tape()
    out = getattr(np, name)(tape.input("x", 0.25))
    assert values(tape.graph(out))[out.id] == pytest.approx(getattr(np, name)(0.25), rel=1e-15)
    both = np.hypot(tape.input("y", 3.0), 4.0)
    assert values(tape.graph(both))[both.id] == 5.0


def test_what_numpy_cannot_record_says_so():
    x = Tape().input("x", 3.0)
    with pytest.raises(TypeError, match=r"np\.spacing of a traced number is not recorded; there are sum, mul, .*hypot"):
        np.spacing(x)
    with pytest.raises(TypeError, match="give the input as an array"):
        np.multiply(np.ones(3), x)


def test_two_tapes_never_meet():
    x, y = Tape().input("x", 1.0), Tape().input("y", 2.0)
    with pytest.raises(TypeError, match="different traces cannot meet"):
        x + y
    assert len(x.tape.nodes) == len(y.tape.nodes) == 1  # and nothing was left behind


def test_named_marks_an_operation_and_never_a_leaf():
    tape = Tape()
    x = tape.input("x", 1.0)
    square = named("square", x * x, (0,))
    named("other", square)
    named("y", x)
    assert (tape.nodes[square.id].label, tape.nodes[square.id].at) == ("square", (0,))
    assert tape.nodes[x.id].label == "x"
    assert named("plain", 3.0) == 3.0


def test_detach_stops_the_gradient_and_keeps_the_value():
    tape = Tape()
    x = tape.input("x", 3.0)
    out = x * detach(x)
    numbers = values(tape.graph(out))
    assert numbers[out.id] == 9.0
    assert reverse(tape.graph(out), {out.id: 1.0}, numbers)[x.id] == 3.0


# --- views ---


def test_a_view_makes_a_leaf_for_each_element_that_is_read():
    tape = Tape()
    view = View(tape, "x", np.arange(6.0).reshape(2, 3))
    first = view[1, 2]
    assert view[1, 2].id == first.id
    assert view.shape == (2, 3)
    assert [(node.label, node.at, node.value) for node in tape.nodes] == [("x", (1, 2), 5.0)]


def test_a_padded_view_shares_leaves_and_makes_padding():
    tape = Tape()
    view = View(tape, "x", np.arange(3.0))
    padded = view.padded(-math.inf)
    assert padded[1].id == view[1].id
    assert tape.nodes[padded[-1].id].op == "padding"
    assert padded[-1].id == padded[-1].id
    assert [node.value for node in tape.nodes] == [1.0, -math.inf]


@pytest.mark.parametrize(
    ("index", "message"), [((0, 1), "1 dimensions, not 2"), ((3,), "outside the shape"), ((-1,), "outside")]
)
def test_a_view_never_wraps_around(index, message):
    with pytest.raises(IndexError, match=message):
        View(Tape(), "x", np.arange(3.0))[index]


def test_tracers_say_what_they_are():
    tape = Tape()
    x = tape.input("x", 1.0, (0, 1))
    assert repr(x) == "Tracer(x[0, 1])"
    assert repr(sin(x)) == "Tracer(sin)"
    assert +x is x
    assert cosh(x).tape is tape
