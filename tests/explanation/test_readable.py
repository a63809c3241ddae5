"""Default numbers of programs: none that saturates what it computes."""

import numpy as np
import pytest

from opcheck import reference
from opcheck.explanation.document import prepare
from opcheck.explanation.readable import strained
from opcheck.operators import catalog
from opcheck.specs import get


def network(x: "2", w: "3 2", b: "3", v: "2 3", t: "2"):
    return ((v @ np.tanh(w @ x + b) - t) ** 2).mean()


def attention(x: "4 4", q: "4 4", k: "4 4", v: "4 4"):
    return reference.softmax((x @ q) @ (x @ k).T / 2, dim=1) @ (x @ v)


def masked(x: "3 3"):
    e = np.exp(np.where(np.tri(3) > 0, x * x, -np.inf))
    return e / e.sum(axis=1, keepdims=True)


def gru(x: "2 3", h: "2 2", w: "5 2", u: "5 2"):
    both = np.concatenate([x, h], axis=1)
    z = reference.sigmoid(both @ w)
    return (1 - z) * h + z * np.tanh(both @ u)


def plain(x: "2 2", y: "2 2"):
    return x @ y


@pytest.mark.parametrize("program", [network, attention, gru], ids=lambda program: program.__name__)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_nothing_is_saturated(program, seed):
    op = get(program)
    calculation = prepare(op, {}, seed=seed)
    assert strained(calculation) == 0
    for array in calculation.case.arrays.values():
        assert array.all()  # a zero hides a wrong tap
        assert len(set(np.abs(array).flat)) == array.size or seed is not None
    gradients = op.vjp(calculation.p, {"output": np.ones(calculation.shapes["output"])}, **calculation.case.arrays)
    assert all(np.abs(gradient).max() > 1e-3 for gradient in gradients.values())


def test_a_mask_stays_what_it_is():
    x = prepare(get(masked), {}).case.arrays["x"]
    assert x[0, 0] < 1
    assert strained(prepare(get(masked), {})) == 0


def test_numbers_that_strain_nothing_and_those_of_a_person_stay():
    assert prepare(get(plain), {}).case.arrays["x"].tolist() == [[1, 2], [3, 4]]
    given = prepare(get(network), {"x": np.array([30.0, 40.0])}).case.arrays
    assert given["x"].tolist() == [30, 40]
    assert prepare(catalog.get("tanh"), {}, {"input": (4, 4)}).case.arrays["input"].max() == 8  # its plot says more


@pytest.mark.parametrize("op", [get(network), get(attention), catalog.get("matmul"), catalog.get("mse_loss")])
def test_a_number_that_is_changed_changes_no_other(op):
    before = prepare(op, {}).case.arrays
    for name in before:
        after = prepare(op, {name: before[name] + 1}).case.arrays
        for other in set(before) - {name}:
            np.testing.assert_array_equal(after[other], before[other])
