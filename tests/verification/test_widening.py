"""Larger cases: channels in groups, outputs beside a block size, single dimensions beyond 1024."""

import tracemalloc

import numpy as np
import pytest

from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.specs.function import Function
from opcheck.verification.directed import Wide, count, plans
from opcheck.verification.directed import trial as directed
from opcheck.verification.streams import POLICIES, trial
from opcheck.verification.widening import MOST_OUTPUTS, MOST_WORK, WIDE, Sized, resized
from tests.specs.fused import specs


def convolution(groups, stride):
    shapes = {"input": (1, 2 * groups, 4, 5), "weight": (groups, 2, 2, 2)}
    arrays = {name: np.ones(shape) for name, shape in shapes.items()}
    return Case("conv2d", arrays, {"stride": stride, "groups": groups})


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_channels_grow_in_each_group(groups):
    shapes = Sized(catalog.get("conv2d"), convolution(groups, 1)).grown("Cin", 33)
    assert shapes["input"][1] == 33 * groups and shapes["weight"][1] == 33


def test_features_that_do_not_divide_into_groups_are_taken_in_each():
    shapes = Sized(catalog.get("conv2d"), convolution(2, 1)).grown("Cout", 33)
    assert shapes["weight"][0] == 66


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", WIDE)
def test_an_output_can_have_the_size(stride, size):
    op, case = catalog.get("conv2d"), convolution(1, stride)
    shapes = Sized(op, case).giving("W", size)
    assert shapes["input"][3] == (size - 1) * stride + 2


def sizes(name, inputs=("input",)):
    op, found = catalog.get(name), set()
    for index in range(480):
        arrays = trial(op, "float32", 5, index).case.arrays
        found |= {(each, k - arrays[each].ndim, n) for each in inputs for k, n in enumerate(arrays[each].shape)}
    return found


def test_the_stream_has_many_channels_in_convolutions():
    assert {n for name, axis, n in sizes("conv2d", ["weight"]) if axis == -3} & {63, 64, 65, 127, 128, 129}


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "linear", "relu"])
def test_the_stream_has_rows_beyond_1024(name):
    assert max(n for _, _, n in sizes(name)) > 1024


def test_what_is_large_stays_moderate():
    for op in catalog.every():
        for index in range(15, 480, 16):
            arrays = trial(op, "float32", 5, index).case.arrays
            assert sum(each.size for each in arrays.values()) < 2 * MOST_OUTPUTS


def test_a_large_kernel_is_taken_with_few_outputs_only():
    sized = Sized(catalog.get("conv2d"), convolution(1, 1))
    shapes = {"input": (3, 6, 1025, 2), "weight": (3, 6, 3, 2)}
    assert sized.is_moderate(shapes)
    assert not sized.is_moderate({"input": (3, 6, 1025, 64), "weight": (3, 6, 63, 33)})


def test_a_padding_that_follows_a_large_kernel_makes_no_large_output():
    """An honest im2col asked for 128 GiB: padding 2049 on all sides of a kernel of one row."""
    op, ones = catalog.get("conv2d"), np.ones
    case = op.case(ones((1, 1, 1)), ones((1, 1, 1, 2)), padding=(2,))
    shapes = {"input": (1, 1, 1), "weight": (1, 1, 1, 2049)}
    assert resized(op, case, shapes, np.random.default_rng(0)) is case


def test_shapes_are_looked_for_without_arrays_of_their_size():
    """The weights of an LSTM grow with the square of its width, and none of its outputs is declared by that letter."""
    op = Function(specs.lstm_step)
    tracemalloc.start()
    try:
        for index in range(len(POLICIES)):
            trial(op, "float32", 0, index)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6


def causal(q: "B H S D", k: "B H S D"):  # noqa: F722
    scores = np.where(np.triu(np.ones((q.shape[2],) * 2, bool), 1), -1e9, np.einsum("bhsd,bhtd->bhst", q, k))
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhst,bhtd->bhsd", e / e.sum(-1, keepdims=True), k)


@pytest.mark.parametrize("letter", "BHSD")
def test_the_work_of_a_large_call_is_foretold_from_smaller_ones(letter):
    op = Function(causal)
    case = Case(op.name, {"q": np.ones((2, 1, 3, 2)), "k": np.ones((2, 1, 3, 2))}, {})
    sized = Sized(op, case)
    shapes = sized.grown(letter, 400)
    assert 0.7 < sized.work(shapes) / op.work(op.parameters({}), shapes) < 1.4
    made = op.work(op.parameters({}), {"q": (1, 1, 8, 2), "k": (1, 1, 8, 2)})
    assert made >= 8 * 8 * 5 and op.work(op.parameters({}), {"q": (1, 1, 8, 2), "k": (1, 1, 8, 3)}) == 0


def test_no_case_of_a_spec_makes_more_numbers_than_takes_long():
    """It makes the square of what it is given: a row of 8,192 kept a right kernel of it busy for minutes."""
    op = Function(causal)
    cases = [directed(op, "float32", 1, index - count(op)).case for index, plan in enumerate(plans(op))
             if isinstance(plan, Wide) and plan.letter == 3]  # fmt: skip
    work = [op.work(op.parameters({}), {name: a.shape for name, a in case.arrays.items()}) for case in cases]
    assert 10**6 < max(work) < MOST_WORK * 1.4
    assert max(case.arrays["q"].shape[2] for case in cases) > 500
