import numpy as np


class Tanh:
    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.A = np.tanh(x)
        return self.A

    def backward(self, dLdA, state=None):
        A = self.A if state is None else state
        return dLdA * (1 - A**2)


class Sigmoid:
    def __call__(self, x):
        self.A = 1 / (1 + np.exp(-x))
        return self.A


class RNNCell(object):
    """RNN Cell class."""

    def __init__(self, input_size, hidden_size):
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = Tanh()
        h = self.hidden_size
        d = self.input_size
        self.W_ih = np.random.randn(h, d)
        self.W_hh = np.random.randn(h, h)
        self.b_ih = np.random.randn(h)
        self.b_hh = np.random.randn(h)
        self.dW_ih = np.zeros((h, d))
        self.dW_hh = np.zeros((h, h))
        self.db_ih = np.zeros(h)
        self.db_hh = np.zeros(h)

    def init_weights(self, W_ih, W_hh, b_ih, b_hh):
        self.W_ih = W_ih
        self.W_hh = W_hh
        self.b_ih = b_ih
        self.b_hh = b_hh

    def zero_grad(self):
        d = self.input_size
        h = self.hidden_size
        self.dW_ih = np.zeros((h, d))
        self.dW_hh = np.zeros((h, h))
        self.db_ih = np.zeros(h)
        self.db_hh = np.zeros(h)

    def __call__(self, x, h_prev_t):
        return self.forward(x, h_prev_t)

    def forward(self, x, h_prev_t):
        h_t = self.activation(x @ self.W_ih.T + self.b_ih + h_prev_t @ self.W_hh.T + self.b_hh)
        return h_t

    def backward(self, delta, h_t, h_prev_l, h_prev_t):
        batch_size = delta.shape[0]
        dz = self.activation.backward(delta, state=h_t)
        self.dW_ih += dz.T @ h_prev_l / batch_size
        self.dW_hh += dz.T @ h_prev_t / batch_size
        self.db_ih += dz.sum(axis=0) / batch_size
        self.db_hh += dz.sum(axis=0) / batch_size
        dx = dz @ self.W_ih
        dh_prev_t = dz @ self.W_hh
        return dx, dh_prev_t


class GRUCell(object):
    def __init__(self, input_size, hidden_size):
        self.d = input_size
        self.h = hidden_size
        h = self.h
        d = self.d
        self.x_t = 0
        self.Wrx = np.random.randn(h, d)
        self.Wzx = np.random.randn(h, d)
        self.Wnx = np.random.randn(h, d)
        self.Wrh = np.random.randn(h, h)
        self.Wzh = np.random.randn(h, h)
        self.Wnh = np.random.randn(h, h)
        self.brx = np.random.randn(h)
        self.bzx = np.random.randn(h)
        self.bnx = np.random.randn(h)
        self.brh = np.random.randn(h)
        self.bzh = np.random.randn(h)
        self.bnh = np.random.randn(h)
        self.dWrx = np.zeros((h, d))
        self.dWzx = np.zeros((h, d))
        self.dWnx = np.zeros((h, d))
        self.dWrh = np.zeros((h, h))
        self.dWzh = np.zeros((h, h))
        self.dWnh = np.zeros((h, h))
        self.dbrx = np.zeros((h))
        self.dbzx = np.zeros((h))
        self.dbnx = np.zeros((h))
        self.dbrh = np.zeros((h))
        self.dbzh = np.zeros((h))
        self.dbnh = np.zeros((h))
        self.r_act = Sigmoid()
        self.z_act = Sigmoid()
        self.h_act = Tanh()

    def __call__(self, x, h_prev_t):
        return self.forward(x, h_prev_t)

    def forward(self, x, h_prev_t):
        self.x = x
        self.hidden = h_prev_t
        self.r = self.r_act(self.Wrx @ x + self.brx + self.Wrh @ h_prev_t + self.brh)
        self.z = self.z_act(self.Wzx @ x + self.bzx + self.Wzh @ h_prev_t + self.bzh)
        self.nh = self.Wnh @ h_prev_t + self.bnh
        self.n = self.h_act(self.Wnx @ x + self.bnx + self.r * self.nh)
        h_t = (1 - self.z) * self.n + self.z * h_prev_t
        assert self.x.shape == (self.d,)
        return h_t

    def backward(self, delta):
        dz = delta * (self.hidden - self.n)
        dn = delta * (1 - self.z)
        dh = delta * self.z
        dnz = dn * (1 - self.n**2)
        dr = dnz * self.nh
        drz = dr * self.r * (1 - self.r)
        dzz = dz * self.z * (1 - self.z)
        self.dWrx += np.outer(drz, self.x)
        self.dWzx += np.outer(dzz, self.x)
        self.dWnx += np.outer(dnz, self.x)
        self.dWrh += np.outer(drz, self.hidden)
        self.dWzh += np.outer(dzz, self.hidden)
        self.dWnh += np.outer(dnz * self.r, self.hidden)
        self.dbrx += drz
        self.dbzx += dzz
        self.dbnx += dnz
        self.dbrh += drz
        self.dbzh += dzz
        self.dbnh += dnz * self.r
        dx = drz @ self.Wrx + dzz @ self.Wzx + dnz @ self.Wnx
        dh = dh + drz @ self.Wrh + dzz @ self.Wzh + (dnz * self.r) @ self.Wnh
        return dx, dh


class Softmax:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=-1, keepdims=True))
        self.A = E / E.sum(axis=-1, keepdims=True)
        return self.A

    def backward(self, dLdA):
        return self.A * (dLdA - (dLdA * self.A).sum(axis=-1, keepdims=True))


class Attention:
    def __init__(self, weights_keys, weights_queries, weights_values):
        self.W_k = weights_keys
        self.W_q = weights_queries
        self.W_v = weights_values
        self.softmax = Softmax()

    def forward(self, X):
        self.X = X
        self.Q = self.X @ self.W_q
        self.K = self.X @ self.W_k
        self.V = self.X @ self.W_v
        self.D_k = self.K.shape[-1]
        self.A_w = self.Q @ self.K.transpose(0, 2, 1)
        attn_mask = np.triu(np.full(self.A_w.shape[1:], -1e9), k=1)
        self.A_sig = self.softmax.forward((self.A_w + attn_mask) / np.sqrt(self.D_k))
        self.X_new = self.A_sig @ self.V
        return self.X_new

    def backward(self, dLdXnew):
        dLdA_sig = dLdXnew @ self.V.transpose(0, 2, 1)
        dLdA_w = self.softmax.backward(dLdA_sig) / np.sqrt(self.D_k)
        self.dLdV = self.A_sig.transpose(0, 2, 1) @ dLdXnew
        self.dLdK = dLdA_w.transpose(0, 2, 1) @ self.Q
        self.dLdQ = dLdA_w @ self.K
        self.dLdWq = (self.X.transpose(0, 2, 1) @ self.dLdQ).sum(axis=0)
        self.dLdWv = (self.X.transpose(0, 2, 1) @ self.dLdV).sum(axis=0)
        self.dLdWk = (self.X.transpose(0, 2, 1) @ self.dLdK).sum(axis=0)
        dLdX = self.dLdV @ self.W_v.T + self.dLdK @ self.W_k.T + self.dLdQ @ self.W_q.T
        return dLdX
