"""Second derivatives through operators of the catalogue: against torch, by symmetry, by their definitions; misuse."""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck import reference as F
from opcheck.autodiff import load, value_and_gradient
from opcheck.operators import catalog
from opcheck.operators.second_derivatives import by_definition, vjp_tangent
from opcheck.operators.softmax import Softmax
from opcheck.operators.spec import Op
from opcheck.traces.tensor.checks import hessian_checks
from opcheck.tracing import bound, values
from opcheck.verification.truth.definition import Definition
from tests.operators.support import cases, cotangents_of, differentiable, seeds, whole_numbers
from tests.traces.tensor import programs
from tests.traces.tensor.programs import EXACT, WHOLE, runner
from tests.traces.tensor.test_trace import needs_few_bits, traced

SHORT = [op for op in catalog.every() if op.degree]


def inner(a, b):
    return sum((a[name] * b[name]).sum() for name in a)


# --- whole programs ---


def is_exact(trace, *directions):
    """Whether the numbers of both recorded sweeps are whole multiples of a small power of 2, with bits to spare."""
    nodes, _ = trace.second_order
    products = [each for direction in directions for each in trace.hessian_vector_product(direction).values()]
    values = [
        part for node in nodes for part in (node.value.values() if isinstance(node.value, dict) else [node.value])
    ]
    return all(needs_few_bits(np.asarray(each, float)) for each in (*values, *products))


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE, dx=WHOLE, dy=WHOLE)
def test_the_hessian_is_symmetric_on_whole_numbers(program, x, y, dx, dy):
    trace = traced(program, EXACT, x, y)
    v, u = {"x": dx, "y": dy}, {"x": y, "y": dx}
    declared = any(node.rule and node.rule.name == "with_slope" for node in trace.nodes)  # that of no function
    if not declared and is_exact(trace, u, v):
        assert inner(u, trace.hessian_vector_product(v)) == inner(v, trace.hessian_vector_product(u))


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE, dx=WHOLE, dy=WHOLE)
def test_reverse_over_reverse_is_forward_over_reverse(program, x, y, dx, dy):
    """The gradient of v·∇f, whose reverse sweep goes back over the recorded one, is the Hessian times v."""
    run, v = runner(program, EXACT), {"x": dx, "y": dy}
    trace = traced(program, EXACT, x, y)
    if is_exact(trace, v):

        def along(x, y):
            _, (by_x, by_y) = value_and_gradient(run)(x, y)
            return (by_x * dx).sum() + (by_y * dy).sum()

        twice = opcheck.trace(along, at={"x": x, "y": y}).gradient()
        for name, each in trace.hessian_vector_product(v).items():
            assert np.array_equal(twice[name], each)


# --- operators ---


@pytest.mark.parametrize("op", SHORT, ids=lambda op: op.name)
@given(data=st.data(), seed=seeds())
def test_the_short_ways_are_the_definitions(op, data, seed):
    """Sums of products are their own second derivative, and what is linear in pieces has none."""
    case = data.draw(cases(op))
    p, shapes = op.checked(case)
    rng = np.random.default_rng(seed)
    cotangents = cotangents_of(op, shapes, seed)
    along = {name: whole_numbers(rng, case.arrays[name].shape) for name in differentiable(op, case)}
    short = vjp_tangent(op, p, case, cotangents, along)
    for name, each in by_definition(op, p, case, cotangents, along).items():
        assert np.array_equal(each, short.get(name, np.zeros(each.shape)))


@pytest.mark.share(8)
@pytest.mark.parametrize("op", [op for op in catalog.every() if op not in SHORT], ids=lambda op: op.name)
@given(data=st.data(), seed=seeds())
def test_the_second_derivative_of_every_other_operator_is_within_its_rounding_bound(op, data, seed):
    case = data.draw(cases(op))
    p, shapes = op.checked(case)
    rng = np.random.default_rng(seed)
    cotangents = cotangents_of(op, shapes, seed)
    along = {name: whole_numbers(rng, case.arrays[name].shape) for name in differentiable(op, case)}
    found = vjp_tangent(op, p, case, cotangents, along)
    definition = Definition(op, case)
    nodes = definition.second(cotangents, along)
    graph = definition.graph()
    numbers = values(graph)
    for name, each in found.items():
        for got, node in zip(each.ravel().tolist(), nodes[name], strict=True):
            exact = float(definition.exactly(node))
            if math.isfinite(exact) and math.isfinite(got):
                assert abs(got - exact) <= bound(graph, node.id, "float64", numbers) + 2.0**-53 * abs(exact)
            else:
                assert not math.isfinite(exact), (name, got, exact)


# --- the programs of the course ---


def test_the_hessian_of_cross_entropy_is_that_of_the_textbook():
    """∂²L/∂x[i]∂x[j] = p[i]·(i = j) − p[i]·p[j], Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.3."""
    x = np.array([0.0, 0.0, 0.0, 0.0])
    trace = opcheck.trace(lambda x: F.cross_entropy(x, np.int64(1)), at={"x": x})
    p = np.full(4, 0.25)
    assert np.array_equal(trace.hessian()["x"]["x"], np.diag(p) - np.outer(p, p))


@pytest.mark.torch
def test_torch_agrees_on_the_networks_of_the_course():
    for name, function in (("two_layer_network", "loss"), ("linear_regression", "loss"), ("classifier", "train_step")):
        trace = course(name, function)
        rng = np.random.default_rng(5)
        v = {each: rng.choice([-1.0, 1.0], size=trace.read(id).shape) for each, id in trace.inputs.items()}
        found = hessian_checks(trace, v, everything=True)
        assert [each.holds for each in found] == [True] * 3, (name, found)


def course(name, function):
    loaded = load(Path(__file__).parents[2] / "lessons" / "programs" / f"{name}.py", function)
    if name != "classifier":
        return opcheck.trace(loaded)
    loss = loaded.__globals__["loss"]
    layers = {each: parameter.default for each, parameter in inspect.signature(loaded).parameters.items()}
    return opcheck.trace(lambda w1, b1, w2, b2, w3, b3: loss(w1, b1, w2, b2, w3, b3), at=layers)


# --- whole Hessians ---


def test_a_whole_hessian_by_name_and_place():
    x, y = np.array([[1.0, 2.0]]), np.array([3.0, 5.0])
    trace = opcheck.trace(lambda x, y: (x * x * y).sum(), at={"x": x, "y": y})
    hessian = trace.hessian()
    assert hessian["x"]["x"].shape == (1, 2, 1, 2)
    assert hessian["x"]["x"].reshape(2, 2).tolist() == [[6, 0], [0, 10]]
    assert hessian["x"]["y"].reshape(2, 2).tolist() == [[2, 0], [0, 4]]
    assert hessian["y"]["x"].reshape(2, 2).tolist() == [[2, 0], [0, 4]]
    assert not hessian["y"]["y"].any()


def test_a_hessian_of_many_inputs_is_refused():
    trace = opcheck.trace(lambda x: (x * x).sum(), at={"x": np.ones(1000)})
    with pytest.raises(opcheck.Refused, match=r"a whole Hessian of 1000 inputs has 1000·1000 elements.*--hvp"):
        trace.hessian()


# --- what is refused ---


class Unprogrammed(Softmax):
    """An operator with a definition only."""

    program = Op.program


def test_a_definition_that_is_too_long_is_refused_with_its_sizes():
    op, x = Unprogrammed(), np.ones((300, 1000))
    case = op.case(x, dim=1)
    told = r"second derivative of softmax comes from its definition.*input 300×1000: more than 200,000 lines.*batch"
    with pytest.raises(opcheck.Refused, match=told):
        vjp_tangent(op, op.checked(case)[0], case, {"output": x}, {"input": x})


def test_a_program_has_second_derivatives_at_any_size():
    x = np.linspace(-1, 1, 300_000).reshape(300, 1000)
    trace = opcheck.trace(lambda x: (F.softmax(x, dim=1) * x).sum(), at={"x": x})
    assert trace.hessian_vector_product({"x": np.ones(x.shape)})["x"].shape == x.shape


def test_third_derivatives_through_an_operator_are_refused():
    def along(x):
        return value_and_gradient(lambda x: F.sigmoid(x).sum())(x)[1][0].sum()

    trace = opcheck.trace(along, at={"x": np.ones(2)})
    slope = 1 / (1 + np.exp(-1.0))
    assert trace.gradient()["x"] == pytest.approx(slope * (1 - slope) * (1 - 2 * slope), rel=1e-12)
    with pytest.raises(opcheck.Refused, match=r"sigmoid has first and second derivatives.*array arithmetic"):
        trace.hessian_vector_product({"x": np.ones(2)})
