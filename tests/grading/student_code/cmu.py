"""A student's homework in the cmu convention, all of it right. OLD marks what was otherwise until 2022."""

import numpy as np


class Linear:
    def __init__(self, in_features, out_features):
        self.W = np.zeros((out_features, in_features))
        self.b = np.zeros((out_features, 1))

    def forward(self, A):
        self.A = A
        return A @ self.W.T + self.b.T

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.sum(axis=0).reshape(-1, 1)
        return dLdZ @ self.W


class Conv2d_stride1:
    def __init__(self, in_channels, out_channels, kernel_size):
        self.W = np.random.normal(0, 1, (out_channels, in_channels, kernel_size, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, A):
        self.A, k = A, self.W.shape[-1]
        out = np.zeros((len(A), len(self.W), A.shape[2] - k + 1, A.shape[3] - k + 1))
        for i, j in np.ndindex(*out.shape[2:]):
            out[:, :, i, j] = np.tensordot(A[:, :, i : i + k, j : j + k], self.W, ([1, 2, 3], [1, 2, 3])) + self.b
        return out

    def backward(self, dLdZ):
        self.dLdW, k, dA = np.zeros(self.W.shape), self.W.shape[-1], np.zeros(self.A.shape)
        for i, j in np.ndindex(*dLdZ.shape[2:]):
            self.dLdW += np.tensordot(dLdZ[:, :, i, j], self.A[:, :, i : i + k, j : j + k], ([0], [0]))
            dA[:, :, i : i + k, j : j + k] += np.tensordot(dLdZ[:, :, i, j], self.W, 1)
        self.dLdb = dLdZ.sum(axis=(0, 2, 3))
        return dA


class Conv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding=0):
        self.stride, self.pad = stride, padding
        self.conv2d_stride1 = Conv2d_stride1(in_channels, out_channels, kernel_size)

    def forward(self, A):
        p = self.pad
        self.full = self.conv2d_stride1.forward(np.pad(A, ((0, 0), (0, 0), (p, p), (p, p))))
        return self.full[:, :, :: self.stride, :: self.stride]

    def backward(self, dLdZ):
        spread = np.zeros(self.full.shape)
        spread[:, :, :: self.stride, :: self.stride] = dLdZ
        dA, p = self.conv2d_stride1.backward(spread), self.pad
        return dA[:, :, p : dA.shape[2] - p, p : dA.shape[3] - p]


class MaxPool2d:
    def __init__(self, kernel, stride):
        self.kernel, self.stride = kernel, stride

    def forward(self, A):
        k, s = self.kernel, self.stride
        self.A = A
        out = np.zeros((*A.shape[:2], (A.shape[2] - k) // s + 1, (A.shape[3] - k) // s + 1))
        for i, j in np.ndindex(*out.shape[2:]):
            out[:, :, i, j] = A[:, :, i * s : i * s + k, j * s : j * s + k].max(axis=(2, 3))
        return out

    def backward(self, dLdZ):
        k, s = self.kernel, self.stride
        dA = np.zeros(self.A.shape)
        for n, c, i, j in np.ndindex(*dLdZ.shape):
            window = self.A[n, c, i * s : i * s + k, j * s : j * s + k]
            u, v = divmod(int(window.argmax()), k)
            dA[n, c, i * s + u, j * s + v] += dLdZ[n, c, i, j]
        return dA


class ReLU:
    def forward(self, Z):
        self.Z = Z
        return np.maximum(0, Z)

    def backward(self, dLdA):
        return dLdA * (self.Z > 0)


class MSELoss:
    def forward(self, A, Y):
        self.A, self.Y = A, Y
        return np.sum((A - Y) ** 2) / A.size

    def backward(self):
        return 2 * (self.A - self.Y) / self.A.size


class CrossEntropyLoss:
    def forward(self, A, Y):
        shifted = A - A.max(axis=1, keepdims=True)
        self.log_p, self.Y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), Y
        return -np.sum(Y * self.log_p) / len(A)

    def backward(self):
        return (np.exp(self.log_p) - self.Y) / len(self.Y)


class SGD:
    def __init__(self, model, lr=0.1, momentum=0):
        self.l, self.L, self.lr, self.mu = model.layers, len(model.layers), lr, momentum
        self.v_W = [np.zeros(layer.W.shape, dtype="f") for layer in self.l]
        self.v_b = [np.zeros(layer.b.shape, dtype="f") for layer in self.l]

    def step(self):
        for i in range(self.L):
            if self.mu == 0:
                self.l[i].W = self.l[i].W - self.lr * self.l[i].dLdW
                self.l[i].b = self.l[i].b - self.lr * self.l[i].dLdb
            else:
                self.v_W[i] = self.mu * self.v_W[i] + self.l[i].dLdW
                self.v_b[i] = self.mu * self.v_b[i] + self.l[i].dLdb
                self.l[i].W = self.l[i].W - self.lr * self.v_W[i]
                self.l[i].b = self.l[i].b - self.lr * self.v_b[i]


class Adam:
    decay = 0

    def __init__(self, model, lr, beta1=0.9, beta2=0.999, eps=1e-8):
        self.l = model.layers[::2]  # every second one is an activation
        self.lr, self.beta1, self.beta2, self.eps, self.t = lr, beta1, beta2, eps, 0
        self.m_W = [np.zeros(layer.W.shape, dtype="f") for layer in self.l]
        self.m_b = [np.zeros(layer.b.shape, dtype="f") for layer in self.l]
        self.v_W = [np.zeros(layer.W.shape, dtype="f") for layer in self.l]
        self.v_b = [np.zeros(layer.b.shape, dtype="f") for layer in self.l]

    def step(self):
        self.t += 1
        for i, layer in enumerate(self.l):
            for name, m, v in (("W", self.m_W, self.v_W), ("b", self.m_b, self.v_b)):
                theta, g = getattr(layer, name), getattr(layer, "dLd" + name)
                m[i] = self.beta1 * m[i] + (1 - self.beta1) * g
                v[i] = self.beta2 * v[i] + (1 - self.beta2) * g**2
                m_hat, v_hat = m[i] / (1 - self.beta1**self.t), v[i] / (1 - self.beta2**self.t)
                theta = theta - theta * self.lr * self.decay
                setattr(layer, name, theta - self.lr * m_hat / (np.sqrt(v_hat) + self.eps))


class AdamW(Adam):
    def __init__(self, model, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
        super().__init__(model, lr, beta1, beta2, eps)
        self.decay = weight_decay
