"""torch agrees with the definitions on every operator, wrong torch functions do not, and crashes are survived."""

import pytest

from opcheck import verify
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification import directed
from opcheck.verification.check import Check
from opcheck.verification.mutation.mutants import Reference, backend, in_torch, torch_mutants
from opcheck.verification.mutation.score import kills
from opcheck.verification.report import sentence

torch = pytest.importorskip("torch")
OPERATORS = [op.name for op in catalog.every()]


@pytest.mark.share(12)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", OPERATORS)
def test_torch_agrees(name, dtype):
    report = verify(name, dtype=dtype, cases=24, seed=None)
    assert report.agrees, f"seed {report.seed}: {report.failures[0].claim} {sentence(report.failures[0])}"
    assert report.checked


@pytest.mark.parametrize("name", ["linear", "relu", "softmax", "mse_loss", "max_pool2d"])
def test_mutants_in_torch_form_are_refused_and_the_original_is_not(name):
    op = catalog.get(name)
    assert verify(name, in_torch(op, backend(Reference(op))), cases=24).agrees
    lived = [each.name for each in kills(op, torch_mutants(op), cases=600) if not each.cases]
    assert lived == []


def test_gradients_of_a_torch_function_are_checked():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return input.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return torch.where(x > 0, 2.001 * g, torch.zeros_like(g))

    found = verify("relu", Double, cases=20).counterexample
    assert found is not None and found.claim == "vjp:input"
    assert found.resembles == ("2.001 times the right answer",)


def test_lower_precision_is_named():
    def coarse(x, weight, bias=None):
        return torch.nn.functional.linear(x.bfloat16().float(), weight.bfloat16().float(), bias)

    report = verify("linear", coarse, cases=60, arrays="torch", claims=["rounding"], allow=("bfloat16-inputs",))
    assert not report.row("linear", "float32", "rounding").failed
    assert "bfloat16 inputs" in report.precision_counts()["linear", "float32"]
    strict = verify("linear", coarse, cases=60, arrays="torch", claims=["rounding"], strict_precision=True)
    found = [each for each in strict.failures if each.claim == "rounding"]
    assert found and "bfloat16 inputs" in found[0].resembles


def test_known_deviations_fail_when_asked_to():
    options = {"cases": 400, "claims": ["layout"]}
    verdict = verify("nll_loss", known=False, **options).counterexample
    assert verdict is not None and "grad_input must be contiguous" in verdict.message
    report = verify("nll_loss", **options)
    assert report.agrees and report.known_counts()["torch-nll-loss-2d-backward-of-strided-input"] > 0


def test_gradients_of_attention_from_the_stored_output_are_right():
    """As flash attention computes them: torch's of this case were accused of 2.2 bounds in bfloat16."""
    op = catalog.get("scaled_dot_product_attention")
    check = Check(op, directed.trial(op, "bfloat16", 21, 21), load("torch"))
    assert check.compare("vjp", "gradient", check.got_gradients).verdict is None
