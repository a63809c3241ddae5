"""What is particular to linear: biases that broadcast, sizes of zero, messages."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.operators import catalog
from opcheck.operators.spec import Case, Refused
from tests.operators.support import Recorded, agree, seeds, whole_numbers

LINEAR = catalog.get("linear")


def test_names() -> None:
    assert catalog.get("Linear") is catalog.get("nn.Linear") is LINEAR


@given(seed=seeds(), shape=st.sampled_from([(), (1,), (4,), (1, 4), (3, 1), (3, 4), (1, 1), (2, 3, 4), (2, 1, 4)]))
def test_a_bias_broadcasts_as_in_torch(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    arrays = {name: whole_numbers(rng, s) for name, s in (("input", (2, 3, 5)), ("weight", (4, 5)), ("bias", shape))}
    case = Case("linear", arrays, {})
    agree(Recorded(LINEAR, case).outputs(), LINEAR.run(case))
    g = whole_numbers(rng, (2, 3, 4))
    agree(Recorded(LINEAR, case).vjp({"output": g}), LINEAR.vjp(LINEAR.checked(case)[0], g, **arrays))


@pytest.mark.parametrize("shapes", [((2, 0), (3, 0)), ((2, 3), (0, 3)), ((0, 3), (2, 3)), ((0,), (0,)), ((2, 0), (0,))])
def test_sizes_of_zero(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x, w = map(np.ones, shapes)
    y = opcheck.reference.linear(x, w)
    assert y.shape == shapes[0][:-1] + shapes[1][:-1]
    assert not y.any()
    gradients = opcheck.reference.linear.vjp(np.ones(y.shape), x, w)
    assert {name: gradient.shape for name, gradient in gradients.items()} == {"input": x.shape, "weight": w.shape}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(2, 3), (3, 4)],
            "the last dimension of input must be the last dimension of weight. Got input (2, 3) and weight (3, 4). "
            "weight is (Out, In): transpose it if yours is (In, Out)",
        ),
        ([(2, 3), (4, 3), (3,)], "bias must have one number for each output feature. Got bias (3,)"),
        ([(2, 3), (1, 4, 3)], "weight must be (Out, In) or (In,). Got weight (1, 4, 3)"),
        (
            [(2, 3), (3,), ()],
            "with a weight (In,), bias must be a single number and input must not be a matrix. "
            "Got input (2, 3), weight (3,) and bias (). weight (1, In) and bias (1,) do the same",
        ),
    ],
)
def test_messages(shapes: list[tuple[int, ...]], message: str) -> None:
    arrays: list[Any] = [np.ones(shape) for shape in shapes]
    with pytest.raises(Refused) as refusal:
        opcheck.reference.linear(*arrays)
    assert str(refusal.value) == message
