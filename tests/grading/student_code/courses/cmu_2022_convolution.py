import numpy as np


class Linear:
    def __init__(self, in_feature, out_feature, weight_init_fn=None, bias_init_fn=None):
        self.W = np.zeros((out_feature, in_feature))
        self.b = np.zeros((out_feature, 1))

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b.T

    def backward(self, delta):
        self.dLdW = delta.T @ self.x
        self.dLdb = delta.sum(0, keepdims=True).T
        return delta @ self.W


class Conv2d_stride1:
    def __init__(self, in_channels, out_channels, kernel_size, weight_init_fn=None, bias_init_fn=None):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.W = (
            np.random.normal(0, 1.0, (out_channels, in_channels, kernel_size, kernel_size))
            if weight_init_fn is None
            else weight_init_fn(out_channels, in_channels, kernel_size, kernel_size)
        )
        self.b = np.zeros(out_channels) if bias_init_fn is None else bias_init_fn(out_channels)

    def forward(self, A):
        self.A = A
        k = self.kernel_size
        h, w = A.shape[2] - k + 1, A.shape[3] - k + 1
        Z = np.zeros((A.shape[0], self.out_channels, h, w))
        for i in range(h):
            for j in range(w):
                Z[:, :, i, j] = (
                    np.tensordot(A[:, :, i : i + k, j : j + k], self.W, axes=([1, 2, 3], [1, 2, 3])) + self.b
                )
        return Z

    def backward(self, dLdZ):
        k = self.kernel_size
        self.dLdb = dLdZ.sum(axis=(0, 2, 3))
        self.dLdW = np.zeros_like(self.W)
        dLdA = np.zeros_like(self.A)
        for i in range(dLdZ.shape[2]):
            for j in range(dLdZ.shape[3]):
                self.dLdW += np.tensordot(dLdZ[:, :, i, j], self.A[:, :, i : i + k, j : j + k], axes=([0], [0]))
                dLdA[:, :, i : i + k, j : j + k] += np.tensordot(dLdZ[:, :, i, j], self.W, axes=([1], [0]))
        return dLdA


class Downsample2d:
    def __init__(self, f):
        self.f = f

    def forward(self, A):
        self.s = A.shape
        return A[:, :, :: self.f, :: self.f]

    def backward(self, d):
        out = np.zeros(self.s)
        out[:, :, :: self.f, :: self.f] = d
        return out


class Conv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride, weight_init_fn=None, bias_init_fn=None):
        self.stride = stride
        self.conv2d_stride1 = Conv2d_stride1(in_channels, out_channels, kernel_size, weight_init_fn, bias_init_fn)
        self.downsample2d = Downsample2d(stride)

    def forward(self, A):
        return self.downsample2d.forward(self.conv2d_stride1.forward(A))

    def backward(self, dLdZ):
        return self.conv2d_stride1.backward(self.downsample2d.backward(dLdZ))
