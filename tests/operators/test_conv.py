"""What is particular to convolutions: every small 1-d case, blocks, memory, padding, messages."""

import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues
from opcheck.operators.convolution.conv import PADDING_MODES
from opcheck.operators.shared import windows
from opcheck.operators.spec import Case, Refused
from tests.operators.support import Recorded, agree, cases, whole_numbers
from tests.operators.torch_peer import torch_outputs

CONVOLUTIONS = pytest.mark.parametrize("name", ["conv1d", "conv2d"])


def small_scope() -> Iterator[Case]:
    """Every legal conv1d of sizes to 5 and kernels to 3, with all strides, paddings, dilations, groups and modes."""
    op, rng = catalog.get("conv1d"), np.random.default_rng(0)
    scope = itertools.product(
        range(1, 6), range(1, 4), range(1, 4), (0, 1, 2, "same", "valid"), (1, 2), (1, 2), PADDING_MODES
    )
    for size, kernel, stride, padding, dilation, groups, mode in scope:
        arrays = {name: whole_numbers(rng, shape) for name, shape in
                  (("input", (2, size)), ("weight", (2, 2 // groups, kernel)), ("bias", (2,)))}  # fmt: skip
        params = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": mode}
        case = Case("conv1d", arrays, params)
        try:
            op.checked(case)
        except Refused:
            continue
        yield case


@pytest.mark.slow
def test_every_small_conv1d() -> None:
    op, rng = catalog.get("conv1d"), np.random.default_rng(1)
    for case in small_scope():
        p, shapes = op.checked(case)
        g = whole_numbers(rng, shapes["output"])
        recorded = Recorded(op, case)
        agree(recorded.outputs(), op.run(case))
        agree(recorded.vjp({"output": g}), op.vjp(p, g, **case.arrays))


@pytest.mark.torch
@pytest.mark.slow
def test_torch_on_every_small_conv1d() -> None:
    op = catalog.get("conv1d")
    for case in small_scope():
        assert np.array_equal(torch_outputs(op, case)["output"], op.run(case)["output"])


@CONVOLUTIONS
@given(data=st.data(), block=st.sampled_from([1, 20, 100]), seed=st.integers(0, 99))
def test_blocks_change_nothing(name: str, data: Any, block: int, seed: int) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op, ExactValues))
    p, shapes = op.checked(case)
    g = whole_numbers(np.random.default_rng(seed), shapes["output"])
    whole = {**op.run(case), **op.vjp(p, g, **case.arrays)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "BLOCK", block)
        patch.setattr(windows, "FEWEST", 1)
        parts = {**op.run(case), **op.vjp(p, g, **case.arrays)}
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_no_window_matrix_of_a_large_input() -> None:
    """All windows at once would be 25 times the input."""
    x, w = np.ones((1, 8, 256, 256)), np.ones((8, 8, 5, 5))
    g = np.ones((1, 8, 256, 256))
    for run in (
        lambda: opcheck.reference.conv2d(x, w, padding=2),
        lambda: opcheck.reference.conv2d.vjp(g, x, w, padding=2),
    ):
        tracemalloc.start()
        run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * x.nbytes + 8 * 4 * windows.BLOCK


@CONVOLUTIONS
def test_the_blocks_of_a_call_work_in_the_same_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory for each would cost more than the arithmetic: the kernel hands it out page by page."""
    given: list[Any] = []
    array = windows.Scratch.array
    monkeypatch.setattr(windows, "BLOCK", 64)
    monkeypatch.setattr(windows, "FEWEST", 1)
    monkeypatch.setattr(windows.Scratch, "array", lambda own, *shape: given.append(array(own, *shape)) or given[-1])
    op = catalog.get(name)
    case = op.case(np.ones((3, 2, *[9] * op.dims)), np.ones((4, 2, *[3] * op.dims)), padding=1)
    y = op.run(case)["output"]
    assert len(given) > 2 and all(np.shares_memory(each, given[0]) for each in given)
    forward = len(given)
    op.vjp(op.checked(case)[0], y, **case.arrays)
    assert len(given) > 2 * forward and all(np.shares_memory(each, given[forward]) for each in given[forward:])


def test_threads_do_not_share_the_memory_of_their_calls() -> None:
    images, weight = np.random.default_rng(0).normal(size=(4, 3, 40, 40)), np.ones((5, 3, 3, 3))
    alone = [opcheck.reference.conv2d(images * k, weight) for k in range(8)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda k: opcheck.reference.conv2d(images * k, weight), range(8)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@CONVOLUTIONS
@given(data=st.data())
def test_an_unbatched_input_is_a_batch_of_one(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op, ExactValues))
    x = case.arrays["input"]
    if x.ndim == op.dims + 1:
        batch = Case(name, {**case.arrays, "input": x[None]}, case.params)
        assert np.array_equal(op.run(batch)["output"][0], op.run(case)["output"])


def test_parameters_as_a_caller_writes_them() -> None:
    x, w = np.arange(50.0).reshape(1, 2, 5, 5), np.arange(36.0).reshape(2, 2, 3, 3)
    one = opcheck.reference.conv2d(x, w, None, 2, 1, 1, 1)
    for stride, padding in itertools.product((2, (2,), (2, 2), [2, 2], np.int64(2)), (1, (1,), (1, 1), [1])):
        assert np.array_equal(opcheck.reference.conv2d(x, w, stride=stride, padding=padding), one)


def test_same_puts_the_odd_place_after() -> None:
    x, w = np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, 10.0]]])
    assert opcheck.reference.conv1d(x, w, padding="same").tolist() == [[21, 32, 3]]


@pytest.mark.parametrize(
    ("mode", "padded"),
    [("zeros", [0, 0, 1, 2, 3, 0, 0]), ("reflect", [3, 2, 1, 2, 3, 2, 1]),
     ("replicate", [1, 1, 1, 2, 3, 3, 3]), ("circular", [2, 3, 1, 2, 3, 1, 2])],
)  # fmt: skip
def test_padding_modes(mode: str, padded: list[int]) -> None:
    x, w = np.array([[1.0, 2.0, 3.0]]), np.ones((1, 1, 1))
    assert opcheck.reference.conv1d(x, w, padding=2, padding_mode=mode).tolist() == [padded]


@pytest.mark.torch
def test_no_input_channels() -> None:
    """The empty sum is 0, and the bias is left. torch 2.13 returns no output channels instead of Cout of them."""
    x, w, b = np.ones((2, 0, 5)), np.ones((3, 0, 2)), np.arange(3.0)
    y = opcheck.reference.conv1d(x, w, b)
    assert y.tolist() == [[[o] * 4 for o in range(3)]] * 2
    case = catalog.get("conv1d").case(x, w, b)
    agree(Recorded(catalog.get("conv1d"), case).outputs(), {"output": y})
    assert torch_outputs(catalog.get("conv1d"), case)["output"].shape == (2, 0, 4)


@pytest.mark.parametrize(
    ("shapes", "params", "message"),
    [
        (
            [(1, 1, 2, 2), (1, 1, 3, 3)],
            {},
            "the kernel must fit into the padded input. Got 2 positions with padding, and a kernel that spans 3 "
            "(with dilation). use more padding, less dilation or a smaller kernel",
        ),
        (
            [(1, 4, 5, 5), (2, 3, 3, 3)],
            {"groups": 2},
            "input channels must be groups times the second dimension of weight. Got input (1, 4, 5, 5), weight "
            "(2, 3, 3, 3) and groups=2. 4 channels in 2 groups need a weight of shape (2, 2, 3, 3)",
        ),
        (
            [(1, 4, 5, 5), (3, 2, 3, 3)],
            {"groups": 2},
            "groups must divide the input channels and the output channels, and there must be at least one of each. "
            "Got input (1, 4, 5, 5), weight (3, 2, 3, 3) and groups=2",
        ),
        (
            [(5, 5), (1, 1, 3, 3)],
            {},
            "conv2d takes N Cin H W or Cin H W and Cout Cin/groups Kh Kw. Got input (5, 5) and weight (1, 1, 3, 3)",
        ),
        ([(1, 1, 5, 5), (1, 1, 3, 3), (2,)], {}, "bias must have one number for each output channel. Got bias (2,)"),
        (
            [(1, 1, 5, 5), (1, 1, 3, 3)],
            {"padding": "same", "stride": 2},
            'padding="same" needs stride 1. Got stride=(2, 2)',
        ),
        (
            [(1, 1, 5, 5), (1, 1, 3, 3)],
            {"padding": "full"},
            "padding must be a whole number, at least 0, or 2 of them, or one of 'same', 'valid'. Got 'full'",
        ),
        ([(1, 1, 5, 5), (1, 1, 0, 3)], {}, "the kernel must not be empty. Got weight (1, 1, 0, 3)"),
        ([(1, 1, 0, 5), (1, 1, 1, 1)], {"padding": 1},
         "only the batch dimension of input may be empty. Got input (1, 1, 0, 5)"),
        ([(1, 1, 3, 5), (1, 1, 1, 1)], {"padding": 3, "padding_mode": "reflect"},
         "reflect padding can be at most 2 here. Got padding 3"),
        ([(1, 1, 5, 5), (1, 1, 3, 3)], {"stride": (1, 2, 3)},
         "stride must be a whole number, at least 1, or 2 of them. Got (1, 2, 3)"),
        ([(1, 1, 5, 5), (1, 1, 3, 3)], {"stride": 0},
         "stride must be a whole number, at least 1, or 2 of them. Got 0"),
    ],
)  # fmt: skip
def test_messages(shapes: list[tuple[int, ...]], params: dict[str, Any], message: str) -> None:
    arrays: list[Any] = [np.ones(shape) for shape in shapes]
    with pytest.raises(Refused) as refusal:
        opcheck.reference.conv2d(*arrays, **params)
    assert str(refusal.value) == message
