"""Implementations in lower precision, as hardware and libraries have them, in numpy: products are taken one by one.

A convolution is a matrix product of its unfolded windows here, so that each way of multiplying serves linear, too.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators import catalog
from opcheck.verification.truth.formats import FORMATS, rounded

MOST_TERMS, MOST_TILES = 300, 600
Product = Callable[[Any, Any], Any]  # (rows, K), (K, columns) -> (rows, columns), in float64


def linear(product: Product, bias_missing: bool = False) -> Any:
    def candidate(input, weight, bias=None):
        refuse_what_torch_refuses("linear", input, weight, bias)
        rows, columns = wide(input.reshape(-1, input.shape[-1]), weight.T)
        y = product(rows, columns if weight.ndim == 2 else columns[:, None])
        y = y.reshape(input.shape[:-1] + weight.shape[:-1])
        return stored(y if bias is None or bias_missing else y + wide(bias)[0], input)

    return candidate


def matmul(product: Product) -> Any:
    """Of two matrices, or of vectors with them."""

    def candidate(input, other):
        refuse_what_torch_refuses("matmul", input, other)
        if max(input.ndim, other.ndim) > 2:
            raise NotImplementedError("batches")
        a, b = wide(np.atleast_2d(input), other if other.ndim == 2 else other[:, None])
        y = product(a, b).reshape((*input.shape[:-1], *other.shape[1:]))
        return stored(y, input)

    return candidate


def conv2d(product: Product, flipped: bool = False) -> Any:
    """Batched or not; stride and padding are numbers or pairs; one group."""

    def candidate(input, weight, bias=None, stride=1, padding=0):
        refuse_what_torch_refuses("conv2d", input, weight, bias, stride, padding)
        x, w = wide(input, weight)
        w = w[..., ::-1, ::-1] if flipped else w
        windows, (rows, columns) = unfolded(x if input.ndim == 4 else x[None], w.shape[2:], pair(stride), pair(padding))
        images = [
            product(each, w.reshape(len(w), windows.shape[2]).T).T.reshape(len(w), rows, columns) for each in windows
        ]
        y = np.stack(images) if len(images) else np.zeros((0, len(w), rows, columns))
        y = y if bias is None else y + wide(bias)[0][:, None, None]
        return stored(y if input.ndim == 4 else y[0], input)

    return candidate


def refuse_what_torch_refuses(op: str, *arguments: Any) -> None:
    catalog.get(op).case(*(each.astype(np.float64) if hasattr(each, "astype") else each for each in arguments))


def wide(*arrays: Any) -> list[Any]:
    return [np.asarray(each).astype(np.float64) for each in arrays]


def stored(y: Any, like: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(y).astype(like.dtype)


def pair(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        raise NotImplementedError("padding by name")
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def unfolded(x: Any, kernel: Any, stride: Any, padding: Any) -> Any:
    """(N, places, Cin*kh*kw) and how many places there are in each direction."""
    (top, left), (down, right) = padding, stride
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    seen = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))[:, :, ::down, ::right]
    terms = seen.shape[1] * seen.shape[4] * seen.shape[5]
    places = seen.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), seen.shape[2] * seen.shape[3], terms)
    return places, seen.shape[2:4]


# --- products ---------------------------------------------------------------------------------------------------------


def full(a: Any, b: Any) -> Any:
    return a @ b


def few_digits(x: Any, digits: int, truncate: bool = False) -> Any:
    """With the exponents of float32."""
    return rounded(x, digits, largest=FORMATS["float32"].largest, truncate=truncate)


def with_factors(digits: int, truncate: bool = False) -> Product:
    """Factors of so many digits, float32 sums: TF32 (11), bfloat16 inputs (8)."""

    def product(a: Any, b: Any) -> Any:
        coarse = (few_digits(each, digits, truncate).astype(np.float32) for each in (a, b))
        with np.errstate(all="ignore"):
            return np.matmul(*coarse)

    return product


def with_half_factors(a: Any, b: Any) -> Any:
    """Factors in float16, float32 sums."""
    with np.errstate(all="ignore"):
        return a.astype(np.float16).astype(np.float32) @ b.astype(np.float16).astype(np.float32)


def no_long_sum(a: Any, b: Any) -> Any:
    """Zeros to add to: term by term, a sum of thousands takes Python too long."""
    if a.shape[1] > MOST_TERMS:
        raise NotImplementedError("sums of so many terms")
    return np.zeros((a.shape[0], b.shape[1]))


def with_sums(name: str) -> Product:
    """A running sum that is rounded to a format after each term."""
    f = FORMATS[name]

    def product(a: Any, b: Any) -> Any:
        y = no_long_sum(a, b)
        for k in range(a.shape[1]):
            y = f.round(y + a[:, k : k + 1] * b[k : k + 1])
        return y

    return product


def split(parts: int, name: str) -> Product:
    """Split-k: float32 inside each part, partial sums stored in a format (cuBLAS' reduced-precision reductions)."""
    f = FORMATS[name]

    def product(a: Any, b: Any) -> Any:
        y = np.zeros((a.shape[0], b.shape[1]))
        for k in np.array_split(np.arange(a.shape[1]), parts):
            y = f.round(y + f.round(a[:, k].astype(np.float32) @ b[k].astype(np.float32)))
        return y

    return product


def tensor_core(digits: int = 24, block: int = 4) -> Product:
    """Sums of a block of products and the running sum, aligned to the largest and truncated to 24 digits (Fasi, Higham,
    Mikaitis, Pranesh: Numerical behavior of NVIDIA tensor cores, 2021)."""

    def product(a: Any, b: Any) -> Any:
        a, b = (few_digits(each, digits) for each in (a, b))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return a @ b
        y = no_long_sum(a, b)
        for k in range(0, a.shape[1], block):
            terms = np.concatenate([y[..., None], a[:, None, k : k + block] * b.T[None, :, k : k + block]], axis=-1)
            _, exponent = np.frexp(np.max(np.abs(terms), axis=-1))
            shift = 24 - exponent[..., None]
            y = np.ldexp(np.sum(np.trunc(np.ldexp(terms, shift)), axis=-1), -shift[..., 0])
            y = rounded(y, 24, truncate=True)
        return y

    return product


# --- transforms -------------------------------------------------------------------------------------------------------

# Lavin and Gray, Fast algorithms for convolutional neural networks (2016): F(2x2, 3x3) and F(4x4, 3x3)
WINOGRAD = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
         [0, 4, 0, -5, 0, 1]],
        [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
         [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}  # fmt: skip


def winograd(tile: int, term_dropped: bool = False) -> Any:
    """3x3 kernels by F(tile x tile, 3x3) in float32; other kernels directly."""
    b, g, a = (np.array(each, dtype=np.float32) for each in WINOGRAD[tile])
    if term_dropped:
        a = a.copy()
        a[-1, -1] = 0
    direct = conv2d(lambda p, q: p.astype(np.float32) @ q.astype(np.float32))

    def candidate(input, weight, bias=None, padding=0):
        refuse_what_torch_refuses("conv2d", input, weight, bias, 1, padding)
        if weight.shape[2:] != (3, 3):
            return direct(input, weight, bias, 1, padding)
        x = (input if input.ndim == 4 else input[None]).astype(np.float32)
        p = pair(padding)
        x = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
        height, width = x.shape[2] - 2, x.shape[3] - 2
        if height * width > MOST_TILES * tile**2:
            raise NotImplementedError("images of so many tiles")
        more = [-n % tile for n in (height, width)]
        x = np.pad(x, ((0, 0), (0, 0), (0, more[0]), (0, more[1])))
        u = g @ weight.astype(np.float32) @ g.T
        y = np.zeros((len(x), len(weight), height + more[0], width + more[1]), dtype=np.float32)
        for i in range(0, height, tile):
            for j in range(0, width, tile):
                v = b @ x[:, :, i : i + tile + 2, j : j + tile + 2] @ b.T
                m = np.einsum("ncij,ocij->noij", v, u)
                y[:, :, i : i + tile, j : j + tile] = a @ m @ a.T
        y = y[:, :, :height, :width]
        y = y if bias is None else y + bias.astype(np.float32)[:, None, None]
        return stored(y if input.ndim == 4 else y[0], input)

    return candidate


def by_fft(input, weight, bias=None, padding=0):
    """Convolution by the fast Fourier transform in float32."""
    import scipy.fft

    refuse_what_torch_refuses("conv2d", input, weight, bias, 1, padding)
    x, w = (np.asarray(each, dtype=np.float32) for each in (input if input.ndim == 4 else input[None], weight))
    p = pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
    size = [n + k - 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    product = np.einsum("ncij,ocij->noij", scipy.fft.rfft2(x, size), scipy.fft.rfft2(w[..., ::-1, ::-1], size))
    y = scipy.fft.irfft2(product, size)
    y = y[:, :, w.shape[2] - 1 : x.shape[2], w.shape[3] - 1 : x.shape[3]]
    y = y if bias is None else y + np.asarray(bias, dtype=np.float32)[:, None, None]
    return stored(y if input.ndim == 4 else y[0], input)
