"""The stream of trials: a function of its address, and a walk that comes to every combination of a small scope."""

import numpy as np
import pytest

import opcheck
from opcheck import verify
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, every_case
from opcheck.verification.draws import Special
from opcheck.verification.streams import (
    LARGE,
    POLICIES,
    WIDE,
    NotingChooser,
    every_trial,
    scope_place,
    scope_size,
    trial,
    widened_sizes,
)
from opcheck.verification.truth.formats import format_of

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
FEW = [op for op in catalog.every() if scope_size(op) <= 2500]


def taken(op, otherwise, decisions=()):
    chooser = NotingChooser(ExactValues(np.random.default_rng(0)), otherwise, decisions)
    op.sample(chooser)
    return tuple(chooser.taken)


@pytest.mark.parametrize("op", FEW, ids=lambda op: op.name)
def test_the_walk_visits_every_combination(op):
    visited = {taken(op, scope_place(op, k)) for k in range(scope_size(op))}
    assert len(visited) == sum(1 for _ in every_case(op.sample))


@OPERATORS
def test_a_part_of_the_walk_meets_every_first_option(op):
    """Spread evenly: 64 places of a scope of millions take every option of the first decision."""
    first = [taken(op, scope_place(op, k))[0] for k in range(64)]
    counts = []
    taken(op, lambda count: counts.append(count) or 0)
    assert set(first) == set(range(counts[0]))


@OPERATORS
def test_a_trial_is_a_function_of_its_address(op):
    for index in range(len(POLICIES)):
        one, other = trial(op, "float32", 7, index), trial(op, "float32", 7, index)
        assert one.case.params == other.case.params and one.policy == other.policy
        for name, array in one.case.arrays.items():
            assert np.array_equal(array, other.case.arrays[name], equal_nan=array.dtype.kind == "f")


def test_the_exhaustive_stream_addresses_its_trials():
    op = catalog.get("conv2d")
    whole = [each.case.params for each in every_trial(op, "float32", 3, 0, 40)]
    assert [each.case.params for each in every_trial(op, "float32", 3, 30, 40)] == whole[30:]


def test_an_exhaustive_run_without_a_number_of_cases_is_the_whole_scope():
    assert verify("linear", exhaustive=True, claims=["exact"]).trials == scope_size(catalog.get("linear"))
    assert verify("conv2d", exhaustive=True, cases=5, claims=["exact"]).trials == 5


def test_wide_and_large_sizes_come_in_every_format():
    op = catalog.get("conv2d")
    sizes = {n for index in range(640) for n in trial(op, "float32", 1, index).case.arrays["input"].shape}
    assert set(WIDE) <= sizes and len(set(LARGE) & sizes) >= 4


def test_an_array_that_grows_keeps_its_relation_to_others():
    """A mean of squares stays larger than the square of the mean when both are given a size near a vector width."""
    op = catalog.get("rmsprop")
    grown = 0
    for index in range(1600):
        made = trial(op, "float32", 2, index)
        arrays = made.case.arrays
        if made.policy == "exact" and "grad_avg" in arrays and arrays["grad_avg"].size:
            grown += max(arrays["grad_avg"].shape, default=0) in WIDE
            assert (arrays["square_avg"] > arrays["grad_avg"] ** 2).all()
    assert grown > 10


def test_widening_that_the_operator_refuses_leaves_the_case_alone():
    op, rng = catalog.get("conv2d"), np.random.default_rng(0)
    case = trial(op, "float32", 0, 0).case
    for _ in range(50):
        op.checked(widened_sizes(op, case, rng, (7,)))


def test_special_numbers_come_in_any_of_the_first_arrays():
    places = set()
    for seed in range(60):
        values = Special(np.random.default_rng(seed), format_of("float32"))
        arrays = [values.array(4) for _ in range(4)]
        places |= {k for k, each in enumerate(arrays) if not np.isfinite(each).all()}
    assert places == {0, 1, 2}


@pytest.mark.parametrize(("name", "param"), [("conv1d", "dilation"), ("conv2d", "stride"), ("max_pool2d", "dilation")])
def test_parameters_are_larger_in_some_wide_cases_than_samplers_draw_them(name, param):
    op = catalog.get(name)
    values = [trial(op, "float32", 5, index).case.params.get(param) for index in range(320)]
    assert max(max(each) if isinstance(each, tuple) else each for each in values if each) >= 4


def test_no_window_lies_in_the_padding_altogether():
    op = catalog.get("max_pool1d")
    for index in range(5, 4000, 16):
        case = trial(op, "float32", 3, index).case
        assert np.isfinite(op.run(case)["output"]).all()


def clipped(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """A convolution that takes dilations for 2 at most."""
    dilation = tuple(min(each, 2) for each in (dilation if isinstance(dilation, tuple) else (dilation,)))
    return opcheck.reference.conv1d(x, weight, bias, stride, padding, dilation, groups)


def test_a_parameter_that_is_right_up_to_2_is_found():
    assert not verify("conv1d", clipped, arrays="numpy", cases=300, seed=1, claims=["exact", "rounding"]).agrees
