import numpy as np


class Linear:
    """weights (out, in); gradients accumulate as torch's do"""

    def __init__(self, in_features, out_features):
        k = 1 / np.sqrt(in_features)
        self.W = np.random.uniform(-k, k, (out_features, in_features))
        self.b = np.zeros(out_features)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def zero_grad(self):
        self.dW[:] = 0
        self.db[:] = 0

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, dout):
        self.dW += dout.T @ self.x
        self.db += dout.sum(axis=0)
        return dout @ self.W


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Conv2D:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.s, self.p, self.k = stride, padding, kernel_size
        self.W = np.random.randn(out_channels, in_channels, kernel_size, kernel_size) * 0.1
        self.b = np.zeros(out_channels)

    def forward(self, x):
        self.x = np.pad(x, ((0, 0), (0, 0), (self.p, self.p), (self.p, self.p)))
        N, C, H, W = self.x.shape
        k, s = self.k, self.s
        oh, ow = (H - k) // s + 1, (W - k) // s + 1
        out = np.zeros((N, len(self.b), oh, ow))
        for i in range(oh):
            for j in range(ow):
                out[:, :, i, j] = (
                    np.tensordot(self.x[:, :, i * s : i * s + k, j * s : j * s + k], self.W, ([1, 2, 3], [1, 2, 3]))
                    + self.b
                )
        return out

    def backward(self, d):
        k, s = self.k, self.s
        self.dW = np.zeros_like(self.W)
        dx = np.zeros_like(self.x)
        self.db = d.sum((0, 2, 3))
        for i in range(d.shape[2]):
            for j in range(d.shape[3]):
                self.dW += np.tensordot(d[:, :, i, j], self.x[:, :, i * s : i * s + k, j * s : j * s + k], ([0], [0]))
                dx[:, :, i * s : i * s + k, j * s : j * s + k] += np.tensordot(d[:, :, i, j], self.W, ([1], [0]))
        p = self.p
        return dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]
