"""Plain Python in a trace: decisions by values are recorded along the path taken here, and math records."""

import math
from math import exp as e

import numpy as np
import pytest

import opcheck
from opcheck import reference as F


def branching(x):
    y = x
    while y < 10:
        y = y * 2 + math.sin(x)
    if y > 100:
        return y
    return e(-y / 10) + math.log(y, 2) + math.hypot(x, 3)


def newton(a):
    x = a
    for _ in range(int(a)):
        x = (x + a / x) / 2
    return x if x <= a else -x


def grown(x):
    s = (x * x).sum()
    while s < 100:
        s = s * 2
    return s


def loss(x, t):
    return F.cross_entropy(x, t)


def both(x, y):
    return (x * y).sum()


def further(x):
    if math.isnan(x) or math.isinf(x) or not math.isfinite(x):
        return x
    near = math.cbrt(x) + math.degrees(x) + math.radians(x) + math.dist((x, 1.0), (2.0, x))
    near += math.asin(x / 2) + math.acos(x / 2) + math.atan(x) + math.atan2(x, -2.0) + math.asinh(x)
    near += math.acosh(x * x) + math.atanh(x / 2) + np.arctan2(1.0, x)
    return near + math.trunc(x) + math.copysign(x, -3.0) + math.fsum([x, x * x]) + math.prod([x, x])


@pytest.mark.parametrize(
    ("function", "at"),
    [(further, 1.5), (further, -1.5), (branching, 2.0), (branching, 11.0), (newton, 3.5), (newton, 5.5)],
)
def test_value_and_derivative_are_those_of_python_itself(function, at):
    traced = opcheck.trace(function, {next(iter(function.__code__.co_varnames)): at})
    assert traced.value == pytest.approx(function(at), rel=1e-14)
    h = 1e-6
    slope = (function(at + h) - function(at - h)) / (2 * h)
    (gradient,) = traced.reverse().gradient.values()
    assert gradient == pytest.approx(slope, rel=1e-6)


def test_the_path_is_told_line_by_line():
    notes = opcheck.trace(branching, {"x": 2.0}).notes
    assert notes[0].startswith("Recorded along the path that the program takes at this point")
    assert notes[1].endswith("while y < 10: yes 2 times, then no")
    assert notes[2].endswith("if y > 100: no")
    assert opcheck.trace(newton, {"a": 3.0}).notes[1].endswith("for _ in range(int(a)): 3")
    assert not opcheck.trace(lambda x: x * x, {"x": 2.0}).notes


def test_what_only_decided_is_no_line_and_inputs_stay():
    traced = opcheck.trace(lambda x, y: x * 2 if y > 0 else x, {"x": 3.0, "y": 1.0})
    assert traced.reverse().gradient == {"x": 2.0, "y": 0.0}
    assert all(node.op != "less" for node in traced.graph.nodes)


def test_math_is_itself_again_afterwards():
    opcheck.trace(branching, {"x": 2.0})
    assert (math, e) == (__import__("math"), __import__("math").exp)


def test_an_array_program_may_decide_too():
    traced = opcheck.trace(grown, {"x": np.array([1.0, 2.0])})
    assert traced.value == grown(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(traced.reverse()["x"], [64.0, 128.0])
    assert traced.notes[1].endswith("while s < 100: yes 5 times, then no")


def test_whole_numbers_stay_whole_where_they_must(tmp_path, capsys):
    traced = opcheck.trace(loss, {"x": np.array([[1.0, 2, 3], [4, 5, 6]]), "t": np.array([0, 2])})
    assert traced.notes == ("t stays whole: nothing is differentiated with respect to it",)
    assert list(traced.inputs) == ["x"]
    assert traced.title == "loss(x, t)"
    assert "loss(x, t)   x 2×3, t = [0, 2]" in traced.render("text")
    both_real = opcheck.trace(both, {"x": np.array([1, 2]), "y": np.array([3, 4])})
    np.testing.assert_array_equal(both_real.reverse()["y"], [1.0, 2.0])
    from opcheck.app import run

    path = tmp_path / "program.py"
    path.write_text("from opcheck import reference as F\n\n\ndef loss(x, t):\n    return F.cross_entropy(x, t)\n")
    np.save(tmp_path / "t.npy", np.array([0, 2]))
    for t in ("[0,2]", f"@{tmp_path / 't.npy'}"):
        assert run(["trace", f"{path}:loss", "--at", f"x=[[1,2,3],[4,5,6]],t={t}"]) == 0
        assert "1.4076" in capsys.readouterr().out


def test_a_function_of_math_without_a_rule_is_named():
    with pytest.raises(opcheck.Refused, match=r"a trace has no rule for math.gamma; it has acos, acosh, .*, trunc"):
        opcheck.trace(lambda x: math.gamma(x), {"x": 1.0})


def test_a_number_that_leaves_the_trace_is_still_refused():
    with pytest.raises(opcheck.Refused, match=r"float\(\) takes a number out of the trace"):
        opcheck.trace(lambda x: np.float64(float(x)), {"x": 1.0})
