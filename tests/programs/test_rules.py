"""Every rule: its value is numpy's, both modes agree, its elements and their gradients are the arrays', and its bound
holds for every order of summation in float32 and in the three tiers of bfloat16, and is not silly."""

import numpy as np
import pytest

from opcheck.programs.arrays import ArrayTape, TracedArray, recording
from opcheck.programs.bound import running
from opcheck.programs.elements import Elements
from opcheck.programs.rules import RULES
from opcheck.programs.sweeps import forward, reverse
from opcheck.tracing import Graph, Tape, Tracer, values
from opcheck.tracing import reverse as scalar_reverse
from opcheck.verification.truth.formats import FORMATS
from tests.programs.functions import ALL, EXACT, SHAPES, layer_norm, softmax
from tests.programs.orders import ORDERS, computed_in

F32, F64 = FORMATS["float32"], FORMATS["float64"]
KINDS = ("normal", "whole", "huge", "tiny", "cancelling")


def draw(kind, rng, digits=24):
    """Arrays that float32 holds."""
    found = {}
    for name, shape in SHAPES.items():
        x = rng.normal(size=shape)
        if kind == "whole":
            x = rng.integers(-4, 5, size=shape).astype(float)
        elif kind == "huge":
            x = x * 10.0 ** rng.integers(5, 25)
        elif kind == "tiny":
            x = x * 10.0 ** rng.integers(-44, -18)
        elif kind == "cancelling":
            x = 1.0 + x * 1e-5 if rng.integers(2) else np.sign(x) * 1e3 + x * 1e-2
        found[name] = FORMATS["float32" if digits == 24 else "bfloat16"].round(x)
    return found


def recorded(function, arrays):
    tape = ArrayTape()
    inputs = {name: tape.input(name, array) for name, array in arrays.items()}
    with recording(tape):
        out = tape.lifted(function(**inputs))
    return tape, inputs, out


def close(found, expected, error):
    """Within the error, or not finite alike."""
    with np.errstate(all="ignore"):
        return (np.abs(found - expected) <= error) | (found == expected) | ~np.isfinite(expected) | (error == np.inf)


def own_error(tape, out):
    with np.errstate(all="ignore"):
        return np.broadcast_to(running(tape.nodes, F64)[out.id].error(F64), out.shape)


def test_every_rule_is_in_a_function():
    used = set()
    for function in ALL.values():
        tape, inputs, out = recorded(function, draw("normal", np.random.default_rng(1)))
        ids = [x.id for x in inputs.values()]
        g = tape.constant(np.ones(out.shape))
        with np.errstate(all="ignore"):
            reverse(tuple(tape.nodes), {out.id: g}, ids, lambda k, tape=tape: TracedArray(tape, k))
        used |= {node.rule.name for node in tape.nodes if node.rule}
    assert set(RULES) - used <= {
        "detach",
        "astype",
        "formed",
        "log_sum_exp",
        "shifted",
        "softmax_along",
        "streamed_mean",
        "with_slope",
    }  # those: operators, and tangents


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_value_is_that_of_numpy(name):
    rng = np.random.default_rng(2)
    for kind in KINDS:
        arrays = draw(kind, rng)
        tape, _, out = recorded(ALL[name], arrays)
        with np.errstate(all="ignore"):
            expected = np.asarray(ALL[name](**arrays))
        assert out.shape == expected.shape
        assert close(out.value, expected, 2 * own_error(tape, out)).all()
        if name in EXACT and kind == "whole":
            np.testing.assert_array_equal(out.value, expected)


@pytest.mark.parametrize("name", sorted(ALL))
def test_both_modes_agree_with_each_other_and_with_torch(name):
    torch = pytest.importorskip("torch")
    from opcheck.traces.tensor.checks import torch_functions

    rng = np.random.default_rng(3)
    arrays = draw("whole" if name in EXACT else "normal", rng)
    tape, inputs, out = recorded(ALL[name], arrays)
    nodes = tape.nodes
    ids = {key: x.id for key, x in inputs.items()}
    g = rng.integers(-3, 4, size=out.shape).astype(float)
    tangents = {key: rng.integers(-3, 4, size=array.shape).astype(float) for key, array in arrays.items()}
    adjoints = reverse(nodes, {out.id: g}, ids.values(), lambda k: nodes[k].value)
    moved = forward(nodes, {ids[key]: t for key, t in tangents.items()}, lambda k: nodes[k].value)[out.id]
    ahead = 0.0 if moved is None else float((g * moved).sum())
    back = sum(float((adjoints[id] * tangents[key]).sum()) for key, id in ids.items() if adjoints[id] is not None)
    size = sum(float(np.abs(adjoints[id] * tangents[key]).sum()) for key, id in ids.items() if adjoints[id] is not None)
    assert abs(ahead - back) <= (0.0 if name in EXACT else 1e-12 * (size + abs(ahead)))
    functions = torch_functions(torch)
    tensors = []
    leaves = {}
    for id, node in enumerate(nodes):
        if node.rule is None:
            tensor = torch.tensor(node.value)
            if id in ids.values():
                leaves[id] = tensor.requires_grad_()
            tensors.append(tensor)
        else:
            tensors.append(functions[node.rule.name](*(tensors[arg] for arg in node.args), **node.params))
    result = tensors[out.id]
    if not result.requires_grad:
        assert back == 0
        return
    found = torch.autograd.grad((result * torch.tensor(g)).sum(), list(leaves.values()), materialize_grads=True)
    for id, each in zip(leaves, found, strict=True):
        mine = np.zeros(each.shape) if adjoints[id] is None else adjoints[id]
        np.testing.assert_allclose(mine, each.numpy(), rtol=0 if name in EXACT else 1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_element_and_its_gradient_are_those_of_the_arrays(name):
    """Also for equal numbers, zeros and kinks."""
    rng = np.random.default_rng(4)
    for kind in ("normal", "whole"):
        arrays = draw(kind, rng)
        tape, inputs, out = recorded(ALL[name], arrays)
        scalar = Tape()
        leaves = {
            inputs[key].id: {at: scalar.input(key, array[at].item(), at) for at in np.ndindex(*array.shape)}
            for key, array in arrays.items()
        }
        elements = Elements(tape.nodes, {id: each.__getitem__ for id, each in leaves.items()}, {})
        places = list(np.ndindex(*out.shape))
        found = [elements.read(out.id, at) for at in places]
        found = [each if isinstance(each, Tracer) else scalar.constant(float(each)) for each in found]
        graph = Graph(scalar.nodes, [each.id for each in found])
        numbers = values(graph)
        error = own_error(tape, out)
        mine = np.array([numbers[each.id] for each in found]).reshape(out.shape)
        assert close(mine, out.value, 2 * error).all()
        if kind == "whole" and name in EXACT:
            np.testing.assert_array_equal(mine, out.value)
        at = places[int(rng.integers(len(places)))]
        g = np.zeros(out.shape)
        g[at] = 1.0
        ids = [x.id for x in inputs.values()]
        with np.errstate(all="ignore"):
            whole = reverse(tape.nodes, {out.id: g}, ids, lambda k, tape=tape: tape.nodes[k].value)
        single = scalar_reverse(graph, {found[places.index(at)].id: 1.0}, numbers)
        for id, each in leaves.items():
            for place, leaf in each.items():
                expected = 0.0 if whole[id] is None else whole[id][place]
                got = single[leaf.id] or 0.0
                assert got == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), (name, kind, place)


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_bound_holds_in_float32_in_every_order(name):
    rng = np.random.default_rng(5)
    for kind in KINDS:
        for _ in range(4):
            arrays = draw(kind, rng)
            tape, _, out = recorded(ALL[name], arrays)
            bound = running(tape.nodes, F32)[out.id]
            with np.errstate(all="ignore"):
                error = np.broadcast_to(bound.error(F32), out.shape)
                own = own_error(tape, out)
            assert not np.isnan(error).any()
            if kind == "whole" and name in EXACT:
                assert not error.any()
            if kind in ("normal", "whole"):
                assert np.isfinite(error[np.isfinite(out.value)]).all()
            for order in ORDERS:
                got = computed_in(tape.nodes, out.id, order, F32)
                assert close(got, out.value, error + own).all(), (name, kind, order)


@pytest.mark.parametrize("tier", FORMATS["bfloat16"].tiers(), ids=lambda tier: tier.tier)
@pytest.mark.parametrize("name", sorted(ALL))
def test_the_bound_holds_in_every_tier_of_bfloat16(name, tier):
    rng = np.random.default_rng(6)
    for kind in ("normal", "whole", "cancelling", "huge"):
        arrays = draw(kind, rng, digits=8)
        tape, _, out = recorded(ALL[name], arrays)
        with np.errstate(all="ignore"):
            error = np.broadcast_to(running(tape.nodes, tier)[out.id].error(tier), out.shape)
            stored = tier.stored(out.value, error)
        assert not np.isnan(error).any()
        for order in ("plain", "reversed"):
            got = computed_in(tape.nodes, out.id, order, tier)
            assert close(got, out.value, stored).all(), (name, kind, order)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(
    "name", ["softmax", "layer_norm", "sum_axis", "matmul", "max", "sort", "var", "cumsum", "sigmoid"]
)
def test_a_special_value_frees_nothing_else(name, special):
    """Elements that it does not reach are as sure as without it, and no bound is NaN."""
    rng = np.random.default_rng(7)
    arrays = draw("normal", rng)
    clean, _, out = recorded(ALL[name], arrays)
    arrays["x"] = arrays["x"].copy()
    arrays["x"][1, 2] = special
    tape, _, touched = recorded(ALL[name], arrays)
    with np.errstate(all="ignore"):
        before = np.broadcast_to(running(clean.nodes, F32)[out.id].error(F32), out.shape)
        after = np.broadcast_to(running(tape.nodes, F32)[touched.id].error(F32), out.shape)
    same = touched.value == out.value
    assert not np.isnan(after).any()
    assert same.any()
    assert (after[same] <= before[same]).all()


def bound_of(function, x):
    tape = ArrayTape()
    with recording(tape):
        out = function(tape.input("x", x))
        found = running(tape.nodes, F32)[out.id]
        return out.value, np.broadcast_to(found.error(F32), out.shape)


@pytest.mark.parametrize("n", [8, 33, 256, 4096])
def test_the_bound_is_about_the_classical_one(n):
    """numerics: gamma_(n-1) times the sum of absolute values; softmax and layer norm as a textbook bounds them."""
    rng = np.random.default_rng(n)
    x = F32.round(rng.normal(size=(5, n)))
    u, gamma = F32.u, F32.gamma
    _, error = bound_of(lambda x: x.sum(axis=1), x)
    hand = gamma(n - 1) * np.abs(x).sum(axis=1)
    assert (error <= hand).all()
    assert (error >= 0.5 * hand).all()  # the part of a sum that cancels is rounded half as often
    _, error = bound_of(lambda x: x @ np.ones((n, 2)) * 0.5, x)
    # each of two factors may be scaled before they meet
    assert (error <= 1.1 * (gamma(n + 3)) * np.abs(x).sum(axis=1)[:, None] * 0.5).all()
    p, error = bound_of(softmax, x)
    s = x - x.max(axis=1, keepdims=True)
    rho = u * (np.abs(s) + 5)
    hand = 1.01 * p * (rho + (p * rho).sum(axis=1, keepdims=True) + gamma(n - 1) + 2 * u)
    assert (error / hand).max() <= 1.3
    y, error = bound_of(layer_norm, x)
    d, sd = x - x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
    mu = gamma(n + 1) * np.abs(x).mean(axis=1, keepdims=True)
    hand = (mu + np.abs(d) * (3 * u + (gamma(n + 4) + mu**2 / sd**2) / 2 + 6 * u)) / sd + u * np.abs(y)
    assert np.median(error / hand) <= 2.5
    assert (error / hand).max() <= 6


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_bound_of_every_gradient_holds(name):
    """A gradient is a program as well: the sweep is recorded behind it."""
    rng = np.random.default_rng(9)
    for kind in ("normal", "whole", "cancelling", "tiny"):
        tape, inputs, out = recorded(ALL[name], draw(kind, rng))
        g = rng.integers(-3, 4, size=out.shape).astype(float)
        found = gradients_of(tape, inputs, out, tape.input("g", g))
        asked = [y.id for y in found.values() if y is not None]
        bounds, owns = (running(tape.nodes, f, only=asked) for f in (F32, F64))
        for y in asked:
            value = tape.nodes[y].value
            with np.errstate(all="ignore"):
                error, own = (
                    np.broadcast_to(each[y].error(f), value.shape) for each, f in ((bounds, F32), (owns, F64))
                )
            if kind == "normal":
                assert np.isfinite(error[np.isfinite(value)]).all()
            if kind == "whole" and name in EXACT:
                assert not error.any()
            for order in ("reversed", "torch"):
                assert close(computed_in(tape.nodes, y, order, F32), value, error + own).all(), (name, kind, order)


def gradients_of(tape, inputs, out, g):
    nodes = tuple(tape.nodes)
    with recording(tape):
        found = reverse(nodes, {out.id: g}, [x.id for x in inputs.values()], lambda k: TracedArray(tape, k))
    return {name: found[x.id] for name, x in inputs.items()}
