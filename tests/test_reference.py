"""How a reference function is called: arguments bound as Python binds them, checked once, and left alone."""

import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import reference
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues
from opcheck.operators.spec import Array, Case, Op, Refused
from tests.operators.support import cases, cotangents_of, differentiable, tangents_of

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)


@st.composite
def calls(draw: Any, op: Op) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of some number by position and of some names, right or wrong; the values say which they are."""
    names = [*op.signature.parameters, "unknown"]
    args = [np.float64(k) for k in range(draw(st.integers(0, len(names))))]
    kwargs = {name: np.float64(100 + k) for k, name in enumerate(draw(st.lists(st.sampled_from(names), unique=True)))}
    return args, kwargs


@OPERATORS
@given(data=st.data())
def test_arguments_are_bound_as_python_binds_them(op: Op, data: Any) -> None:
    args, kwargs = data.draw(calls(op))
    if op.tuples:
        return  # of these the parts are bound: test_calls.py
    try:
        expected = op.signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        with pytest.raises(Refused) as refused:
            op.bind(*args, **kwargs)
        assert refused.value.got == str(error).removeprefix("got ")
        return
    case = op.bind(*args, **kwargs)
    assert {**op.call(case)} == expected


def test_a_call_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[Case] = []
    checked = Op.checked
    monkeypatch.setattr(Op, "checked", lambda op, case: checks.append(case) or checked(op, case))
    x = np.ones(3)
    reference.relu(x)
    reference.relu.vjp(x, x)
    reference.relu.jvp({"input": x}, x)
    assert len(checks) == 3


@OPERATORS
@given(data=st.data())
def test_results_share_no_memory_with_the_arguments(op: Op, data: Any) -> None:
    """A result that is written to changes nothing else."""
    case = data.draw(cases(op, ExactValues))
    function = reference.function(op.name)
    before = {name: array.copy() for name, array in case.arrays.items()}
    results = [*arrays_of(function(**op.call(case)))]
    given = [*case.arrays.values()]
    if differentiable(op, case):
        _, shapes = op.checked(case)
        cotangents, tangents = cotangents_of(op, shapes, 0), tangents_of(op, case, 0)
        given += [*cotangents.values(), *tangents.values()]
        results += function.vjp(cotangents, **op.call(case)).values()
        results += arrays_of(function.jvp(tangents, **op.call(case)))
    for k, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in (*given, *results[:k]))
    assert all(np.array_equal(array, before[name], equal_nan=True) for name, array in case.arrays.items())


def arrays_of(result: Any) -> tuple[Array, ...]:
    return result if isinstance(result, tuple) else (result,)


def test_what_has_no_derivative_takes_no_tangent() -> None:
    x, classes = np.ones((2, 3)), np.array([0, 2])
    for name in ("nll_loss", "cross_entropy"):
        with pytest.raises(Refused, match="target is not differentiable") as refused:
            reference.function(name).jvp({"target": np.ones(2)}, x, classes)
        assert refused.value.fix == "give tangents of input"


def test_a_tangent_of_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="tangents are given by input name") as refused:
        reference.linear.jvp({"bias": np.ones(2)}, np.ones(3), np.ones((2, 3)))
    assert (refused.value.got, refused.value.fix) == ("bias", "give tangents of input, weight")
    with pytest.raises(Refused, match="give a tangent of at least one input"):
        reference.relu.jvp({}, np.ones(3))


@pytest.mark.parametrize("given", [np.ones(2), {"output": np.ones((1, 3))}])
def test_a_cotangent_has_the_shape_of_its_output(given: Any) -> None:
    with pytest.raises(Refused, match=r"the cotangent has the shape of the output, \(3,\)"):
        reference.relu.vjp(given, np.ones(3))


@OPERATORS
def test_the_documentation_says_what_a_caller_needs(op: Op) -> None:
    document = reference.function(op.name).__doc__ or ""
    assert all(len(line) <= 100 or op.formula in line for line in document.splitlines())
    flowing = " ".join(document.split())
    for each in (*op.inputs, *op.outputs):
        assert f"{each.name} ({each.letters})" in flowing
    for word in (op.formula, op.source, "opcheck.Refused", "float64", *(f"{each.name}" for each in op.params)):
        assert " ".join(word.split()) in flowing


@OPERATORS
def test_the_example_in_the_documentation_runs(op: Op) -> None:
    document = reference.function(op.name).__doc__ or ""
    test = doctest.DocTestParser().get_doctest(document, {}, op.name, None, None)
    assert len(test.examples) == 2
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
