"""Seven fused programs as their users would write them down: numpy, readable, no thought of speed."""

import numpy as np

from opcheck.programs.elementwise import erf, sigmoid


def linear_gelu_mean(x: "N In", weight: "Out In", bias: "Out"):
    """A linear layer, GELU by the error function, and the mean over the features."""
    h = x @ weight.T + bias
    # twice the number comes first, as torch and most kernels have it: there h overflows at half of the largest
    g = h * (1 + erf(h / np.sqrt(2.0))) * 0.5
    return g.mean(axis=1)


def conv_group_norm_hardswish(x: "N Cin H W", weight: "2*C Cin 3 3", bias: "2*C", gamma: "2*C", beta: "2*C", eps=1e-5):
    """A 3x3 convolution with padding 1, group normalisation in two groups, and hardswish."""
    n, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.stack(
        [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=2
    )  # n, channel, place in the window, row, column
    taps = weight.reshape(weight.shape[0], -1)
    y = np.einsum("ok,nkp->nop", taps, patches.reshape(n, -1, height * width)) + bias[:, None]
    grouped = y.reshape(n, 2, -1)
    mean = grouped.mean(axis=2, keepdims=True)
    d = grouped - mean
    var = (d * d).mean(axis=2, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    scale = rstd * gamma.reshape(2, -1)  # multiplied out, as torch has it: that cancels more, and is as legal
    shift = beta.reshape(2, -1) - mean * scale
    z = y.reshape(n, 2, -1, height * width) * scale[..., None] + shift[..., None]
    z = z.reshape(n, -1, height, width)
    return z * np.minimum(6.0, np.maximum(0.0, z + 3)) / 6


def matmul_logsumexp_mish(x: "N In", weight: "In Out"):
    """A matrix product, the logarithm of the sum of exponentials of each row, and mish."""
    s = x @ weight
    m = s.max(axis=1, keepdims=True)
    m = np.where(np.abs(m) == np.inf, 0.0, m)  # an infinite maximum is no shift, as torch has it
    lse = m[:, 0] + np.log(np.exp(s - m).sum(axis=1))
    return lse * np.tanh(np.logaddexp(0.0, lse))


def attention(q: "B T D", k: "B S D", v: "B S E", causal=False):
    """Scaled dot-product attention; with `causal`, a query sees the keys up to its own place."""
    scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    if causal:
        hidden = np.triu(np.ones(scores.shape[1:], bool), 1)
        scores = np.where(hidden, -np.inf, scores)
    e = np.exp(scores - scores.max(axis=2, keepdims=True))
    p = e / e.sum(axis=2, keepdims=True)
    return p @ v


def lstm_step(x: "N I", h: "N H", c: "N H", w_ih: "4*H I", w_hh: "4*H H", b: "4*H"):
    """One step of an LSTM; the gates are in torch's order: input, forget, cell, output."""
    gates = x @ w_ih.T + h @ w_hh.T + b
    i, f, g, o = np.split(gates, 4, axis=1)
    c_next = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h_next = sigmoid(o) * np.tanh(c_next)
    return h_next, c_next


def layer_norm_residual(x: "... D", residual: "... D", weight: "D", bias: "D", eps=1e-5):
    """The residual is added, and the sum normalised over its last dimension."""
    s = x + residual
    mean = s.mean(axis=-1, keepdims=True)
    d = s - mean
    var = (d * d).mean(axis=-1, keepdims=True)
    return d / np.sqrt(var + eps) * weight + bias


def two_layer_cross_entropy(x: "N In", w1: "H In", b1: "H", w2: "C H", b2: "C", target: "N < C"):
    """The mean cross-entropy of a network with one hidden layer of ReLU; all of its gradients are asked for."""
    h = np.maximum(0.0, x @ w1.T + b1)  # of equals the first one: the gradient at 0 is 0, as torch has it
    z = h @ w2.T + b2
    m = z.max(axis=1, keepdims=True)
    lse = np.log(np.exp(z - m).sum(axis=1)) + m[:, 0]
    return (lse - z[np.arange(len(target)), target]).mean()
