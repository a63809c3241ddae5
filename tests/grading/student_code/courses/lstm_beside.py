import numpy as np


class LSTM:
    """z = [h, x] stacked, examples are columns"""

    def __init__(self, input_dim, hidden_dim):
        z = input_dim + hidden_dim
        self.params = {}
        self.params["Wf"] = np.random.randn(hidden_dim, z) * 0.1
        self.params["bf"] = np.zeros((hidden_dim, 1))
        self.params["Wi"] = np.random.randn(hidden_dim, z) * 0.1
        self.params["bi"] = np.zeros((hidden_dim, 1))
        self.params["Wc"] = np.random.randn(hidden_dim, z) * 0.1
        self.params["bc"] = np.zeros((hidden_dim, 1))
        self.params["Wo"] = np.random.randn(hidden_dim, z) * 0.1
        self.params["bo"] = np.zeros((hidden_dim, 1))
        self.grads = {}

    def forward(self, x, h_prev, c_prev):
        sig = lambda v: 1 / (1 + np.exp(-v))
        p = self.params
        z = np.vstack((h_prev, x))
        f = sig(p["Wf"] @ z + p["bf"])
        i = sig(p["Wi"] @ z + p["bi"])
        g = np.tanh(p["Wc"] @ z + p["bc"])
        o = sig(p["Wo"] @ z + p["bo"])
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        self.cache = z, f, i, g, o, c, c_prev, h_prev.shape[0]
        return h, c

    def backward(self, dh_next, dc_next):
        z, f, i, g, o, c, c_prev, H = self.cache
        p = self.params
        dc = dc_next + dh_next * o * (1 - np.tanh(c) ** 2)
        d = {
            "o": dh_next * np.tanh(c) * o * (1 - o),
            "f": dc * c_prev * f * (1 - f),
            "i": dc * g * i * (1 - i),
            "c": dc * i * (1 - g**2),
        }
        dz = 0
        self.grads["Wf"] = d["f"] @ z.T
        self.grads["bf"] = d["f"].sum(1, keepdims=True)
        self.grads["Wi"] = d["i"] @ z.T
        self.grads["bi"] = d["i"].sum(1, keepdims=True)
        self.grads["Wc"] = d["c"] @ z.T
        self.grads["bc"] = d["c"].sum(1, keepdims=True)
        self.grads["Wo"] = d["o"] @ z.T
        self.grads["bo"] = d["o"].sum(1, keepdims=True)
        dz = p["Wf"].T @ d["f"] + p["Wi"].T @ d["i"] + p["Wc"].T @ d["c"] + p["Wo"].T @ d["o"]
        return dz[H:], dz[:H], dc * f
