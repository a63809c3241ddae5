"""What several wrong variants share: narrow formats in numpy, and scaled gradients in torch."""

import numpy as np


def float16(x):
    """The values after a passage through float16."""
    return x.astype(np.float16).astype(x.dtype)


def _kept(x, bits):
    """The values with so few of float32's 23 stored bits, rounded to nearest."""
    cut = 23 - bits
    whole = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    up = (whole + (1 << (cut - 1)) - 1 + ((whole >> cut) & 1)) >> cut << cut
    return np.where(np.isfinite(x), up.astype(np.uint32).view(np.float32), x)


def bfloat16(x):
    """The values after a passage through bfloat16."""
    return _kept(x, 7)


def tf32(x):
    """The values as tensor cores read float32 by default: 10 bits of mantissa."""
    return _kept(x, 10)


def scaled_gradient(t, factor):
    """A tensor of the same values whose gradient is multiplied by the factor."""
    t = t.clone()
    if t.requires_grad:
        t.register_hook(lambda gradient: gradient * factor)
    return t


def full_blocks(length, block):
    """The end of the last full block; all of the length where no block is full."""
    return length // block * block or length
