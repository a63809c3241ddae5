"""Normalisations as students write them: classes with an eps of theirs, functions that hide it."""

import numpy as np


class LayerNorm:
    def __init__(self, dim, eps=1e-5):
        self.eps = eps
        self.gamma = np.ones(dim)
        self.beta = np.zeros(dim)

    def forward(self, x):
        mu = x.mean(-1, keepdims=True)
        var = x.var(-1, keepdims=True)
        self.inv = 1 / np.sqrt(var + self.eps)
        self.xhat = (x - mu) * self.inv
        return self.gamma * self.xhat + self.beta


def rms_norm(x, weight, eps=1e-5):
    r = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x / r * weight


def batch_norm(x, gamma, beta):
    mu = x.mean(0)
    var = x.var(0)
    return gamma * (x - mu) / np.sqrt(var + 1e-5) + beta


class GroupNorm:
    def __init__(self, num_groups, num_channels, eps=1e-5):
        self.G, self.C, self.eps = num_groups, num_channels, eps
        self.weight = np.ones((1, num_channels, 1, 1))
        self.bias = np.zeros((1, num_channels, 1, 1))

    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.G, -1)
        m, v = xg.mean(2, keepdims=True), xg.var(2, keepdims=True)
        inv = 1 / np.sqrt(v + self.eps)
        xh = ((xg - m) * inv).reshape(x.shape)
        return xh * self.weight + self.bias
