"""float32 in: computed in float64, rounded once, float32 out; float64 stays float64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import reference
from opcheck.operators import catalog
from opcheck.operators.choosers import RealValues
from opcheck.operators.spec import Array, Case, Op, widened
from tests.operators.support import cases, cotangents_of, differentiable, is_real, one_or_all, tangents_of

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
DTYPES = st.sampled_from([np.float16, np.float32, np.float64])


def cast(case: Case, dtype: Any) -> Case:
    return Case(case.op, {name: rounded(array, dtype) for name, array in case.arrays.items()}, case.params)


def rounded(array: Array, dtype: Any) -> Array:
    with np.errstate(over="ignore"):  # what float16 cannot hold is infinite in it
        return array.astype(dtype) if is_real(array) else array


def same(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


@OPERATORS
@given(data=st.data(), dtype=DTYPES)
def test_outputs_are_rounded_once(op: Op, data: Any, dtype: Any) -> None:
    case = cast(data.draw(cases(op, RealValues)), dtype)
    with np.errstate(over="ignore"):
        more = {"return_updated": True} if any(each.updates for each in op.outputs) else {}
        results = reference.function(op.name)(**op.call(case), **more)
    results = results if isinstance(results, tuple) else (results,)
    for result, computed in zip(results, op.run(case).values(), strict=True):
        assert same(result, rounded(computed, dtype))


@OPERATORS
@given(data=st.data(), dtype=DTYPES, seed=st.integers(0, 2**32 - 1))
def test_gradients_and_tangents_are_rounded_once(op: Op, data: Any, dtype: Any, seed: int) -> None:
    case = cast(data.draw(cases(op, RealValues)), dtype)
    if not differentiable(op, case):
        return
    p, shapes = op.checked(case)
    cotangents, tangents = cotangents_of(op, shapes, seed), tangents_of(op, case, seed)
    with np.errstate(over="ignore"):
        gradients = reference.function(op.name).vjp(cotangents, **op.call(case))
        pushed = reference.function(op.name).jvp(tangents, **op.call(case))
    for name, gradient in op.vjp(p, one_or_all(op, cotangents), **widened(case.arrays)).items():
        assert same(op.parted(gradients)[name], rounded(gradient, dtype))
    expected = op.jvp(p, tangents, **widened(case.arrays))
    expected = tuple(expected.values()) if isinstance(expected, dict) else (expected,)
    for one, other in zip(pushed if isinstance(pushed, tuple) else (pushed,), expected, strict=True):
        assert same(one, rounded(other, dtype))
