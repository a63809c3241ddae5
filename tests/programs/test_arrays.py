"""Traced arrays: what records, what is refused, and that two traces never meet."""

import math

import numpy as np
import pytest

import opcheck
from opcheck import reference
from opcheck.programs.arrays import ArrayTape, TracedArray
from opcheck.tracing import TracedControlFlowError


def leaf(value=((1.0, 2.0), (3.0, 4.0))):
    return ArrayTape().input("x", np.array(value))


@pytest.mark.parametrize(
    "use",
    [
        bool, float, int, lambda x: 1 if x.sum() > 0 else 2, lambda x: 1 if (x == 1) else 2,
        lambda x: np.zeros(2).__setitem__(0, x[0, 0]), lambda x: np.eye(2)[np.argmax(x, axis=0)], math.exp,
        lambda x: np.zeros_like(x).__setitem__(x > 1, 2.0), lambda x: np.zeros_like(x).__setitem__(np.argmax(x), 2.0),
        np.asarray, np.array, lambda x: x.item(), lambda x: x.tolist(), lambda x: max(x.sum(), 2),
        lambda x: x[x > 1], lambda x: [1][x],
    ],
)  # fmt: skip
def test_decisions_on_values_are_refused(use):
    with pytest.raises(TracedControlFlowError, match=r"np\.where"):
        use(leaf())


def test_it_is_not_changed_in_place():
    with pytest.raises(TypeError, match="not changed in place"):
        leaf()[0] = 1
    x = leaf()
    before = x.id
    x -= 1
    assert isinstance(x, TracedArray)
    assert x.id != before


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda x: np.arctan(x), "np.arctan"), (lambda x: np.kron(x, x), "np.kron"),
        (lambda x: np.linalg.inv(x), "np.inv"),
        (lambda x: np.add.reduce(x), "np.add.reduce"), (lambda x: np.exp(x, out=np.zeros((2, 2))), "np.exp"),
    ],
)  # fmt: skip
def test_what_has_no_rule_names_what_has(use, name):
    with pytest.raises(TypeError, match=rf"{name} is not recorded; there are np\.absolute, np\.add, .*np\.where"):
        use(leaf())


def test_shapes_are_known():
    x = leaf()
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 2), 2, 4, 2, np.float64)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 2), 2, 4)
    assert [row.shape for row in x] == [(2,), (2,)]
    assert repr(x) == "TracedArray(shape=(2, 2))"
    with pytest.raises(TypeError, match="has no length"):
        len(x.sum())


def test_numpy_on_either_side_records():
    x = leaf()
    array = np.ones((2, 2))
    for result in (
        array + x,
        x + array,
        array @ x,
        array * x,
        2**x,
        array - x,
        array / x,
        np.float64(2) * x,
        array > x,
    ):
        assert isinstance(result, TracedArray)


def test_reference_functions_record_operators_of_the_catalogue():
    x = leaf()
    out = reference.linear(np.ones((3, 2)), x)
    assert x.tape.nodes[out.id].rule.name == "linear"
    assert out.shape == (3, 2)
    with pytest.raises(opcheck.Refused, match="the last dimension of input"):
        reference.linear(np.ones((3, 5)), x)
    with pytest.raises(opcheck.Refused, match="linear is called as"):
        reference.linear(x)


def test_two_traces_never_meet():
    with pytest.raises(TypeError, match="different traces cannot meet"):
        leaf() + leaf()


def test_an_operation_that_fails_leaves_no_line():
    x = leaf()
    with pytest.raises(ValueError, match="could not be broadcast"):
        _ = x + np.ones(3)
    assert [node.label for node in x.tape.nodes if node.label] == ["x"]
    assert (x + 1).shape == (2, 2)


def test_whole_numbers_may_be_classes():
    x = np.array([[1.0, 2.0, 4.0]])
    trace = opcheck.trace(lambda x, t: reference.cross_entropy(x, t.astype(np.int64)), at={"x": x, "t": [1]})
    gradient = trace.reverse()
    np.testing.assert_array_equal(gradient["x"], reference.cross_entropy.vjp(1.0, x, np.array([1]))["input"])
    np.testing.assert_array_equal(gradient["t"], [0.0])
    with pytest.raises(opcheck.Refused, match=r"use target\.astype\(np\.int64\) if they are class numbers"):
        opcheck.trace(lambda x, t: reference.cross_entropy(x, t), at={"x": x, "t": [1]})
