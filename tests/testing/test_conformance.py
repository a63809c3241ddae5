"""The ready property test passes on a right implementation and says what is wrong with a wrong one."""

import numpy as np
import pytest
from hypothesis import given, settings

from opcheck import catalog
from opcheck.spec import Case, Refused
from opcheck.testing import cases, conforms


def linear(x, weight, bias=None):
    if bias is None:
        return x @ weight.T
    if bias.shape != weight.shape[:-1]:
        raise ValueError("bias has one number for each row of weight")
    return x @ weight.T + bias


@conforms("linear")
def test_right_implementation_conforms():
    return linear


def test_an_implementation_that_broadcasts_what_does_not_fit_is_found():
    @conforms("linear", claims=["refuses"])
    def broadcasting():
        return lambda x, weight, bias=None: x @ weight.T if bias is None else x @ weight.T + bias

    with pytest.raises(AssertionError, match="linear refuses: computed something for bias of shape"):
        settings(derandomize=True, database=None)(broadcasting)()


def test_wrong_implementation_is_told_what_it_looks_like():
    @conforms("linear")
    def wrong():
        return lambda x, weight, bias=None: x @ weight.T

    with pytest.raises(AssertionError, match=r"(?s)linear (exact|rounding).*looks like: .*bias_missing"):
        settings(derandomize=True, database=None)(wrong)()


def test_unknown_claims_are_refused_at_once():
    with pytest.raises(Refused, match="there is no claim 'speed'"):
        conforms("linear", claims=["speed"])


@given(cases("conv2d", dtype="bfloat16", policies=("real",)))
def test_cases_are_legal_and_of_the_dtype(case: Case):
    catalog.get("conv2d").checked(case)
    for array in case.arrays.values():
        bits = np.float32(array).view(np.uint32)
        assert np.array_equal(np.float32(array), array) and not (bits & 0xFFFF).any()
