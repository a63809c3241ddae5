"""Random tensor programs on 2x4 arrays of small whole numbers, so that every sum is exact."""

import numpy as np
from hypothesis import strategies as st

from opcheck import reference as F
from opcheck.programs.elementwise import erf
from opcheck.programs.kinks import formed, with_slope
from opcheck.programs.sums import log_sum_exp, streamed_mean
from tests.programs.functions import gated

EXACT = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a, b: -a,
    "half": lambda a, b: a / 2,
    "square": lambda a, b: np.square(a) - b**2,
    "power": lambda a, b: a**3,
    "constant": lambda a, b: 3 - 2 * a + np.arange(4.0),
    "row_sum": lambda a, b: a * b.sum(axis=1, keepdims=True),
    "column_mean": lambda a, b: a - np.mean(b, axis=0),
    "mean": lambda a, b: a + b.mean(),
    "matmul": lambda a, b: (a @ b.T) @ a,
    "vector": lambda a, b: a * (b @ np.arange(4.0)).reshape(2, 1) + a[0] @ b[1],
    "batch": lambda a, b: (a.reshape(2, 2, 2) @ b.reshape(2, 2, 2)).reshape(2, 4),
    "concatenate": lambda a, b: np.concatenate([a[:, :2], b[:, 2:]], axis=1),
    "stack": lambda a, b: np.stack([a[0], b[-1]]),
    "transpose": lambda a, b: a.T.reshape(2, 4),
    "axes": lambda a, b: np.transpose(a.reshape(2, 2, 2), (1, 2, 0)).reshape(2, 4),
    "maximum": lambda a, b: np.maximum(a, b),
    "minimum": lambda a, b: np.minimum(a, 1) + b,
    "abs": lambda a, b: abs(a),
    "sign": lambda a, b: np.sign(a) * b,
    "equal": lambda a, b: np.equal(a, b) * b,
    "where": lambda a, b: np.where(a > b, a, 2 * b),
    "mask": lambda a, b: (a <= 1) * b + (b < a) * a,
    "clip": lambda a, b: a.clip(-2, 2),
    "clamp": lambda a, b: a.clamp(min=0),
    "largest": lambda a, b: np.broadcast_to(a.max(axis=0), (2, 4)),
    "smallest": lambda a, b: a.min(axis=1, keepdims=True) + b,
    "most": lambda a, b: a + b.max(),
    "flip": lambda a, b: a[::-1],
    "gather": lambda a, b: a[:, [0, 0, 2, 3]],
    "newaxis": lambda a, b: np.squeeze(np.expand_dims(a, 1), 1) + b[:, None, 1],
    "detach": lambda a, b: a * b.detach(),
    "with_slope": lambda a, b: with_slope(a, b, 2 * a),
    "masks": lambda a, b: ((a != b) & ~(a > 2) | (b == 1)) * a,
    "steps": lambda a, b: np.floor(a / 2) * b + np.ceil(b / 2),
    "cumsum": lambda a, b: np.cumsum(a, axis=1) - b,
    "prod": lambda a, b: np.prod(a[:, :2], axis=1, keepdims=True) + b,
    "einsum": lambda a, b: np.einsum("ij,kj,kl->il", a, b, b),
    "sort": lambda a, b: np.sort(a, axis=1) + b,
    "argsort": lambda a, b: np.take_along_axis(b, np.argsort(a, axis=1), 1),
    "assigned": lambda a, b: gated(a, b),
    "argmax": lambda a, b: a + b[[0, 1], np.argmax(a, axis=1)].reshape(2, 1),
    "argmin": lambda a, b: a + np.take(b, np.argmin(a, axis=0), axis=1),
    "roll": lambda a, b: np.roll(a, 1, axis=1) + np.repeat(b[:, :2], 2, axis=1),
    "fill": lambda a, b: filled(a) + b,
    "astype": lambda a, b: a.astype(np.float64) * b.astype(np.int64) + (a > b).astype(bool),
    "classes": lambda a, b: F.nll_loss(a, abs(b[:, 0]).clip(0, 3).astype(np.int64), reduction="sum") + a,
    "linear": lambda a, b: F.linear(a, np.concatenate([b, b], axis=0), a[1]),
    "relu": lambda a, b: F.relu(a),
    "pool": lambda a, b: a + F.max_pool1d(b, 2, stride=2).sum(axis=1, keepdims=True),
    "indices": lambda a, b: F.max_pool1d(b, 2, stride=1, padding=1, return_indices=True)[0][:, :4] * a,
    "conv": lambda a, b: F.conv1d(a.reshape(1, 2, 4), b.reshape(2, 2, 2), padding=1)[0, :, :4],
}
SMOOTH = {
    "exp": lambda a, b: np.exp(a / 8), "log": lambda a, b: np.log(a * a + 1), "sqrt": lambda a, b: np.sqrt(b * b + 1),
    "tanh": lambda a, b: np.tanh(a), "sin": lambda a, b: np.sin(a) * np.cos(b), "div": lambda a, b: a / (b * b + 1),
    "log1p": lambda a, b: np.log1p(a * a), "sinh": lambda a, b: np.sinh(np.cos(a)) + np.cosh(np.sin(b)),
    "tan": lambda a, b: np.tan(np.sin(a)), "power": lambda a, b: (a * a + 1) ** (b / 8),
    "sigmoid": lambda a, b: F.sigmoid(a), "expm1": lambda a, b: np.expm1(a / 8) * b,
    "erf": lambda a, b: erf(a / 2), "arcsin": lambda a, b: np.arcsin(np.sin(a) / 2) + np.arccos(np.cos(b) / 2),
    "arctan": lambda a, b: np.arctan(a) + np.arctan2(b, a * a + 1),
    "arsinh": lambda a, b: np.arcsinh(a) + np.arccosh(b * b + 2) + np.arctanh(np.sin(a) / 2),
    "softmax": lambda a, b: F.softmax(a, dim=1) * b, "logaddexp": lambda a, b: np.logaddexp(a, b),
    "streamed_mean": lambda a, b: streamed_mean(a, 1, keepdims=True) * b,
    "log_sum_exp": lambda a, b: a - log_sum_exp(b, 1), "formed": lambda a, b: formed(a + b) * b,
}  # fmt: skip


def filled(a):
    out = np.zeros_like(a[0])
    out[1:3] = a[1, :2]
    out[0] += a[0, 3]
    return out


def programs(table, steps=4):
    step = st.tuples(st.sampled_from(sorted(table)), st.integers(0, 9), st.integers(0, 9))
    return st.lists(step, min_size=1, max_size=steps)


def runner(program, table):
    """The program as a function of x and y that returns one number."""

    def run(x, y):
        pool = [x, y]
        for name, a, b in program:
            pool.append(table[name](pool[a % len(pool)], pool[b % len(pool)]))
        return sum((k + 1) * each.sum() for k, each in enumerate(pool[2:]))

    return run


WHOLE = st.lists(st.integers(-3, 3), min_size=8, max_size=8).map(lambda numbers: np.array(numbers, float).reshape(2, 4))
