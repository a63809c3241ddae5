"""The ready property test passes on a right implementation and says what is wrong with a wrong one."""

import time

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from opcheck.operators import catalog
from opcheck.operators.spec import Case, Refused
from opcheck.testing import cases, conforms

REPEATABLE = settings(derandomize=True, database=None, deadline=None)


def linear(x, weight, bias=None):
    if bias is None:
        return x @ weight.T
    if bias.shape != weight.shape[:-1]:
        raise ValueError("bias has one number for each row of weight")
    return x @ weight.T + bias


@pytest.fixture
def strict_deadline():
    """The profile of somebody who has set none: 200 ms a case."""
    settings.register_profile("before", settings.default)
    settings.register_profile("strict", deadline=200)
    settings.load_profile("strict")
    yield
    settings.load_profile("before")


@conforms("linear")
def test_right_implementation_conforms():
    return linear


def test_an_implementation_that_broadcasts_what_does_not_fit_is_found():
    @conforms("linear", claims=["refuses"], settings=settings(REPEATABLE, max_examples=300))
    def broadcasting():
        return lambda x, weight, bias=None: x @ weight.T if bias is None else x @ weight.T + bias

    with pytest.raises(AssertionError, match="linear refuses: computed something, although bias must have"):
        broadcasting()


def test_wrong_implementation_is_told_what_it_looks_like():
    @conforms("linear", settings=REPEATABLE)
    def wrong():
        return lambda x, weight, bias=None: x @ weight.T

    with pytest.raises(AssertionError, match=r"(?s)linear (exact|rounding).*looks like: .*bias_missing"):
        wrong()


def test_the_time_of_the_first_case_fails_nothing(strict_deadline):
    @conforms("relu", claims=["shape"])
    def slow_to_start():
        time.sleep(0.5)
        return lambda x: np.maximum(x, 0)

    slow_to_start()


def test_unknown_claims_are_refused_at_once():
    with pytest.raises(Refused, match="there is no claim 'speed'"):
        conforms("linear", claims=["speed"])


@given(cases("conv2d", dtype="bfloat16", policies=("real",)))
def test_cases_are_legal_and_of_the_dtype(case: Case):
    catalog.get("conv2d").checked(case)
    for array in case.arrays.values():
        bits = np.float32(array).view(np.uint32)
        assert np.array_equal(np.float32(array), array) and not (bits & 0xFFFF).any()


def test_special_numbers_do_not_depend_on_what_is_drawn():
    """One case of hypothesis, and -inf·0 is found whatever it is."""

    @conforms("relu", settings=settings(max_examples=1, phases=[Phase.generate], database=None))
    def product():
        return lambda x: x * (x > 0)

    for _ in range(3):
        with pytest.raises(AssertionError, match=r"relu special: output.* is nan but should be"):
            product()
