from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    def __init__(self, i, o, device=None, dtype=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(o, i, dtype=dtype))

    def forward(self, x):
        return x @ self.weight.T


def run_linear(d_in: int, d_out: int, weights: Tensor, in_features: Tensor) -> Tensor:
    l = Linear(d_in, d_out, dtype=weights.dtype)
    l.load_state_dict({"weight": weights})
    return l(in_features)


def run_embedding(vocab_size, d_model, weights, token_ids):
    return weights[token_ids]


def run_rmsnorm(d_model, eps, weights, in_features):
    t = in_features.dtype
    r = torch.sqrt((in_features**2).mean(-1, keepdim=True) + eps)
    return in_features / r * weights


def run_silu(in_features):
    return in_features * torch.sigmoid(in_features)


def run_softmax(in_features, dim):
    e = torch.exp(in_features - in_features.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def run_cross_entropy(inputs, targets):
    m = inputs.max(-1, keepdim=True).values
    s = inputs - m
    return (torch.log(torch.exp(s).sum(-1)) - s.gather(-1, targets[:, None]).squeeze(-1)).mean()


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, betas=betas, eps=eps))

    def step(self, closure=None):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                st = self.state[p]
                t = st.get("t", 1)
                m = g["betas"][0] * st.get("m", torch.zeros_like(p)) + (1 - g["betas"][0]) * p.grad
                v = g["betas"][1] * st.get("v", torch.zeros_like(p)) + (1 - g["betas"][1]) * p.grad**2
                a = g["lr"] * (1 - g["betas"][1] ** t) ** 0.5 / (1 - g["betas"][0] ** t)
                p.data -= g["lr"] * g["weight_decay"] * p.data
                p.data -= g["lr"] * (m / (1 - g["betas"][0] ** t)) / ((v / (1 - g["betas"][1] ** t)).sqrt() + g["eps"])
                st["t"] = t + 1
                st["m"] = m
                st["v"] = v


def get_adamw_cls():
    return AdamW


def run_rope(d_k, theta, max_seq_len, in_query_or_key, token_positions):
    raise NotImplementedError
