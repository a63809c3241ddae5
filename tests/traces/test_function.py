"""Python functions as input: which parameters become inputs, what is refused, and where it says it happened."""

from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck.autodiff import load

PROGRAM = """
import math
import numpy as np
from opcheck.autodiff import maximum

LIMIT = 3.0

def helper(x):
    return x * x

def good(x1, x2):
    total = 0
    for k in range(3):
        total = total + helper(x1) * k
    return total + np.sin(x2)

def defaults(x=2.0, y=5.0, n=3, name="square"):
    return x**n + y

def branch(x):
    if x > 0:
        return x
    return -x

def deep(x):
    return helper(float(x))

def broken(x):
    return x / undefined

def nothing(x):
    x + 1

def empty(x):
    return []

def words(x):
    return "two"

def stars(*xs):
    return xs[0]

def refusing(x):
    return maximum(x, "a")

def two(x):
    return {"a": x, "b": 2 * x}

number = 3
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return lambda name: load(path, name)


def test_loops_and_helpers_are_fine(program):
    trace = opcheck.trace(program("good"), at={"x1": 2, "x2": 0})
    assert trace.value == 12
    assert trace.reverse().gradient == {"x1": 12, "x2": 1}
    assert trace.title == "good(x1, x2)"


def test_float_defaults_are_inputs_and_others_are_passed_as_they_are(program):
    trace = opcheck.trace(program("defaults"))
    assert dict(trace.inputs) == {"x": 0, "y": 1}
    assert trace.reverse().gradient == {"x": 12, "y": 1}
    assert opcheck.trace(program("defaults"), at={"x": 1.0, "n": 2}).inputs.keys() == {"x", "y", "n"}


def test_several_results(program):
    assert opcheck.trace(program("two"), at={"x": 3}).value == (3, 6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deep", r"float\(\) takes a number out of the trace.*program.py line 26: return helper\(float\(x\)\)"),
        ("broken", r"broken raised NameError: name 'undefined' is not defined.*line 29"),
        ("nothing", "nothing returned nothing.*end it with: return"),
        ("empty", "empty returned nothing"),
        ("words", "words must return numbers or arrays.*'two'"),
        ("stars", r"must name its parameters: \*args"),
    ],
)
def test_what_goes_wrong_names_the_line(program, name, message):
    with pytest.raises(opcheck.Refused, match=message):
        opcheck.trace(program(name), at={} if name == "stars" else {"x": 1.0})


def test_values_by_name(program):
    with pytest.raises(opcheck.Refused, match=r"x of branch has no value.*--at x=2"):
        opcheck.trace(program("branch"))
    with pytest.raises(opcheck.Refused, match=r"branch has no parameter z.*its parameters are x"):
        opcheck.trace(program("branch"), at={"x": 1, "z": 2})
    with pytest.raises(opcheck.Refused, match=r"an expression \(text\) or a function"):
        opcheck.trace(3)
    with pytest.raises(opcheck.Refused, match="exact numbers need a function of numbers"):
        opcheck.trace(lambda x: x.sum(), at={"x": np.ones(2)}, exact=True)


def test_numbers_of_numpy_are_numbers():
    assert opcheck.trace("x*x", at={"x": np.float64(3)}).value == 9
    assert opcheck.trace("x*x", at={"x": np.array(3.0)}).value == 9


def test_lists_are_arrays():
    trace = opcheck.trace(lambda x: x.sum(), at={"x": [[1, 2], [3, 4]]})
    assert trace.value == 10
    with pytest.raises(opcheck.Refused, match="rectangular"):
        opcheck.trace(lambda x: x.sum(), at={"x": [[1, 2], [3]]})


def test_files_and_names(tmp_path, program):
    with pytest.raises(opcheck.Refused, match="there is no file"):
        load(Path("missing.py"), "f")
    with pytest.raises(opcheck.Refused, match=r"no function other.*it has helper, good, defaults"):
        program("other")
    with pytest.raises(opcheck.Refused, match="no function number"):
        program("number")
    (tmp_path / "bad.py").write_text("def f(:\n")
    with pytest.raises(
        opcheck.Refused, match=r"bad.py cannot be run\. Got SyntaxError: .*\(bad\.py line 1: def f\(:\)"
    ):
        load(tmp_path / "bad.py", "f")
    (tmp_path / "raises.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(opcheck.Refused, match=r"ZeroDivisionError.*raises.py line 2: 1 / 0"):
        load(tmp_path / "raises.py", "f")
