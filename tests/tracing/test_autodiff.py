"""Both modes over random graphs: they agree, exactly on exact numbers, and sweep without recursion."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.tracing import EXACT, FLOATS, Tape, contributions, exact, forward, maximum, reverse, sin, values

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["sum", "mul", "sub", "div", "neg", "max", "min", "abs"]),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    min_size=1,
    max_size=15,
)


def graph_of(operations):
    tape = Tape()
    made = [tape.input(f"x{k}", x) for k, x in enumerate((1.5, -2.0, 3.25))]
    for op, a, b in operations:
        args = [made[a % len(made)], made[b % len(made)]]
        if op == "div":
            args[1] = args[1] * args[1] + 1
        made.append(tape.record(op, args[:1] if op in ("neg", "abs") else args))
    return tape.graph(made[-1])


@given(operations=OPERATIONS, seed=st.integers(-5, 5))
def test_forward_equals_reverse_exactly_on_fractions(operations, seed):
    graph = graph_of(operations)
    numbers = exact(graph)
    out = graph.outputs[0]
    adjoints = reverse(graph, {out: Fraction(seed)}, numbers, EXACT)
    for k in range(3):
        tangent = forward(graph, {k: Fraction(1)}, numbers, EXACT)[out]
        assert (tangent or 0) * seed == (adjoints[k] or 0)


@given(operations=OPERATIONS)
def test_contributions_add_up_to_the_adjoints(operations):
    graph = graph_of(operations)
    numbers = exact(graph)
    out = graph.outputs[0]
    adjoints = reverse(graph, {out: Fraction(1)}, numbers, EXACT)
    arrived = {out: Fraction(1)}
    for id in range(len(graph.nodes) - 1, -1, -1):
        if adjoints[id] is not None:
            for arg, share in contributions(graph, id, adjoints[id], numbers, EXACT):
                arrived[arg] = arrived.get(arg, 0) + share
    assert arrived == {k: x for k, x in enumerate(adjoints) if x is not None}


def test_a_value_that_is_used_k_times_sums_k_contributions():
    tape = Tape()
    x = tape.input("x", 3.0)
    out = x * x * x + x + x
    assert reverse(tape.graph(out), {out.id: 1.0}, values(tape.graph(out)))[x.id] == 27 + 2
    same = tape.record("sum", [x] * 7)
    assert reverse(tape.graph(same), {same.id: 2.0}, values(tape.graph(same)))[x.id] == 14.0


def test_deep_chains_do_not_recurse():
    tape = Tape()
    x = tape.input("x", 0.5)
    out = x
    for _ in range(10_000):
        out = sin(out)
    graph = tape.graph(out)
    numbers = values(graph)
    tangent = forward(graph, {0: 1.0}, numbers)[out.id]
    adjoint = reverse(graph, {out.id: 1.0}, numbers)[0]
    # the same factors, multiplied from the other end: 10 000 roundings each way
    assert abs(tangent - adjoint) <= 2 * 10_000 * 2**-53 * abs(tangent)
    assert tangent != 0


def test_none_means_that_nothing_depends_on_it():
    tape = Tape()
    x, y = tape.input("x", 3.0), tape.input("y", 4.0)
    out = x * 2
    graph = tape.graph(out)
    assert reverse(graph, {out.id: 1.0}, values(graph))[y.id] is None
    assert forward(graph, {y.id: 1.0}, values(graph))[out.id] is None


def test_a_structural_zero_passes_nothing_on_not_even_a_nan():
    tape = Tape()
    x, y = tape.input("x", 3.0), tape.input("y", 4.0)
    out = maximum(x, y)
    graph = tape.graph(out)
    assert reverse(graph, {out.id: math.nan}, values(graph))[x.id] is None
    assert forward(graph, {x.id: math.nan}, values(graph))[out.id] is None


def test_several_seeds_are_the_sum_of_their_sweeps():
    tape = Tape()
    x = tape.input("x", 3.0)
    a, b = x * x, 5 * x
    graph = tape.graph(a, b)
    assert reverse(graph, {a.id: 2.0, b.id: -1.0}, values(graph), FLOATS)[x.id] == 2 * 6 - 5


@pytest.mark.parametrize("sweep", [forward, reverse])
def test_a_sweep_that_fails_leaves_nothing_behind(sweep):
    tape = Tape()
    x = tape.input("x", 3.0)
    out = x * x
    graph, before = tape.graph(out), list(tape.nodes)
    with pytest.raises(TypeError):
        sweep(graph, {0 if sweep is forward else out.id: object()}, values(graph))
    assert tape.nodes == before
    assert sweep(graph, {0 if sweep is forward else out.id: 1.0}, values(graph))[1 if sweep is forward else 0] == 6.0
