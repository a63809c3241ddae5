"""The tables of a tensor program, read back: each line is computed again from what it says and from the lines before.

numpy does it, and the reference functions for the catalogue's operators.
"""

import re

import numpy as np
import pytest
from hypothesis import given

import opcheck
from opcheck import reference as F  # noqa: N812
from opcheck.autodiff.tensor import tables
from opcheck.autodiff.tensor.tables import computes, few, shape, values_table
from opcheck.render.numbers import digits
from opcheck.steps import Number
from tests.autodiff.tensor import programs
from tests.autodiff.tensor.programs import EXACT, SMOOTH, WHOLE
from tests.autodiff.tensor.test_trace import traced

PLAIN = str.maketrans("₋₀₁₂₃₄₅₆₇₈₉·−≤≥", "m0123456789*-LG")
OUTPUT = re.compile(r"(.*) → (\w+)")


def largest(a, *others, **axes):
    """max of two arrays, or of one along an axis: a table writes both so."""
    return np.maximum(a, *others) if others else np.max(a, **axes)


def smallest(a, *others, **axes):
    return np.minimum(a, *others) if others else np.min(a, **axes)


NUMPY = {
    name: getattr(np, name)
    for name in ("abs", "broadcast_to", "clip", "cos", "cosh", "exp", "log1p", "mean", "reshape", "sin", "sinh", "sqrt",
                 "sum", "tan", "tanh", "where")
} | {
    "array": lambda values: np.array(values), "astype": np.ndarray.astype, "int64": np.int64, "bool": np.bool_,
    "concatenate": lambda *parts, axis: np.concatenate(parts, axis=axis),
    "detach": lambda x: x, "inf": np.inf, "ln": np.log, "max": largest, "min": smallest, "transpose": np.transpose,
}  # fmt: skip
CATALOGUE = {
    name: getattr(F, name) for name in ("conv1d", "linear", "max_pool1d", "nll_loss", "relu", "sigmoid", "softmax")
}


def again(text, known):
    """The array that a line says that it computes."""
    if named := OUTPUT.fullmatch(text):
        return dict(zip(("output", "indices"), again(named[1], known), strict=True))[named[2]]
    text = re.sub(r"(\d+(?:×\d+)+)", lambda sizes: f"({sizes[1].replace('×', ',')})", text)
    text = re.sub(r"(?<![\w\]])(\[[\d, −]+\])", r"array(\1)", text)  # a list that is no index of something
    text = text.translate(PLAIN).replace("^", "**").replace("√", "sqrt").replace("∞", "inf")
    text = text.replace("L", "<=").replace("G", ">=")
    return eval(text, {"__builtins__": {}}, NUMPY | CATALOGUE | known)


def check_lines(trace):
    """Each line that is computed, once more from its own words; then what the table shows of it."""
    (table,) = values_table(trace, everything=True)
    known = {}
    for id, row in zip(trace.names, table.rows, strict=True):
        value = trace.nodes[id].value
        name, told, sizes, values, norm = row
        if not trace.nodes[id].label:
            np.testing.assert_array_equal(again(told, known), value, err_msg=told)
        assert sizes == shape(value)
        assert values == few(value)
        if isinstance(norm, Number):
            squares = sum(float(x) ** 2 for x in np.ravel(value))
            assert digits(norm.value) == digits(np.sqrt(squares)) or abs(norm.value**2 - squares) < squares * 2.0**-50
        known[name.name.translate(PLAIN)] = value


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE)
def test_every_line_says_what_it_computes(program, x, y):
    check_lines(traced(program, EXACT, x, y))


@given(program=programs.programs(SMOOTH), x=WHOLE, y=WHOLE)
def test_every_line_of_a_smooth_program_says_what_it_computes(program, x, y):
    check_lines(traced(program, SMOOTH, x, y))


def test_a_wrong_line_is_seen(monkeypatch):
    monkeypatch.setitem(tables.SIGNS, "sub", "+")
    x = np.arange(8.0).reshape(2, 4)
    with pytest.raises(AssertionError, match="v₋₁ \\+ v₀"):
        check_lines(traced([("sub", 0, 1)], EXACT, x, x + 1))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: x + np.array([1, -0.5]), "v₀ + [1, −0.5]"),
        (lambda x: x + np.ones((3, 2)), "v₀ + array 3×2"),
        (lambda x: x[:, [1, 0]], "v₀[:, [1, 0]]"),
        (lambda x: F.linear(x, np.ones((5, 2))), "linear(v₀, array 5×2)"),
        (lambda x: F.avg_pool1d(x, 2, padding=1), "avg_pool1d(v₀, kernel_size=2, padding=1)"),
        (lambda x: F.softmax(x, dim=1), "softmax(v₀, dim=1)"),
    ],
)
def test_constants_and_settings_are_written_as_a_program_writes_them(function, line):
    trace = opcheck.trace(function, at={"x": np.ones((3, 2))})
    assert computes(trace, list(trace.names)[-1]) == line
