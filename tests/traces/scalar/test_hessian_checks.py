"""The witnesses of second derivatives: they agree with right ones, and see wrong ones."""

import pytest
from hypothesis import given

import opcheck
from opcheck.traces.scalar import trace as scalar
from opcheck.traces.scalar.hessian_checks import hessian_checks
from opcheck.tracing.autodiff import Dual, forward_over_reverse
from tests.traces.scalar import expressions
from tests.traces.scalar.expressions import traced

V = {"x1": 1, "x2": 2}


def lecture():
    return opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})


def test_the_lines_of_the_lecture():
    symmetric, taylor = hessian_checks(lecture(), V)
    assert symmetric.text.startswith("symmetric: u·Hv = 6.25355 and v·Hu = 6.25355 (difference 0, rounding allows ")
    assert taylor.text.startswith("Taylor: |u·∇f(x+hv) − u·∇f(x) − h·u·Hv| = 3.70e-04, ")
    assert taylor.text.endswith("as h halves (h², as it must)")
    assert symmetric.holds
    assert taylor.holds


@pytest.mark.torch
def test_sympy_and_torch_are_asked_with_check():
    found = hessian_checks(lecture(), V, everything=True)
    assert [each.holds for each in found] == [True] * 4
    assert "sympy agrees with forward over reverse: (Hv)[x1] = 1.75, (Hv)[x2] = −0.917849" in found[2].text
    assert "torch (func.jvp of func.grad) agrees" in found[3].text


@given(tree=expressions.SMOOTH)
def test_no_false_alarm(tree):
    trace = traced(tree)
    direction = {name: k + 1 for k, name in enumerate(trace.inputs)}
    assert not any(each.holds is False for each in hessian_checks(trace, direction))


@pytest.mark.torch
def test_a_wrong_product_is_seen_by_taylor_sympy_and_torch(monkeypatch):
    """Twice the product is still symmetric."""

    def doubled(*args):
        duals = forward_over_reverse(*args)
        return [
            None if d is None else Dual(d.value, None if d.tangent is None else d.tangent + d.tangent) for d in duals
        ]

    monkeypatch.setattr(scalar, "forward_over_reverse", doubled)
    found = hessian_checks(lecture(), V, everything=True)
    assert [each.holds for each in found] == [True, False, False, False]
    assert lecture().page(hessian=True).differs


def test_an_unsymmetric_product_is_seen(monkeypatch):
    def lopsided(graph, cotangents, tangents, *rest):
        duals = forward_over_reverse(graph, cotangents, tangents, *rest)
        return [d if d is None or k or d.tangent is None else Dual(d.value, d.tangent + d.tangent)
                for k, d in enumerate(duals)]  # fmt: skip

    monkeypatch.setattr(scalar, "forward_over_reverse", lopsided)
    assert "NOT symmetric: u·Hv" in hessian_checks(lecture(), V)[0].text


def test_second_derivatives_that_are_not_finite_are_not_checked():
    (found,) = hessian_checks(opcheck.trace("sqrt(x)", at={"x": 0}), {"x": 1})
    assert found.holds is None
    assert "not finite" in found.text
