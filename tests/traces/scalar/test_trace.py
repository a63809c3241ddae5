"""Traces of functions of numbers: both modes against each other, sympy and torch; accumulation; second derivatives."""

import math
from fractions import Fraction

import pytest

import opcheck
from opcheck.autodiff import maximum, select

LECTURE = "ln(x1) + x1*x2 - sin(x2)"


def lecture(**options):
    return opcheck.trace(LECTURE, at={"x1": 2, "x2": 5}, **options)


# --- the lecture's example, all of it (worked-examples: trace) ---


def rounded(numbers):
    return [round(x, 6) + 0.0 for x in numbers]


def test_the_evaluation_trace_of_the_lecture():
    trace = lecture()
    assert rounded(trace.values) == [2, 5, 0.693147, 10, -0.958924, 10.693147, 11.652071]
    assert round(trace.value, 6) == 11.652071


def test_the_tangents_of_the_lecture():
    forward = lecture().forward()
    names = ["v1", "v2", "v3", "v4", "v5"]
    assert rounded(forward[name]["x1"] for name in names) == [0.5, 5, 0, 5.5, 5.5]
    assert rounded(forward[name]["x2"] for name in names) == [0, 2, 0.283662, 2, 1.716338]
    assert rounded(forward.derivatives.values()) == [5.5, 1.716338]


def test_the_reverse_order_of_the_lecture():
    from opcheck.render.signs import Signs
    from opcheck.traces.scalar.tables import adjoint_rows

    write = Signs().write
    rows = [(write(row[1]), float(row[-1].value)) for row in adjoint_rows(lecture().adjoints())]
    assert [(name, round(value, 6)) for name, value in rows] == [
        ("v̄₅", 1), ("v̄₄", 1), ("v̄₃", -1), ("v̄₁", 1), ("v̄₂", 1), ("v̄₀", -0.283662), ("v̄₋₁", 5), ("v̄₀", 1.716338),
        ("v̄₋₁", 5.5),
    ]  # fmt: skip


def test_mean_of_x_plus_t_plus_2():
    """worked-examples: mean(x + t + 2) over a 2x2 t."""
    gradient = opcheck.trace(
        lambda t1, t2, t3, t4: ((1 + t1 + 2) + (1 + t2 + 2) + (1 + t3 + 2) + (1 + t4 + 2)) / 4,
        at={f"t{k}": k for k in range(1, 5)},
    ).reverse()
    assert list(gradient.gradient.values()) == [0.25] * 4


# --- sweeps ---


def test_seeds_other_than_one():
    trace = lecture()
    assert trace.adjoints(seed=-2)["x1"] == -11
    assert trace.forward({"x1": 3, "x2": 0})["v5"] == 16.5
    both = trace.forward({"x1": 1, "x2": -1})
    assert both["v2"] == 3.0


def test_several_outputs_need_to_be_told_apart():
    trace = opcheck.trace("x*y, x - y", at={"x": 2, "y": 5})
    with pytest.raises(opcheck.Refused, match=r"2 outputs.*output=0"):
        trace.reverse()
    assert trace.adjoints(output=0).gradient == {"x": 5, "y": 2}
    assert trace.adjoints(output=1).gradient == {"x": 1, "y": -1}
    assert trace.adjoints(seed=(2, 10)).gradient == {"x": 20, "y": -6}
    assert trace.forward("x").derivatives == {"x": (5, 1)}
    with pytest.raises(opcheck.Refused, match="outputs count from 0 to 1"):
        trace.adjoints(output=2)
    with pytest.raises(opcheck.Refused, match="one seed for each output"):
        trace.adjoints(seed=(1, 2, 3))


def test_an_output_that_is_returned_twice_has_two_seeds():
    trace = opcheck.trace(lambda x: (x * x, x * x, x), at={"x": 3.0})
    twice = opcheck.trace(lambda x: [x] * 2, at={"x": 3.0})
    assert trace.adjoints(seed=(1, 1, 1)).gradient == {"x": 13}
    assert twice.adjoints(seed=(1, 2)).gradient == {"x": 3}


@pytest.mark.parametrize("mode", ["forward", "reverse", None])
def test_the_jacobian_by_either_mode(mode):
    trace = opcheck.trace("x*y, x - y, y*y*z", at={"x": 2, "y": 5, "z": 3})
    found = trace.jacobian(mode)
    assert found.rows == ((5, 2, 0), (1, -1, 0), (0, 30, 25))
    assert found.sweeps == {"forward": 3, "reverse": 3}
    assert opcheck.trace("x*y, x, y", at={"x": 2, "y": 5}).jacobian().mode == "forward"
    assert lecture().jacobian().mode == "reverse"
    with pytest.raises(opcheck.Refused, match="forward or reverse"):
        trace.jacobian("sideways")


def test_a_jacobian_costs_as_many_sweeps_as_it_says(monkeypatch):
    from opcheck.traces.scalar import trace as scalars

    counts = {"forward": 0, "reverse": 0}

    def counted(name):
        original = getattr(scalars, name)

        def sweep(*args, **options):
            counts[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(scalars, name, sweep)

    counted("forward")
    counted("reverse")
    trace = opcheck.trace("x*y*z, x", at={"x": 2, "y": 5, "z": 1})
    assert trace.jacobian("forward").sweeps["forward"] == counts["forward"] == 3
    assert trace.jacobian("reverse").sweeps["reverse"] == counts["reverse"] == 2


def test_which_inputs_are_tracked():
    trace = lecture(wrt=["x1"])
    assert str(trace.gradients["x2"]) == "not tracked"
    assert trace.reverse().gradient == {"x1": 5.5}
    with pytest.raises(opcheck.Refused, match=r"x2 is not tracked.*the tracked inputs are x1"):
        trace.forward("x2")
    with pytest.raises(opcheck.Refused, match=r"no input x7.*the inputs are x1, x2"):
        lecture(wrt=["x7"])
    with pytest.raises(opcheck.Refused, match=r"no v9 in this trace.*v-1, v0, v1"):
        trace.reverse()["v9"]


def test_not_computed_is_not_zero_and_two_passes_accumulate():
    trace = lecture()
    assert str(trace.gradients["x1"]) == "not computed"
    with pytest.raises(opcheck.Refused, match=r"not computed.*call \.reverse\(\) first"):
        _ = trace.gradients["x1"].value
    trace.forward("x1"), trace.adjoints(), trace.jacobian(), str(trace)
    assert str(trace.gradients["x1"]) == "not computed"
    trace.reverse()
    assert trace.gradients["x1"].value == 5.5
    trace.reverse(seed=2)
    assert str(trace.gradients["x1"]) == "5.5 + 11.0 = 16.5, accumulated over 2 backward passes"
    trace.zero_gradients()
    assert str(trace.gradients["x1"]) == "not computed"


def test_an_exception_leaves_no_state_behind():
    trace = lecture()
    trace.reverse()
    with pytest.raises((TypeError, ValueError)):
        trace.reverse(seed="one")
    with pytest.raises(opcheck.Refused):
        trace.reverse(output=3)
    assert trace.gradients["x1"].passes == (5.5,)


def test_nothing_is_shared_between_two_traces():
    one, two = lecture(), lecture()
    one.reverse()
    assert str(two.gradients["x1"]) == "not computed"
    assert one.graph.nodes is not two.graph.nodes


def test_second_derivatives_do_not_change_the_graph():
    trace = lecture()
    before = list(trace.graph.nodes)
    assert trace.hessian() == {"x1": {"x1": -0.25, "x2": 1.0}, "x2": {"x1": 1.0, "x2": math.sin(5)}}
    assert list(trace.graph.nodes) == before
    with pytest.raises(opcheck.Refused, match=r"a Hessian needs a single output.*2 outputs"):
        opcheck.trace("x, y", at={"x": 1, "y": 2}).hessian()


def test_deep_chains():
    def chain(x):
        for _ in range(10_000):
            x = maximum(x * 1.0001, -x)
        return x

    trace = opcheck.trace(chain, at={"x": 1.0})
    assert trace.reverse().gradient["x"] == trace.forward("x").derivatives["x"]
    assert len(trace.graph.nodes) > 30_000
    assert "rows left out (--all shows them)" in str(trace)


def test_an_unused_input_has_the_derivative_zero_and_a_remark():
    trace = opcheck.trace(lambda x, y: x * x, at={"x": 3.0, "y": 4.0})
    assert trace.reverse().gradient == {"x": 6, "y": 0}
    assert "y is not used: every derivative with respect to it is 0" in str(trace)


def test_a_constant_has_no_derivative():
    trace = opcheck.trace(lambda x: 5, at={"x": 3.0})
    assert (trace.value, trace.reverse().gradient) == (5, {"x": 0})
    assert trace.hessian() == {"x": {"x": 0}}


def test_select_takes_the_place_of_a_decision():
    trace = opcheck.trace(lambda x: select(x < 0, -x, x * x), at={"x": -3.0})
    assert trace.value == 3
    assert trace.reverse().gradient == {"x": -1}


def test_exact_numbers():
    trace = opcheck.trace("x^2/3 + sqrt(x)", at={"x": 0.25}, exact=True)
    assert trace.value == Fraction(1, 48) + Fraction(1, 2)
    assert trace.reverse().gradient == {"x": Fraction(1, 6) + 1}
    assert "25/48" in str(trace)
    tenth = opcheck.trace("3*x", at={"x": 0.1}, exact=True)
    assert tenth.value == Fraction(3, 10)


@pytest.mark.parametrize("x", [[1, 2], "1"])
def test_a_direction_of_numbers_has_numbers(x):
    with pytest.raises(opcheck.Refused, match=r"seeds and directions of a function of numbers are numbers. Got"):
        opcheck.trace("x*y", at={"x": 1, "y": 2}).hessian_vector_product({"x": x})
