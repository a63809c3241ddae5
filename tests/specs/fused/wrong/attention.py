"""Wrong variants of `attention`."""

import math

import numpy as np

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks, scaled_gradient, tf32


def _scores(q, k):
    return q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])


def _hidden(scores, first=1):
    return np.triu(np.ones(scores.shape[1:], bool), first)


def _masked(scores, causal, first=1):
    return np.where(_hidden(scores, first), -np.inf, scores).astype(scores.dtype) if causal else scores


def _softmax(scores):
    e = np.exp(scores - scores.max(axis=2, keepdims=True))
    return e / e.sum(axis=2, keepdims=True)


def scale_forgotten(q, k, v, causal=False):
    """The scores are not scaled."""
    return _softmax(_masked(q @ k.swapaxes(1, 2), causal)) @ v


def scale_without_root(q, k, v, causal=False):
    """The scores are divided by the width itself, not by its root."""
    return _softmax(_masked(q @ k.swapaxes(1, 2) / q.dtype.type(q.shape[2]), causal)) @ v


def scale_of_values(q, k, v, causal=False):
    """The scores are scaled by the root of the values' width."""
    return _softmax(_masked(q @ k.swapaxes(1, 2) / math.sqrt(v.shape[2]), causal)) @ v


def scale_of_padded_width(q, k, v, causal=False):
    """The scores are scaled by the root of the width rounded up to a power of two."""
    width = 1 << (q.shape[2] - 1).bit_length()
    return _softmax(_masked(q @ k.swapaxes(1, 2) / math.sqrt(width), causal)) @ v


def scale_after_softmax(q, k, v, causal=False):
    """The probabilities are scaled, not the scores."""
    return _softmax(_masked(q @ k.swapaxes(1, 2), causal)) / math.sqrt(q.shape[2]) @ v


def mask_after_softmax(q, k, v, causal=False):
    """The mask comes after the softmax, and the rest is not normalised again."""
    scores = _scores(q, k)
    p = _softmax(scores)
    return (np.where(_hidden(scores), 0, p) if causal else p).astype(p.dtype) @ v


def mask_of_zero(q, k, v, causal=False):
    """Hidden scores become 0, not minus infinity."""
    scores = _scores(q, k)
    return _softmax(np.where(_hidden(scores) & causal, 0, scores)) @ v


def mask_of_minus_ten(q, k, v, causal=False):
    """Hidden scores become -10, not minus infinity."""
    scores = _scores(q, k)
    return _softmax(np.where(_hidden(scores) & causal, -10, scores)) @ v


def mask_of_minus_ten_thousand(q, k, v, causal=False):
    """Hidden scores become -10000, which is more than some scores are."""
    scores = _scores(q, k)
    return _softmax(np.where(_hidden(scores) & causal, -1e4, scores).astype(q.dtype)) @ v


def mask_ignored(q, k, v, causal=False):
    """The argument causal is ignored."""
    return _softmax(_scores(q, k)) @ v


def mask_sees_one_more(q, k, v, causal=False):
    """A query sees one key beyond its own place."""
    return _softmax(_masked(_scores(q, k), causal, 2)) @ v


def mask_sees_one_less(q, k, v, causal=False):
    """A query past the first does not see the key of its own place."""
    scores = _scores(q, k)
    hidden = _hidden(scores, 0)
    hidden[0, 0] = False
    return _softmax(np.where(hidden, -np.inf, scores).astype(q.dtype) if causal else scores) @ v


def mask_from_bottom_right(q, k, v, causal=False):
    """The mask is aligned to the last query and the last key where there are more keys than queries."""
    scores = _scores(q, k)
    return _softmax(_masked(scores, causal, 1 + max(0, k.shape[1] - q.shape[1]))) @ v


def mask_by_blocks(q, k, v, causal=False):
    """A query sees the whole block of 4 keys that its own place is in."""
    scores = _scores(q, k)
    rows, columns = np.indices(scores.shape[1:])
    return _softmax(np.where((columns // 4 > rows // 4) & causal, -np.inf, scores).astype(q.dtype)) @ v


_masks = {}


def mask_kept_by_shape(q, k, v, causal=False):
    """The mask is kept by the shape of the scores, whether it is causal or not."""
    scores = _scores(q, k)
    mask = _masks.setdefault(scores.shape, _hidden(scores) & causal)
    return _softmax(np.where(mask, -np.inf, scores).astype(q.dtype)) @ v


def maximum_not_subtracted(q, k, v, causal=False):
    """The exponentials overflow because the maximum is not subtracted."""
    e = np.exp(_masked(_scores(q, k), causal))
    return e / e.sum(axis=2, keepdims=True) @ v


def maximum_of_all(q, k, v, causal=False):
    """The maximum of all scores is subtracted, so rows of far smaller ones vanish."""
    scores = _masked(_scores(q, k), causal)
    e = np.exp(scores - scores.max())
    return e / e.sum(axis=2, keepdims=True) @ v


def _online(q, k, v, causal, block, of_sum, of_output):
    scores = _masked(_scores(q, k), causal)
    m = scores[:, :, :block].max(axis=2, keepdims=True)
    total = np.zeros_like(m)
    out = np.zeros((*q.shape[:2], v.shape[2]), q.dtype)
    for at in range(0, k.shape[1], block):
        part = scores[:, :, at : at + block]
        larger = np.maximum(m, part.max(axis=2, keepdims=True))
        e, factor = np.exp(part - larger), np.exp(m - larger)
        total = total * (factor if of_sum else 1) + e.sum(axis=2, keepdims=True)
        out = out * (factor if of_output else 1) + e @ v[:, at : at + block]
        m = larger
    return out / total


def output_not_rescaled_2(q, k, v, causal=False):
    """Online softmax in blocks of 2 keys does not rescale the output to a new maximum."""
    return _online(q, k, v, causal, 2, True, False)


def output_not_rescaled_64(q, k, v, causal=False):
    """Online softmax in blocks of 64 keys does not rescale the output to a new maximum."""
    return _online(q, k, v, causal, 64, True, False)


def sum_not_rescaled_4(q, k, v, causal=False):
    """Online softmax in blocks of 4 keys does not rescale the sum to a new maximum."""
    return _online(q, k, v, causal, 4, False, True)


def sum_not_rescaled_32(q, k, v, causal=False):
    """Online softmax in blocks of 32 keys does not rescale the sum to a new maximum."""
    return _online(q, k, v, causal, 32, False, True)


def nothing_rescaled(q, k, v, causal=False):
    """Online softmax in blocks of 8 keys rescales neither the sum nor the output."""
    return _online(q, k, v, causal, 8, False, False)


def _keys_dropped(q, k, v, causal, block):
    end = full_blocks(k.shape[1], block)
    return _softmax(_masked(_scores(q, k[:, :end]), causal)) @ v[:, :end]


def last_2_keys_dropped(q, k, v, causal=False):
    """An incomplete last block of 2 keys is dropped."""
    return _keys_dropped(q, k, v, causal, 2)


def last_16_keys_dropped(q, k, v, causal=False):
    """An incomplete last block of 16 keys is dropped."""
    return _keys_dropped(q, k, v, causal, 16)


def last_128_keys_dropped(q, k, v, causal=False):
    """An incomplete last block of 128 keys is dropped."""
    return _keys_dropped(q, k, v, causal, 128)


def last_32_queries_zero(q, k, v, causal=False):
    """An incomplete last block of 32 queries is never written."""
    out = _softmax(_masked(_scores(q, k), causal)) @ v
    out[:, full_blocks(q.shape[1], 32) :] = 0
    return out


def padded_keys_counted(q, k, v, causal=False):
    """Keys of zeros that pad to a multiple of 8 are in the sum of the softmax without the mask."""
    more = ((0, 0), (0, -k.shape[1] % 8), (0, 0))
    return _softmax(_masked(_scores(q, np.pad(k, more)), causal)) @ np.pad(v, more)


def softmax_over_queries(q, k, v, causal=False):
    """The exponentials are summed over the queries."""
    scores = _masked(_scores(q, k), causal)
    e = np.exp(scores - scores.max(axis=2, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ v


def scores_transposed_when_square(q, k, v, causal=False):
    """Queries and keys change places wherever the shapes hide it."""
    scores = _scores(k, q) if q.shape[1] == k.shape[1] else _scores(q, k)
    return _softmax(_masked(scores, causal)) @ v


def keys_of_first_batch(q, k, v, causal=False):
    """Every entry of the batch sees the keys of the first one."""
    return _softmax(_masked(_scores(q, k[:1]), causal)) @ v


def eps_in_sum(q, k, v, causal=False):
    """1e-5 is added to the sum of the exponentials."""
    scores = _masked(_scores(q, k), causal)
    e = np.exp(scores - scores.max(axis=2, keepdims=True))
    return e / (e.sum(axis=2, keepdims=True) + 1e-5) @ v


def powers_of_two(q, k, v, causal=False):
    """exp2 is used without the factor log2(e)."""
    scores = _masked(_scores(q, k), causal)
    e = np.exp2(scores - scores.max(axis=2, keepdims=True))
    return e / e.sum(axis=2, keepdims=True) @ v


def scores_clamped(q, k, v, causal=False):
    """Scores are clamped to 20 on both sides."""
    return _softmax(_masked(np.clip(_scores(q, k), -20, 20), causal)) @ v


def scores_capped_by_tanh(q, k, v, causal=False):
    """Scores are capped softly at 50, as in Gemma."""
    return _softmax(_masked(50 * np.tanh(_scores(q, k) / 50), causal)) @ v


def bfloat16_probabilities(q, k, v, causal=False):
    """The probabilities are stored as bfloat16 before the second product."""
    return bfloat16(_softmax(_masked(_scores(q, k), causal))) @ v


def float16_scores(q, k, v, causal=False):
    """The scores are stored as float16."""
    return _softmax(_masked(float16(_scores(q, k)), causal)) @ v


def tf32_products(q, k, v, causal=False):
    """Both products read their operands as TF32."""
    return tf32(_softmax(_masked(_scores(tf32(q), tf32(k)), causal))) @ tf32(v)


_keys = {}


def keys_kept_between_calls(q, k, v, causal=False):
    """The keys are kept by their shape, so the next ones of that shape are not read."""
    return _softmax(_masked(_scores(q, _keys.setdefault(k.shape, k.copy())), causal)) @ v


def _torch_scores(q, k, causal):
    scores = q @ k.mT / math.sqrt(q.shape[2])
    if causal:
        scores = scores.masked_fill(scores.new_ones(scores.shape[1:]).triu(1).bool(), -math.inf)
    return scores


def torch_sum_detached(q, k, v, causal=False):
    """The gradient does not pass through the sum of the softmax."""
    scores = _torch_scores(q, k, causal)
    e = (scores - scores.amax(dim=2, keepdim=True).detach()).exp()
    return e / e.sum(dim=2, keepdim=True).detach() @ v


def torch_key_gradient_not_scaled(q, k, v, causal=False):
    """The gradient of the keys misses the scale."""
    return _torch_scores(q, scaled_gradient(k, math.sqrt(q.shape[2])), causal).softmax(dim=2) @ v


def torch_query_gradient_scaled_twice(q, k, v, causal=False):
    """The gradient of the queries is scaled twice."""
    return _torch_scores(scaled_gradient(q, 1 / math.sqrt(q.shape[2])), k, causal).softmax(dim=2) @ v


def torch_probabilities_detached(q, k, v, causal=False):
    """The gradient passes through the values only."""
    return _torch_scores(q, k, causal).softmax(dim=2).detach() @ v + 0 * (q.sum() + k.sum())


def torch_values_detached(q, k, v, causal=False):
    """The gradient of the values is forgotten."""
    return _torch_scores(q, k, causal).softmax(dim=2) @ v.detach()


def torch_value_gradient_without_mask(q, k, v, causal=False):
    """The gradient of the values is that of attention without the mask."""
    right = _torch_scores(q, k, causal).softmax(dim=2) @ v.detach()
    other = _torch_scores(q, k, False).softmax(dim=2).detach() @ v
    return right + (other - other.detach())
