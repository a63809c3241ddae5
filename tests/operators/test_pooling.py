"""How many windows there are, which places they read, and what is refused, held against torch where it is installed."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.operators import catalog
from opcheck.operators.pooling import base as pooling
from opcheck.operators.spec import Params, Refused

POOLS = pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"])
small = st.integers(1, 5)


def windows(**values: Any) -> Params:
    given = {"padding": 0, "dilation": 1, "ceil_mode": False, **values}
    return Params({name: value if name == "ceil_mode" else (value,) for name, value in given.items()})


@given(
    size=st.integers(1, 12),
    kernel=small,
    stride=small,
    dilation=st.integers(1, 3),
    ceil_mode=st.booleans(),
    data=st.data(),
)
def test_windows_are_counted_as_by_placing_them(
    size: int, kernel: int, stride: int, dilation: int, ceil_mode: bool, data: Any
) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    p = windows(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    end = size + padding  # one past the last place, padding counted
    last = dilation * (kernel - 1)
    placed = 0
    for start in range(-padding, end, stride):
        complete = start + last < end
        # in ceil_mode one more window may hang over the edge, if the one before it did not reach the edge
        started = ceil_mode and start < size and start - stride + last < end - 1
        if complete or started:
            placed += 1
    assert pooling.counts(p, (size,)) == (placed,)


@given(
    size=st.integers(1, 9),
    kernel=small,
    stride=small,
    dilation=st.integers(1, 3),
    ceil_mode=st.booleans(),
    data=st.data(),
)
def test_taps_meet_the_places_that_the_windows_read(
    size: int, kernel: int, stride: int, dilation: int, ceil_mode: bool, data: Any
) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    p = windows(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    (out,) = pooling.counts(p, (size,))
    met = set()
    for (offset,), here, there in catalog.get("max_pool1d").taps(p, np.zeros((1, size))):  # type: ignore[attr-defined]
        pairs = zip(range(out)[here[1]], range(size)[there[1]], strict=True)
        met |= {(window, offset, place) for window, place in pairs}
    reads = itertools.product(range(out), (u * dilation for u in range(kernel)))
    assert met == {
        (window, offset, place) for window, offset in reads if 0 <= (place := window * stride + offset - padding) < size
    }


@pytest.mark.parametrize(
    ("name", "shape", "params", "message"),
    [
        (
            "max_pool2d",
            (4, 4),
            {"kernel_size": 2},
            "max_pool2d takes input (N, C, H, W), or one without a batch, (C, H, W). Got input (4, 4)",
        ),
        (
            "avg_pool1d",
            (2, 0, 4),
            {"kernel_size": 2},
            "only the batch dimension of input may be empty. Got input (2, 0, 4)",
        ),
        (
            "max_pool1d",
            (1, 4),
            {"kernel_size": 3, "padding": 2},
            "padding must be at most half of kernel_size. Got padding 2 and kernel_size 3. use padding up to 1",
        ),
        (
            "max_pool1d",
            (1, 4),
            {"kernel_size": 3, "dilation": 2},
            "the window must fit into the padded input. Got 4 positions with padding, and a window that spans 5. "
            "use a larger input or a smaller window",
        ),
        (
            "avg_pool2d",
            (1, 4, 4),
            {"kernel_size": 2, "divisor_override": 0},
            "divisor_override must not be 0. omit it to divide by the window's size",
        ),
        ("max_pool1d", (1, 4), {"kernel_size": 0}, "kernel_size must be a whole number, at least 1. Got 0"),
        (
            "max_pool2d",
            (1, 4, 4),
            {"kernel_size": (2, 2, 2)},
            "kernel_size must be a whole number, at least 1, or 2 of them. Got (2, 2, 2)",
        ),
        ("avg_pool1d", (1, 4), {"kernel_size": 2.0}, "kernel_size must be a whole number, at least 1. Got 2.0"),
    ],
)
def test_messages(name: str, shape: tuple[int, ...], params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as error:
        catalog.get(name).case(np.ones(shape), **params)
    assert str(error.value) == message


@POOLS
def test_kernel_size_is_needed(name: str) -> None:
    with pytest.raises(Refused, match="missing a required argument: 'kernel_size'"):
        catalog.get(name).case(np.ones((1, 4, 4)))


@POOLS
def test_one_number_and_a_tuple_of_it_are_the_same(name: str) -> None:
    op = catalog.get(name)
    x = np.arange(30.0).reshape((1, 5, 6) if name.endswith("2d") else (5, 6))
    one = op.run(op.case(x, 2, 1, 1))["output"]
    assert np.array_equal(one, op.run(op.case(x, (2,), (1,), [1]))["output"])
    assert np.array_equal(one, op.run(op.case(x[None], 2, stride=1, padding=1))["output"][0])


@POOLS
def test_stride_is_the_kernel_size_unless_given(name: str) -> None:
    op = catalog.get(name)
    x = np.arange(36.0).reshape((1, 6, 6) if name.endswith("2d") else (6, 6))
    assert np.array_equal(op.run(op.case(x, 3))["output"], op.run(op.case(x, 3, 3))["output"])


# --- against torch --------------------------------------------------------------------------------------------------


@st.composite
def calls(draw: Any, dims: int, dilation: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Calls that may be legal or not."""

    def parameter(low: int, high: int) -> Any:
        one = st.integers(low, high)
        return draw(st.one_of(one, one, st.tuples(one), st.tuples(*[one] * dims), st.tuples(*[one] * (dims + 1))))

    shape = draw(st.lists(st.sampled_from((1, 2, 3, 4, 5, 6, 0)), min_size=dims, max_size=dims + 3))
    params: dict[str, Any] = {"kernel_size": parameter(0, 4), "ceil_mode": draw(st.booleans())}
    if draw(st.booleans()):
        params["stride"] = parameter(0, 3)
    if draw(st.booleans()):
        params["padding"] = parameter(-1, 2)
    if dilation and draw(st.booleans()):
        params["dilation"] = parameter(0, 3)
    return tuple(shape), params


@pytest.mark.torch
@POOLS
@given(data=st.data())
def test_what_torch_refuses_is_refused(name: str, data: Any) -> None:
    import torch

    op = catalog.get(name)
    shape, params = data.draw(calls(2 if name.endswith("2d") else 1, name.startswith("max")))
    x = np.ones(shape)
    try:
        expected = tuple(op.torch(torch, params, input=torch.from_numpy(x)).shape)
    except (RuntimeError, IndexError, TypeError):
        with pytest.raises(Refused):
            op.case(x, **params)
    else:
        assert op.checked(op.case(x, **params))[1] == {"output": expected}
