"""Wrong kernels whose failing cases were saved by opcheck 0.1.0."""

import numpy as np


def relu(input):
    return np.where(np.isnan(input), 0, np.maximum(input, 0)).astype(input.dtype)


def softmax(input, dim=None):
    dim = dim if dim is not None else 0 if input.ndim in (0, 1, 3) else 1
    if input.ndim == 0:
        return np.ones_like(input)
    e = np.exp(input)
    return (e / e.sum(axis=dim, keepdims=True)).astype(input.dtype)


def linear(input, weight, bias=None):
    return (input @ weight.T).astype(input.dtype)


def mse_loss(input, target):
    return np.asarray(((input - target) ** 2).sum() / max(1, len(np.atleast_1d(input))), input.dtype)


def avg_pool1d(input, kernel_size):
    return input[..., : input.shape[-1] // 1]
