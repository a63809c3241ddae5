"""Audits of modules that work in place, and of layers in lower precision."""

import pytest

torch = pytest.importorskip("torch")

from opcheck import audit


def tf32(x):
    """Rounded to 11 binary digits."""
    bits = x.detach().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


class InTF32(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return tf32(x) @ tf32(weight).T + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return tf32(g) @ tf32(weight), tf32(g).T @ tf32(x), g.sum(0)


class Linear(torch.nn.Linear):
    def forward(self, x):
        return InTF32.apply(x, self.weight, self.bias)


class Biasless(Linear):
    def forward(self, x):
        return super().forward(x) - self.bias


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_layers_that_work_in_place_are_judged_by_what_they_were_given():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(3, 2, 2))
    result = audit(net, drawn(2, 2, 6, 6))
    assert result.agrees, str(result)
    assert result.checked == ["0 (conv2d)", "1 (relu)", "2 (conv2d)"]


def test_a_layer_in_tf32_is_named_and_does_not_deviate():
    torch.manual_seed(0)
    net = torch.nn.Sequential(Linear(6, 5), torch.nn.ReLU(inplace=True), torch.nn.Linear(5, 3))
    result = audit(net, drawn(4, 6), allow="tf32")
    assert result.agrees, str(result)
    assert {name for name, _ in result.lower} == {"0"}
    assert "0: rounding in lower precision: TF32 (11 binary digits, rounded)" in str(result)
    for strict in (audit(net, drawn(4, 6)), audit(net, drawn(4, 6), strict_precision=True)):
        assert not strict.agrees and strict.first[0] == "0"


def test_a_bug_in_a_tf32_layer_deviates():
    torch.manual_seed(0)
    result = audit(torch.nn.Sequential(Biasless(6, 5)), drawn(4, 6), allow="tf32")
    assert not result.agrees and result.first[0] == "0" and not result.lower


class Fused(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(4, 3))
        self.inner = torch.nn.Linear(4, 4)
        self.never = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.inner(torch.relu(x @ self.w.T))


def test_every_parameter_that_no_check_covered_is_listed():
    result = audit(Fused(), drawn(2, 3))
    assert (result.checked, result.uncovered) == (["inner (linear)"], ["w", "never.weight", "never.bias"])
    assert "parameters that no check covered: w, never.weight, never.bias" in str(result)
    x = drawn(2, 3, 8)
    result = audit(torch.nn.MultiheadAttention(8, 2), x, x, x)
    assert (result.checked, "out_proj.weight" in result.uncovered) == ([], True)
