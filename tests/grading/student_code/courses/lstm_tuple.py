import numpy as np


class LSTMCell:
    def __init__(self, input_size, hidden_size):
        k = 1 / np.sqrt(hidden_size)
        self.hidden_size = hidden_size
        self.W_ih = np.random.uniform(-k, k, (4 * hidden_size, input_size))
        self.W_hh = np.random.uniform(-k, k, (4 * hidden_size, hidden_size))
        self.b_ih = np.zeros(4 * hidden_size)
        self.b_hh = np.zeros(4 * hidden_size)

    def forward(self, x, state):
        h, c = state
        z = x @ self.W_ih.T + self.b_ih + h @ self.W_hh.T + self.b_hh
        i, f, g, o = np.split(z, 4, axis=1)
        s = lambda v: 1 / (1 + np.exp(-v))
        i, f, g, o = s(i), s(f), np.tanh(g), s(o)
        c2 = f * c + i * g
        h2 = o * np.tanh(c2)
        self.cache = x, h, c, i, f, g, o, c2
        return h2, (h2, c2)

    def backward(self, dh, dc):
        x, h, c, i, f, g, o, c2 = self.cache
        t = np.tanh(c2)
        dc = dc + dh * o * (1 - t**2)
        dz = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * t * o * (1 - o)], 1)
        self.dW_ih = dz.T @ x
        self.dW_hh = dz.T @ h
        self.db_ih = dz.sum(0)
        self.db_hh = dz.sum(0)
        return dz @ self.W_ih, dz @ self.W_hh, dc * f
