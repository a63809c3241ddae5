"""Bounds from the graph where infinities, overflows and near-zero divisors are on the way."""

import math

import numpy as np
import pytest

from opcheck import specs
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.operators.spec import Case, widened
from opcheck.tracing import Tape, total
from opcheck.verification import streams
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from opcheck.verification.mutation.mutants import Reference, backend
from opcheck.verification.truth import graphs
from opcheck.verification.truth.bounds import Bounds
from opcheck.verification.truth.formats import FORMATS, format_of
from opcheck.verification.truth.graphs import graph_bound

F32 = FORMATS["float32"]


def bound_of(make, *numbers):
    tape = Tape()
    node = make(*(tape.input("x", x, (k,)) for k, x in enumerate(numbers)))
    return graph_bound(tape.graph(node), node, F32)


def test_a_number_that_is_rounded_beside_an_infinity_has_its_bound():
    finite = bound_of(lambda x, y, z: x * x + y / z, 1.1, 2.0, math.inf)
    assert 1.1**2 * F32.u <= finite < 1e-5


def test_an_infinite_result_is_exact():
    assert bound_of(lambda x, y: x + y, 1.1, math.inf) == 0


def test_a_finite_number_beyond_the_format_frees_the_result():
    assert bound_of(lambda x, y: y / (x * x), 1e30, 1.0) == math.inf


def test_the_bound_grows_as_the_divisor_nears_zero():
    """1/(x - y) with a relative error δ of the difference may be 1/(1 - δ) times as large."""
    far, near = (bound_of(lambda x, y, z: 1 / total([x, y, z]), 1.0, gap, -1.0) * gap for gap in (0.5, 2.0**-20))
    assert near > far
    for gap in (2.0**-21, 2.0**-20, 2.0**-10):
        x, y = np.float32(1), np.float32(gap)
        worst = max(abs(1 / gap - 1 / float(gap + k * 2.0**-24)) for k in (-2, 2))
        assert bound_of(lambda x, y, z: 1 / total([x, y, z]), float(x), float(y), -1.0) >= worst
    assert bound_of(lambda x, y, z: 1 / total([x, y, z]), 1.0, 2.0**-23, -1.0) == math.inf


@pytest.mark.parametrize(
    ("dtype", "square", "mean"), [("float64", math.inf, 1.7e308), ("float32", math.inf, 3.4028234663852886e38)]
)
def test_an_overflow_that_meets_an_infinity_leaves_the_answer_open(dtype, square, mean):
    """square_avg is infinite and grad_avg² overflows: whether their difference is NaN depends on the way."""
    op = catalog.get("rmsprop")
    arrays = {"param": 2.0, "gradient": -3.0, "square_avg": square, "grad_avg": mean}
    case = Case("rmsprop", {n: np.array([x]) for n, x in arrays.items()}, {"centered": True, "eps": 1.0})

    class Unaffected(Reference):
        def forward(self, p, arrays):
            return {**super().forward(p, arrays), "param": arrays["param"]}

    check = Check(op, Trial(case, dtype, "special"), backend(Unaffected(op)))
    assert [finding.verdict for finding in correctness.numbers(check)] == [None]


def test_a_square_that_underflows_is_weighted_afterwards():
    """In float16 the square of 6.6e-4 has three digits, and the weight multiplies what the others were."""

    def mse_loss(input, target, weight, reduction):
        difference = input - target
        return weight * (difference * difference)

    arrays = {"input": np.array([2.0**-24]), "target": np.array([11024 * 2.0**-24]), "weight": np.array([3.62305])}
    case = Case("mse_loss", arrays, {"reduction": "none"})
    check = Check(catalog.get("mse_loss"), Trial(case, "float16", "special"), backend(mse_loss))
    (found,) = correctness.numbers(check)
    assert found.verdict is None and 0 < found.ratio < 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("op", [op for op in catalog.every() if op.rounding is None], ids=lambda op: op.name)
def test_elements_that_are_made_alike_have_the_bounds_that_each_has_alone(op, dtype, monkeypatch):
    for index in range(6):
        made = streams.trial(op, dtype, 3, index)
        p, shapes = op.checked(made.case)
        arrays, found = widened(made.case.arrays), []
        for few in (1, math.inf):
            monkeypatch.setattr(graphs, "FEW", few)
            bounds, f = Bounds(op, p, shapes, arrays, made.case), format_of(dtype)
            kinds = bounds.outputs(f), bounds.gradients(f, made.cotangent), bounds.tangents(f, made.tangents)
            found.append({(k, name): each.error for k, kind in enumerate(kinds) for name, each in kind.items()})
        for key, together in found[0].items():
            np.testing.assert_allclose(together, found[1][key], rtol=1e-12, err_msg=str(key))


def judged(function, x, policy):
    """What is found of a function whose rows are divided by their norm after their mean was subtracted."""
    op = specs.get(centred)
    check = Check(op, Trial(Case(op.name, {"x": np.array(x)}, {}), policy=policy), load(function, "numpy"))
    with np.errstate(all="ignore"):
        return check.compare("rounding", "output", check.got)


def centred(x: "N D"):
    d = x - x.mean(axis=1, keepdims=True)
    return d / np.sqrt((d * d).sum(axis=1, keepdims=True))


def kept_at_zero(x):
    d = x - x.mean(axis=1, keepdims=True)
    return (d / np.sqrt(np.maximum((d * d).sum(axis=1, keepdims=True), 1e-30))).astype(x.dtype)


def test_where_rounding_decides_whether_there_is_a_number_any_answer_will_do():
    """The mean of three equal numbers may not be quite one of them: a right layer norm with eps=0 was accused."""
    equal = judged(kept_at_zero, [[float(np.float32(964.1643))] * 3, [1.0, 2.0, 4.0]], "real")
    assert equal.verdict is None and equal.free == 3
    assert judged(kept_at_zero, [[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]], "exact").verdict is not None
    assert judged(kept_at_zero, [[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]], "real").verdict is not None


def test_the_gradient_of_tanh_by_expm1_is_within_its_bound():
    """z/(z + 2): its derivative is a difference whose terms cancel, and loses no more digits than 1 − y²."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng().normal(size=50_000).astype(np.float32)
    g = np.ones(x.shape)
    given = torch.tensor(x, requires_grad=True)
    z = torch.expm1(2 * given)
    (got,) = torch.autograd.grad((z / (z + 2)).sum(), given)
    tanh, exactly = catalog.get("tanh"), x.astype(np.float64)
    bound = tanh.rounding.vjp(tanh, tanh.parameters({}), F32, g, input=exactly)["input"].error
    assert np.all(np.abs(got.numpy() - tanh.vjp(tanh.parameters({}), g, input=exactly)["input"]) <= bound)


def test_the_second_derivative_of_tanh_by_expm1_is_within_its_bound():
    torch = pytest.importorskip("torch")

    def tanh(x):
        z = torch.expm1(2 * x)
        return z / (z + 2)

    trial = Trial(Case("tanh", {"input": np.array([2.0**-11])}, {}), "float32", cotangent={"output": np.ones(1)},
                  tangents={"input": np.ones(1)})  # fmt: skip
    check = Check(catalog.get("tanh"), trial, load(tanh, arrays="torch"))
    assert [finding.verdict for finding in correctness.second(check)] == [None]


def test_a_maximum_moves_as_torch_has_it_which_is_rounded():
    """b' + (a > b)·(a' − b') is a', but for a rounding: 1 + .096 − .096 is no 1."""
    adam, one = catalog.get("adam"), np.ones(1)
    case = Case("adam", {"param": one, "gradient": 4 * one, "max_exp_avg_sq": 2 * one}, {"amsgrad": True})
    tangents = {"param": one, "gradient": -12 * one, "max_exp_avg_sq": one}
    p, shapes = adam.checked(case)
    error = Bounds(adam, p, shapes, case.arrays, case).tangents(F32, tangents)["max_exp_avg_sq"].error
    assert F32.u <= error[0] <= 4 * F32.u
