"""Specs as a textbook writes them, whose exponentials overflow: what they mean is what their exact reading says."""

import numpy as np
import pytest

import opcheck
from opcheck import backends, specs
from opcheck.app.findings import overflows
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.correctness import numbers, vjp


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


def elu(x):
    return np.where(x > 0, x, np.exp(x) - 1)


for each in (silu, sigmoid, reciprocal, softmax, tanh, cross_entropy, elu):
    each.__annotations__ = {"x": "N C"}


def stable(torch):
    return {
        silu: torch.nn.functional.silu,
        sigmoid: torch.sigmoid,
        reciprocal: torch.sigmoid,
        softmax: lambda x: torch.softmax(x, 1),
        tanh: torch.tanh,
        cross_entropy: torch.nn.functional.softplus,
        elu: torch.nn.functional.elu,
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
@pytest.mark.parametrize("spec", [silu, sigmoid, reciprocal, softmax, tanh, cross_entropy, elu])
def test_who_computes_without_overflow_is_right(torch, spec, policy):
    assert not [each.verdict for each in found(torch, spec, stable(torch)[spec], policy) if each.verdict]


@pytest.mark.parametrize("spec", [silu, sigmoid, reciprocal])
def test_gradients_where_the_exponential_overflows(torch, spec):
    assert not [each.verdict for each in found(torch, spec, stable(torch)[spec], "real", vjp) if each.verdict]


@pytest.mark.parametrize("spec", [silu, reciprocal])
def test_a_quotient_that_is_a_sigmoid_is_judged_everywhere(torch, spec):
    (each,) = found(torch, spec, lambda x: stable(torch)[spec](x.clamp(-80, 90)), "real")
    assert (each.verdict.at, each.lost) == ((0, 0), 0)


@pytest.mark.parametrize("spec", [softmax, tanh])
def test_what_does_not_overflow_is_judged(torch, spec, monkeypatch):
    monkeypatch.setitem(ROWS, "real", [[1500.0, 1.0], [-3.0, 0.5]])
    (each,) = found(torch, spec, lambda x: stable(torch)[spec](x) * 1.001, "real")
    assert each.verdict.at != (0, 0)


def test_an_infinity_that_the_formula_does_not_tend_to_is_wrong(torch):
    (each,) = found(torch, sigmoid, lambda x: torch.sigmoid(x).where(x < 1e30, x.new_tensor(0.5)), "special")
    assert each.verdict.got == 0.5


def test_the_report_says_how_much_was_not_judged(torch):
    report = opcheck.verify(
        softmax, lambda x: torch.softmax(x, 1), arrays="torch", cases=20, seed=1, claims=["rounding"]
    )
    assert report.agrees
    (line,) = overflows(report)
    assert "softmax overflows in float64 for some inputs" in line and "% of the numbers were not judged" in line


def test_a_worked_calculation_is_as_it_was_written():
    shown = str(opcheck.explain(silu, np.array([[2.0]])))
    assert "exp(−2)" in shown and "sigmoid" not in shown
