"""Rows that are shifted by their maximum: tangents by the shifted row and by the row itself are both right."""

import numpy as np
import pytest

from opcheck.programs.arrays import ArrayTape, TracedArray, recording
from opcheck.programs.bound import running
from opcheck.programs.sweeps import forward
from opcheck.verification.truth.formats import FORMATS

F32 = FORMATS["float32"]


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_of_finite(s):
    m = s.max(axis=-1)
    e = np.exp(s - np.where(np.abs(m) == np.inf, 0.0, m)[:, None])
    return e / e.sum(axis=-1)[:, None]


def log_softmax(s):
    d = s - s.max(axis=-1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))


def log_sum_exp(s):
    m = s.max(axis=-1, keepdims=True)
    return np.log(np.exp(s - m).sum(axis=-1, keepdims=True)) + m


def softmin(s):
    e = np.exp(-(s - s.min(axis=-1, keepdims=True)))
    return e / e.sum(axis=-1, keepdims=True)


def weights(s):
    """In float32, as torch has them."""
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


BY_ITSELF = {
    softmax: lambda s, t: weights(s) * (t - (weights(s) * t).sum(axis=-1, keepdims=True)),
    softmax_of_finite: lambda s, t: weights(s) * (t - (weights(s) * t).sum(axis=-1, keepdims=True)),
    log_softmax: lambda s, t: t - (weights(s) * t).sum(axis=-1, keepdims=True),
    log_sum_exp: lambda s, t: (weights(s) * t).sum(axis=-1, keepdims=True),
    softmin: lambda s, t: -weights(-s) * (t - (weights(-s) * t).sum(axis=-1, keepdims=True)),
}


@pytest.mark.parametrize("function", BY_ITSELF, ids=lambda function: function.__name__)
@pytest.mark.parametrize("n", [1, 2, 5, 33, 300])
def test_the_tangent_may_be_that_of_the_row_itself(function, n):
    rng = np.random.default_rng(n)
    for _ in range(40):
        s = F32.round(rng.normal(size=(3, n)) * rng.choice([0.1, 1.0, 10.0]))
        t = F32.round(1000.0 + rng.normal(size=(3, n)) * rng.choice([0.0, 1e-3, 1.0]))
        tape = ArrayTape()
        x, moved = tape.input("s", s), tape.input("t", t)
        with recording(tape):
            y = function(x)
            tangent = forward(tuple(tape.nodes), {x.id: moved}, lambda id: TracedArray(tape, id))[y.id]  # noqa: B023
        error = running(tape.nodes, F32)[tangent.id].error(F32)
        found = BY_ITSELF[function](s.astype(np.float32), t.astype(np.float32))
        assert (np.abs(found - tangent.value) <= error).all()


def test_a_softmax_may_be_the_exponential_of_its_logarithm():
    rng = np.random.default_rng(0)
    for _ in range(100):
        s = rng.integers(-60, 1, size=(3, 4)).astype(float)
        tape = ArrayTape()
        x = tape.input("s", s)
        with recording(tape):
            y = softmax(x)
        d = s.astype(np.float32) - s.max(axis=-1, keepdims=True).astype(np.float32)
        found = np.exp(d - np.log(np.exp(d).sum(axis=-1, keepdims=True)))
        assert (np.abs(found - y.value) <= running(tape.nodes, F32)[y.id].error(F32)).all()
