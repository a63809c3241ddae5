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
        lambda x: np.zeros(2).__setitem__(slice(None), x), lambda x: np.eye(2)[np.argmax(x, axis=0)], math.exp,
        lambda x: np.zeros_like(x).__setitem__(x > 1, x[0]),
        np.asarray, np.array, lambda x: x.item(), lambda x: x.tolist(), lambda x: max(x.sum(), 2),
        lambda x: x[x > 1], lambda x: [1][x],
    ],
)  # fmt: skip
def test_decisions_on_values_are_refused(use):
    with pytest.raises(TracedControlFlowError, match=r"np\.where"):
        use(leaf())


def test_filling_an_array_of_numbers_says_what_to_write_instead():
    def fill(x):
        out = np.zeros(2)
        out[0] = x[0]
        return out

    with pytest.raises(opcheck.Refused, match=r"np\.stack them, or fill np\.zeros_like\(x\).*out\[0\] = x\[0\]"):
        opcheck.trace(fill, at={"x": np.ones(2)})


@pytest.mark.parametrize("fill", [lambda out, x: np.put_along_axis(out, np.argmax(x, 1)[:, None], x[:, :1], 1),
                                  lambda out, x: np.add.at(out, [0], x[0])])  # fmt: skip
def test_plain_numbers_cannot_take_what_is_traced(fill):
    with pytest.raises(opcheck.Refused, match=r"cannot take what is traced: make it with np\.zeros_like\(x\)"):
        fill(np.zeros((2, 2)), leaf())


def test_an_array_that_the_program_made_may_be_filled():
    """In a loop, in parts, twice, with += and at places that repeat (the last one counts, as numpy has it)."""

    def fill(x, out):
        out[0], out[1, 1:] = x[1], x[0, 0]
        out[1] += x[0]
        out[[0, 0], [1, 1]] = x[:, 0]
        return out * 2

    x = leaf()
    expected = fill(x.value, np.zeros((2, 2)))
    for out in (np.zeros_like(x), np.full_like(x, 0.0)):
        np.testing.assert_array_equal(fill(x, out).value, expected)


def test_it_is_not_changed_in_place():
    for change in (lambda x: x.__setitem__(0, 1), lambda x: np.add.at(x, [0], 1.0), lambda x: np.fill_diagonal(x, 0)):
        with pytest.raises(TypeError, match="not changed in place"):
            change(leaf())
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
        (lambda x: np.spacing(x), "np.spacing"), (lambda x: np.kron(x, x), "np.kron"),
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
    with pytest.raises(TypeError, match="arrays from different traces cannot be combined"):
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
        opcheck.trace(lambda x, t: reference.cross_entropy(x, t), at={"x": x, "t": [1.0]})
    kept = opcheck.trace(lambda x, t: reference.cross_entropy(x, t), at={"x": x, "t": [1]})
    np.testing.assert_array_equal(kept.reverse()["x"], gradient["x"])


@pytest.mark.parametrize(
    "name", ["expit", "erf", "xlogy", "xlog1py", "log1p", "expm1", "ndtr", "logit", "entr", "exp2"]
)
def test_functions_of_scipy_record_by_their_names(name):
    special = pytest.importorskip("scipy.special")
    x = leaf(((0.25, 0.5), (0.75, 0.125)))
    args = (x, 0.5 + x * 0.25) if name in ("xlogy", "xlog1py") else (x,)
    found = getattr(special, name)(*args)
    expected = getattr(special, name)(*(each.value for each in args))
    np.testing.assert_allclose(found.value, expected, rtol=1e-14)
    if name in ("xlogy", "xlog1py"):
        assert getattr(special, name)(x * 0, 0.0).value.tolist() == [[0, 0], [0, 0]]


def test_no_warning_is_printed_while_a_program_is_recorded():
    x = np.array([0.0, -1.0, np.inf])
    trace = opcheck.trace(lambda x: (np.log(x) / x - np.float64(1) / np.zeros(3) + np.sqrt(x)).sum(), at={"x": x})
    assert np.isnan(trace.value)
    trace.reverse()


# --- programs of files ----------------------------------------------------------------------------------------------

LOOPS = """
import numpy as np
from numpy import zeros


def recurrent(x, w):
    x = np.asarray(x, dtype=np.float64)
    h, out = zeros(2), np.empty((3, 2))
    for t in range(3):
        h = np.tanh(x[t] @ w + h)
        out[t] = h
    total = np.zeros(())
    for row in out:
        total += row.sum()
    table = np.array([[total, out[0, 0]], [out[2, 1], 1.0]])
    copied = table.copy()
    copied[0, 0] = 2 * np.ones(1)[0]
    return (copied * table).sum()
"""


def test_programs_of_files_fill_arrays_in_loops(tmp_path):
    from opcheck.autodiff import load

    path = tmp_path / "loops.py"
    path.write_text(LOOPS)
    function = load(path, "recurrent")
    x, w = np.arange(6.0).reshape(3, 2) / 8, np.array([[1.0, -0.5], [0.25, 1.0]])
    plain = function(x, w)
    assert isinstance(plain, float)
    trace = opcheck.trace(function, at={"x": x, "w": w})
    assert trace.value == plain
    step = 2.0**-20
    for name in ("x", "w"):
        gradient = trace.gradient()[name]
        for at in np.ndindex(*gradient.shape):
            values = {"x": x.copy(), "w": w.copy()}
            values[name][at] += step
            up = function(**values)
            values[name][at] -= 2 * step
            assert gradient[at] == pytest.approx((up - function(**values)) / (2 * step), abs=1e-8)
