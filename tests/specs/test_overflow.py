"""Specs as a textbook writes them, whose exponentials overflow: what they mean is what their exact reading says."""

import math

import numpy as np
import pytest

import opcheck
from opcheck import backends, specs
from opcheck.app.findings import overflows
from opcheck.operators.spec import Case
from opcheck.verification import check as check_module
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.correctness import numbers, vjp
from opcheck.verification.truth.adjudication import Vanished
from opcheck.verification.truth.definition import Definition


def silu(x):
    return x / (1 + np.exp(-x))


def sigmoid(x):
    return np.exp(x) / (1 + np.exp(x))


def reciprocal(x):
    return (np.exp(-x) + 1) ** -1


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def tanh(x):
    return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))


def cross_entropy(x):
    return -np.log(1 - 1 / (1 + np.exp(-x)))


def log_sum_exp(x):
    return np.log(np.exp(x).sum(axis=1))


def log_mean_exp(x):
    return np.log(np.exp(x).mean(axis=1))


def elu(x):
    return np.where(x > 0, x, np.exp(x) - 1)


for each in (silu, sigmoid, reciprocal, softmax, log_sum_exp, log_mean_exp, tanh, cross_entropy, elu):
    each.__annotations__ = {"x": "N C"}


def stable(torch):
    return {
        silu: torch.nn.functional.silu,
        sigmoid: torch.sigmoid,
        reciprocal: torch.sigmoid,
        softmax: lambda x: torch.softmax(x, 1),
        log_sum_exp: lambda x: torch.logsumexp(x, 1),
        log_mean_exp: lambda x: torch.logsumexp(x, 1) - math.log(x.shape[1]),
        tanh: torch.tanh,
        cross_entropy: torch.nn.functional.softplus,
        elu: torch.nn.functional.elu,
    }


UNSHIFTED = {
    softmax: lambda torch: lambda x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True),
    log_sum_exp: lambda torch: lambda x: torch.exp(x).sum(1).log(),
}
ROWS = {
    "real": [[-2000.0, -95.0, -3.0, 0.5, 2.0, 96.0, 1500.0, 1500.0]],
    "special": [[-np.inf, 1.0], [np.inf, 2.0], [3.0, 4.0]],
}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def found(torch, spec, candidate, policy, claim=numbers):
    """What a claim finds on numbers that overflow."""
    op = specs.get(spec)
    case = Case(op.name, {"x": np.array(ROWS[policy])}, {})
    shape = op.checked(case)[1]["output"]
    trial = Trial(case, "float32", policy, cotangent={"output": np.ones(shape)})
    check = Check(op, trial, backends.function_backend(candidate, "torch", "cpu"))
    return list(claim(check))


@pytest.mark.parametrize("policy", ROWS)
@pytest.mark.parametrize(
    "spec", [silu, sigmoid, reciprocal, softmax, log_sum_exp, log_mean_exp, tanh, cross_entropy, elu]
)
def test_who_computes_without_overflow_is_right(torch, spec, policy):
    assert not [each.verdict for each in found(torch, spec, stable(torch)[spec], policy) if each.verdict]


@pytest.mark.parametrize("spec", [silu, sigmoid, reciprocal, softmax, log_sum_exp, log_mean_exp])
def test_gradients_where_the_exponential_overflows(torch, spec):
    assert not [each.verdict for each in found(torch, spec, stable(torch)[spec], "real", vjp) if each.verdict]


@pytest.mark.parametrize("spec", [silu, reciprocal])
def test_a_quotient_that_is_a_sigmoid_is_judged_everywhere(torch, spec):
    (each,) = found(torch, spec, lambda x: stable(torch)[spec](x.clamp(-80, 90)), "real")
    assert (each.verdict.at, each.lost) == ((0, 0), 0)


def test_what_does_not_overflow_is_judged(torch, monkeypatch):
    monkeypatch.setitem(ROWS, "real", [[1500.0, 1.0], [-3.0, 0.5]])
    (each,) = found(torch, tanh, lambda x: torch.tanh(x) * 1.001, "real")
    assert each.verdict.at != (0, 0)


@pytest.mark.parametrize("spec", [softmax, log_sum_exp])
def test_an_unshifted_exponential_is_refused_though_it_is_written_like_the_spec(torch, spec):
    (each,) = found(torch, spec, UNSHIFTED[spec](torch), "real")
    assert not np.isfinite(each.verdict.got) and np.isfinite(each.verdict.expected)


def test_a_row_that_sees_nothing_is_as_the_kernel_has_it(torch, monkeypatch):
    monkeypatch.setitem(ROWS, "special", [[-np.inf, -np.inf], [-np.inf, 2.0]])
    for kernel in (lambda x: torch.softmax(x, 1), lambda x: torch.softmax(x, 1).nan_to_num(0.0)):
        (each,) = found(torch, softmax, kernel, "special")
        assert each.verdict is None


def to_the_first_power(p):
    return ((1 - p) ** 1.0).sum(axis=1)


def test_the_second_derivative_of_a_first_power_is_0_where_its_base_is():
    to_the_first_power.__annotations__ = {"p": "N C"}
    op = specs.get(to_the_first_power)
    definition = Definition(op, Case(op.name, {"p": np.ones((1, 1))}, {}))
    (found,) = definition.second({"output": np.ones(1)}, {"p": np.ones((1, 1))})["p"]
    assert definition.exactly(found) == 0


def attention(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    w = np.exp(s) / np.exp(s).sum(axis=1)[:, None]
    return w @ v


attention.__annotations__ = {"q": "L E", "k": "S E", "v": "S D"}


def test_factors_may_be_scaled_before_they_are_multiplied(torch):
    """As torch does with the root of the scale: products that were whole numbers are none any more."""
    op, draw = specs.get(attention), np.random.default_rng(0)
    arrays = {
        "q": draw.integers(-90, 90, (1, 64)),
        "k": draw.integers(-90, 90, (3, 64)),
        "v": draw.integers(1, 4, (3, 1)),
    }
    case = Case(op.name, {name: array.astype(float) for name, array in arrays.items()}, {})
    root = 8**-0.5

    def scaled_first(q, k, v):
        return torch.softmax((q * root) @ (k * root).T, 1) @ v

    trial = Trial(case, "float32", "exact", cotangent={"output": np.ones((1, 1))})
    check = Check(op, trial, backends.function_backend(scaled_first, "torch", "cpu"))
    assert not [each.verdict for each in vjp(check) if each.verdict]


def test_what_no_exact_reading_can_tell_is_left_out(torch, monkeypatch):
    """Of a spec that is finite there, nothing overflowed: the search for another element never ended."""

    def vanished(*_):
        raise Vanished

    monkeypatch.setattr(check_module, "exact", vanished)
    monkeypatch.setitem(ROWS, "real", [[1.0, 2.0]])
    (each,) = found(torch, tanh, lambda x: torch.tanh(x) * 1.001, "real")
    assert each.verdict is None and "more digits cancel" in each.left_out


def test_an_infinity_that_the_formula_does_not_tend_to_is_wrong(torch):
    (each,) = found(torch, sigmoid, lambda x: torch.sigmoid(x).where(x < 1e30, x.new_tensor(0.5)), "special")
    assert each.verdict.got == 0.5


def test_the_report_says_how_much_was_not_judged(torch):
    report = opcheck.verify(tanh, torch.tanh, arrays="torch", cases=20, seed=1, claims=["rounding"])
    assert report.agrees
    (line,) = overflows(report)
    assert "tanh overflows in float64 for some inputs" in line and "% of the numbers were not judged" in line


def test_a_worked_calculation_is_as_it_was_written():
    shown = str(opcheck.explain(silu, np.array([[2.0]])))
    assert "exp(−2)" in shown and "sigmoid" not in shown
