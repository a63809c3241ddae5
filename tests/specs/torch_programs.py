"""Torch functions and modules as specs, as users write them."""

import torch
import torch.nn.functional as F
from torch import nn


def activated(h):
    return F.silu(h)


def fused(x: "N In", weight: "Out In", bias: "Out" = None, scale: float = 2.0):
    """A linear layer, SiLU, and a mean."""
    h = x @ weight.T if bias is None else x @ weight.T + bias
    return activated(h).mean(dim=1) * scale


def two(x: "N C", target: "N < C"):
    return {"loss": F.cross_entropy(x, target), "p": x.softmax(-1)}


def branches(x: "N C"):
    return torch.relu(x) if x.sum() > 0 else x


def dropped(x: "N C"):
    return F.dropout(x, 0.5)


def unknown(x: "N C"):
    return torch.special.bessel_j0(x)


class Model(nn.Module):
    """A linear layer and tanh."""

    def __init__(self, size, out):
        super().__init__()
        self.linear = nn.Linear(size, out)

    def forward(self, x):
        return torch.tanh(self.linear(x))


class ModelNew(Model):
    def forward(self, x):
        return torch.tanh(x @ self.linear.weight.T + self.linear.bias)


class WithoutBias(Model):
    def forward(self, x):
        return torch.tanh(x @ self.linear.weight.T)


class Renamed(nn.Module):
    """The parameters are drawn in the same order, under other names."""

    def __init__(self, size, out):
        super().__init__()
        self.fc = nn.Linear(size, out)

    def forward(self, x):
        return torch.tanh(self.fc(x))


class RenamedWithoutBias(Renamed):
    def forward(self, x):
        return torch.tanh(x @ self.fc.weight.T)


class Larger(nn.Module):
    def __init__(self, size, out):
        super().__init__()
        self.fc = nn.Linear(size + 1, out)


class InTraining(nn.Module):
    """Batch normalisation that keeps running statistics."""

    def __init__(self, size, out):
        super().__init__()
        self.norm = nn.BatchNorm1d(size)

    def forward(self, x):
        return self.norm(x)


class Masked(nn.Module):
    """A mask that is made once, as in attention: no number of it is drawn."""

    def __init__(self, size, out):
        super().__init__()
        self.register_buffer("bias", torch.tril(torch.ones(size, size)))

    def forward(self, x):
        return (x[:, None, :] * self.bias).sum(-1)


class MaskedNew(nn.Module):
    def __init__(self, size, out):
        super().__init__()

    def forward(self, x):
        return (x[:, None, :] * torch.ones(x.shape[1], x.shape[1]).tril()).sum(-1)


class Written(nn.Module):
    """It changes its input."""

    def __init__(self, size, out):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x.mul_(self.scale)


instance = ModelNew(6, 4)


def by_arrays(x, weight, bias):
    return torch.tanh(x @ weight.T + bias)


def get_inputs():
    return [torch.randn(3, 6)]


def get_init_inputs():
    return [6, 4]
