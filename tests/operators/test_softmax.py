"""What is particular to softmax and log_softmax: the shift, special logits, the dimension."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.explanation import explain
from opcheck.operators import catalog
from opcheck.operators.spec import Case, Refused
from tests.operators.support import Recorded, agree, cases

NAMES = pytest.mark.parametrize("name", ["softmax", "log_softmax"])
LOGITS = (0.0, -0.0, 1.0, -1.0, 800.0, -800.0, 1e300, -1e300, math.inf, -math.inf, math.nan)


def of(name: str, logits: list[float]) -> list[float]:
    result: list[float] = getattr(opcheck.reference, name)(np.array(logits), 0).tolist()
    return result


@NAMES
@given(data=st.data(), shift=st.integers(-1000, 1000))
def test_a_shift_changes_no_bit(name: str, data: Any, shift: int) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op))
    moved = Case(name, {"input": case.arrays["input"] + float(shift)}, case.params)
    assert np.array_equal(op.run(case)["output"], op.run(moved)["output"])


def test_large_logits_do_not_overflow() -> None:
    assert of("softmax", [1000.0, 0.0]) == [1, 0]
    assert of("log_softmax", [1000.0, 0.0]) == [0, -1000]
    assert of("softmax", [-1000.0, -1000.0]) == [0.5, 0.5]


@pytest.mark.parametrize("logits", [[-math.inf, -math.inf], [math.inf, 1.0], [math.nan, 1.0]])
@NAMES
def test_rows_without_an_answer_are_nan(name: str, logits: list[float]) -> None:
    assert np.isnan(of(name, logits)).all()


def test_logits_whose_difference_overflows() -> None:
    assert of("softmax", [1e308, -1e308]) == [1, 0]
    assert of("log_softmax", [1e308, -1e308]) == [0, -math.inf]


def test_minus_infinity_has_probability_zero() -> None:
    assert of("softmax", [-math.inf, 1.0]) == [0, 1]
    assert of("log_softmax", [-math.inf, 1.0]) == [-math.inf, 0]


@NAMES
def test_a_single_number_and_no_number(name: str) -> None:
    certain = 1.0 if name == "softmax" else 0.0
    assert getattr(opcheck.reference, name)(np.float64(3.0), -1) == certain
    assert getattr(opcheck.reference, name)(np.zeros((2, 0)), 1).shape == (2, 0)
    assert getattr(opcheck.reference, name).vjp(np.zeros((2, 0)), np.zeros((2, 0)), 1)["input"].shape == (2, 0)


@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((2, 2, 2, 2), 1)])
def test_the_dimension_that_torch_takes_where_none_is_given(shape: tuple[int, ...], dim: int) -> None:
    x = np.arange(float(math.prod(shape))).reshape(shape)
    assert np.array_equal(opcheck.reference.softmax(x), opcheck.reference.softmax(x, dim))


@pytest.mark.parametrize(
    ("shape", "dim", "message"),
    [
        ((2, 3), 2, "dim must be from -2 to 1 for an input of 2 dimensions. Got dim=2 and input (2, 3)"),
        ((2, 3), -3, "dim must be from -2 to 1 for an input of 2 dimensions. Got dim=-3 and input (2, 3)"),
        ((), 1, "dim must be from -1 to 0 for an input of 0 dimensions. Got dim=1 and input ()"),
        ((3,), True, "dim must be a whole number, or None. Got True"),
    ],
)
@NAMES
def test_messages(name: str, shape: tuple[int, ...], dim: Any, message: str) -> None:
    with pytest.raises(Refused) as error:
        catalog.get(name).case(np.zeros(shape), dim)
    assert str(error.value) == message


@pytest.mark.torch
@NAMES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_special_logits_as_torch(name: str, data: Any, seed: int) -> None:
    """torch and the reference are both held against the definition: NaN and infinities agree, the rest is bounded."""
    import torch

    op = catalog.get(name)
    case = data.draw(cases(op))
    rng = np.random.default_rng(seed)
    case.arrays["input"] = np.asarray(rng.choice(LOGITS, size=case.arrays["input"].shape))
    p, shapes = op.checked(case)
    recorded = Recorded(op, case)
    x = torch.from_numpy(case.arrays["input"].copy()).requires_grad_()
    result = op.torch(torch, case.params, input=x)
    agree(recorded.outputs(), {"output": result.detach().numpy()})
    agree(recorded.outputs(), op.run(case))
    g = np.asarray(rng.integers(1, 9, size=shapes["output"]) * 1.0)
    (gradient,) = torch.autograd.grad(result, x, torch.from_numpy(g))
    here = op.vjp(p, g, **case.arrays)["input"]
    assert np.array_equal(np.isnan(here), np.isnan(gradient.numpy()))
    agree(recorded.vjp({"output": g}), {"input": here})
    agree(recorded.vjp({"output": g}), {"input": gradient.numpy()})


def test_a_row_shares_its_maximum_and_its_sum() -> None:
    """In the worked gradient the sum's adjoint collects what all outputs of the row pass back."""
    text = str(explain("softmax", np.array([1.0, 2.0, 3.0]), 0, grad=True, all=True))
    assert text.count("S̄ =") == 1
    assert text.count("m = max(") == 1


def test_the_shift_is_explained() -> None:
    text = str(explain("softmax", np.array([1.0, 2.0, 3.0]), 0))
    assert "m = max(x[0], x[1], x[2]) = max(1, 2, 3) = 3" in text
    assert "e[0] = exp(x[0] − m) = exp(1 − 3)" in text
    assert "subtracting the maximum m changes nothing" in text
