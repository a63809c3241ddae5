"""What every operator owes: definition, fast reference and torch agree. A new operator is tested by existing."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser, RealValues, every_case, pairwise_cases
from opcheck.operators.spec import Array, Case, Mistake, Op, widened
from tests.operators.support import (
    Recorded,
    agree,
    cases,
    cotangents_of,
    differentiable,
    found,
    one_or_all,
    tangents_of,
)
from tests.operators.torch_peer import torch_gradients, torch_outputs, torch_tangents

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
MISTAKES = [
    pytest.param(op, mistake, id=f"{op.name}-{mistake.name}") for op in catalog.every() for mistake in op.mistakes
]
SCOPE = 300  # how many cases of one sampler are few
VALUES = pytest.mark.parametrize("values", [ExactValues, RealValues])


def by_name(op: Op, result: Any) -> dict[str, Any]:
    return result if isinstance(result, dict) else {op.outputs[0].name: result}


def check_forward(op: Op, case: Case) -> None:
    agree(Recorded(op, case).outputs(), op.run(case))


def check_vjp(op: Op, case: Case, seed: int) -> None:
    if not differentiable(op, case):
        return
    p, shapes = op.checked(case)
    cotangents = cotangents_of(op, shapes, seed)
    gradients = op.vjp(p, one_or_all(op, cotangents), **widened(case.arrays))
    assert sorted(gradients) == sorted(differentiable(op, case))
    agree(Recorded(op, case).vjp(cotangents), gradients)


def check_jvp(op: Op, case: Case, seed: int) -> None:
    if not differentiable(op, case):
        return
    p, _ = op.checked(case)
    tangents = tangents_of(op, case, seed)
    agree(Recorded(op, case).jvp(tangents), by_name(op, op.jvp(p, tangents, **widened(case.arrays))))


def check_torch(op: Op, case: Case, seed: int) -> None:
    _, shapes = op.checked(case)
    recorded = Recorded(op, case)
    agree(recorded.outputs(), torch_outputs(op, case))
    if differentiable(op, case):
        cotangents = cotangents_of(op, shapes, seed)
        agree(recorded.vjp(cotangents), torch_gradients(op, case, cotangents))


def small_scope(op: Op) -> Iterator[Case]:
    def sample(chooser: Any) -> Case:
        return op.completed(op.sample(chooser))

    few = list(islice(every_case(sample), SCOPE + 1))
    return iter(few) if len(few) <= SCOPE else pairwise_cases(sample)


@OPERATORS
@VALUES
@given(data=st.data())
def test_reference_agrees_with_the_definition(op: Op, values: Any, data: Any) -> None:
    check_forward(op, data.draw(cases(op, values)))


@OPERATORS
@VALUES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_vjp_agrees_with_reverse_mode_over_the_definition(op: Op, values: Any, data: Any, seed: int) -> None:
    check_vjp(op, data.draw(cases(op, values)), seed)


@OPERATORS
@VALUES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_jvp_agrees_with_forward_mode_over_the_definition(op: Op, values: Any, data: Any, seed: int) -> None:
    check_jvp(op, data.draw(cases(op, values)), seed)


@pytest.mark.share(5)
@OPERATORS
def test_small_scope(op: Op) -> None:
    """Every case of the sampler, or where these are many, cases in which any two of its options meet."""
    for seed, case in enumerate(small_scope(op)):
        check_forward(op, case)
        check_vjp(op, case, seed)
        check_jvp(op, case, seed)


@OPERATORS
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_adjoint_identity(op: Op, data: Any, seed: int) -> None:
    """<g, J v> = <J' g, v>, exactly where nothing is rounded."""
    case = data.draw(cases(op))
    if not differentiable(op, case):
        return
    p, shapes = op.checked(case)
    cotangents, tangents = cotangents_of(op, shapes, seed), tangents_of(op, case, seed)
    recorded = Recorded(op, case)
    if not (recorded.vjp(cotangents).without_rounding and recorded.jvp(tangents).without_rounding):
        return
    arrays = widened(case.arrays)
    pulled = op.vjp(p, one_or_all(op, cotangents), **arrays)
    pushed = by_name(op, op.jvp(p, tangents, **arrays))
    assert inner(cotangents, pushed) == inner(tangents, pulled)


def inner(one: Mapping[str, Array], other: Mapping[str, Any]) -> Fraction:
    """The sum of products, without rounding."""
    pairs = (pair for name in one for pair in zip(one[name].flat, np.asarray(other[name]).flat, strict=True))
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in pairs), Fraction(0))


@pytest.mark.torch
@OPERATORS
@VALUES
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_torch_agrees_with_the_definition(op: Op, values: Any, data: Any, seed: int) -> None:
    check_torch(op, data.draw(cases(op, values)), seed)


NO_FORWARD_MODE = {
    # torch's optimisers are no functions: their steps detach, write in place, and average by another formula
    "sgd", "adam", "adamw", "rmsprop",
    # its tangent subtracts two numbers near 1: for a large logit the result is 0 where it is 1e-78
    "binary_cross_entropy_with_logits",
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("op", [op for op in catalog.every() if op.name not in NO_FORWARD_MODE], ids=lambda op: op.name)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_torch_forward_mode_agrees(op: Op, data: Any, seed: int) -> None:
    case = data.draw(cases(op, RealValues))
    outputs = op.run(case).values()
    # the mean of nothing is NaN: torch says that it changes by NaN, and the definition that it depends on nothing
    undefined = any(np.isnan(output).any() for output in outputs)
    raises = op.name == "linear" and case.arrays["weight"].ndim == 1  # in torch's forward mode only
    if undefined or raises or not differentiable(op, case) or not op.is_derivative(op.checked(case)[0]):
        return
    tangents = tangents_of(op, case, seed)
    agree(Recorded(op, case).jvp(tangents), torch_tangents(op, case, tangents))


@pytest.mark.torch
@pytest.mark.share(5)
@OPERATORS
def test_torch_agrees_in_the_small_scope(op: Op) -> None:
    for seed, case in enumerate(small_scope(op)):
        check_torch(op, case, seed)


@OPERATORS
def test_each_mistake_has_a_name_and_a_sentence(op: Op) -> None:
    names = [mistake.name for mistake in op.mistakes]
    assert len(names) == len(set(names)) > 0
    for mistake in op.mistakes:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", mistake.name)
        assert re.fullmatch(r"[A-Z0-9].*\.", mistake.sentence)
        assert mistake.forward or mistake.vjp


@pytest.mark.parametrize(("op", "mistake"), MISTAKES)
def test_each_mistake_is_caught(op: Op, mistake: Mistake) -> None:
    """A mistake that no case tells from the operator would teach nothing; so these checks are checked, too."""
    draws = (RandomChooser([7, k], RealValues if k % 4 == 3 else ExactValues) for k in range(300))
    assert any(caught(op, mistake, op.completed(op.sample(chooser)), seed) for seed, chooser in enumerate(draws))


def caught(op: Op, mistake: Mistake, case: Case, seed: int) -> bool:
    p, shapes = op.checked(case)
    arrays = widened(case.arrays)
    if mistake.forward:
        with np.errstate(all="ignore"):
            made = op.by_name(mistake.forward(op, p, **arrays), shapes)
        if not_equal(made, op.run(case)) and found(Recorded(op, case).outputs(), made):
            return True
    if mistake.vjp and differentiable(op, case):
        cotangents = cotangents_of(op, shapes, seed)
        cotangent = one_or_all(op, cotangents)
        with np.errstate(all="ignore"):
            made = mistake.vjp(op, p, cotangent, **arrays)
        return not_equal(made, op.vjp(p, cotangent, **arrays)) and bool(found(Recorded(op, case).vjp(cotangents), made))
    return False


def not_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(not np.array_equal(one[name], other[name], equal_nan=True) for name in other)
