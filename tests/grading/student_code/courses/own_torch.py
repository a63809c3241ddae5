import torch
from torch import nn


def softmax(x):
    x = x - x.max(dim=-1, keepdim=True).values
    return x.exp() / x.exp().sum(dim=-1, keepdim=True)


class MyLinear(torch.autograd.Function):
    @staticmethod
    def forward(x, w, b):
        return x @ w.T + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, w, b = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w, g.T @ x, g.sum(0)


class ReLU(nn.Module):
    def forward(self, x):
        return torch.where(x > 0, x, torch.zeros_like(x))


class Conv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(
                out_channels, in_channels, *((kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size)
            )
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x):
        k, l = self.weight.shape[2:]
        u = x.unfold(2, k, 1).unfold(3, l, 1)
        return torch.einsum("nchwkl,ockl->nohw", u, self.weight) + self.bias[None, :, None, None]
