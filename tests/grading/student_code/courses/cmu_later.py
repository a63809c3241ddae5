# ruff: noqa: E712, RET504
import numpy as np


class BatchNorm1d:
    def __init__(self, num_features, alpha=0.9):

        self.alpha = alpha
        self.eps = 1e-8

        self.BW = np.ones((1, num_features))
        self.Bb = np.zeros((1, num_features))
        self.dLdBW = np.zeros((1, num_features))
        self.dLdBb = np.zeros((1, num_features))

        # Running mean and variance, updated during training, used during
        # inference
        self.running_M = np.zeros((1, num_features))
        self.running_V = np.ones((1, num_features))

    def forward(self, Z, eval=False):
        """
        The eval parameter is to indicate whether we are in the
        training phase of the problem or the inference phase.
        """
        self.Z = Z
        self.N = Z.shape[0]
        self.M = np.mean(Z, axis=0, keepdims=True)
        self.V = np.var(Z, axis=0, keepdims=True)

        if eval == False:
            # training mode
            self.NZ = (Z - self.M) / np.sqrt(self.V + self.eps)
            self.BZ = self.BW * self.NZ + self.Bb

            self.running_M = self.alpha * self.running_M + (1 - self.alpha) * self.M
            self.running_V = self.alpha * self.running_V + (1 - self.alpha) * self.V
        else:
            # inference mode
            self.NZ = (Z - self.running_M) / np.sqrt(self.running_V + self.eps)
            self.BZ = self.BW * self.NZ + self.Bb

        return self.BZ

    def backward(self, dLdBZ):

        self.dLdBW = np.sum(dLdBZ * self.NZ, axis=0, keepdims=True)
        self.dLdBb = np.sum(dLdBZ, axis=0, keepdims=True)

        dLdNZ = dLdBZ * self.BW
        dLdV = -0.5 * np.sum(dLdNZ * (self.Z - self.M) * (self.V + self.eps) ** (-1.5), axis=0, keepdims=True)
        dLdM = -np.sum(dLdNZ / np.sqrt(self.V + self.eps), axis=0, keepdims=True) - 2 / self.N * dLdV * np.sum(
            self.Z - self.M, axis=0, keepdims=True
        )

        dLdZ = dLdNZ / np.sqrt(self.V + self.eps) + dLdV * 2 / self.N * (self.Z - self.M) + dLdM / self.N

        return dLdZ


class MaxPool2d_stride1:
    def __init__(self, kernel):
        self.kernel = kernel

    def forward(self, A):
        self.A = A
        N, C, H, W = A.shape
        K = self.kernel
        Z = np.zeros((N, C, H - K + 1, W - K + 1))
        for i in range(H - K + 1):
            for j in range(W - K + 1):
                Z[:, :, i, j] = A[:, :, i : i + K, j : j + K].max(axis=(2, 3))
        return Z

    def backward(self, dLdZ):
        dLdA = np.zeros(self.A.shape)
        K = self.kernel
        N, C, H, W = dLdZ.shape
        for n in range(N):
            for c in range(C):
                for i in range(H):
                    for j in range(W):
                        win = self.A[n, c, i : i + K, j : j + K]
                        a, b = np.unravel_index(win.argmax(), win.shape)
                        dLdA[n, c, i + a, j + b] += dLdZ[n, c, i, j]
        return dLdA


class MeanPool2d_stride1:
    def __init__(self, kernel):
        self.kernel = kernel

    def forward(self, A):
        self.A = A
        N, C, H, W = A.shape
        K = self.kernel
        Z = np.zeros((N, C, H - K + 1, W - K + 1))
        for i in range(H - K + 1):
            for j in range(W - K + 1):
                Z[:, :, i, j] = A[:, :, i : i + K, j : j + K].mean(axis=(2, 3))
        return Z

    def backward(self, dLdZ):
        dLdA = np.zeros(self.A.shape)
        K = self.kernel
        N, C, H, W = dLdZ.shape
        for i in range(H):
            for j in range(W):
                dLdA[:, :, i : i + K, j : j + K] += dLdZ[:, :, i, j][:, :, None, None] / K**2
        return dLdA


class Dropout(object):
    def __init__(self, p=0.5):
        # Dropout probability
        self.p = p

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x, train=True):
        if train:
            self.mask = np.random.binomial(1, 1 - self.p, x.shape)
            return x * self.mask / (1 - self.p)
        return x

    def backward(self, delta):
        return delta * self.mask / (1 - self.p)


class Flatten:
    def forward(self, A):
        self.shape = A.shape
        return A.reshape(A.shape[0], -1)

    def backward(self, dLdZ):
        return dLdZ.reshape(self.shape)


class RNNCell(object):
    def __init__(self, input_size, hidden_size):
        self.W_ih = np.random.randn(hidden_size, input_size)

    def forward(self, x, h_prev_t):
        return h_prev_t
