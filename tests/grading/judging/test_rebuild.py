"""A failing case that is not drawn as a whole is there as Python that makes it again."""

import numpy as np
import pytest

from opcheck.grading.assignments.assignment import parse
from opcheck.grading.formats import wording
from opcheck.grading.judging import rebuild
from tests.grading.students import assignment, graded, part

LARGE_ONLY = """
import numpy as np
def linear(x, weight, bias=None):
    if x.size > 12:
        raise ValueError("too large")
    y = x @ weight.T
    return y if bias is None else y + bias
"""
CONV = """
import numpy as np
def conv2d(x, w, b=None, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    v = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("nchwuv,ocuv->nohw", v[:, ::-1], w)
    return y if b is None else y + b[:, None, None]
"""


def lines(check) -> list[str]:
    """The code of the block, a statement a line."""
    text = wording.detail(check, width=10_000).partition("The whole case, to run it yourself\n")[2]
    return text.strip().split("\n\n")[0].splitlines()


def test_a_case_with_many_slices_can_be_run_again():
    check = part(graded(CONV, assignment("conv2d", changes={"vjp = 4": "repeat = 1"}), seed=2), "forward")
    code = lines(check)
    assert code[0] == "import numpy" and code[-1].startswith("out = conv2d(x, w")
    space: dict = {}
    exec(CONV, space)
    exec("\n".join(code), space)
    assert space["out"].ndim == 4 and space["x"].dtype == np.float32


def test_a_case_that_is_drawn_is_not_written_twice():
    text = "def linear(x, weight, bias=None):\n    return x @ weight.T\n"
    assert lines(part(graded(text, assignment("linear")), "forward")) == []


@pytest.mark.parametrize(("size", "start"), [(40, "x = numpy.array("), (900, "import base64, io"), (10_000, "import")])
def test_larger_ones_are_packed_however_large(size, start):
    array = np.random.default_rng(0).normal(size=size).astype(np.float32)
    code = [*rebuild._arrays({"x": array}, {})]
    assert code[0].startswith(start)
    space = {"numpy": np}
    exec("\n".join(code), space)
    assert np.array_equal(space["x"], array)


TIMED = 'convention = "functional"\n[[question]]\noperator = "linear"\npoints = { efficiency = 1 }'


def test_a_large_case_is_made_by_a_line_for_each_array_and_is_as_small_as_it_gets():
    right = "y = x @ weight.T\n    return y if bias is None else y + bias"
    code = f"def linear(x, weight, bias=None):\n    if x.size > 3000: x = x * 2\n    {right}\n"
    check = part(graded(code, parse(TIMED)), "efficiency")
    made = lines(check)
    assert made[1].startswith("x = numpy.random.default_rng(0).integers(")
    space: dict = {}
    exec(code, space)
    exec("\n".join(made), space)
    assert 3000 < space["x"].size < 4096 and space["out"].shape == (len(space["x"]), 1)
    assert "How this number is computed" not in wording.detail(check)


@pytest.mark.parametrize("array", [np.full((50, 64), 0.25, np.float32), np.arange(9.0).reshape(3, 3)[::-1]])
def test_a_line_draws_what_it_says(array):
    text, drawn = rebuild._drawn(array, 3)
    space = {"numpy": np}
    exec(f"x = {text}", space)
    assert np.array_equal(space["x"], drawn) and drawn.dtype == array.dtype and drawn.shape == array.shape
