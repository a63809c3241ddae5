"""Wrong variants of `two_layer_cross_entropy`."""

import numpy as np

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks


def _logits(x, w1, b1, w2, b2):
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def _losses(z, target):
    m = z.max(axis=1)
    return np.log(np.exp(z - m[:, None]).sum(axis=1)) + m - z[np.arange(len(z)), target]


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sum_for_mean(x, w1, b1, w2, b2, target):
    """The losses are summed, not averaged."""
    return _losses(_logits(x, w1, b1, w2, b2), target).sum()


def mean_over_classes(x, w1, b1, w2, b2, target):
    """The sum of the losses is divided by the number of classes."""
    return _losses(_logits(x, w1, b1, w2, b2), target).sum() / x.dtype.type(len(b2))


def loss_of_first_row(x, w1, b1, w2, b2, target):
    """The loss is that of the first row."""
    return _losses(_logits(x, w1, b1, w2, b2), target)[0]


def maximum_not_subtracted(x, w1, b1, w2, b2, target):
    """The exponentials overflow because the maximum is not subtracted."""
    z = _logits(x, w1, b1, w2, b2)
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), target]).mean()


def maximum_not_added_back(x, w1, b1, w2, b2, target):
    """The maximum is subtracted from the exponents only."""
    z = _logits(x, w1, b1, w2, b2)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return (np.log(e.sum(axis=1)) - z[np.arange(len(z)), target]).mean()


def maximum_of_all_rows(x, w1, b1, w2, b2, target):
    """The maximum of all rows is subtracted from each, so far smaller rows vanish."""
    z = _logits(x, w1, b1, w2, b2)
    z = z - z.max()
    return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), target]).mean()


def rescaling_forgotten(x, w1, b1, w2, b2, target):
    """The running sum of blocks of 4 classes is not rescaled to a new maximum."""
    z = _logits(x, w1, b1, w2, b2)
    m, total = z[:, :4].max(axis=1), np.zeros(len(z), z.dtype)
    for k in range(0, z.shape[1], 4):
        m = np.maximum(m, z[:, k : k + 4].max(axis=1))
        total += np.exp(z[:, k : k + 4] - m[:, None]).sum(axis=1)
    return (np.log(total) + m - z[np.arange(len(z)), target]).mean()


def softmax_over_batch(x, w1, b1, w2, b2, target):
    """The exponentials are summed over the batch."""
    z = _logits(x, w1, b1, w2, b2)
    m = z.max(axis=0)
    lse = np.log(np.exp(z - m).sum(axis=0)) + m
    return (lse[target] - z[np.arange(len(z)), target]).mean()


def softmax_twice(x, w1, b1, w2, b2, target):
    """The loss gets probabilities where it expects logits."""
    return _losses(_softmax(_logits(x, w1, b1, w2, b2)), target).mean()


def probability_clipped(x, w1, b1, w2, b2, target):
    """The probability of the target is at least 1e-7, as in Keras."""
    p = _softmax(_logits(x, w1, b1, w2, b2))[np.arange(len(x)), target]
    return -np.log(np.maximum(p, 1e-7)).mean()


def logarithm_of_probability(x, w1, b1, w2, b2, target):
    """The logarithm is that of a probability that may vanish."""
    return -np.log(_softmax(_logits(x, w1, b1, w2, b2))[np.arange(len(x)), target]).mean()


def label_smoothing(x, w1, b1, w2, b2, target):
    """A tenth of each label is spread over all classes."""
    z = _logits(x, w1, b1, w2, b2)
    return (_losses(z, target) + 0.1 * (z[np.arange(len(z)), target] - z.mean(axis=1))).mean()


def class_zero_ignored(x, w1, b1, w2, b2, target):
    """Rows of class 0 are left out as padding if there are others."""
    losses = _losses(_logits(x, w1, b1, w2, b2), target)
    return losses[target != 0].mean() if target.any() else losses.mean()


def target_from_one(x, w1, b1, w2, b2, target):
    """Classes are counted from 1, and class 0 is the last."""
    return _losses(_logits(x, w1, b1, w2, b2), target - 1).mean()


def target_of_first_row(x, w1, b1, w2, b2, target):
    """All rows have the target of the first one."""
    return _losses(_logits(x, w1, b1, w2, b2), np.full_like(target, target[0])).mean()


def hidden_bias_forgotten(x, w1, b1, w2, b2, target):
    """The bias of the hidden layer is never added."""
    return _losses(_logits(x, w1, np.zeros_like(b1), w2, b2), target).mean()


def output_bias_forgotten(x, w1, b1, w2, b2, target):
    """The bias of the output layer is never added."""
    return _losses(_logits(x, w1, b1, w2, np.zeros_like(b2)), target).mean()


def relu_left_out(x, w1, b1, w2, b2, target):
    """The hidden layer is linear."""
    return _losses((x @ w1.T + b1) @ w2.T + b2, target).mean()


def leaky_relu(x, w1, b1, w2, b2, target):
    """The hidden layer leaks a hundredth of what is negative."""
    a = x @ w1.T + b1
    return _losses(np.maximum(a, a / 100) @ w2.T + b2, target).mean()


def relu_up_to_six(x, w1, b1, w2, b2, target):
    """The hidden layer is clamped to 6."""
    return _losses(np.clip(x @ w1.T + b1, 0, 6) @ w2.T + b2, target).mean()


def relu_of_logits(x, w1, b1, w2, b2, target):
    """ReLU is applied to the logits as well."""
    return _losses(np.maximum(_logits(x, w1, b1, w2, b2), 0), target).mean()


def hidden_weight_transposed_when_square(x, w1, b1, w2, b2, target):
    """A square weight of the hidden layer is not transposed."""
    return _losses(_logits(x, w1.T if w1.shape[0] == w1.shape[1] else w1, b1, w2, b2), target).mean()


def output_weight_transposed_when_square(x, w1, b1, w2, b2, target):
    """A square weight of the output layer is not transposed."""
    return _losses(_logits(x, w1, b1, w2.T if w2.shape[0] == w2.shape[1] else w2, b2), target).mean()


def last_4_rows_dropped(x, w1, b1, w2, b2, target):
    """An incomplete last block of 4 rows is missing from the sum."""
    losses = _losses(_logits(x, w1, b1, w2, b2), target)
    return losses[: full_blocks(len(x), 4)].sum() / x.dtype.type(len(x))


def last_32_hidden_dropped(x, w1, b1, w2, b2, target):
    """An incomplete last block of 32 hidden units is dropped."""
    end = full_blocks(len(b1), 32)
    return _losses(_logits(x, w1[:end], b1[:end], w2[:, :end], b2), target).mean()


def last_128_inputs_dropped(x, w1, b1, w2, b2, target):
    """An incomplete last block of 128 inputs is dropped."""
    end = full_blocks(x.shape[1], 128)
    return _losses(_logits(x[:, :end], w1[:, :end], b1, w2, b2), target).mean()


def mean_of_block_means(x, w1, b1, w2, b2, target):
    """The means of blocks of 8 rows are averaged, though the last block may be shorter."""
    losses = _losses(_logits(x, w1, b1, w2, b2), target)
    return np.mean([losses[k : k + 8].mean() for k in range(0, len(x), 8)]).astype(x.dtype)


def padded_classes_counted(x, w1, b1, w2, b2, target):
    """Logits of 0 that pad the classes to a multiple of 8 are in the sum of exponentials."""
    z = _logits(x, w1, b1, w2, b2)
    return _losses(np.pad(z, ((0, 0), (0, -z.shape[1] % 8))), target).mean()


def float16_hidden(x, w1, b1, w2, b2, target):
    """The hidden layer is stored as float16."""
    return _losses(float16(np.maximum(x @ w1.T + b1, 0)) @ w2.T + b2, target).mean()


def bfloat16_logits(x, w1, b1, w2, b2, target):
    """The logits are stored as bfloat16."""
    return _losses(bfloat16(_logits(x, w1, b1, w2, b2)), target).mean()


_losses_so_far = {}


def loss_accumulated(x, w1, b1, w2, b2, target):
    """The loss is added to that of the last call with as many rows."""
    loss = _losses(_logits(x, w1, b1, w2, b2), target).mean()
    _losses_so_far[len(x)] = _losses_so_far.get(len(x), 0) + loss
    return np.float32(_losses_so_far[len(x)])


class _Network:
    """Values and gradients by hand; a wrong variant changes one of its steps."""

    def __call__(self, x, w1, b1, w2, b2, target):
        return _losses(_logits(x, w1, b1, w2, b2), target).mean()

    def logit_gradients(self, z, target):
        p = _softmax(z)
        p[np.arange(len(z)), target] -= 1
        return p / z.dtype.type(len(z))

    def passes(self, a):
        return a > 0

    def changed(self, gradients, x, a, h, dz, da):
        return gradients

    def vjp(self, cotangent, x, w1, b1, w2, b2, target):
        a = x @ w1.T + b1
        h = np.maximum(a, 0)
        dz = self.logit_gradients(h @ w2.T + b2, target) * cotangent
        da = np.where(self.passes(a), dz @ w2, a.dtype.type(0))
        gradients = {"x": da @ w1, "w1": da.T @ x, "b1": da.sum(axis=0), "w2": dz.T @ h, "b2": dz.sum(axis=0)}
        return self.changed(gradients, x, a, h, dz, da)


class _NotAveraged(_Network):
    """The gradients are those of the sum of the losses."""

    def logit_gradients(self, z, target):
        return super().logit_gradients(z, target) * z.dtype.type(len(z))


class _WithoutTarget(_Network):
    """The gradient of the logits is the softmax, from which the target is not subtracted."""

    def logit_gradients(self, z, target):
        return _softmax(z) / z.dtype.type(len(z))


class _SignOfGradient(_Network):
    """The gradients have the opposite sign."""

    def logit_gradients(self, z, target):
        return -super().logit_gradients(z, target)


class _TargetOfFirstRow(_Network):
    """In the gradients, all rows have the target of the first one."""

    def logit_gradients(self, z, target):
        return super().logit_gradients(z, np.full_like(target, target[0]))


class _Bfloat16Gradient(_Network):
    """The gradient of the logits is stored as bfloat16."""

    def logit_gradients(self, z, target):
        return bfloat16(super().logit_gradients(z, target))


class _ReluIgnored(_Network):
    """The gradient passes through ReLU where it is 0."""

    def passes(self, a):
        return np.ones(a.shape, bool)


class _ReluInverted(_Network):
    """The gradient passes through ReLU where its argument is negative."""

    def passes(self, a):
        return a < 0


gradient_not_averaged = _NotAveraged()
gradient_without_target = _WithoutTarget()
gradient_of_opposite_sign = _SignOfGradient()
gradient_for_target_of_first_row = _TargetOfFirstRow()
gradient_in_bfloat16 = _Bfloat16Gradient()
gradient_ignores_relu = _ReluIgnored()
gradient_inverts_relu = _ReluInverted()
