"""Random programs of 3 to 8 operations: the exact value, by arrays of 160 bits, is within the bound of what every
precision and every order of summation computes; also where rounding decides masks, maxima and orders otherwise."""

import mpmath
import numpy as np
import pytest

from opcheck.programs import wide
from opcheck.programs.bound import running
from opcheck.programs.elementwise import sigmoid
from opcheck.verification.truth.formats import FORMATS
from tests.programs.functions import gated, layer_norm, softmax
from tests.programs.orders import computed_in
from tests.programs.test_rules import recorded

STEPS = (
    lambda a, b: a + b, lambda a, b: a - b * 0.3, lambda a, b: a * b, lambda a, b: a / (np.abs(b) + 0.5),
    lambda a, b: np.exp(-np.abs(a)) + b, lambda a, b: np.log1p(a * a), lambda a, b: np.tanh(a) * b,
    lambda a, b: np.sqrt(a * a + b * b + 0.1), lambda a, b: sigmoid(a) * b, lambda a, b: np.maximum(a, b),
    lambda a, b: np.where(a > b, a, 0.5 * b), lambda a, b: np.sort(a, axis=1) + b, lambda a, b: softmax(a) * 3,
    lambda a, b: layer_norm(a) + b, lambda a, b: (a @ b.T) @ b * 0.1, lambda a, b: a - a.mean(axis=0),
    lambda a, b: np.cumsum(a, axis=1) * 0.5, lambda a, b: np.einsum("ij,kj,kl->il", a, b, b) * 0.05,
    lambda a, b: np.take_along_axis(b, np.argsort(a, axis=1, kind="stable"), 1),
    lambda a, b: np.clip(a, -1.5, 1.25) + np.sign(a - b), lambda a, b: b + a.max(axis=1, keepdims=True),
    lambda a, b: np.floor(a * 2) * 0.5 + b, lambda a, b: (a - b) + (b - a) + b, lambda a, b: np.roll(a, 1, axis=0),
    lambda a, b: gated(a, b) + a,
    lambda a, b: np.prod(a, axis=1, keepdims=True) + b, lambda a, b: np.std(a, axis=1, keepdims=True) * b,
)  # fmt: skip
FORMS = (FORMATS["float32"], *FORMATS["bfloat16"].tiers())


def program(rng):
    chosen = [(STEPS[rng.integers(len(STEPS))], *rng.integers(0, 9, size=2)) for _ in range(rng.integers(3, 9))]

    def run(x, y):
        pool = [x, y]
        for step, a, b in chosen:
            pool.append(step(pool[-1 - a % len(pool)], pool[-1 - b % len(pool)]))
        return pool[-1]

    return run


@pytest.mark.parametrize("seed", range(60))
def test_what_is_computed_is_within_the_bound_of_the_exact_value(seed):
    rng = np.random.default_rng(seed)
    few = rng.integers(2)  # many equal numbers, or none
    inputs = {name: rng.integers(-4, 5, (3, 4)) / 4 if few else FORMATS["bfloat16"].round(rng.normal(size=(3, 4)))
              for name in ("x", "y")}  # fmt: skip
    tape, _, out = recorded(program(rng), inputs)
    exact, sure = wide.value(tape.nodes, [out.id])[out.id]
    with mpmath.workprec(wide.BITS):
        for f in FORMS:
            with np.errstate(all="ignore"):
                error = np.broadcast_to(running(tape.nodes, f)[out.id].error(f), out.shape)
                error = f.stored(out.value, error)
            assert not np.isnan(error).any()
            for order in ("plain", "reversed", "pairwise", "chunked"):
                got = computed_in(tape.nodes, out.id, order, f)
                for at in np.ndindex(*out.shape):
                    if np.isfinite(error[at]) and sure[at] < 1e-20:
                        assert abs(mpmath.mpf(got[at]) - exact[at]) <= error[at] + sure[at], (order, f.tier, at)
