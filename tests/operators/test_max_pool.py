"""What is particular to max_pool1d and max_pool2d: padding, ties, NaN, signed zeros, indices."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.explanation import explain
from opcheck.operators import catalog
from opcheck.operators.pooling.max_pool import NOWHERE
from opcheck.operators.spec import Array, Case
from tests.operators.support import Recorded, agree, cases

NAMES = pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d"])
SPECIAL = (-1.0, 1.0, 0.0, -0.0, -math.inf, math.inf, math.nan)


def max_pool1d(x: list[float], *args: Any, **kwargs: Any) -> Any:
    return opcheck.reference.max_pool1d(np.array([x]), *args, **kwargs)


def gradient1d(x: list[float], g: list[float], *args: Any, **kwargs: Any) -> list[float]:
    gradient: list[float] = opcheck.reference.max_pool1d.vjp([g], np.array([x]), *args, **kwargs)["input"][0].tolist()
    return gradient


def same(one: Array, other: Array) -> bool:
    """Equal, NaN and the sign of zeros included."""
    numbers = ~np.isnan(one)
    return np.array_equal(one, other, equal_nan=True) and bool(
        np.array_equal(np.signbit(one[numbers]), np.signbit(other[numbers]))
    )


@st.composite
def special_cases(draw: Any, name: str) -> Case:
    """Cases of few different numbers, so that ties are the rule, and of numbers that are none."""
    case = draw(cases(catalog.get(name)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.choice(SPECIAL, size=case.arrays["input"].shape)
    return Case(name, {"input": np.asfortranarray(x) if draw(st.booleans()) else x}, case.params)


def test_padding_never_wins() -> None:
    assert max_pool1d([-3.0, -2.0, -1.0], 2, 1, 1).tolist() == [[-3, -2, -1, -1]]


def test_the_first_of_equals_takes_the_gradient() -> None:
    assert gradient1d([5.0, 5.0, 5.0], [1.0], 3) == [1, 0, 0]
    assert gradient1d([-math.inf, -math.inf], [1.0, 2.0, 4.0], 2, 1, 1) == [3, 4]


def test_a_nan_wins_and_the_last_one_takes_the_gradient() -> None:
    x = [math.nan, math.inf, math.nan, 2.0]
    output, indices = max_pool1d(x, 4, return_indices=True)
    assert np.isnan(output).all()
    assert indices.tolist() == [[2]]
    assert gradient1d(x, [3.0], 4) == [0, 0, 3, 0]


def test_the_first_zero_wins_whatever_its_sign() -> None:
    y = max_pool1d([0.0, -0.0, -0.0, 0.0, -0.0, -1.0], 2)
    assert [math.copysign(1.0, each) for each in y[0].tolist()] == [1, -1, -1]


def test_gradients_add_up_where_windows_overlap() -> None:
    assert gradient1d([1.0, 9.0, 2.0], [1.0, 2.0], 2, 1) == [0, 3, 0]


def test_a_window_of_padding_only_has_no_winner() -> None:
    """Here the dilation steps over the input. torch 2.13 gives an index outside of the input, and writes there."""
    output, indices = max_pool1d([5.0, 6.0], 2, 1, 1, 3, return_indices=True)
    assert (output.tolist(), indices.tolist()) == ([[-math.inf]], [[NOWHERE]])
    assert gradient1d([5.0, 6.0], [1.0], 2, 1, 1, 3) == [0, 0]
    x = np.array([[5.0, 6.0]])
    assert opcheck.reference.max_pool1d.jvp({"input": x}, x, 2, 1, 1, 3).tolist() == [[0]]
    assert "= max(−∞, −∞) = −∞" in str(explain("max_pool1d", x, 2, 1, 1, 3))


@NAMES
@given(data=st.data())
def test_no_case_has_a_window_of_padding_only(name: str, data: Any) -> None:
    """torch's backward pass corrupts memory there, so that no case may ask for it."""
    op = catalog.get(name)
    case = data.draw(cases(op))
    ones = Case(name, {"input": np.ones(case.arrays["input"].shape)}, case.params)
    assert (op.run(ones)["output"] == 1).all()


@NAMES
@given(data=st.data())
def test_an_index_points_to_the_first_place_that_has_the_value(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op))
    case = Case(name, case.arrays, {**case.params, "return_indices": True})
    p, _ = op.checked(case)
    results, x = op.run(case), case.arrays["input"]
    sizes = x.shape[-len(p.kernel_size) :]
    for at in np.ndindex(results["output"].shape):
        image, window = at[: -len(sizes)], at[-len(sizes) :]
        read = []
        for entry in np.ndindex(*p.kernel_size):
            place = tuple(
                i * s + u * d - b for i, s, u, d, b in zip(window, p.stride, entry, p.dilation, p.padding, strict=True)
            )
            if all(0 <= i < n for i, n in zip(place, sizes, strict=True)):
                read.append(place)
        first = next(place for place in read if x[*image, *place] == results["output"][at])
        assert results["indices"][at] == np.ravel_multi_index(first, sizes)
    assert results["indices"].dtype == np.int64


@NAMES
@given(data=st.data())
def test_without_indices_the_values_are_the_same(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(special_cases(name))
    params = {key: value for key, value in case.params.items() if key != "return_indices"}
    alone = op.run(Case(name, case.arrays, params))
    both = op.run(Case(name, case.arrays, {**params, "return_indices": True}))
    assert list(alone) == ["output"]
    assert same(alone["output"], both["output"])


@pytest.mark.torch
@NAMES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_special_values_and_ties_as_torch(name: str, data: Any, seed: int) -> None:
    import torch

    op = catalog.get(name)
    case = data.draw(special_cases(name))
    case = Case(name, case.arrays, {**case.params, "return_indices": True})
    p, shapes = op.checked(case)
    x = torch.from_numpy(case.arrays["input"].copy(order="C")).requires_grad_()
    output, indices = op.torch(torch, case.params, input=x)
    results = op.run(case)
    assert same(results["output"], output.detach().numpy())
    assert np.array_equal(results["indices"], indices.numpy())
    g = np.random.default_rng(seed).integers(1, 9, size=shapes["output"]) * 1.0
    (gradient,) = torch.autograd.grad(output, x, torch.from_numpy(g))
    assert np.array_equal(op.vjp(p, g, **case.arrays)["input"], gradient.numpy())


@NAMES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_special_values_and_ties_as_the_definition(name: str, data: Any, seed: int) -> None:
    op = catalog.get(name)
    case = data.draw(special_cases(name))
    p, shapes = op.checked(case)
    g = np.random.default_rng(seed).integers(1, 9, size=shapes["output"]) * 1.0
    recorded = Recorded(op, case)
    agree(recorded.outputs(), op.run(case))
    agree(recorded.vjp({"output": g}), op.vjp(p, g, **case.arrays))


def test_no_window_is_copied() -> None:
    x = np.random.default_rng(0).normal(size=(1, 4, 64, 64))
    tracemalloc.start()
    try:
        opcheck.reference.max_pool2d(x, 13, 1, 6)
        _, forward = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        opcheck.reference.max_pool2d.vjp(x, x, 13, 1, 6)
        _, backward = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert forward < 4 * x.nbytes
    assert backward < 8 * x.nbytes  # all windows together would be 169 times the input


def test_the_output_size_of_ceil_mode_is_explained() -> None:
    text = str(explain("max_pool1d", np.arange(5.0)[None], 2, 2, 1, 1, True))
    assert "L_out = min(⌈(L + 2·p − (d·(k − 1) + 1))/s⌉ + 1, ⌈(L + p)/s⌉)" in text
    assert "(padding is −∞, not zero: it is never the maximum)" in text
    assert "it must start before" in text
