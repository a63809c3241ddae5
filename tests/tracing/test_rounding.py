"""The bound that is read off a graph holds against every rounding that it allows, and is not vacuous."""

import random
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.tracing import (
    EXACT,
    PRIMITIVES,
    UNIT_ROUNDOFF,
    Tape,
    bound,
    exact,
    exp,
    log,
    reading_error,
    sqrt,
    tanh,
    total,
    values,
)

GRAPHS = {
    "dot": lambda x: total([x[k] * x[k + 1] for k in range(len(x) - 1)]),
    "mean": lambda x: total(x) / len(x),
    "softmax": lambda x: exp(x[0]) / total([exp(each) for each in x]),
    "log_sum_exp": lambda x: log(total([exp(each) for each in x])),
    "norm": lambda x: sqrt(total([each * each for each in x])),
    "polynomial": lambda x: ((x[0] * 3 - 2) * x[1] + 5) * x[2],
    "tanh_chain": lambda x: tanh(tanh(x[0] + x[1]) * x[2]),
}


def recorded(name, numbers):
    tape = Tape()
    out = GRAPHS[name]([tape.input(f"x{k}", x) for k, x in enumerate(numbers)])
    return tape.graph(out)


def perturbed(graph, dtype, rng):
    """The graph with each operation's result moved by as much as its row allows, up or down."""
    u = UNIT_ROUNDOFF[dtype]
    results = []
    with mpmath.workdps(50):
        for node in graph.nodes:
            if node.is_leaf:
                results.append(mpmath.mpf(float(node.value)))
                continue
            args = [results[i] for i in node.args]
            out = mpmath.mpf(EXACT.functions[node.op](*args))
            allowed = PRIMITIVES[node.op].error(float(out), *map(float, args)) * u
            results.append(out + rng.choice([-1, 1]) * mpmath.mpf(allowed) * mpmath.mpf("0.999"))
    return results


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(
    numbers=st.lists(st.integers(1, 400).map(lambda k: k / 64 - 3), min_size=4, max_size=6), seed=st.integers(0, 9999)
)
def test_the_bound_holds_against_every_allowed_rounding(name, dtype, numbers, seed):
    graph = recorded(name, numbers)
    out = graph.outputs[0]
    moved, true = perturbed(graph, dtype, random.Random(seed))[out], exact(graph)[out]
    with mpmath.workdps(50):
        true = mpmath.mpf(true.numerator) / true.denominator if isinstance(true, Fraction) else true
        # first order: the second-order term of a handful of operations is far below one part in a thousand
        assert abs(moved - true) <= mpmath.mpf(bound(graph, out, dtype)) * mpmath.mpf("1.001")


@pytest.mark.parametrize("name", GRAPHS)
def test_the_bound_is_reached_within_an_order_of_magnitude(name):
    rng = random.Random(3)
    graph = recorded(name, [0.75, 1.5, -0.5, 2.25])
    out = graph.outputs[0]
    worst = max(abs(perturbed(graph, "float64", rng)[out] - exact(graph)[out]) for _ in range(400))
    assert worst >= bound(graph, out, "float64") / 10


def test_no_operation_no_error():
    tape = Tape()
    x = tape.input("x", 3.0)
    assert bound(tape.graph(x), x.id, "float32") == 0.0
    assert bound(tape.graph(-x), 1, "float32") == 0.0


def test_reading_error_weighs_what_each_leaf_may_be_off():
    tape = Tape()
    x, y = tape.input("x", 100.0), tape.input("w", 0.0527)
    out = x * y
    graph = tape.graph(out)
    assert reading_error(graph, out.id, lambda node: 0.5e-4 if node.label == "w" else 0.0) == 100 * 0.5e-4
    assert values(graph)[out.id] == 100 * 0.0527
