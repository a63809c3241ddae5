"""Traces of tensor programs: forward, reverse and torch agree, exactly on whole numbers; second derivatives; misuse."""

import numpy as np
import pytest
from hypothesis import given

import opcheck
from opcheck import reference as F
from opcheck.autodiff import value_and_gradient
from opcheck.programs.elementwise import erf
from opcheck.programs.rules import RULES
from opcheck.programs.sums import log_sum_exp
from opcheck.traces.tensor.checks import torch_functions, torch_gradient
from tests.traces.tensor import programs
from tests.traces.tensor.programs import EXACT, SMOOTH, WHOLE, runner

BITS = 45  # a number that needs more of its 53 bits may have been rounded


def traced(program, table, x, y):
    return opcheck.trace(runner(program, table), at={"x": x, "y": y})


def is_exact(trace, direction=None):
    """Whether values, adjoints and tangents all are whole multiples of one small power of 2, with bits to spare."""
    arrays = [
        *(node.value for node in trace.nodes),
        *trace.adjoints(),
        *(trace.tangents(direction) if direction else ()),
    ]
    flat = [
        part for each in arrays if each is not None for part in (each.values() if isinstance(each, dict) else [each])
    ]
    return all(needs_few_bits(np.asarray(each, float)) for each in flat)


def needs_few_bits(array):
    largest = np.abs(array).max(initial=1.0)
    finest = 2.0 ** (np.ceil(np.log2(largest)) - BITS)
    return np.array_equal(array, np.round(array / finest) * finest)


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE, dx=WHOLE, dy=WHOLE)
def test_forward_equals_reverse_exactly_on_whole_numbers(program, x, y, dx, dy):
    trace = traced(program, EXACT, x, y)
    if is_exact(trace, {"x": dx, "y": dy}):
        gradient = trace.gradient()
        along = (gradient["x"] * dx).sum() + (gradient["y"] * dy).sum()
        assert trace.jvp({"x": dx, "y": dy}) == along
        value, (by_x, by_y) = value_and_gradient(runner(program, EXACT))(x, y)
        assert value == trace.value
        assert np.array_equal(by_x, gradient["x"])
        assert np.array_equal(by_y, gradient["y"])


@pytest.mark.torch
@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE)
def test_torch_agrees_exactly_on_whole_numbers(program, x, y):
    trace = traced(program, EXACT, x, y)
    if is_exact(trace):
        for name, found in torch_gradient(trace).items():
            assert np.array_equal(trace.gradient()[name], found), (name, program)


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(EXACT))
def test_every_operation_agrees_with_torch_on_ties_and_zeros(name):
    x = np.array([[0.0, 1, 1, -2], [2, 0, 1, 1]])
    y = np.array([[0.0, 1, -1, 2], [2, 2, -3, 1]])
    trace = traced([(name, 0, 1)], EXACT, x, y)
    for each, found in torch_gradient(trace).items():
        assert np.array_equal(trace.gradient()[each], found)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_recorded_adjoints_are_the_same_numbers(name):
    """value_and_gradient inside a trace records the reverse sweep; its values are those of the plain sweep."""
    x, y = np.arange(8.0).reshape(2, 4) - 3, np.array([[2.0, -1, 3, 1], [1, 1, -2, 2]])
    run = runner([(name, 0, 1), ("mul", 2, 0)], EXACT)
    recorded = opcheck.trace(lambda x, y: value_and_gradient(run)(x, y), at={"x": x, "y": y})
    value, (by_x, by_y) = value_and_gradient(run)(x, y)
    for found, expected in zip(recorded.value, (value, by_x, by_y), strict=True):
        assert np.array_equal(found, expected)


@given(program=programs.programs(EXACT | SMOOTH, 3), x=WHOLE, y=WHOLE, dx=WHOLE, dy=WHOLE)
def test_smooth_programs_agree_with_numbers_of_the_scalar_core(program, x, y, dx, dy):
    """Both modes, against each other by the adjoint identity: they are sums of at most so many rounded products."""
    trace = traced(program, EXACT | SMOOTH, x, y)
    gradient = trace.gradient()
    ahead = trace.jvp({"x": dx, "y": dy})
    if np.isfinite(ahead) and all(np.isfinite(each).all() for each in gradient.values()):
        back = (gradient["x"] * dx).sum() + (gradient["y"] * dy).sum()
        # every path from an input to the output, taken with its absolute value, weighs the rounding of both modes
        with np.errstate(all="ignore"):
            weight = paths(trace, {"x": dx, "y": dy})
        assert abs(ahead - back) <= 4000 * 2.0**-53 * weight


def paths(trace, direction):
    """Forward mode on absolute values of every rule's Jacobian, entry by entry: what rounding can be amplified by."""
    total = np.zeros(len(trace.nodes), object)
    for name, each in direction.items():
        total[trace.inputs[name]] = np.abs(each)
    for id, node in enumerate(trace.nodes):
        if node.rule is None:
            continue
        args = [trace.read(arg) for arg in node.args]
        moved = 0.0
        for place, arg in enumerate(node.args):
            sizes = total[arg] if isinstance(total[arg], dict) else {"": total[arg]}
            for key, size in sizes.items():
                for at in zip(*np.nonzero(size), strict=True) if np.ndim(size) else ([()] if np.any(size) else []):
                    unit = np.zeros(np.shape(size))
                    unit[at] = size[at] if np.ndim(size) else size
                    tangents = [None] * len(args)
                    tangents[place] = {key: unit} if key else unit
                    out = node.rule.jvp(tangents, node.value, args, **node.params)
                    moved = added(moved, out)
        total[id] = moved
    return float(np.sum(total[trace.outputs[0]]))


def added(total, out):
    if out is None:
        return total
    if isinstance(out, dict):
        before = total if isinstance(total, dict) else {}
        return {name: before.get(name, 0.0) + np.abs(each) for name, each in out.items()}
    return total + np.abs(out)


def test_every_rule_is_in_a_random_program():
    used = set()
    x = np.arange(8.0).reshape(2, 4)
    for name in EXACT:
        used |= {node.rule.name for node in traced([(name, 0, 1)], EXACT, x, x + 1).nodes if node.rule}
    for name in SMOOTH:
        used |= {node.rule.name for node in traced([(name, 0, 1)], SMOOTH, x, x + 1).nodes if node.rule}
    sweep = value_and_gradient(
        lambda x: (
            (x[0] * x[1]).sum() + x.max() + x.min() + np.maximum(x, 1).sum() + erf(x).sum() + log_sum_exp(x, 1).sum()
        )
    )
    used |= {node.rule.name for node in opcheck.trace(lambda x: sweep(x), at={"x": x}).nodes if node.rule}
    assert set(RULES) - used <= {"shifted"}  # which is in tangents only


@pytest.mark.torch
def test_every_rule_has_a_counterpart_in_torch():
    import torch

    assert set(RULES) <= set(torch_functions(torch))


# --- second derivatives ---


def quartic(x, y):
    return (
        (x * x * y).sum() + ((x @ y.T) ** 2).sum() + np.exp(x[0] * 0).sum() + (x.reshape(4, 2).T.max(axis=0) * 3).sum()
    )


def test_a_hessian_vector_product_is_the_directional_derivative_of_the_gradient():
    """The gradient is a cubic polynomial there: Richardson's differences are exact on dyadic numbers."""
    x, y = np.arange(8.0).reshape(2, 4) + 1, np.array([[2.0, -1, 3, 1], [1, 1, -2, 2]])
    v = np.array([[1.0, 0, -1, 2], [0, 1, 1, 0]])
    trace = opcheck.trace(quartic, at={"x": x, "y": y})
    product = trace.hessian_vector_product({"x": v})

    def gradient(t):
        return opcheck.trace(quartic, at={"x": x + t * v, "y": y}).gradient()

    for name in ("x", "y"):
        one, two = ((gradient(t)[name] - gradient(-t)[name]) / (2 * t) for t in (0.125, 0.25))
        assert np.array_equal((4 * one - two) / 3, product[name])


@pytest.mark.parametrize("mode", ["forward", "reverse", None])
def test_jacobians(mode):
    trace = opcheck.trace(lambda x: x[0] * x, at={"x": np.array([2.0, 3.0, 5.0])})
    assert trace.jacobian("x", mode=mode).tolist() == [[4, 0, 0], [3, 2, 0], [5, 0, 2]]


def test_powers_at_their_edges_are_those_of_torch():
    x, y = np.array([0.0, 0.0, -2.0, 2.0]), np.array([0.0, 2.0, 3.0, 0.0])
    trace = opcheck.trace(lambda x, y: (x**y).sum(), at={"x": x, "y": y})
    gradient = trace.gradient()
    assert gradient["x"].tolist() == [0, 0, 12, 0]
    assert gradient["y"][[0, 1, 3]].tolist() == [0, 0, float(np.log(2.0))]
    assert np.isnan(gradient["y"][2])


# --- gradients, seeds, outputs ---


def test_accumulation_seeds_and_tracking():
    x = np.array([1.0, 2.0])
    trace = opcheck.trace(lambda x, y: (x * y).sum(), at={"x": x, "y": x + 1}, wrt=["x"])
    assert str(trace.gradients["x"]) == "not computed"
    assert str(trace.gradients["y"]) == "not tracked"
    assert trace.reverse() == {"x": pytest.approx([2, 3], abs=0)}
    trace.reverse(seed=10.0)
    assert trace.gradients["x"].value.tolist() == [22, 33]
    with pytest.raises(opcheck.Refused, match="y is not tracked"):
        trace.jvp({"y": x})
    with pytest.raises(opcheck.Refused, match=r"the tangent of x has its shape, \(2,\)"):
        trace.jvp({"x": np.ones(3)})
    with pytest.raises(opcheck.Refused, match="the seed has the shape of the output"):
        trace.reverse(seed=np.ones(3))


def test_a_gradient_is_that_of_one_number():
    trace = opcheck.trace(lambda x: x * 2, at={"x": np.ones(3)})
    with pytest.raises(opcheck.Refused, match=r"a gradient needs a single number.*shape \(3,\).*return a loss"):
        trace.reverse()
    assert trace.reverse(seed=np.array([1.0, 2.0, 3.0]))["x"].tolist() == [2, 4, 6]
    with pytest.raises(opcheck.Refused, match="a gradient needs a single number"):
        value_and_gradient(lambda x: x)(np.ones(3))


def test_the_mean_of_x_plus_t_plus_2():
    """worked-examples: its gradient by a 2x2 t is a quarter everywhere."""
    trace = opcheck.trace(lambda x, t: (x + t + 2).mean(), at={"x": np.ones((2, 2)), "t": np.eye(2)})
    assert trace.reverse()["t"].tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_several_outputs_of_an_operator():
    x = np.array([[[1.0, 5.0, 2.0, 8.0]]])

    def pooled(x):
        values, indices = F.max_pool1d(x, 2, return_indices=True)
        assert indices.dtype == np.int64
        return (values * 3).sum()

    trace = opcheck.trace(pooled, at={"x": x})
    assert trace.reverse()["x"].tolist() == [[[0, 3, 0, 3]]]
    assert trace.jvp({"x": np.ones_like(x)}) == 6


def test_outputs_that_a_program_drops_have_no_line():
    trace = opcheck.trace(lambda x: F.adam(x, x, np.zeros(2), np.zeros(2), step=1)[0], at={"x": np.ones(2)})
    assert list(trace.names.values()) == ["v0", "v1"]


def test_nested_results_are_flattened():
    trace = opcheck.trace(lambda x: (x.sum(), [x, {"twice": 2 * x}]), at={"x": np.ones(2)})
    assert [each.tolist() for each in trace.value] == [2, [1, 1], [2, 2]]


def test_a_deep_program_does_not_recurse():
    def deep(x):
        for _ in range(10_000):
            x = -x
        return x.sum()

    assert opcheck.trace(deep, at={"x": np.ones(2)}).reverse()["x"].tolist() == [1, 1]


# --- what is shown ---


def test_the_page_of_a_program():
    x = np.array([[1.0, -2.0], [3.0, 4.0]])
    trace = opcheck.trace(lambda x, w: (F.relu(F.linear(x, w)) ** 2).sum(), at={"x": x, "w": np.eye(2)}, wrt=["w"])
    text = printed(trace)
    for line in (
        "v₁ linear(v₋₁, v₀) 2×2 1, −2, 3, 4 5.4772",
        "v₄ sum(v₃) number 26",
        'v₁ v̄₀ linear.vjp(v̄₁, v₋₁, v₀)["weight"] 2×2',
        "x not tracked",
        "agree to 16 of 16 digits",
        "opcheck explain linear --grad",
    ):
        assert line in text


def printed(trace, **options):
    from opcheck.render import render

    return " ".join(render(trace.page(**options).step, "text", width=100).split())


def test_outputs_that_are_no_numbers_say_why_there_is_no_gradient():
    trace = opcheck.trace(lambda x: (x, x * 2), at={"x": np.ones(2)})
    assert "The outputs have the shapes 2, 2. (Modes and gradients are shown for one number.)" in printed(trace)


def test_json_holds_every_number():
    import json

    trace = opcheck.trace(lambda x: (x / 0).sum() + x.max(), at={"x": np.array([1.0, 2.0])})
    data = json.loads(trace.to_json())
    assert data["schema"] == "opcheck.trace/1"
    assert data["nodes"][1]["value"]["values"] == ["inf", "inf"]
    assert [node["name"] for node in data["nodes"]] == ["v0", "v1", "v2", "v3", "v4"]
