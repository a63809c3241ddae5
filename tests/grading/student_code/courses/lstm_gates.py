import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class LSTMCell:
    def __init__(self, input_size, hidden_size):
        s = 1 / np.sqrt(hidden_size)
        self.W_xi = np.random.randn(input_size, hidden_size) * s
        self.W_hi = np.random.randn(hidden_size, hidden_size) * s
        self.b_i = np.zeros(hidden_size)
        self.W_xf = np.random.randn(input_size, hidden_size) * s
        self.W_hf = np.random.randn(hidden_size, hidden_size) * s
        self.b_f = np.ones(hidden_size)
        self.W_xo = np.random.randn(input_size, hidden_size) * s
        self.W_ho = np.random.randn(hidden_size, hidden_size) * s
        self.b_o = np.zeros(hidden_size)
        self.W_xc = np.random.randn(input_size, hidden_size) * s
        self.W_hc = np.random.randn(hidden_size, hidden_size) * s
        self.b_c = np.zeros(hidden_size)

    def forward(self, x, h, c):
        self.x, self.h, self.c = x, h, c
        self.i = sigmoid(x @ self.W_xi + h @ self.W_hi + self.b_i)
        self.f = sigmoid(x @ self.W_xf + h @ self.W_hf + self.b_f)
        self.o = sigmoid(x @ self.W_xo + h @ self.W_ho + self.b_o)
        self.g = np.tanh(x @ self.W_xc + h @ self.W_hc + self.b_c)
        self.c_next = self.f * c + self.i * self.g
        return self.o * np.tanh(self.c_next), self.c_next

    def backward(self, dh, dc):
        t = np.tanh(self.c_next)
        do = dh * t * self.o * (1 - self.o)
        dc = dc + dh * self.o * (1 - t**2)
        di = dc * self.g * self.i * (1 - self.i)
        df = dc * self.c * self.f * (1 - self.f)
        dg = dc * self.i * (1 - self.g**2)
        self.dW_xi, self.dW_hi, self.db_i = self.x.T @ di, self.h.T @ di, di.sum(0)
        self.dW_xf, self.dW_hf, self.db_f = self.x.T @ df, self.h.T @ df, df.sum(0)
        self.dW_xo, self.dW_ho, self.db_o = self.x.T @ do, self.h.T @ do, do.sum(0)
        self.dW_xc, self.dW_hc, self.db_c = self.x.T @ dg, self.h.T @ dg, dg.sum(0)
        dx = di @ self.W_xi.T + df @ self.W_xf.T + do @ self.W_xo.T + dg @ self.W_xc.T
        dhp = di @ self.W_hi.T + df @ self.W_hf.T + do @ self.W_ho.T + dg @ self.W_hc.T
        return dx, dhp, dc * self.f
