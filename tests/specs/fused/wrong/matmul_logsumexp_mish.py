"""Wrong variants of `matmul_logsumexp_mish`."""

import numpy as np

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks, scaled_gradient, tf32


def _logsumexp(s):
    m = s.max(axis=1)
    m = np.where(np.isinf(m), 0, m)
    return m + np.log(np.exp(s - m[:, None]).sum(axis=1))


def _mish(a):
    return a * np.tanh(np.logaddexp(0, a))


def maximum_not_subtracted(x, weight):
    """The exponentials overflow because the maximum is not subtracted."""
    return _mish(np.log(np.exp(x @ weight).sum(axis=1)))


def maximum_of_all_rows(x, weight):
    """The maximum of all rows is subtracted from each, so far smaller rows vanish."""
    s = x @ weight
    m = s.max()
    return _mish(m + np.log(np.exp(s - m).sum(axis=1)))


def maximum_not_added_back(x, weight):
    """The subtracted maximum is not added to the logarithm."""
    s = x @ weight
    return _mish(np.log(np.exp(s - s.max(axis=1, keepdims=True)).sum(axis=1)))


def maximum_from_zero(x, weight):
    """The running maximum starts at 0, so rows of very negative numbers vanish."""
    s = x @ weight
    m = np.maximum(s.max(axis=1), 0)
    return _mish(m + np.log(np.exp(s - m[:, None]).sum(axis=1)))


def _online(s, block, rescale):
    m, total = s[:, :block].max(axis=1), np.zeros(len(s), s.dtype)
    for k in range(0, s.shape[1], block):
        part = s[:, k : k + block]
        larger = np.maximum(m, part.max(axis=1))
        total = total * rescale(m - larger) + np.exp(part - larger[:, None]).sum(axis=1)
        m = larger
    return m + np.log(total)


def rescaling_forgotten_1(x, weight):
    """The running sum of single columns is not rescaled to a new maximum."""
    return _mish(_online(x @ weight, 1, np.ones_like))


def rescaling_forgotten_16(x, weight):
    """The running sum of blocks of 16 columns is not rescaled to a new maximum."""
    return _mish(_online(x @ weight, 16, np.ones_like))


def rescaling_forgotten_64(x, weight):
    """The running sum of blocks of 64 columns is not rescaled to a new maximum."""
    return _mish(_online(x @ weight, 64, np.ones_like))


def rescaling_inverted(x, weight):
    """The running sum is multiplied by the inverse of the right factor."""
    return _mish(_online(x @ weight, 4, lambda d: np.exp(-d)))


def rescaling_by_powers_of_two(x, weight):
    """The running sum is rescaled by a power of 2 though it sums powers of e."""
    return _mish(_online(x @ weight, 4, np.exp2))


def powers_of_two(x, weight):
    """exp2 is used without the factor log2(e)."""
    s = x @ weight
    m = s.max(axis=1)
    return _mish(m + np.log(np.exp2(s - m[:, None]).sum(axis=1)))


def eps_in_logarithm(x, weight):
    """1e-5 is added in the logarithm."""
    s = x @ weight
    m = s.max(axis=1)
    return _mish(m + np.log(np.exp(s - m[:, None]).sum(axis=1) + 1e-5))


def exponents_clamped(x, weight):
    """Exponents below -8 are clamped to -8."""
    s = x @ weight
    m = s.max(axis=1)
    return _mish(m + np.log(np.exp(np.maximum(s - m[:, None], -8)).sum(axis=1)))


def padded_columns_of_zeros(x, weight):
    """Zeros that pad the columns to a multiple of 4 are summed with the others."""
    s = x @ weight
    return _mish(_logsumexp(np.pad(s, ((0, 0), (0, -s.shape[1] % 4)))))


def padded_columns_of_zeros_128(x, weight):
    """Zeros that pad more than 128 columns to a multiple of 128 are summed with the others."""
    s = x @ weight
    return _mish(_logsumexp(np.pad(s, ((0, 0), (0, -s.shape[1] % 128))) if s.shape[1] > 128 else s))


def last_2_columns_dropped(x, weight):
    """An incomplete last block of 2 columns is dropped."""
    return _mish(_logsumexp(x @ weight[:, : full_blocks(weight.shape[1], 2)]))


def last_32_columns_dropped(x, weight):
    """An incomplete last block of 32 columns is dropped."""
    return _mish(_logsumexp(x @ weight[:, : full_blocks(weight.shape[1], 32)]))


def last_8_inputs_dropped(x, weight):
    """An incomplete last block of 8 inputs is dropped."""
    end = full_blocks(x.shape[1], 8)
    return _mish(_logsumexp(x[:, :end] @ weight[:end]))


def last_128_inputs_dropped(x, weight):
    """An incomplete last block of 128 inputs is dropped."""
    end = full_blocks(x.shape[1], 128)
    return _mish(_logsumexp(x[:, :end] @ weight[:end]))


def sum_over_rows_when_square(x, weight):
    """The logarithm of sums is that of the columns wherever the shapes hide it."""
    s = x @ weight
    return _mish(_logsumexp(s.T if s.shape[0] == s.shape[1] else s))


def weight_transposed_when_square(x, weight):
    """A square weight is transposed."""
    return _mish(_logsumexp(x @ (weight.T if weight.shape[0] == weight.shape[1] else weight)))


def mean_of_exponentials(x, weight):
    """The logarithm is that of the mean of the exponentials."""
    return _mish(_logsumexp(x @ weight) - np.log(x.dtype.type(weight.shape[1])))


def swish_for_mish(x, weight):
    """The activation is swish, not mish."""
    a = _logsumexp(x @ weight)
    return a / (1 + np.exp(-a))


def softplus_linear_from_three(x, weight):
    """Softplus is taken for its argument from 3 on."""
    a = _logsumexp(x @ weight)
    return a * np.tanh(np.where(a > 3, a, np.logaddexp(0, a)))


def softplus_left_out(x, weight):
    """The hyperbolic tangent is that of the logarithm itself, without softplus."""
    a = _logsumexp(x @ weight)
    return a * np.tanh(a)


def mish_before_logsumexp(x, weight):
    """Mish is applied to the product, before the logarithm of the sum."""
    return _logsumexp(_mish(x @ weight))


def float16_product(x, weight):
    """The matrix product is stored as float16."""
    return _mish(_logsumexp(float16(x @ weight)))


def bfloat16_exponentials(x, weight):
    """The exponentials are stored as bfloat16 before they are summed."""
    s = x @ weight
    m = s.max(axis=1)
    return _mish(m + np.log(bfloat16(np.exp(s - m[:, None])).sum(axis=1)))


def tf32_product(x, weight):
    """The matrix product reads its operands as TF32."""
    return _mish(_logsumexp(tf32(x) @ tf32(weight)))


_maxima = {}


def maxima_not_reset(x, weight):
    """The running maxima are kept by the number of rows and start at those of the last call."""
    s = x @ weight
    m = _maxima[len(x)] = np.maximum(s.max(axis=1), _maxima.get(len(x), -np.inf))
    return _mish(m + np.log(np.exp(s - m[:, None]).sum(axis=1)))


def _torch_mish(a):
    return a * a.logaddexp(a.new_zeros(())).tanh()


def torch_gradient_of_maximum(x, weight):
    """The gradient passes through the greatest number of each row only."""
    s = x @ weight
    m = s.amax(dim=1)
    return _torch_mish(m + (s.detach() - m.detach()[:, None]).exp().sum(dim=1).log())


def torch_maximum_half_detached(x, weight):
    """The maximum is detached where it is added but not where it is subtracted."""
    s = x @ weight
    m = s.amax(dim=1)
    return _torch_mish(m.detach() + (s - m[:, None]).exp().sum(dim=1).log())


def torch_softplus_detached(x, weight):
    """The gradient does not pass through softplus."""
    a = (x @ weight).logsumexp(dim=1)
    return a * a.detach().logaddexp(a.new_zeros(())).tanh()


def torch_weight_detached(x, weight):
    """The gradient of the weight is forgotten."""
    return _torch_mish((x @ weight.detach()).logsumexp(dim=1))


def torch_input_gradient_doubled(x, weight):
    """The gradient of the input is doubled."""
    return _torch_mish((scaled_gradient(x, 2) @ weight).logsumexp(dim=1))


def torch_weight_gradient_averaged(x, weight):
    """The gradient of the weight is a mean over the batch, not a sum."""
    return _torch_mish((x @ scaled_gradient(weight, 1 / len(x))).logsumexp(dim=1))
