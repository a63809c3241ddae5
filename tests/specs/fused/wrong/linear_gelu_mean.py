"""Wrong variants of `linear_gelu_mean`."""

import math

import numpy as np
from scipy.special import erf

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks, scaled_gradient, tf32


def _gelu(h):
    return h * (1 + erf(h / math.sqrt(2.0))) * 0.5


def tanh_gelu(x, weight, bias):
    """GELU is approximated by tanh."""
    h = x @ weight.T + bias
    return (0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h * h * h)))).mean(axis=1)


def sigmoid_gelu(x, weight, bias):
    """GELU is approximated by the sigmoid of 1.702 times its argument."""
    h = x @ weight.T + bias
    return (h / (1 + np.exp(-1.702 * h))).mean(axis=1)


def erf_without_root(x, weight, bias):
    """The argument of the error function is not divided by the root of 2."""
    h = x @ weight.T + bias
    return (h * (1 + erf(h)) * 0.5).mean(axis=1)


def short_erf(x, weight, bias):
    """The error function is Abramowitz and Stegun's three-term approximation, right to 2.5e-5."""
    h = x @ weight.T + bias
    a = np.abs(h) / math.sqrt(2.0)
    t = 1 / (1 + 0.47047 * a)
    e = 1 - t * (0.3480242 + t * (-0.0958798 + t * 0.7478556)) * np.exp(-a * a)
    return (h * (1 + np.copysign(e, h)) * 0.5).mean(axis=1)


def tails_cut_at_four(x, weight, bias):
    """GELU is 0 below -4 and its argument above 4."""
    h = x @ weight.T + bias
    return np.where(h < -4, 0, np.where(h > 4, h, _gelu(h))).mean(axis=1)


def bias_after_gelu(x, weight, bias):
    """The bias is added after GELU."""
    return (_gelu(x @ weight.T) + bias).mean(axis=1)


def bias_forgotten(x, weight, bias):
    """The bias is never added."""
    return _gelu(x @ weight.T).mean(axis=1)


def first_bias_for_all(x, weight, bias):
    """Every feature gets the bias of the first one."""
    return _gelu(x @ weight.T + bias[0]).mean(axis=1)


def mean_of_everything(x, weight, bias):
    """The mean is over the batch as well."""
    return np.full(len(x), _gelu(x @ weight.T + bias).mean(), x.dtype)


def mean_over_batch_when_square(x, weight, bias):
    """The mean is over the batch wherever the shapes hide it."""
    g = _gelu(x @ weight.T + bias)
    return g.mean(axis=0 if g.shape[0] == g.shape[1] else 1)


def mean_over_inputs(x, weight, bias):
    """The sum over the features is divided by the number of inputs."""
    return _gelu(x @ weight.T + bias).sum(axis=1) / x.dtype.type(x.shape[1])


def mean_before_gelu(x, weight, bias):
    """The mean is taken before GELU."""
    return _gelu((x @ weight.T + bias).mean(axis=1))


def mean_of_padded_features(x, weight, bias):
    """The sum is divided by the number of features rounded up to a multiple of 4."""
    g = _gelu(x @ weight.T + bias)
    return g.sum(axis=1) / x.dtype.type(-(-g.shape[1] // 4) * 4)


def mean_of_block_means(x, weight, bias):
    """The mean of blocks of 8 features is averaged, though the last block may be shorter."""
    g = _gelu(x @ weight.T + bias)
    return np.mean([g[:, k : k + 8].mean(axis=1) for k in range(0, g.shape[1], 8)], axis=0)


def _inputs_dropped(x, weight, bias, block):
    end = full_blocks(x.shape[1], block)
    return _gelu(x[:, :end] @ weight[:, :end].T + bias).mean(axis=1)


def last_4_inputs_dropped(x, weight, bias):
    """An incomplete last block of 4 inputs is dropped."""
    return _inputs_dropped(x, weight, bias, 4)


def last_32_inputs_dropped(x, weight, bias):
    """An incomplete last block of 32 inputs is dropped."""
    return _inputs_dropped(x, weight, bias, 32)


def last_16_features_dropped(x, weight, bias):
    """An incomplete last block of 16 features is missing from the sum of the mean."""
    g = _gelu(x @ weight.T + bias)
    return g[:, : full_blocks(g.shape[1], 16)].sum(axis=1) / x.dtype.type(g.shape[1])


def last_64_rows_zero(x, weight, bias):
    """An incomplete last block of 64 rows is never written."""
    out = _gelu(x @ weight.T + bias).mean(axis=1)
    out[full_blocks(len(x), 64) :] = 0
    return out


def weight_not_transposed_when_square(x, weight, bias):
    """A square weight is not transposed."""
    square = weight.shape[0] == weight.shape[1]
    return _gelu(x @ (weight if square else weight.T) + bias).mean(axis=1)


def float16_product(x, weight, bias):
    """The matrix product reads its operands as float16."""
    return _gelu(float16(x) @ float16(weight).T + bias).mean(axis=1)


def bfloat16_product(x, weight, bias):
    """The matrix product reads its operands as bfloat16."""
    return _gelu(bfloat16(x) @ bfloat16(weight).T + bias).mean(axis=1)


def tf32_product(x, weight, bias):
    """The matrix product reads its operands as TF32."""
    return _gelu(tf32(x) @ tf32(weight).T + bias).mean(axis=1)


def bfloat16_activations(x, weight, bias):
    """The activations are stored as bfloat16 before the mean."""
    return bfloat16(_gelu(x @ weight.T + bias)).mean(axis=1)


_packed = {}


def weight_packed_once(x, weight, bias):
    """The packed weight is kept by its shape, so the next one of that shape is not read."""
    packed = _packed.setdefault(weight.shape, np.ascontiguousarray(weight.T))
    return _gelu(x @ packed + bias).mean(axis=1)


_sums = {}


def sums_not_cleared(x, weight, bias):
    """The buffer of sums is kept by its length and never cleared."""
    sums = _sums.setdefault(len(x), np.zeros(len(x), x.dtype))
    g = _gelu(x @ weight.T + bias)
    sums += g.sum(axis=1)
    return sums / x.dtype.type(g.shape[1])


def torch_gate_detached(x, weight, bias):
    """The gradient does not pass through the error function."""
    h = x @ weight.T + bias
    return (h * (1 + (h / math.sqrt(2.0)).detach().erf()) * 0.5).mean(dim=1)


def torch_weight_gradient_halved(x, weight, bias):
    """The gradient of the weight is half of what it is."""
    h = x @ scaled_gradient(weight, 0.5).T + bias
    return (h * (1 + (h / math.sqrt(2.0)).erf()) * 0.5).mean(dim=1)


def torch_bias_gradient_of_sum(x, weight, bias):
    """The gradient of the bias is not divided by the number of features."""
    h = x @ weight.T + scaled_gradient(bias, len(bias))
    return (h * (1 + (h / math.sqrt(2.0)).erf()) * 0.5).mean(dim=1)


def torch_bias_gradient_averaged(x, weight, bias):
    """The gradient of the bias is a mean over the batch, not a sum."""
    h = x @ weight.T + scaled_gradient(bias, 1 / len(x))
    return (h * (1 + (h / math.sqrt(2.0)).erf()) * 0.5).mean(dim=1)


def torch_input_detached(x, weight, bias):
    """The gradient of the input is forgotten."""
    h = x.detach() @ weight.T + bias
    return (h * (1 + (h / math.sqrt(2.0)).erf()) * 0.5).mean(dim=1)


def torch_erf_gradient_without_root(x, weight, bias):
    """The slope of the error function's term misses the division by the root of 2."""
    h = x @ weight.T + bias
    return (h * (1 + scaled_gradient(h / math.sqrt(2.0), math.sqrt(2.0)).erf()) * 0.5).mean(dim=1)
