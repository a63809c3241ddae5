"""`opcheck.bounds` and `opcheck.check` in somebody else's loop."""

import numpy as np
import pytest

import opcheck
from tests.specs import programs


def test_bounds_have_the_shape_of_the_output():
    x, w = np.ones((2, 3)), np.full((4, 3), 0.1)
    found = opcheck.bounds("linear", x, w)
    assert found.expected.shape == found.error.shape == (2, 4)
    assert np.array_equal(found.expected, opcheck.reference.linear(x, w))
    assert (opcheck.bounds("linear", x, w, dtype="float64").error < found.error).all()


def test_exact_inputs_have_no_room():
    assert not opcheck.bounds("linear", np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).error.any()


def test_bounds_of_several_outputs_are_tuples():
    found = opcheck.bounds(programs.moments, np.ones((3, 2)))
    assert [len(part) for part in found] == [2, 2]


def test_what_is_right_is_said_with_nothing():
    x = np.random.default_rng(0).normal(size=(4, 33)).astype(np.float32)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    assert opcheck.check(e / e.sum(axis=1, keepdims=True), "softmax", x, dim=1) == ""
    assert opcheck.check(e / e.sum(axis=1, keepdims=True)[:, ::-1], "softmax", x, dim=1) == ""


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.float32([0.5, 0.5]), r"output\[0\] is 0\.5 but should be 0\.268941, .* bounds away; 2 of 2 elements"),
        (np.float32([0.5]), r"output has shape \(1,\); it should be \(2,\)"),
        ((1, 2), "softmax returns output; got 2 results"),
        (np.float32([np.nan, 0.5]), "nan"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(output, message):
    import re

    assert re.search(message, opcheck.check(output, "softmax", np.array([1.0, 2.0]), dim=0))


@pytest.mark.torch
def test_tensors_are_taken_as_they_are():
    torch = pytest.importorskip("torch")
    x, w = torch.randn(3, 8), torch.randn(5, 8)
    assert opcheck.check(torch.nn.functional.linear(x, w), "linear", x, w) == ""
    low = torch.nn.functional.linear(x.bfloat16(), w.bfloat16())
    assert opcheck.check(low, "linear", x.bfloat16(), w.bfloat16()) == ""
    assert "elements are wrong" in opcheck.check(low.float(), "linear", x, w)


X, W = (np.random.default_rng(k).normal(size=(3, 50)).astype(np.float32) for k in (1, 2))
RIGHT = X @ W.T
HALVED = X.astype(np.float16) @ W.astype(np.float16).T


@pytest.mark.parametrize(
    ("output", "inputs", "dtype", "message"),
    [
        (RIGHT.astype(np.float64), (X, W), None, ""),  # numpy widens easily: these are numbers of float32
        (RIGHT.astype(np.float64), (X, W), "float64", "elements are wrong"),
        (HALVED.astype(np.float32), (X, W), None, "elements are wrong"),
        (HALVED.astype(np.float32), (X.astype(np.float16), W.astype(np.float16)), None, ""),
        (RIGHT.astype(np.float16), (X, W), None, ""),
        (RIGHT.astype(np.float16), (X, W), "float32", "the output is float16; it should be float32"),
        (RIGHT, (X.astype(np.float64), W.astype(np.float64)), None, ""),
    ],
)
def test_a_call_is_judged_in_the_type_that_it_declares(output, inputs, dtype, message):
    told = opcheck.check(output, "linear", *inputs, dtype=dtype)
    assert message in told and bool(message) == bool(told)


def test_a_type_that_is_none_is_refused():
    with pytest.raises(opcheck.Refused, match="int8"):
        opcheck.check(RIGHT, "linear", X, W, dtype="int8")


def clamped(x):
    return np.maximum(np.log(x), -100)


clamped.__annotations__ = {"x": "N"}


def test_what_comes_of_an_infinity_on_the_way_is_one_number():
    """log(0) is -inf, and nothing is doubtful in it; any answer was accepted."""
    x = np.float32([0.0, 2.0])
    assert opcheck.check(np.float32([-100, np.log(2)]), clamped, x) == ""
    assert "output[0] is 5 " in opcheck.check(np.float32([5, np.log(2)]), clamped, x)


def test_a_normalisation_far_from_zero_is_judged():
    x = np.array([[10000, 10001, 10002]], np.float32)
    assert opcheck.check(np.float32([[-1.22474, 0, 1.22474]]), "layer_norm", x, (3,)) == ""
    for wrong in ([[5, 5, 5]], [[-316.2, 0, 316.2]], [[-1.3, 0, 1.3]]):
        assert "bounds away" in opcheck.check(np.float32(wrong), "layer_norm", x, (3,))


def test_it_is_said_where_nothing_can_be_judged():
    """A loop that asserts `not check(...)` must not take an answer for right of which nothing is known."""
    with pytest.warns(UserWarning, match="nothing was judged: in float32 any number is within the bounds") as told:
        assert opcheck.check(np.float32([7, 7]), programs.twice_inverted, np.float32([0, 0])) == ""
    assert told[0].filename == __file__
    assert opcheck.check(np.float32([0, 2]), programs.twice_inverted, np.float32([0, 2])) == ""
