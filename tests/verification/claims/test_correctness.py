"""Claims about numbers: second derivatives of gradients that forget an input, and sums that overflow in float16."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.report import Report
from opcheck.verification.run import check_again
from tests.specs import programs

torch = pytest.importorskip("torch")


class Constant(torch.autograd.Function):
    """What the backward pass uses is a constant in it: its own derivative passes by the input."""

    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        ctx.y = y.detach()
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.y * (1 - ctx.y)


class Once(Constant):
    """It says so."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.y * (1 - ctx.y)


def test_a_gradient_that_is_no_function_of_the_input_is_found():
    report = verify("sigmoid", lambda input: Constant.apply(input), cases=45, seed=4)
    assert {each.claim for each in report.failures} == {"second"}


def test_a_gradient_that_is_marked_as_once_differentiable_has_no_second():
    report = verify("sigmoid", lambda input: Once.apply(input), cases=45, seed=4)
    assert report.agrees
    (why,) = report.rows["sigmoid", "float32", "second"].left_out
    assert why == "the gradient is marked as once differentiable"


def test_the_gradient_of_a_weight_may_overflow_before_its_two_parts_cancel():
    """One weight leaves a mean as it is: its gradient is s - w·s/w = 0, where s is 69160, too much for float16."""
    arrays = {"input": np.array(1.0), "target": np.arange(1.0, 21.0), "weight": np.array(0.25)}
    tangents = {name: np.ones(array.shape) for name, array in arrays.items()}
    trial = Trial(Case("mse_loss", arrays, {}), "float16", "exact", "contiguous", {"output": np.array(7.0)}, tangents)
    report = Report()
    check_again(catalog.get("mse_loss"), trial, load("torch"), report)
    assert report.agrees


def test_second_derivatives_of_flat_logistic_functions_may_overflow_on_the_way():
    x = torch.tensor([-110.0], requires_grad=True)

    def through_infinity(x):
        return torch.logaddexp(x, torch.zeros_like(x))

    (slope,) = torch.autograd.grad(through_infinity(x).sum(), x, create_graph=True)
    assert torch.autograd.grad(slope.sum(), x)[0].isnan().all()
    report = verify(programs.soft_relu, through_infinity, arrays="torch", cases=100, seed=0, claims=["second"])
    assert report.agrees, str(report)
    assert sum(row.free for row in report.rows.values())
    wrong = verify(
        programs.soft_relu, lambda x: through_infinity(x) + 0 * x.abs().sqrt() ** 3, arrays="torch", cases=100, seed=0
    )
    assert not wrong.agrees
