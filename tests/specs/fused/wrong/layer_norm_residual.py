"""Wrong variants of `layer_norm_residual`."""

import numpy as np

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks, scaled_gradient


def _moments(s, axis=-1):
    d = s - s.mean(axis=axis, keepdims=True)
    return d, (d * d).mean(axis=axis, keepdims=True)


def _normalised(s, eps, axis=-1):
    d, var = _moments(s, axis)
    return d / np.sqrt(var + eps)


def eps_outside_root(x, residual, weight, bias, eps=1e-5):
    """eps is added to the root, not under it."""
    d, var = _moments(x + residual)
    return d / (np.sqrt(var) + eps) * weight + bias


def eps_forgotten(x, residual, weight, bias, eps=1e-5):
    """There is no eps."""
    d, var = _moments(x + residual)
    return d / np.sqrt(var) * weight + bias


def eps_twice(x, residual, weight, bias, eps=1e-5):
    """eps is added twice."""
    return _normalised(x + residual, 2 * eps) * weight + bias


def eps_fixed(x, residual, weight, bias, eps=1e-5):
    """The argument eps is ignored for 1e-5."""
    return _normalised(x + residual, 1e-5) * weight + bias


def eps_as_floor(x, residual, weight, bias, eps=1e-5):
    """The variance is at least eps instead of eps being added."""
    d, var = _moments(x + residual)
    return d / np.sqrt(np.maximum(var, eps)) * weight + bias


def unbiased_variance(x, residual, weight, bias, eps=1e-5):
    """The variance is divided by one less."""
    s = x + residual
    d = s - s.mean(axis=-1, keepdims=True)
    var = (d * d).sum(axis=-1, keepdims=True) / max(1, s.shape[-1] - 1)
    return d / np.sqrt(var + eps) * weight + bias


def variance_for_deviation(x, residual, weight, bias, eps=1e-5):
    """The root of the variance is not taken."""
    d, var = _moments(x + residual)
    return d / (var + eps) * weight + bias


def mean_not_subtracted(x, residual, weight, bias, eps=1e-5):
    """The numbers are divided by their root mean square, as in RMSNorm."""
    s = x + residual
    return s / np.sqrt((s * s).mean(axis=-1, keepdims=True) + eps) * weight + bias


def variance_about_zero(x, residual, weight, bias, eps=1e-5):
    """The mean is not subtracted in the variance."""
    s = x + residual
    d, _ = _moments(s)
    return d / np.sqrt((s * s).mean(axis=-1, keepdims=True) + eps) * weight + bias


def variance_of_x(x, residual, weight, bias, eps=1e-5):
    """The variance is that of x before the residual is added."""
    d, _ = _moments(x + residual)
    return d / np.sqrt(_moments(x)[1] + eps) * weight + bias


def residual_after_norm(x, residual, weight, bias, eps=1e-5):
    """The residual is added after the normalisation."""
    return _normalised(x, eps) * weight + bias + residual


def residual_twice(x, residual, weight, bias, eps=1e-5):
    """The residual is added again after the normalisation."""
    return _normalised(x + residual, eps) * weight + bias + residual


def normalised_over_all(x, residual, weight, bias, eps=1e-5):
    """The moments are over all dimensions, not the last one only."""
    return _normalised(x + residual, eps, axis=None) * weight + bias


def second_axis(x, residual, weight, bias, eps=1e-5):
    """The second axis of more than two is normalised."""
    s = x + residual
    return _normalised(s, eps, axis=1 if s.ndim > 2 else -1) * weight + bias


def first_axis_when_square(x, residual, weight, bias, eps=1e-5):
    """The columns of a square matrix are normalised."""
    s = x + residual
    return _normalised(s, eps, axis=0 if s.shape[0] == s.shape[-1] else -1) * weight + bias


def moments_of_first_row(x, residual, weight, bias, eps=1e-5):
    """All rows are normalised by the variance of the first one."""
    d, var = _moments(x + residual)
    return d / np.sqrt(var.reshape(-1)[0] + eps) * weight + bias


def bias_before_weight(x, residual, weight, bias, eps=1e-5):
    """The bias is added before the weight multiplies."""
    return (_normalised(x + residual, eps) + bias) * weight


def weight_plus_one(x, residual, weight, bias, eps=1e-5):
    """One is added to the weight, as in Gemma."""
    return _normalised(x + residual, eps) * (1 + weight) + bias


def bias_forgotten(x, residual, weight, bias, eps=1e-5):
    """The bias is never added."""
    return _normalised(x + residual, eps) * weight


def _padded(s, eps, width):
    mean = s.sum(axis=-1, keepdims=True) / s.dtype.type(s.shape[-1])
    missing = s.dtype.type(width - s.shape[-1])
    d = s - mean
    var = ((d * d).sum(axis=-1, keepdims=True) + missing * mean * mean) / s.dtype.type(s.shape[-1])
    return d / np.sqrt(var + eps)


def padding_in_variance(x, residual, weight, bias, eps=1e-5):
    """Zeros that pad the row to a power of two are not masked in the variance."""
    return _padded(x + residual, eps, 1 << (x.shape[-1] - 1).bit_length()) * weight + bias


def padding_in_variance_of_long_rows(x, residual, weight, bias, eps=1e-5):
    """Zeros that pad a row of more than 64 to a multiple of 64 are not masked in the variance."""
    length = x.shape[-1]
    return _padded(x + residual, eps, -(-length // 64) * 64 if length > 64 else length) * weight + bias


def _tail_dropped(s, eps, block):
    d = s - s.mean(axis=-1, keepdims=True)
    kept = d[..., : full_blocks(s.shape[-1], block)]
    var = (kept * kept).sum(axis=-1, keepdims=True) / s.dtype.type(s.shape[-1])
    return d / np.sqrt(var + eps)


def last_4_dropped_in_variance(x, residual, weight, bias, eps=1e-5):
    """An incomplete last block of 4 is missing from the sum of squares."""
    return _tail_dropped(x + residual, eps, 4) * weight + bias


def last_32_dropped_in_variance(x, residual, weight, bias, eps=1e-5):
    """An incomplete last block of 32 is missing from the sum of squares."""
    return _tail_dropped(x + residual, eps, 32) * weight + bias


def last_256_dropped_in_variance(x, residual, weight, bias, eps=1e-5):
    """An incomplete last block of 256 is missing from the sum of squares."""
    return _tail_dropped(x + residual, eps, 256) * weight + bias


def last_16_not_normalised(x, residual, weight, bias, eps=1e-5):
    """An incomplete last block of 16 is left as the sum with the residual."""
    s = x + residual
    out = _normalised(s, eps) * weight + bias
    end = full_blocks(s.shape[-1], 16)
    out[..., end:] = s[..., end:]
    return out


def deviation_between_blocks_forgotten(x, residual, weight, bias, eps=1e-5):
    """Variances of blocks of 8 are merged without the squared distances of their means."""
    s = x + residual
    inside = 0
    for k in range(0, s.shape[-1], 8):
        b = s[..., k : k + 8]
        inside = inside + np.square(b - b.mean(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    d = s - s.mean(axis=-1, keepdims=True)
    return d / np.sqrt(inside / s.dtype.type(s.shape[-1]) + eps) * weight + bias


def mean_of_block_means(x, residual, weight, bias, eps=1e-5):
    """The mean is that of the means of blocks of 4, though the last may be shorter."""
    s = x + residual
    means = [s[..., k : k + 4].mean(axis=-1, keepdims=True) for k in range(0, s.shape[-1], 4)]
    d = s - np.mean(means, axis=0)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + eps) * weight + bias


def quick_inverse_root(x, residual, weight, bias, eps=1e-5):
    """The inverse root is a guess by bits with two steps of Newton's method, right to 5e-6."""
    d, var = _moments(x + residual)
    v = np.ascontiguousarray(var + eps)
    y = (0x5F3759DF - (v.view(np.int32) >> 1)).view(np.float32)
    for _ in range(2):
        y = y * (1.5 - 0.5 * v * y * y)
    return d * y * weight + bias


def float16_sum(x, residual, weight, bias, eps=1e-5):
    """The sum with the residual is stored as float16."""
    return _normalised(float16(x + residual), eps) * weight + bias


def bfloat16_normalised(x, residual, weight, bias, eps=1e-5):
    """The normalised numbers are stored as bfloat16 before the weight multiplies."""
    return bfloat16(_normalised(x + residual, eps)) * weight + bias


def deviations_clamped(x, residual, weight, bias, eps=1e-5):
    """Normalised numbers are clamped to three deviations."""
    return np.clip(_normalised(x + residual, eps), -3, 3) * weight + bias


_weights = {}


def weight_loaded_once(x, residual, weight, bias, eps=1e-5):
    """The weight is kept by its length, so the next one of that length is not read."""
    return _normalised(x + residual, eps) * _weights.setdefault(len(weight), weight.copy()) + bias


def _torch_moments(s):
    d = s - s.mean(dim=-1, keepdim=True)
    return d, (d * d).mean(dim=-1, keepdim=True)


def torch_mean_detached(x, residual, weight, bias, eps=1e-5):
    """The gradient does not pass through the mean."""
    s = x + residual
    d = s - s.detach().mean(dim=-1, keepdim=True)
    return d / ((d * d).mean(dim=-1, keepdim=True) + eps).sqrt() * weight + bias


def torch_variance_detached(x, residual, weight, bias, eps=1e-5):
    """The gradient does not pass through the variance."""
    d, var = _torch_moments(x + residual)
    return d / (var.detach() + eps).sqrt() * weight + bias


def torch_variance_gradient_halved(x, residual, weight, bias, eps=1e-5):
    """The gradient through the variance is half of what it is."""
    d, var = _torch_moments(x + residual)
    return d / (scaled_gradient(var, 0.5) + eps).sqrt() * weight + bias


def torch_residual_detached(x, residual, weight, bias, eps=1e-5):
    """The gradient of the residual is forgotten."""
    d, var = _torch_moments(x + residual.detach())
    return d / (var + eps).sqrt() * weight + bias


def torch_residual_gradient_doubled(x, residual, weight, bias, eps=1e-5):
    """The gradient of the residual is doubled."""
    d, var = _torch_moments(x + scaled_gradient(residual, 2))
    return d / (var + eps).sqrt() * weight + bias


def torch_bias_gradient_averaged(x, residual, weight, bias, eps=1e-5):
    """The gradient of the bias is a mean over the rows, not a sum."""
    d, var = _torch_moments(x + residual)
    return d / (var + eps).sqrt() * weight + scaled_gradient(bias, bias.numel() / max(1, x.numel()))


def torch_weight_gradient_of_last_row(x, residual, weight, bias, eps=1e-5):
    """The gradient of the weight is that of the last row only."""
    d, var = _torch_moments(x + residual)
    rows = (d / (var + eps).sqrt()).reshape(-1, len(weight))
    return _by_last_row(rows, weight).reshape(x.shape) + bias


def _by_last_row(rows, weight):
    scales = weight.expand_as(rows)
    if scales.requires_grad:
        scales = scales.clone()
        scales.register_hook(lambda g: g * (g.new_ones(len(g)).cumsum(0) == len(g))[:, None])
    return rows * scales
