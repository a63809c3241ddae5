"""Modules that are built already, as candidates: their sizes and settings limit the cases."""

import pytest

import opcheck
from opcheck.backends import load
from opcheck.backends.torch_module import built
from opcheck.operators import catalog
from opcheck.specs import get
from opcheck.verification.narrowing import Narrowing
from tests.verification.refusal import refusal

torch = pytest.importorskip("torch")

FILE = """
import torch


class Linear(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs))
        self.bias = torch.nn.Parameter(torch.randn(outputs))

    def forward(self, input):
        return input @ self.weight.T + self.bias


class Model(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.fc = torch.nn.Linear(inputs, outputs)
        self.outputs = outputs

    def forward(self, x):
        return self.fc(x).relu()


class Viewed(Model):
    def forward(self, x):
        return self.fc(x).view(-1, self.outputs).clamp(min=0)


def get_inputs():
    return [torch.randn(4, 6)]


def get_init_inputs():
    return [6, 5]


layer = Linear(3, 4)
three = 3
viewed = Viewed(6, 5)
print("run")
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "k.py").write_text(FILE)
    return f"{tmp_path}/k.py:"


def test_its_sizes_limit_the_cases(place):
    report = opcheck.verify("linear", place + "layer", arrays="torch", cases=20, seed=1, claims=["exact", "vjp"])
    assert report.agrees
    assert report.random["linear", "float32"] == 20
    assert {"vjp:weight", "vjp:bias"} <= {claim for _, _, claim in report.rows}


def test_its_gradients_are_found_by_name():
    class Frozen(torch.nn.Linear):
        def forward(self, input):
            return torch.nn.functional.linear(input, self.weight, self.bias.detach())

    module = Frozen(3, 2)
    op = Narrowing().beside([catalog.get("linear")], module).of(catalog.get("linear"))
    failure, seed = refusal(op, load(module, "torch"), 10, wanted=["vjp"])
    assert failure and failure.name == "bias", seed


def test_its_settings_are_what_it_was_written_for():
    module = torch.nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, bias=False)
    op = Narrowing().beside([catalog.get("conv2d")], module).of(catalog.get("conv2d"))
    assert op.fixed["stride"] == (2, 2) and op.fixed["groups"] == 2
    backend = load(module, "torch")
    failure, seed = refusal(op, backend, 10, wanted=["values"])
    assert failure is None, seed


def test_a_model_of_fixed_sizes_agrees_with_its_spec(place):
    report = opcheck.verify(place + "Model", place + "viewed", arrays="torch", cases=6, seed=1, claims=["exact"])
    assert report.agrees and report.checked


def test_only_a_file_that_assigns_the_name_is_run(place, capsys):
    assert built(place + "Linear") is None and built(place + "three") is None and built("torch") is None
    assert capsys.readouterr().out == ""
    assert type(built(place + "layer")).__name__ == "Linear"
    assert get(place + "Model").elsewhere is False
