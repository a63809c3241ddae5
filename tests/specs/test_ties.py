"""At a tie any subgradient is right of somebody's own program: libraries differ there, and none of them is wrong."""

import pytest

from opcheck import verify
from tests.specs import programs

torch = pytest.importorskip("torch")
CASES = 20


def halved(x):
    return torch.maximum(x, torch.zeros_like(x))


def upper(x):
    """abs with the derivative 1 at 0."""
    return torch.where(x >= 0, x, -x)


RIGHT = [
    (programs.rectified, torch.relu),
    (programs.rectified, halved),
    (programs.larger, torch.maximum),
    (programs.squashed, torch.nn.functional.hardtanh),
    (programs.peak, lambda x: x.amax(1)),
    (programs.distance, upper),
]


@pytest.mark.parametrize(("spec", "kernel"), RIGHT)
def test_every_subgradient_is_right_at_a_tie(spec, kernel):
    report = verify(spec, kernel, arrays="torch", cases=CASES, claims=["vjp", "jvp", "adjoint", "exact"])
    assert report.agrees, str(report)


class Overshot(torch.autograd.Function):
    """relu whose derivative at 0 is 3: no subgradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x > 0) + 3 * g * (x == 0)


class Leaking(torch.autograd.Function):
    """relu that passes what lies below 0."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g


@pytest.mark.parametrize("kernel", [Overshot.apply, Leaking.apply])
def test_what_is_no_subgradient_is_refused(kernel):
    report = verify(programs.rectified, kernel, arrays="torch", cases=CASES, claims=["vjp"])
    assert {each.claim for each in report.failures} == {"vjp:x"}


def test_an_operator_of_the_catalogue_has_its_own():
    report = verify("relu", lambda input: halved(input), arrays="torch", cases=CASES, claims=["vjp"])
    assert {each.claim for each in report.failures} == {"vjp:input"}


def test_a_step_is_decided_at_its_tie():
    """Only derivatives are undecided there: 0 is above 0 or it is not."""
    report = verify(programs.step, lambda x: (x >= 0).to(x.dtype), arrays="torch", cases=CASES, claims=["exact"])
    assert report.failures
