"""A student's homework in the cmu convention until 2022, all of it right."""

import numpy as np


class Linear:
    def __init__(self, in_features, out_features):
        self.W = np.zeros((out_features, in_features))
        self.b = np.zeros((out_features, 1))

    def forward(self, A):
        self.A, self.N = A, len(A)
        return A @ self.W.T + np.ones((self.N, 1)) @ self.b.T

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A / self.N
        self.dLdb = dLdZ.T @ np.ones((self.N, 1)) / self.N
        return dLdZ @ self.W


class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self):
        return 1 - self.A**2


class MSELoss:
    def forward(self, A, Y):
        self.A, self.Y = A, Y
        return np.sum((A - Y) ** 2) / (2 * A.size)

    def backward(self):
        return self.A - self.Y


class CrossEntropyLoss:
    def forward(self, A, Y):
        shifted = A - A.max(axis=1, keepdims=True)
        self.log_p, self.Y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), Y
        return np.sum(-Y * self.log_p) / len(A)

    def backward(self):
        return np.exp(self.log_p) - self.Y
