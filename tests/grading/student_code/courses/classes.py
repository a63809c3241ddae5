"""Layers as classes with forward and backward, written from a textbook's formulas."""

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

    def backward(self, dout):
        axes = tuple(range(dout.ndim - 1))
        self.dgamma = (dout * self.xhat).sum(axes)
        self.dbeta = dout.sum(axes)
        dx = dout * self.gamma
        return self.inv * (dx - dx.mean(-1, keepdims=True) - self.xhat * (dx * self.xhat).mean(-1, keepdims=True))


class BatchNorm1d:
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.gamma = np.ones((1, num_features))
        self.beta = np.zeros((1, num_features))
        self.running_mean = np.zeros((1, num_features))
        self.running_var = np.ones((1, num_features))
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if self.training:
            mu, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
            n = len(x)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mu
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var * n / (n - 1)
        else:
            mu, var = self.running_mean, self.running_var
        self.inv = 1 / np.sqrt(var + self.eps)
        self.xhat = (x - mu) * self.inv
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(0, keepdims=True)
        self.dbeta = dout.sum(0, keepdims=True)
        dx = dout * self.gamma
        if not self.training:
            return dx * self.inv
        return self.inv * (dx - dx.mean(0) - self.xhat * (dx * self.xhat).mean(0))


class Dropout:
    def __init__(self, p=0.5):
        self.p = p
        self.training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        if not self.training:
            return x
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask if self.training else dout


class Embedding:
    def __init__(self, vocab_size, dim):
        self.W = np.random.randn(vocab_size, dim)

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.idx, dout)


class RMSNorm:
    def __init__(self, dim, eps=1e-6):
        self.weight = np.ones(dim)
        self.eps = eps

    def __call__(self, x):
        self.x = x
        self.r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)
        return x * self.r * self.weight

    def backward(self, g):
        self.grad_weight = (g * self.x * self.r).reshape(-1, g.shape[-1]).sum(0)
        gw = g * self.weight
        return self.r * gw - self.x * self.r**3 * (gw * self.x).mean(-1, keepdims=True)


class GELU:
    def forward(self, x):
        from math import erf

        self.x = x
        self.c = np.vectorize(erf, otypes=[float])(x / np.sqrt(2))
        return 0.5 * x * (1 + self.c)

    def backward(self, g):
        return g * (0.5 * (1 + self.c) + self.x * np.exp(-(self.x**2) / 2) / np.sqrt(2 * np.pi))


class MSELoss:
    def __call__(self, pred, target):
        self.d = pred - target
        return np.mean(self.d**2)

    def backward(self):
        return 2 * self.d / self.d.size


class CrossEntropyLoss:
    def __call__(self, logits, labels):
        z = logits - logits.max(1, keepdims=True)
        self.p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        self.y = labels
        return -np.log(self.p[np.arange(len(labels)), labels]).mean()

    def backward(self):
        g = self.p.copy()
        g[np.arange(len(g)), self.y] -= 1
        return g / len(g)


class GroupNorm:
    def __init__(self, num_groups, num_channels, eps=1e-5):
        self.G, self.C, self.eps = num_groups, num_channels, eps
        self.weight = np.ones((1, num_channels, 1, 1))
        self.bias = np.zeros((1, num_channels, 1, 1))

    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.G, -1)
        m, v = xg.mean(2, keepdims=True), xg.var(2, keepdims=True)
        self.inv = 1 / np.sqrt(v + self.eps)
        self.xh = ((xg - m) * self.inv).reshape(x.shape)
        return self.xh * self.weight + self.bias

    def backward(self, dy):
        self.dweight = (dy * self.xh).sum((0, 2, 3), keepdims=True)
        self.dbias = dy.sum((0, 2, 3), keepdims=True)
        g = (dy * self.weight).reshape(len(dy), self.G, -1)
        xh = self.xh.reshape(g.shape)
        return (self.inv * (g - g.mean(2, keepdims=True) - xh * (g * xh).mean(2, keepdims=True))).reshape(dy.shape)


class ScaledDotProductAttention:
    def __init__(self, causal=False):
        self.causal = causal

    def forward(self, q, k, v):
        self.q, self.k, self.v = q, k, v
        d = q.shape[-1]
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(d)
        if self.causal:
            m = np.triu(np.ones(s.shape[-2:], bool), 1)
            s = np.where(m, -1e9, s)
        e = np.exp(s - s.max(-1, keepdims=True))
        self.a = e / e.sum(-1, keepdims=True)
        return self.a @ v

    def backward(self, do):
        dv = np.swapaxes(self.a, -1, -2) @ do
        da = do @ np.swapaxes(self.v, -1, -2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) / np.sqrt(self.q.shape[-1])
        return ds @ self.k, np.swapaxes(ds, -1, -2) @ self.q, dv


class SiLU:
    def __call__(self, x):
        self.x = x
        self.s = 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, g):
        return g * (self.s + self.x * self.s * (1 - self.s))


class BCELoss:
    def forward(self, y_true, y_pred):
        self.t, self.p = y_true, y_pred
        return -np.mean(y_true * np.log(y_pred) + (1 - y_true) * np.log(1 - y_pred))

    def backward(self, y_true, y_pred):
        return (y_pred - y_true) / (y_pred * (1 - y_pred)) / y_pred.size
