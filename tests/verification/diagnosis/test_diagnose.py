"""What a nameless failure looks like: the right function in a form that loses something, or another function."""

import numpy as np
import pytest

from opcheck import backends, specs
from opcheck.app.failures import spoken
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.correctness import numbers
from opcheck.verification.diagnosis.diagnose import LOSES, OVERFLOWS, looks_like


def softplus(x):
    return np.logaddexp(0, x)


def variance(x):
    return np.var(x, axis=1)


def growth(x):
    return np.expm1(x)


for each in (softplus, variance, growth):
    each.__annotations__ = {"x": "N 4"}
KERNELS = {
    "cancelled": (growth, lambda x: np.exp(x) - 1, LOSES),
    "unshifted": (softplus, lambda x: np.log(1 + np.exp(x)), OVERFLOWS),
    "another function": (variance, lambda x: np.var(x, axis=1, ddof=1), ""),
    "an eps": (softplus, lambda x: np.logaddexp(0, x) + x.dtype.type(1e-4), ""),
    "narrow inside": (softplus, lambda x: np.logaddexp(0, x.astype(np.float16)).astype(x.dtype), ""),
    "infinity lost": (softplus, lambda x: np.minimum(np.logaddexp(0, x), 100), ""),
}
X = {softplus: [-3.3, 2.7, 99.0, 300.0], growth: [-3.3, 2.7, 1e-3, 3e-5], variance: [100.0, 101.0, 105.0, 99.0]}


@pytest.mark.parametrize("name", KERNELS)
def test_a_form_of_the_right_function_is_told_from_another_function(name):
    spec, kernel, told = KERNELS[name]
    op, backend = specs.get(spec), backends.function_backend(kernel, "numpy", "cpu")
    x = np.float32([X[spec]]).astype(float)
    check = Check(op, Trial(Case(op.name, {"x": x}, {}), "float32", "real"), backend)
    with np.errstate(all="ignore"):
        (verdict,) = [finding.verdict for finding in numbers(check) if finding.verdict is not None]
        names = looks_like(op, [verdict], backend)
    assert (told in names) if told else not {LOSES, OVERFLOWS} & set(names)
    if told:
        assert "the right function in a form that" in spoken(spec, told)
