"""Programs of one or a few functions of numpy each: what students and kernels write, over x, y 3×4, w 4×5, v 4."""

import numpy as np

from opcheck.programs.elementwise import erf, sigmoid
from opcheck.programs.kinks import with_slope
from opcheck.programs.sums import log_sum_exp

SHAPES = {"x": (3, 4), "y": (3, 4), "w": (4, 5), "v": (4,)}
windows = np.lib.stride_tricks.sliding_window_view


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x):
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)


def looped(x, v):
    """A recurrence that fills an array step by step, as students write it."""
    out, state = np.zeros_like(x), v
    for k in range(x.shape[0]):
        state = np.tanh(state * 0.5 + x[k])
        out[k] = state
    return out


def gated(x, y):
    """The two largest of each row at their places, as a mixture of experts has them."""
    out, places = np.zeros_like(x), np.argsort(-x, axis=1, kind="stable")[:, :2]
    np.put_along_axis(out, places, np.take_along_axis(y, places, 1), 1)
    return out


def scattered(x, y):
    """Rows at computed places: the last one counts; and twice where two meet."""
    out, places = np.copy(x), np.argmax(y[:, :3], axis=1)
    out[np.arange(3), places] = x[:, 0]
    out[places] = y
    np.add.at(out, (slice(None), places), x[:, :3])
    return out


def masked(x, v):
    out = np.copy(x)
    out[x > v] = 0.5
    np.fill_diagonal(out, v[:3])
    return out


def convolved(x, v):
    patches = windows(np.pad(x, 1), (2, 2), axis=(0, 1))
    return np.einsum("ijuv,uv->ij", patches, v.reshape(2, 2))


EXACT = {  # on small whole numbers nothing is rounded, in any order
    "with_slope": lambda x, y, w, v: with_slope(x, y, 2 * x) * v,
    "add": lambda x, y, w, v: x + v,
    "subtract": lambda x, y, w, v: x - y,
    "multiply": lambda x, y, w, v: x * v,
    "square": lambda x, y, w, v: np.square(x),
    "power": lambda x, y, w, v: x**3,
    "negative": lambda x, y, w, v: -x,
    "matmul": lambda x, y, w, v: x @ w,
    "vector": lambda x, y, w, v: x @ v,
    "dot": lambda x, y, w, v: np.dot(v, w),
    "einsum": lambda x, y, w, v: np.einsum("ij,jk->ik", x, w),
    "einsum_implicit": lambda x, y, w, v: np.einsum("ij,kj", x, y),
    "einsum_three": lambda x, y, w, v: np.einsum("ij,j,jk->ik", x, v, w),
    "einsum_dots": lambda x, y, w, v: np.einsum("...j,jk->...k", x.reshape(1, 3, 4), w),
    "einsum_diagonal": lambda x, y, w, v: np.einsum("ii->i", x[:, :3]) + np.einsum("ij->", w),
    "sum": lambda x, y, w, v: x.sum(),
    "sum_axis": lambda x, y, w, v: np.sum(x, axis=1, keepdims=True),
    "mean": lambda x, y, w, v: np.mean(x, axis=1),
    "cumsum": lambda x, y, w, v: np.cumsum(x, axis=1),
    "prod": lambda x, y, w, v: np.prod(x[:, :3], axis=1),
    "cumprod": lambda x, y, w, v: np.cumprod(x[:2], axis=0),
    "max": lambda x, y, w, v: x.max(axis=0),
    "min": lambda x, y, w, v: np.min(x),
    "abs": lambda x, y, w, v: abs(x),
    "maximum": lambda x, y, w, v: np.maximum(x, v),
    "minimum": lambda x, y, w, v: np.minimum(x, y),
    "where": lambda x, y, w, v: np.where(x > y, x, 2 * y),
    "clip": lambda x, y, w, v: np.clip(x, -2, 2),
    "clip_arrays": lambda x, y, w, v: np.clip(x, np.minimum(y, 0), np.abs(y)),
    "masks": lambda x, y, w, v: ((x > 0) & (y != 1) | ~(x < y)) * x,
    "sign": lambda x, y, w, v: np.sign(x) * y,
    "floor": lambda x, y, w, v: np.floor(x / 2) + np.ceil(y / 4) + np.trunc(x / 4),
    "heaviside": lambda x, y, w, v: np.heaviside(x, 0.5) * y,
    "concatenate": lambda x, y, w, v: np.concatenate([x, y], axis=1),
    "stack": lambda x, y, w, v: np.stack([x, y], 1),
    "vstack": lambda x, y, w, v: np.vstack([x, v]),
    "hstack": lambda x, y, w, v: np.hstack([x, y]),
    "column_stack": lambda x, y, w, v: np.column_stack([v, v * 2]),
    "pad": lambda x, y, w, v: np.pad(x, ((1, 0), (2, 1))),
    "pad_value": lambda x, y, w, v: np.pad(x, 1, constant_values=3),
    "pad_edge": lambda x, y, w, v: np.pad(x, 1, mode="edge"),
    "pad_reflect": lambda x, y, w, v: np.pad(x, ((1, 2), (2, 1)), mode="reflect"),
    "pad_wrap": lambda x, y, w, v: np.pad(x, 2, mode="wrap"),
    "flip": lambda x, y, w, v: np.flip(x, 0) - np.flip(y),
    "roll": lambda x, y, w, v: np.roll(x, (1, -1), axis=(0, 1)),
    "roll_flat": lambda x, y, w, v: np.roll(x, 5),
    "take": lambda x, y, w, v: np.take(x, [0, 2, 2], axis=0),
    "take_along_axis": lambda x, y, w, v: np.take_along_axis(x, np.array([[0, 3], [1, 1], [2, 0]]), 1),
    "indexed": lambda x, y, w, v: x[[0, 2], [1, 3]] + x[1, 1:3],
    "one_hot": lambda x, y, w, v: x * np.eye(4)[[1, 0, 3]],
    "boolean": lambda x, y, w, v: x[np.array([True, False, True])],
    "ellipsis": lambda x, y, w, v: x[..., None, 1] * y[:, :1],
    "tril": lambda x, y, w, v: np.tril(x, 1) + np.triu(y),
    "diagonal": lambda x, y, w, v: np.diagonal(x, 1),
    "trace": lambda x, y, w, v: np.trace(x) * np.diag(v),
    "outer": lambda x, y, w, v: np.outer(v, x[:, 0]),
    "inner": lambda x, y, w, v: np.inner(x, y),
    "tensordot": lambda x, y, w, v: np.tensordot(x, y, ([0, 1], [0, 1])),
    "sort": lambda x, y, w, v: np.sort(x, axis=1),
    "top_k": lambda x, y, w, v: np.take_along_axis(y, np.argsort(-x, axis=1, kind="stable")[:, :2], 1),
    "put_along_axis": lambda x, y, w, v: gated(x, y),
    "scattered": lambda x, y, w, v: scattered(x, y),
    "masked": lambda x, y, w, v: masked(x, v),
    "argmax": lambda x, y, w, v: y[np.arange(3), np.argmax(x, axis=1)],
    "argmin": lambda x, y, w, v: np.take(v, np.argmin(x, axis=1)),
    "moveaxis": lambda x, y, w, v: np.moveaxis(x.reshape(3, 2, 2), 0, -1),
    "transpose": lambda x, y, w, v: x.T @ y,
    "swapaxes": lambda x, y, w, v: np.swapaxes(x, 0, 1),
    "split": lambda x, y, w, v: np.split(x, 2, axis=1)[1],
    "array_split": lambda x, y, w, v: np.array_split(x, 3, axis=1)[0] * y[:, :1],
    "repeat": lambda x, y, w, v: np.repeat(x, [1, 0, 2], axis=0),
    "tile": lambda x, y, w, v: np.tile(v, (2, 2)),
    "expand_dims": lambda x, y, w, v: np.squeeze(np.expand_dims(x, (0, 2)), 2).ravel(),
    "likes": lambda x, y, w, v: x * np.ones_like(y) + np.full_like(x, 3.0) - np.zeros_like(x),
    "broadcast": lambda x, y, w, v: np.broadcast_to(v, (3, 4)) + x,
    "diff": lambda x, y, w, v: np.diff(x, axis=1),
    "mean_where": lambda x, y, w, v: np.mean(x, axis=1, where=np.array([True, True, False, False])),
    "norm_1": lambda x, y, w, v: np.linalg.norm(x, 1, axis=1) + np.linalg.norm(v, np.inf),
    "windows": lambda x, y, w, v: windows(x, 2, axis=1).sum(axis=-1),
    "convolved": lambda x, y, w, v: convolved(x, v),
}
if hasattr(np, "unstack"):  # since numpy 2.1
    EXACT |= {
        "astype": lambda x, y, w, v: np.astype(x, np.float64) * y,
        "unstack": lambda x, y, w, v: np.unstack(x, axis=1)[2] * v[:3],
        "matrix_transpose": lambda x, y, w, v: np.matrix_transpose(x.reshape(3, 2, 2)),
    }
SMOOTH = {
    "log_sum_exp": lambda x, y, w, v: x - log_sum_exp(y, 1),
    "divide": lambda x, y, w, v: x / (y * y + 1),
    "exp": lambda x, y, w, v: np.exp(x),
    "log": lambda x, y, w, v: np.log(x * x + 0.5),
    "log1p": lambda x, y, w, v: np.log1p(x * x),
    "expm1": lambda x, y, w, v: np.expm1(x),
    "sqrt": lambda x, y, w, v: np.sqrt(x * x + v * v),
    "rsqrt": lambda x, y, w, v: 1 / np.sqrt(x * x + 0.1),
    "tanh": lambda x, y, w, v: np.tanh(x),
    "sin": lambda x, y, w, v: np.sin(x) * np.cos(y),
    "tan": lambda x, y, w, v: np.tan(np.sin(x)),
    "sinh": lambda x, y, w, v: np.sinh(np.sin(x)) + np.cosh(np.cos(y)),
    "sigmoid": lambda x, y, w, v: sigmoid(x),
    "arcsin": lambda x, y, w, v: np.arcsin(np.sin(x) * 0.5) + np.arccos(np.cos(y) * 0.5),
    "arctan": lambda x, y, w, v: np.arctan(x) + np.arctan2(x - v, y * y + 0.5),
    "arsinh": lambda x, y, w, v: np.arcsinh(x) + np.arccosh(y * y + 1.5) + np.arctanh(np.sin(v) * 0.5),
    "erf": lambda x, y, w, v: erf(x),
    "silu": lambda x, y, w, v: x * sigmoid(x),
    "gelu": lambda x, y, w, v: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x, y, w, v: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "powers": lambda x, y, w, v: (np.abs(x) + 0.5) ** y + np.power(2.0, v),
    "cube_root": lambda x, y, w, v: (x * x + 1) ** (1 / 3),
    "exp2": lambda x, y, w, v: np.exp2(x) + np.radians(y) - np.degrees(v),
    "log2": lambda x, y, w, v: np.log2(x * x + 1) + np.log10(y * y + 2),
    "reciprocal": lambda x, y, w, v: np.reciprocal(x * x + 1),
    "logaddexp": lambda x, y, w, v: np.logaddexp(x, y),
    "softplus": lambda x, y, w, v: np.logaddexp(0, x),
    "softmax": lambda x, y, w, v: softmax(x),
    "log_softmax": lambda x, y, w, v: (
        x - x.max(axis=1, keepdims=True) - np.log(np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    ),
    "layer_norm": lambda x, y, w, v: layer_norm(x) * v + y[0],
    "var": lambda x, y, w, v: np.var(x, axis=1, ddof=1),
    "std": lambda x, y, w, v: x.std(axis=0, keepdims=True) + np.std(y, ddof=1),
    "norm": lambda x, y, w, v: np.linalg.norm(x, axis=1) + np.linalg.norm(w),
    "average": lambda x, y, w, v: np.average(x, axis=1, weights=v * v + 1),
    "attention": lambda x, y, w, v: softmax(x @ y.T / 2) @ y,
    "loop": lambda x, y, w, v: looped(x, v),
    "cross_entropy": lambda x, y, w, v: -np.mean(np.log(softmax(x))[np.arange(3), [0, 3, 1]]),
    "network": lambda x, y, w, v: softmax(np.maximum(x @ w, 0) @ w.T + v),
    "prod": lambda x, y, w, v: np.prod(x, axis=1) + np.cumprod(y, axis=1)[:, 2],
    "third_mean": lambda x, y, w, v: np.mean(x, axis=0) * np.cumsum(y, axis=0),
    "rotary": lambda x, y, w, v: np.concatenate([-x[:, 2:], x[:, :2]], axis=1) * np.sin(v) + x * np.cos(v),
}
ALL = EXACT | SMOOTH
