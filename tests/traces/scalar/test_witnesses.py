"""Random expressions: both modes against each other, sympy, floats and torch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.scalar import expressions
from tests.traces.scalar.expressions import POINT, traced


@given(tree=expressions.RATIONAL)
def test_forward_reverse_sympy_and_floats_agree_exactly_on_dyadic_points(tree):
    trace, exact = traced(tree), traced(tree, exact=True)
    gradient = trace.adjoints().gradient
    if trace.inputs:
        assert gradient == trace.forward().derivatives
    assert gradient == exact.adjoints().gradient
    whole = expressions.formula(tree, expressions.SYMPY)
    assert gradient == {name: expressions.exactly(whole.diff(expressions.SYMBOLS[name])) for name in gradient}


@given(tree=expressions.DIVIDED)
def test_both_modes_agree_exactly_in_fractions_and_with_sympy(tree):
    trace = traced(tree, exact=True)
    gradient = trace.adjoints().gradient
    if trace.inputs:
        assert gradient == trace.forward().derivatives
    whole = expressions.formula(tree, expressions.SYMPY)
    for name, found in gradient.items():
        assert found == expressions.exactly(whole.diff(expressions.SYMBOLS[name]))


@given(tree=expressions.SMOOTH)
def test_both_modes_agree_with_sympy_within_the_bound_of_the_graph(tree):
    trace = traced(tree)
    _, by_sympy = expressions.sympy_gradient(tree)
    backward = trace.adjoints().gradient
    ahead = trace.forward().derivatives if trace.inputs else {}
    for name, found in backward.items():
        allowed = 2 * trace.rounding(name) + constants_error(trace, name)
        assert abs(found - by_sympy[name]) <= allowed
        assert abs(found - ahead[name]) <= allowed


def constants_error(trace, name):
    """How far a derivative can move because π, e and 0.3 are rounded: u times the second derivatives by them."""
    from opcheck.tracing import reverse, values

    tape, found = trace.recorded({})
    derivative = found[name].value
    if derivative is None:
        return 0.0
    graph = tape.graph()
    weights = reverse(graph, {derivative.id: 1.0}, values(graph))
    return sum(
        abs(weight * float(node.value)) * 2**-53
        for node, weight in zip(graph.nodes, weights, strict=True)
        if node.op == "constant" and weight is not None and not float(node.value).is_integer()
    )


@pytest.mark.torch
@given(tree=expressions.RATIONAL)
def test_torch_agrees_exactly_on_dyadic_points(tree):
    import torch

    trace = traced(tree)
    leaves = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in POINT.items()}
    out = expressions.formula(tree, expressions.torch_functions(torch, leaves))
    found = torch.autograd.grad(out, list(leaves.values()), allow_unused=True) if out.requires_grad else (None,) * 3
    by_name = dict(zip(leaves, found, strict=True))
    assert trace.adjoints().gradient == {
        name: 0.0 if by_name[name] is None else by_name[name].item() for name in trace.inputs
    }


@given(tree=expressions.TWICE, a=st.integers(-3, 3), b=st.integers(-3, 3))
def test_the_hessian_is_that_of_sympy_and_symmetric(tree, a, b):
    trace = traced(tree, exact=True)
    whole = expressions.formula(tree, expressions.SYMPY)
    hessian = trace.hessian()
    for row in trace.inputs:
        for column in trace.inputs:
            expected = whole.diff(expressions.SYMBOLS[row]).diff(expressions.SYMBOLS[column])
            assert hessian[row][column] == expressions.exactly(expected)
            assert hessian[row][column] == hessian[column][row]
    direction = dict(zip(trace.inputs, (a, b, 1), strict=False))
    product = trace.hessian_vector_product(direction) if direction else {}
    assert product == {row: sum(hessian[row][name] * x for name, x in direction.items()) for row in product}
