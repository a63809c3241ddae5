"""torch in its other forms: compiled, as modules with torch's parameter names, as autograd.Function classes."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional

from opcheck import backends, verify
from opcheck.errors import CouldNotRun
from opcheck.operators import catalog
from opcheck.verification import claims
from opcheck.verification.report import sentence
from opcheck.verification.run import Shard, run_shard


def agrees(report):
    assert report.agrees, sentence(report.failures[0])
    assert report.checked
    return report


def by_chance(op, backend, cases, claims=None):
    """Random cases alone, of which nothing is made smaller: directed ones have many shapes, and each is compiled."""
    return run_shard(catalog.get(op), Shard(op, "float32", 3, 0, cases), backend, wanted=claims)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_operators_agree_and_what_they_refuse_is_not_logged(caplog):
    asked = [each.name for each in claims.EVERY if each.name != "layout"]  # below: each one is compiled anew
    report = agrees(by_chance("linear", backends.load("torch:compile"), 9, asked))
    assert report.rows["linear", "float32", "vjp:weight"].cases
    assert report.rows["linear", "float32", "jvp"].left_out["torch.compile drops tangents"] >= 2
    assert not [each for each in caplog.records if each.name == "torch._subclasses.fake_tensor"]


def test_without_a_compiler_there_is_one_message(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CouldNotRun, match=r"torch\.compile needs a C\+\+ compiler: install g\+\+"):
        backends.load("torch:compile")


# --- modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("linear", torch.nn.Linear), ("conv1d", torch.nn.Conv1d), ("conv2d", torch.nn.Conv2d),
        ("max_pool2d", torch.nn.MaxPool2d), ("avg_pool1d", torch.nn.AvgPool1d), ("softmax", torch.nn.Softmax),
        ("relu", torch.nn.ReLU), ("mse_loss", torch.nn.MSELoss), ("cross_entropy", torch.nn.CrossEntropyLoss),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:Initializing zero-element tensors")
def test_modules_are_built_with_torchs_names(name, module):
    agrees(verify(name, module, cases=16, seed=3))


class Convolution(torch.nn.Module):
    """A student's convolution: torch's names, but its backward pass forgets half of the bias."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, bias=True):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(out_channels, in_channels, *kernel_size))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.stride = stride

    def forward(self, x):
        bias = None if self.bias is None else self.bias / 2 + self.bias.detach() / 2
        return functional.conv2d(x, self.weight, bias, self.stride)


def test_gradients_of_a_modules_parameters_are_checked():
    report = by_chance("conv2d", backends.load(Convolution), 60, ["values", "vjp"])
    assert {each.claim for each in report.failures} == {"vjp:bias"}
    assert report.left_out["conv2d", "padding"] > 0


def test_a_module_with_sizes_is_asked_only_these():
    report = verify("linear", torch.nn.Linear(2, 3), cases=20, seed=None)
    assert report.agrees and report.checked, f"{report} (seed {report.seed})"


# --- autograd.Function ------------------------------------------------------------------------------------------------


class Linear(torch.autograd.Function):
    """By position, with torch's names for what it takes."""

    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        rows = g.reshape(-1, g.shape[-1])
        bias = rows.sum(0) if ctx.has_bias else None
        return g @ weight, rows.T @ x.reshape(-1, x.shape[-1]), bias


def matrices(name, candidate, **options):
    """The claims on the gradients of linear, where the weight is a matrix and nothing is empty."""
    return verify(name, candidate, cases=40, seed=3, claims=["vjp"], **options)


def test_a_function_class_is_called_by_position():
    failures = matrices("linear", Linear).failures
    assert all(len(each.trial.case.arrays["weight"].shape) == 1 for each in failures)  # it takes matrices only


def test_its_wrong_gradient_is_found():
    class Doubled(Linear):
        @staticmethod
        def backward(ctx, g):
            grad_input, grad_weight, bias = Linear.backward(ctx, g)
            return grad_input, 2 * grad_weight, bias

    found = [each for each in matrices("linear", Doubled).failures if each.claim == "vjp:weight"]
    assert found and all(each.got == 2 * each.expected for each in found if each.trial.policy == "exact")


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, when the compiler is imported
def test_what_a_decorator_compiled_is_a_compiled_candidate():
    @torch.compile
    def softmax(input, dim=-1):
        return torch.softmax(input, dim)

    backend = backends.load(softmax)
    assert (backend.name.startswith("torch:compile:"), backend.compiles, backend.freezes) == (True, True, False)
    agrees(by_chance("softmax", backend, 6))


def test_a_function_made_from_torchs_operation_has_torchs_deviations():
    def nll_loss(input, target, **options):
        return torch.nn.functional.nll_loss(input, target, **options)

    report = verify("nll_loss", nll_loss, arrays="torch", cases=100, seed=1)
    assert report.agrees and "torch-nll-loss-2d-backward-of-strided-input" in report.known_counts()


def test_threads_compute_as_the_one_that_asks():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(1, initializer=backends.load("torch").in_thread()) as threads:
            assert threads.submit(torch.get_num_threads).result() == 1
    finally:
        torch.set_num_threads(before)
