"""What is particular to relu, sigmoid and tanh: kinks, saturation, signed zeros."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from tests.operators.support import Recorded, agree

NAMES = pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
floats = st.one_of(st.floats(width=64), st.sampled_from((0.0, -0.0, -720.0, 720.0, 40.0, -40.0, 5e-324)))


def case_of(name: str, x: float) -> Case:
    return Case(name, {"input": np.array([x])}, {})


def test_relu_of_zero_passes_nothing_on() -> None:
    x = np.array([-2.0, -0.0, 0.0, 3.0])
    assert opcheck.reference.relu(x).tolist() == [0, 0, 0, 3]
    assert opcheck.reference.relu.vjp(np.ones(4), x)["input"].tolist() == [0, 0, 0, 1]
    assert opcheck.reference.relu.jvp({"input": np.ones(4)}, x).tolist() == [0, 0, 0, 1]


def test_relu_does_not_write_into_its_input() -> None:
    x = np.array([-1.0, 1.0])
    assert opcheck.reference.relu(x, inplace=True).tolist() == [0, 1]
    assert x.tolist() == [-1, 1]


def test_relu_hides_an_infinite_upstream_gradient() -> None:
    assert opcheck.reference.relu.vjp([math.inf, math.nan], [-1.0, 0.0])["input"].tolist() == [0, 0]


def test_saturated() -> None:
    x = np.array([-math.inf, -1e308, 1e308, math.inf])
    assert opcheck.reference.sigmoid(x).tolist() == [0, 0, 1, 1]
    assert opcheck.reference.tanh(x).tolist() == [-1, -1, 1, 1]
    for name in ("sigmoid", "tanh"):
        assert getattr(opcheck.reference, name).vjp(np.ones(4), x)["input"].tolist() == [0, 0, 0, 0]


def test_sigmoid_of_numbers_whose_exponential_overflows() -> None:
    """1 / (1 + exp(720)) is 0 in float64, but the number is exp(-720), which float64 has."""
    assert opcheck.reference.sigmoid(-720.0) == math.exp(-720.0) > 0


@NAMES
@given(x=floats)
def test_every_float_agrees_with_the_definition(name: str, x: float) -> None:
    op = catalog.get(name)
    case = case_of(name, x)
    p, _ = op.checked(case)
    recorded = Recorded(op, case)
    g = np.array([3.0])
    agree(recorded.outputs(), op.run(case))
    agree(recorded.vjp({"output": g}), op.vjp(p, g, **case.arrays))


@pytest.mark.torch
@NAMES
@given(x=floats)
def test_every_float_as_torch(name: str, x: float) -> None:
    import torch

    op = catalog.get(name)
    case = case_of(name, x)
    recorded = Recorded(op, case)
    tensor = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    result = op.torch(torch, {}, input=tensor)
    agree(recorded.outputs(), {"output": result.detach().numpy()})
    (gradient,) = torch.autograd.grad(result, tensor, torch.tensor([3.0], dtype=torch.float64))
    agree(recorded.vjp({"output": np.array([3.0])}), {"input": gradient.numpy()})


@pytest.mark.torch
@NAMES
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_sign_of_zero_as_torch(name: str, zero: float) -> None:
    import torch

    expected: Any = catalog.get(name).torch(torch, {}, input=torch.tensor(zero, dtype=torch.float64)).item()
    assert math.copysign(1.0, getattr(opcheck.reference, name)(zero)) == math.copysign(1.0, expected)
