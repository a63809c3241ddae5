"""Right implementations of the fused specs: torch eager, and two numpy forms each that compute in another order.

`torch_*` takes tensors; `*_blocked` and `*_online` and the like take arrays and keep to their dtype.
"""

import math

import numpy as np
from scipy.special import erf

BLOCK = 4


def _sum_blocked(x, axis):
    """Sums of blocks, then the sum of these: as a kernel with one accumulator a lane has it."""
    x = np.moveaxis(x, axis, -1)
    parts = [x[..., k : k + BLOCK].sum(axis=-1) for k in range(0, x.shape[-1], BLOCK)]
    total = np.zeros(x.shape[:-1], x.dtype)
    for part in parts:
        total = total + part
    return total


def _matmul_blocked(a, b):
    """a @ b with the inner dimension in blocks, the last one first."""
    total = np.zeros((*a.shape[:-1], b.shape[-1]), a.dtype)
    for k in reversed(range(0, a.shape[-1], BLOCK)):
        total = total + a[..., k : k + BLOCK] @ b[..., k : k + BLOCK, :]
    return total


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# --- linear, GELU, mean -------------------------------------------------------------------------------------------


def torch_linear_gelu_mean(x, weight, bias):
    import torch

    h = torch.nn.functional.linear(x, weight, bias)
    # by hand: gelu of torch 2.13 is NaN at infinity
    return (h * (1 + torch.erf(h * math.sqrt(0.5))) * 0.5).mean(dim=1)


def linear_gelu_mean_blocked(x, weight, bias):
    h = _matmul_blocked(x, weight.T) + bias
    g = h * (1 + erf(h * x.dtype.type(math.sqrt(0.5)))) * x.dtype.type(0.5)
    return (_sum_blocked(g, 1) / x.dtype.type(g.shape[1])).astype(x.dtype)


def linear_gelu_mean_folded(x, weight, bias):
    """The bias is a column of the matrix; features come one after the other."""
    half = x.dtype.type(0.5)
    total = np.zeros(len(x), x.dtype)
    for row, b in zip(weight, bias, strict=True):
        h = (x * row).sum(axis=1) + b
        total = total + (h + h * erf(h / x.dtype.type(math.sqrt(2.0)))) * half
    return total / x.dtype.type(len(weight))


# --- convolution, group normalisation, hardswish -------------------------------------------------------------------


def torch_conv_group_norm_hardswish(x, weight, bias, gamma, beta, eps=1e-5):
    import torch

    f = torch.nn.functional
    # f.group_norm refuses a group of a single number
    return f.hardswish(torch.group_norm(f.conv2d(x, weight, bias, padding=1), 2, gamma, beta, eps))


def _convolved(x, weight, bias):
    """Tap by tap, from the last to the first, as shifted products."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros((x.shape[0], weight.shape[0], height, width), x.dtype) + bias[:, None, None]
    for i in reversed(range(3)):
        for j in reversed(range(3)):
            seen = padded[:, :, i : i + height, j : j + width]
            y = y + np.einsum("oc,nchw->nohw", weight[:, :, i, j], seen)
    return y


def _hardswish(z):
    return z * np.minimum(np.maximum(z + z.dtype.type(3), z.dtype.type(0)), z.dtype.type(6)) / z.dtype.type(6)


def conv_group_norm_hardswish_shifted(x, weight, bias, gamma, beta, eps=1e-5):
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(x), 2, -1)
    mean = grouped.mean(axis=2, keepdims=True)
    d = grouped - mean
    z = d / np.sqrt(np.square(d).mean(axis=2, keepdims=True) + x.dtype.type(eps))
    return _hardswish(z.reshape(y.shape) * gamma[:, None, None] + beta[:, None, None])


def conv_group_norm_hardswish_image_by_image(x, weight, bias, gamma, beta, eps=1e-5):
    """One image and one group after the other; sums in blocks."""
    out = np.empty((len(x), len(weight), *x.shape[2:]), x.dtype)
    half = len(weight) // 2
    for n in range(len(x)):
        y = _convolved(x[n : n + 1, :, ::-1, ::-1], weight[:, :, ::-1, ::-1], bias)[0, :, ::-1, ::-1]
        for k in range(2):
            part = slice(k * half, (k + 1) * half)
            flat = y[part].reshape(-1)
            count = x.dtype.type(flat.size)
            mean = _sum_blocked(flat, 0) / count
            var = _sum_blocked((flat - mean) ** 2, 0) / count
            scale = gamma[part] / np.sqrt(var + x.dtype.type(eps))
            out[n, part] = y[part] * scale[:, None, None] + (beta[part] - mean * scale)[:, None, None]
    return _hardswish(out)


# --- matrix product, log-sum-exp, mish -----------------------------------------------------------------------------


def torch_matmul_logsumexp_mish(x, weight):
    import torch

    lse = torch.logsumexp(x @ weight, dim=1)
    # by hand: the second derivative of mish of torch 2.13 is NaN beyond 88
    return lse * torch.tanh(torch.nn.functional.softplus(lse))


def matmul_logsumexp_mish_online(x, weight):
    """The maximum and the sum of one pass over columns, rescaled when the maximum grows."""
    m = np.full(len(x), -np.inf, x.dtype)
    total = np.zeros(len(x), x.dtype)
    for column in weight.T:  # equal infinities are no distance apart
        s = (x * column).sum(axis=1)
        new = np.maximum(m, s)
        total = total * np.exp(np.where(new == m, 0, m - new)) + np.exp(np.where(s == new, 0, s - new))
        m = new
    lse = m + np.log(total)
    return lse * np.tanh(_softplus(lse))


def matmul_logsumexp_mish_blocked(x, weight):
    s = _matmul_blocked(x, weight)
    m = s.max(axis=1)
    m = np.where(np.isinf(m), m.dtype.type(0), m)
    lse = np.log(_sum_blocked(np.exp(s - m[:, None]), 1)) + m
    return lse * np.tanh(_softplus(lse))


# --- attention -----------------------------------------------------------------------------------------------------


def torch_attention(q, k, v, causal=False):
    import torch

    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[2])
    if causal:
        hidden = torch.ones(scores.shape[1:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return scores.softmax(dim=2) @ v


def attention_online(q, k, v, causal=False):
    """Keys in blocks, as flash attention has it: the sums are rescaled when the maximum grows."""
    number = q.dtype.type
    m = np.full((*q.shape[:2], 1), -np.inf, q.dtype)
    total, out = np.zeros_like(m), np.zeros((*q.shape[:2], v.shape[2]), q.dtype)
    for first in range(0, k.shape[1], BLOCK):
        keys = slice(first, first + BLOCK)
        s = (q * number(1 / math.sqrt(q.shape[2]))) @ k[:, keys].swapaxes(1, 2)
        if causal:
            places = np.arange(k.shape[1])[keys]
            s = np.where(places > np.arange(q.shape[1])[:, None], number(-np.inf), s)
        new = np.maximum(m, s.max(axis=2, keepdims=True))
        e, kept = np.exp(s - new), np.exp(m - new)
        total = total * kept + e.sum(axis=2, keepdims=True)
        out = out * kept + e @ v[:, keys]
        m = new
    return out / total


def attention_divided_first(q, k, v, causal=False):
    """The root divides the keys, the sums are in blocks, and the weights are divided before the product."""
    s = _matmul_blocked(q, k.swapaxes(1, 2) / q.dtype.type(math.sqrt(q.shape[2])))
    if causal:
        s[:, np.triu(np.ones(s.shape[1:], bool), 1)] = -np.inf
    e = np.exp(s - s.max(axis=2, keepdims=True))
    return _matmul_blocked(e / _sum_blocked(e, 2)[..., None], v)


# --- one step of an LSTM -------------------------------------------------------------------------------------------


def torch_lstm_step(x, h, c, w_ih, w_hh, b):
    import torch

    i, f, g, o = (x @ w_ih.T + h @ w_hh.T + b).chunk(4, dim=1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * torch.tanh(c_next), c_next


def lstm_step_joined(x, h, c, w_ih, w_hh, b):
    """One product of the joined input and state."""
    gates = np.concatenate([h, x], axis=1) @ np.concatenate([w_hh, w_ih], axis=1).T + b
    size = h.shape[1]
    i, f, g, o = (gates[:, k * size : (k + 1) * size] for k in range(4))
    c_next = _sigmoid(i) * np.tanh(g) + _sigmoid(f) * c
    return _sigmoid(o) * np.tanh(c_next), c_next


def lstm_step_gate_by_gate(x, h, c, w_ih, w_hh, b):
    size = h.shape[1]

    def gate(k):
        part = slice(k * size, (k + 1) * size)
        return _matmul_blocked(h, w_hh[part].T) + (b[part] + _matmul_blocked(x, w_ih[part].T))

    o, g, f, i = (gate(k) for k in (3, 2, 1, 0))
    c_next = np.tanh(g) * _sigmoid(i) + c * _sigmoid(f)
    return _sigmoid(o) * np.tanh(c_next), c_next


# --- layer normalisation of a sum ----------------------------------------------------------------------------------


def torch_layer_norm_residual(x, residual, weight, bias, eps=1e-5):
    import torch

    return torch.nn.functional.layer_norm(x + residual, x.shape[-1:], weight, bias, eps)


def layer_norm_residual_blocked(x, residual, weight, bias, eps=1e-5):
    s = residual + x
    count = x.dtype.type(s.shape[-1])
    d = s - (_sum_blocked(s, -1) / count)[..., None]
    var = _sum_blocked(d * d, -1) / count
    return d * (weight / np.sqrt(var + x.dtype.type(eps))[..., None]) + bias


def layer_norm_residual_welford(x, residual, weight, bias, eps=1e-5):
    """Mean and squared deviations in one pass."""
    s = x + residual
    mean, squares = np.zeros(s.shape[:-1], s.dtype), np.zeros(s.shape[:-1], s.dtype)
    for k in range(s.shape[-1]):
        d = s[..., k] - mean
        mean = mean + d / s.dtype.type(k + 1)
        squares = squares + d * (s[..., k] - mean)
    rstd = s.dtype.type(1) / np.sqrt(squares / s.dtype.type(s.shape[-1]) + s.dtype.type(eps))
    return (s - mean[..., None]) * rstd[..., None] * weight + bias


# --- cross-entropy of a network ------------------------------------------------------------------------------------


def torch_two_layer_cross_entropy(x, w1, b1, w2, b2, target):
    import torch

    f = torch.nn.functional
    return f.cross_entropy(f.linear(torch.relu(f.linear(x, w1, b1)), w2, b2), target)


class _Network:
    """Values and gradients by hand, with the products of `product`."""

    def __init__(self, product, total):
        self.product, self.total = product, total

    def _passed(self, x, w1, b1, w2, b2):
        a = self.product(x, w1.T) + b1
        h = np.maximum(a, a.dtype.type(0))
        z = self.product(h, w2.T) + b2
        return a, h, z

    def __call__(self, x, w1, b1, w2, b2, target):
        z = self._passed(x, w1, b1, w2, b2)[2]
        m = z.max(axis=1)
        right = z[np.arange(len(z)), target] - m
        each = np.log(self.total(np.exp(z - m[:, None]), 1)) - right
        return self.total(each, 0) / x.dtype.type(len(z))

    def vjp(self, cotangent, x, w1, b1, w2, b2, target):
        a, h, z = self._passed(x, w1, b1, w2, b2)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / self.total(e, 1)[:, None]
        p[np.arange(len(z)), target] -= 1
        dz = p * (cotangent / x.dtype.type(len(z)))
        da = np.where(a > 0, self.product(dz, w2), x.dtype.type(0))
        return {
            "x": self.product(da, w1), "w1": self.product(da.T, x), "b1": self.total(da, 0),
            "w2": self.product(dz.T, h), "b2": self.total(dz, 0),
        }  # fmt: skip


two_layer_cross_entropy_by_hand = _Network(np.matmul, lambda x, axis: x.sum(axis=axis))
two_layer_cross_entropy_blocked = _Network(_matmul_blocked, _sum_blocked)
