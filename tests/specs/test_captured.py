"""Torch modules and functions as specs, and classes, instances and functions as their candidates."""

from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck import loading, specs
from opcheck.errors import Refused
from opcheck.verification.streams import trial

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

FILE = Path(__file__).with_name("torch_programs.py")


def spec(name):
    return specs.get(f"{FILE}:{name}")


def candidate(name):
    return loading.find(f"{FILE}:{name}")


def test_a_module_has_its_inputs_and_its_parameters():
    op = spec("Model")
    assert [each.name for each in op.inputs] == ["x", "linear_weight", "linear_bias"]
    x, w, b = np.ones((3, 6)), np.full((4, 6), 0.1), np.zeros(4)
    assert np.allclose(op.run(op.case(x, w, b))["output"], np.tanh(0.6))


@pytest.mark.parametrize("name", ["Model", "ModelNew", "instance", "by_arrays"])
def test_what_shares_its_parameters_agrees(name):
    assert opcheck.verify(spec("Model"), candidate(name), arrays="torch", cases=12).agrees


def test_what_a_module_holds_besides_parameters_is_as_it_was_made():
    """The mask of a causal attention was drawn, and masked nothing."""
    op = spec("Masked")
    assert [each.name for each in op.inputs] == ["x"]
    n = trial(op, "float32", 0, 3).case.arrays["x"].shape[1]
    assert np.array_equal(op.run(op.case(np.ones((1, n))))["output"], [np.arange(1.0, n + 1)])
    assert opcheck.verify(op, candidate("MaskedNew"), arrays="torch", cases=6).agrees  # it makes its own mask


def test_batch_norm_may_count_while_it_is_in_training():
    op = spec("InTraining")
    assert [each.name for each in op.inputs] == ["x", "norm_weight", "norm_bias"]
    assert opcheck.verify(op, candidate("InTraining"), arrays="torch", cases=6).agrees


def test_a_gradient_is_named_as_the_module_has_it():
    report = opcheck.verify(spec("Model"), candidate("WithoutBias"), arrays="torch", cases=24)
    assert {each.name for each in report.failures} >= {"output", "linear_bias"}


def test_other_parameters_are_named():
    with pytest.raises(Refused, match=r"Larger must have the parameters of Model, by the same names or from the same "
                       r"seed.*without "
                       r"linear\.bias, linear\.weight; a module that also has fc\.bias, fc\.weight"):  # fmt: skip
        opcheck.verify(spec("Model"), candidate("Larger"), arrays="torch", cases=2)


def test_parameters_are_shared_by_the_seed():
    assert opcheck.verify(spec("Model"), candidate("Renamed"), arrays="torch", cases=12).agrees
    report = opcheck.verify(spec("Model"), candidate("RenamedWithoutBias"), arrays="torch", cases=24)
    assert {each.name for each in report.failures} >= {"output", "linear_bias"}


BENCHMARK = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, inside, outside, scale):
        super().__init__()
        self.matmul = nn.Linear(inside, outside)
        self.scale = scale

    def forward(self, x):
        return torch.softmax(self.matmul(x) * self.scale, dim=1)

def get_inputs():
    return [torch.rand(128, 256)]

def get_init_inputs():
    return [256, 512, 0.5]
"""

ODD = """
from problem import Model

class ModelNew(Model):
    def forward(self, x):
        y = (self.matmul(x) * self.scale).softmax(1)
        return y if x.shape[1] % 2 == 0 else y + 0.01
"""


def test_a_benchmarks_problem_is_checked_in_small_sizes_and_its_own(tmp_path):
    (tmp_path / "problem.py").write_text(BENCHMARK)
    (tmp_path / "odd.py").write_text(ODD)
    op = specs.get(f"{tmp_path}/problem.py:Model")
    sizes = {trial(op, "float32", 0, k).case.arrays["x"].shape for k in range(64)}
    assert (128, 256) in sizes and min(sizes)[0] < 8 and len(sizes) > 8
    report = opcheck.verify(
        op, loading.find(f"{tmp_path}/odd.py:ModelNew"), arrays="torch", cases=12, claims=["rounding"]
    )
    assert not report.agrees and all(each.trial.case.arrays["x"].shape[1] % 2 for each in report.failures)


def test_other_sizes_than_the_modules_are_refused():
    with pytest.raises(Refused, match="x must have the shape that get_inputs"):
        opcheck.bounds(spec("Model"), np.ones((3, 5)), np.ones((4, 5)), np.ones(4))


@pytest.mark.parametrize("name", ["fused", "two"])
def test_a_torch_function_agrees_with_itself(name):
    assert opcheck.verify(spec(name), candidate(name), arrays="torch", cases=16).agrees


def test_a_torch_function_is_worked_out():
    text = str(opcheck.explain(spec("fused"), [[1.0, 2.0]], [[1.0, 1.0]]))
    assert "mm[0,0] = x[0,0]·weight[0,0] + x[0,1]·weight[0,1] = 1·1 + 2·1 = 1 + 2 = 3" in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("branches", "torch cannot capture branches.*cannot branch on the values"),
        ("dropped", r"dropped draws random numbers: no two calls agree\. Got aten\.bernoulli.*self\.eval\(\)"),
        ("unknown", r"unknown uses operations that have no rule\. Got aten\.special_bessel_j0"),
        ("Written", r"Written writes into x: a spec has no state.*self\.eval\(\)"),
    ],
)
def test_what_cannot_be_captured_is_told_what_to_write(name, message):
    with pytest.raises(Refused, match=message):
        opcheck.explain(f"{FILE}:{name}")


def test_a_module_needs_example_inputs(tmp_path):
    path = tmp_path / "lonely.py"
    path.write_text("import torch\n\nclass Lonely(torch.nn.Module):\n    def forward(self, x):\n        return x\n")
    with pytest.raises(Refused, match=r"Lonely needs example inputs.*write get_inputs\(\) beside it"):
        specs.get(f"{path}:Lonely")


ACTIVATIONS = ("relu", "silu", "mish", "hardswish", "hardsigmoid", "relu6", "elu", "celu", "selu", "softsign",
               "leaky_relu", "hardtanh", "tanhshrink")  # fmt: skip


class Every(torch.nn.Module):
    def forward(self, x):
        return tuple(getattr(torch.nn.functional, name)(x) for name in ACTIVATIONS)


class Movements(torch.nn.Module):
    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        both = torch.cat([first.flip(1), second.roll(1, 1)], 1)
        masked = both.masked_fill(torch.ones_like(both).triu(1).bool(), 0.5)
        return masked.cumsum(0), torch.stack([first, second]).amax(0), torch.nn.functional.pad(x, (1, 2)).tril() * 1


class Normalised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.group, self.layer = torch.nn.GroupNorm(2, 4), torch.nn.LayerNorm(4)

    def forward(self, x):
        return self.group(x), self.layer(x), torch.nn.functional.normalize(x), x.var(1)


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru = torch.nn.LSTMCell(4, 3), torch.nn.GRUCell(4, 3)

    def forward(self, x):
        return (*self.lstm(x), self.gru(x))


class Attending(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.eval()

    def forward(self, x):
        return self.layer(x[:, None]) * 1


@pytest.mark.parametrize("kind", [Every, Movements, Normalised, Recurrent, Attending])
def test_modules_agree_with_torch(kind):
    from opcheck.specs.captured import Captured

    op = Captured(kind, kind.__name__, lambda: [torch.randn(3, 4)], [])
    rng = np.random.default_rng(0)
    arrays = {each.name: rng.normal(size=op.tensor(each.name).shape) for each in op.inputs}
    module = kind().double()
    state = {path: torch.tensor(arrays[name]) for name, path in op.weights.items()}
    with torch.no_grad():
        wanted = torch.func.functional_call(module, state, (torch.tensor(arrays["x"]),))
    found = op.run(op.case(**arrays))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for mine, theirs in zip(found.values(), wanted, strict=True):
        assert np.allclose(mine, theirs.numpy(), rtol=1e-10, atol=1e-10)
