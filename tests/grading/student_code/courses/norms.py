"""Normalisations as students write them: classes with an eps of theirs, functions that hide it."""

import numpy as np


def rms_norm(x, weight, eps=1e-5):
    r = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x / r * weight


def batch_norm(x, gamma, beta):
    mu = x.mean(0)
    var = x.var(0)
    return gamma * (x - mu) / np.sqrt(var + 1e-5) + beta
