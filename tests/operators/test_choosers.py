"""Choosers: every case of a small scope, pairwise cases, seeds, and what fills arrays."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.operators.choosers import ExactValues, RandomChooser, RealValues, every_case, pairwise_cases
from opcheck.operators.fills import FILLS
from opcheck.operators.spec import Case

OPTIONS = st.lists(st.integers(1, 4), min_size=1, max_size=6)


def deciding(counts: list[int]) -> Any:
    """A sampler that makes these decisions and nothing else."""
    return lambda chooser: Case("none", {}, {str(k): chooser.choice(range(n)) for k, n in enumerate(counts)})


def branching(chooser: Any) -> Case:
    """A sampler whose later decisions depend on earlier ones."""
    size = chooser.whole(1, 3)
    return Case("none", {"x": chooser.array(size)}, {"size": size, "rest": chooser.whole(0, size - 1)})


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_every_case_is_every_case_once(counts: list[int]) -> None:
    cases = [tuple(case.params.values()) for case in every_case(deciding(counts))]
    assert cases == list(itertools.product(*map(range, counts)))


def test_every_case_where_decisions_depend() -> None:
    cases = [(case.params["size"], case.params["rest"]) for case in every_case(branching)]
    assert cases == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


@given(OPTIONS)
def test_any_two_options_meet_in_a_pairwise_case(counts: list[int]) -> None:
    cases = [list(case.params.values()) for case in pairwise_cases(deciding(counts))]
    for (i, n), (j, m) in itertools.combinations(enumerate(counts), 2):
        assert {(case[i], case[j]) for case in cases} == set(itertools.product(range(n), range(m)))
    for k, n in enumerate(counts):
        assert {case[k] for case in cases} == set(range(n))


def test_pairwise_cases_are_few() -> None:
    assert len(list(pairwise_cases(deciding([4] * 10)))) <= 60  # of 4**10; 16 is the least there can be


def test_pairwise_cases_where_decisions_depend() -> None:
    cases = {(case.params["size"], case.params["rest"]) for case in pairwise_cases(branching)}
    assert cases == {(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}


@pytest.mark.parametrize("driver", [every_case, pairwise_cases])
def test_the_same_cases_each_time(driver: Any) -> None:
    one, other = ([case.arrays["x"].tolist() for case in driver(branching, seed=5)] for _ in range(2))
    assert one == other
    assert one != [case.arrays["x"].tolist() for case in driver(branching, seed=6)]


@given(st.integers(0, 2**32 - 1))
def test_a_seed_is_a_case(seed: int) -> None:
    one, other = branching(RandomChooser(seed)), branching(RandomChooser(seed))
    assert one.params == other.params
    assert one.arrays["x"].tolist() == other.arrays["x"].tolist()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), max_size=3))
def test_exact_values_are_dyadic_and_not_zero(seed: int, shape: list[int]) -> None:
    values = ExactValues(np.random.default_rng(seed))
    for array in (values.array(*shape), values.unit(*shape), values.positive(*shape)):
        assert array.dtype == np.float64
        assert array.shape == tuple(shape)
        assert all(number and Fraction(number).denominator <= 8 and abs(number) <= 8 for number in array.flat)


@pytest.mark.parametrize("values", [ExactValues, RealValues])
@given(seed=st.integers(0, 2**32 - 1))
def test_units_are_between_and_positive_numbers_are_positive(values: Any, seed: int) -> None:
    filled = values(np.random.default_rng(seed))
    assert all(0 < number < 1 for number in filled.unit(20))
    assert all(number > 0 for number in filled.positive(20))
    assert set(filled.classes((50,), [2, 5]).tolist()) <= {2, 5}
    assert filled.classes((2, 0), [1]).shape == (2, 0)


def test_mixed_numbers_are_all_there_and_the_last_of_a_window_does_not_always_win():
    for n in range(60):
        ramp = np.arange(5.0, 5.0 + n)
        assert sorted(FILLS["mixed"].worked(ramp)) == list(ramp)
    image = FILLS["mixed"].worked(np.arange(1.0, 17.0)).reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
    assert len({int(window.argmax()) for window in image}) >= 3
