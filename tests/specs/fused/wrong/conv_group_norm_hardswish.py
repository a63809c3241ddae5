"""Wrong variants of `conv_group_norm_hardswish`."""

import numpy as np

from tests.specs.fused.wrong.parts import full_blocks, scaled_gradient

ONE_EACH = ((1, 1), (1, 1))


def _convolved(x, weight, bias, padding=ONE_EACH, mode="constant"):
    n, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), *padding), mode)
    y = np.zeros((n, len(weight), height * width), x.dtype)
    for i in range(3):
        for j in range(3):
            y += weight[:, :, i, j] @ padded[:, :, i : i + height, j : j + width].reshape(n, -1, height * width)
    return y.reshape(n, -1, height, width) + bias[:, None, None]


def _moments(grouped):
    mean = grouped.mean(axis=2, keepdims=True)
    return mean, np.square(grouped - mean).mean(axis=2, keepdims=True)


def _affine(grouped, shape, gamma, beta):
    return grouped.reshape(shape) * gamma[:, None, None] + beta[:, None, None]


def _normalised(y, gamma, beta, eps, groups=2):
    grouped = y.reshape(len(y), groups, -1)
    mean, var = _moments(grouped)
    return _affine((grouped - mean) / np.sqrt(var + eps), y.shape, gamma, beta)


def _hardswish(z):
    return z * np.clip(z + 3, 0, 6) / 6


def eps_outside_root(x, weight, bias, gamma, beta, eps=1e-5):
    """eps is added to the root, not under it."""
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    mean, var = _moments(grouped)
    return _hardswish(_affine((grouped - mean) / (np.sqrt(var) + eps), y.shape, gamma, beta))


def eps_as_floor(x, weight, bias, gamma, beta, eps=1e-5):
    """The variance is at least eps instead of eps being added."""
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    mean, var = _moments(grouped)
    return _hardswish(_affine((grouped - mean) / np.sqrt(np.maximum(var, eps)), y.shape, gamma, beta))


def unbiased_variance(x, weight, bias, gamma, beta, eps=1e-5):
    """The variance is divided by one less."""
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    mean, var = _moments(grouped)
    size = grouped.shape[2]
    var = var * x.dtype.type(size / max(1, size - 1))
    return _hardswish(_affine((grouped - mean) / np.sqrt(var + eps), y.shape, gamma, beta))


def one_group(x, weight, bias, gamma, beta, eps=1e-5):
    """All channels are one group, as in a layer normalisation."""
    return _hardswish(_normalised(_convolved(x, weight, bias), gamma, beta, eps, groups=1))


def a_group_a_channel(x, weight, bias, gamma, beta, eps=1e-5):
    """Every channel is its own group, as in an instance normalisation."""
    return _hardswish(_normalised(_convolved(x, weight, bias), gamma, beta, eps, groups=len(weight)))


def groups_interleaved(x, weight, bias, gamma, beta, eps=1e-5):
    """Even channels are one group and odd ones the other."""
    y = _convolved(x, weight, bias)
    order = np.argsort(np.arange(len(weight)) % 2, kind="stable")
    z = np.empty_like(y)
    z[:, order] = _normalised(y[:, order], gamma[order], beta[order], eps)
    return _hardswish(z)


def moments_over_batch(x, weight, bias, gamma, beta, eps=1e-5):
    """The moments of a group are over the batch as well."""
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    mean = grouped.mean(axis=(0, 2), keepdims=True)
    var = np.square(grouped - mean).mean(axis=(0, 2), keepdims=True)
    return _hardswish(_affine((grouped - mean) / np.sqrt(var + eps), y.shape, gamma, beta))


def variance_of_first_image(x, weight, bias, gamma, beta, eps=1e-5):
    """All images have the variance of the first one."""
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    mean, var = _moments(grouped)
    return _hardswish(_affine((grouped - mean) / np.sqrt(var[:1] + eps), y.shape, gamma, beta))


def scale_of_first_group(x, weight, bias, gamma, beta, eps=1e-5):
    """The second group is scaled by the first one's half of gamma."""
    half = gamma[: len(gamma) // 2]
    return _hardswish(_normalised(_convolved(x, weight, bias), np.tile(half, 2), beta, eps))


def shift_forgotten(x, weight, bias, gamma, beta, eps=1e-5):
    """beta is never added."""
    return _hardswish(_normalised(_convolved(x, weight, bias), gamma, np.zeros_like(beta), eps))


def bias_forgotten(x, weight, bias, gamma, beta, eps=1e-5):
    """The bias of the convolution is never added, as if the normalisation took it away."""
    return _hardswish(_normalised(_convolved(x, weight, np.zeros_like(bias)), gamma, beta, eps))


def bias_after_norm(x, weight, bias, gamma, beta, eps=1e-5):
    """The bias of the convolution is added after the normalisation."""
    z = _normalised(_convolved(x, weight, np.zeros_like(bias)), gamma, beta, eps)
    return _hardswish(z + bias[:, None, None])


def kernel_flipped(x, weight, bias, gamma, beta, eps=1e-5):
    """The kernel is flipped, as in a convolution of mathematics."""
    return _hardswish(_normalised(_convolved(x, weight[:, :, ::-1, ::-1], bias), gamma, beta, eps))


def kernel_transposed(x, weight, bias, gamma, beta, eps=1e-5):
    """Rows and columns of the kernel change places."""
    return _hardswish(_normalised(_convolved(x, weight.swapaxes(2, 3), bias), gamma, beta, eps))


def channels_exchanged_when_square(x, weight, bias, gamma, beta, eps=1e-5):
    """Channels in and out of the kernel change places wherever the shapes hide it."""
    square = weight.shape[0] == weight.shape[1]
    return _hardswish(_normalised(_convolved(x, weight.swapaxes(0, 1) if square else weight, bias), gamma, beta, eps))


def window_one_row_late(x, weight, bias, gamma, beta, eps=1e-5):
    """All of the padding of the rows is below the image."""
    return _hardswish(_normalised(_convolved(x, weight, bias, ((0, 2), (1, 1))), gamma, beta, eps))


def window_one_column_early(x, weight, bias, gamma, beta, eps=1e-5):
    """All of the padding of the columns is to the left of the image."""
    return _hardswish(_normalised(_convolved(x, weight, bias, ((1, 1), (2, 0))), gamma, beta, eps))


def padding_repeats_edge(x, weight, bias, gamma, beta, eps=1e-5):
    """The padding repeats the edge of the image."""
    return _hardswish(_normalised(_convolved(x, weight, bias, mode="edge"), gamma, beta, eps))


def padding_wraps(x, weight, bias, gamma, beta, eps=1e-5):
    """The padding wraps around to the other side."""
    return _hardswish(_normalised(_convolved(x, weight, bias, mode="wrap"), gamma, beta, eps))


def _input_channels_dropped(x, weight, bias, gamma, beta, eps, block):
    end = full_blocks(x.shape[1], block)
    return _hardswish(_normalised(_convolved(x[:, :end], weight[:, :end], bias), gamma, beta, eps))


def last_2_channels_dropped(x, weight, bias, gamma, beta, eps=1e-5):
    """An incomplete last block of 2 input channels is dropped."""
    return _input_channels_dropped(x, weight, bias, gamma, beta, eps, 2)


def last_16_channels_dropped(x, weight, bias, gamma, beta, eps=1e-5):
    """An incomplete last block of 16 input channels is dropped."""
    return _input_channels_dropped(x, weight, bias, gamma, beta, eps, 16)


def _variance_of_blocks(x, weight, bias, gamma, beta, eps, block):
    y = _convolved(x, weight, bias)
    grouped = y.reshape(len(y), 2, -1)
    d = grouped - grouped.mean(axis=2, keepdims=True)
    size = grouped.shape[2]
    var = np.square(d[:, :, : full_blocks(size, block)]).sum(axis=2, keepdims=True) / x.dtype.type(size)
    return _hardswish(_affine(d / np.sqrt(var + eps), y.shape, gamma, beta))


def last_4_dropped_in_variance(x, weight, bias, gamma, beta, eps=1e-5):
    """An incomplete last block of 4 is missing from the sum of squares."""
    return _variance_of_blocks(x, weight, bias, gamma, beta, eps, 4)


def _torch_convolved(x, weight, bias):
    from torch.nn.functional import conv2d

    return conv2d(x, weight, bias, padding=1)


def _torch_hardswish(z):
    return z * (z + 3).clamp(0, 6) / 6


def _torch_affine(grouped, shape, gamma, beta):
    return grouped.reshape(shape) * gamma[:, None, None] + beta[:, None, None]


def _torch_moments(y):
    grouped = y.reshape(len(y), 2, -1)
    d = grouped - grouped.mean(dim=2, keepdim=True)
    return d, (d * d).mean(dim=2, keepdim=True)


def torch_scale_gradient_averaged(x, weight, bias, gamma, beta, eps=1e-5):
    """The gradient of gamma is a mean over the images, not a sum."""
    y = _torch_convolved(x, weight, bias)
    d, var = _torch_moments(y)
    gamma = scaled_gradient(gamma, 1 / len(x))
    return _torch_hardswish(_torch_affine(d / (var + eps).sqrt(), y.shape, gamma, beta))


def torch_bias_detached(x, weight, bias, gamma, beta, eps=1e-5):
    """The gradient of the convolution's bias is forgotten, as if the normalisation took it away."""
    y = _torch_convolved(x, weight, bias.detach())
    d, var = _torch_moments(y)
    return _torch_hardswish(_torch_affine(d / (var + eps).sqrt(), y.shape, gamma, beta))


def torch_weight_gradient_doubled(x, weight, bias, gamma, beta, eps=1e-5):
    """The gradient of the weight is doubled."""
    y = _torch_convolved(x, scaled_gradient(weight, 2), bias)
    d, var = _torch_moments(y)
    return _torch_hardswish(_torch_affine(d / (var + eps).sqrt(), y.shape, gamma, beta))


def torch_gate_detached(x, weight, bias, gamma, beta, eps=1e-5):
    """The gradient does not pass through the gate of hardswish."""
    y = _torch_convolved(x, weight, bias)
    d, var = _torch_moments(y)
    z = _torch_affine(d / (var + eps).sqrt(), y.shape, gamma, beta)
    return z * (z.detach() + 3).clamp(0, 6) / 6
