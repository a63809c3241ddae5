"""The layer convention: objects that hold W, b, dW and db."""

from typing import Any

import numpy as np

from opcheck.grading.solutions.engine import forward, vjp
from opcheck.grading.solutions.optimisers import SGD, Adam, AdamW, Momentum, Nesterov, RMSprop
from opcheck.grading.solutions.plain import Plain, ReLU, Sigmoid, Softmax, Tanh
from opcheck.operators.spec import Array

__all__ = ["SGD", "Adam", "AdamW", "Momentum", "Nesterov", "RMSprop", "Sigmoid", "Softmax", "Tanh"]


class Affine:
    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward("linear", x, self.W.T, self.b)
        return out

    def backward(self, dout: Array) -> Array:
        d = vjp("linear", dout, self.x, self.W.T, self.b)
        self.dW, self.db = d["weight"].T, d["bias"]
        return d["input"]


class Convolution:
    def __init__(self, W: Array, b: Array, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.options = W, b, {"stride": stride, "padding": pad}

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = forward("conv2d", x, self.W, self.b, **self.options)
        return out

    def backward(self, dout: Array) -> Array:
        d = vjp("conv2d", dout, self.x, self.W, self.b, **self.options)
        self.dW, self.db = d["weight"], d["bias"]
        return d["input"]


class Relu(ReLU):
    """As the book calls it."""


class Pooling(Plain):
    op = "max_pool2d"

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.options = {"kernel_size": (pool_h, pool_w), "stride": stride, "padding": pad}


class GELU(Plain):
    op = "gelu"


class SiLU(Plain):
    op = "silu"


class LogSoftmax(Plain):
    op = "log_softmax"
    options = {"dim": 1}


class Dropout(Plain):
    op = "dropout"

    def __init__(self, p: float = 0.5) -> None:
        self.p, self.training = p, True

    def forward(self, x: Array) -> Array:
        self.options = {"p": self.p, "training": self.training}
        if self.training:
            self.options["mask"] = np.where(np.random.default_rng().random(x.shape) < self.p, 0.0, 1.0)
        return super().forward(x)


class Normalisation(Plain):
    """With one factor and one number for each feature or channel."""

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        self.gamma, self.beta, self.eps = np.ones(size), np.zeros(size), eps

    def own(self) -> dict[str, Any]:
        return {"weight": self.gamma, "bias": self.beta, "eps": self.eps}

    def forward(self, x: Array) -> Array:
        self.options = self.own()
        return super().forward(x)

    def backward(self, dout: Array) -> Array:
        d = vjp(self.op, dout, self.x, **self.options)
        self.dgamma, self.dbeta = d["weight"], d.get("bias")
        return d["input"]


class LayerNorm(Normalisation):
    op = "layer_norm"

    def own(self) -> dict[str, Any]:
        return {"normalized_shape": self.gamma.shape, **super().own()}


class RMSNorm(Normalisation):
    op = "rms_norm"

    def own(self) -> dict[str, Any]:
        return {"normalized_shape": self.gamma.shape, "weight": self.gamma, "eps": self.eps}


class GroupNorm(Normalisation):
    op = "group_norm"

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__(num_channels, eps)
        self.num_groups = num_groups

    def own(self) -> dict[str, Any]:
        return {"num_groups": self.num_groups, **super().own()}


class BatchNorm(Normalisation):
    op = "batch_norm"

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.momentum, self.training = momentum, True

    def own(self) -> dict[str, Any]:
        kept = {"running_mean": self.running_mean, "running_var": self.running_var}
        return {**super().own(), **kept, "training": self.training, "momentum": self.momentum}

    def forward(self, x: Array) -> Array:
        self.x, self.options = x, self.own()
        found = forward(self.op, x, **self.options)
        out, *new = found if isinstance(found, tuple) else (found,)
        if new:
            self.running_mean, self.running_var = new
        return np.asarray(out)


class Embedding:
    def __init__(self, vocab_size: int, dim: int) -> None:
        self.W = np.zeros((vocab_size, dim))

    def forward(self, idx: Array) -> Array:
        self.idx = idx
        out: Array = forward("embedding", idx, self.W)
        return out

    def backward(self, dout: Array) -> None:
        self.dW = vjp("embedding", dout, self.idx, self.W)["weight"]


class LSTMCell:
    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.W_ih, self.W_hh = np.zeros((4 * hidden_size, input_size)), np.zeros((4 * hidden_size, hidden_size))
        self.b_ih, self.b_hh = np.zeros(4 * hidden_size), np.zeros(4 * hidden_size)

    def forward(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        self.arrays = x, (h, c), self.W_ih, self.W_hh, self.b_ih, self.b_hh
        new_h, new_c = forward("lstm_cell", *self.arrays)
        return new_h, new_c

    def backward(self, dh: Array, dc: Array) -> tuple[Array, Array, Array]:
        d = vjp("lstm_cell", {"h_1": dh, "c_1": dc}, *self.arrays)
        self.dW_ih, self.dW_hh, self.db_ih, self.db_hh = d["w_ih"], d["w_hh"], d["b_ih"], d["b_hh"]
        return d["input"], d["h_0"], d["c_0"]


class ScaledDotProductAttention:
    def __init__(self, is_causal: bool = False) -> None:
        self.options = {"is_causal": is_causal}

    def forward(self, q: Array, k: Array, v: Array) -> Array:
        self.arrays = q, k, v
        out: Array = forward("scaled_dot_product_attention", q, k, v, **self.options)
        return out

    def backward(self, dout: Array) -> tuple[Array, Array, Array]:
        d = vjp("scaled_dot_product_attention", dout, *self.arrays, **self.options)
        return d["query"], d["key"], d["value"]


class Loss:
    """The mean over all rows."""

    op = ""

    def forward(self, x: Array, t: Array) -> Array:
        self.x, self.t = x, t
        loss: Array = forward(self.op, x, t)
        return loss

    def backward(self, dout: float = 1) -> Array:
        return vjp(self.op, self.x.dtype.type(dout), self.x, self.t)["input"]


class SoftmaxWithLoss(Loss):
    op = "cross_entropy"


class MSELoss(Loss):
    op = "mse_loss"


class NLLLoss(Loss):
    op = "nll_loss"


class BCELoss(Loss):
    op = "binary_cross_entropy"


class BCEWithLogitsLoss(Loss):
    op = "binary_cross_entropy_with_logits"
