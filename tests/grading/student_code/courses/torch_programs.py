import torch
from torch import nn


def attention(Q, K, V):
    return torch.softmax(Q @ K.T / Q.shape[-1] ** 0.5, dim=-1) @ V


class SwiGLU(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(d_ff, d_model))
        self.w2 = nn.Parameter(torch.randn(d_model, d_ff))
        self.w3 = nn.Parameter(torch.randn(d_ff, d_model))

    def forward(self, x):
        return (nn.functional.silu(x @ self.w1.T) * (x @ self.w3.T)) @ self.w2.T
