"""A form that loses the digits of confident rows agrees and is counted; --stable makes it fail. References keep all."""

import numpy as np
import pytest

from opcheck import reference
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.stability import stable
from opcheck.verification.truth.definition import Definition
from opcheck.verification.verdict import Status

ROWS = np.array([[0.5, -0.75, 0.25], [2.0, -1.0, -1.5]])


def lost(x, dim):
    z = x - x.max(axis=dim, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=dim, keepdims=True))


def kept(x, dim):
    z = x - x.max(axis=dim, keepdims=True)
    e = np.exp(z)
    np.put_along_axis(e, e.argmax(axis=dim, keepdims=True), 0, dim)
    return z - np.log1p(e.sum(axis=dim, keepdims=True))


def asked(function, x=ROWS, strict=False, dtype="float32"):
    backend = load(lambda input, dim: function(input, dim), "numpy")
    backend.stable = strict
    op = catalog.get("log_softmax")
    return list(stable(Check(op, Trial(op.case(x, dim=1), dtype, "real"), backend)))


def test_the_textbook_s_form_agrees_and_is_counted():
    (finding,) = asked(lost)
    assert finding.verdict is None and finding.form.startswith("loses the digits of confident rows")
    (finding,) = asked(lost, strict=True)
    assert (finding.verdict.status, finding.verdict.claim) == (Status.DIFFERS, "stable")
    assert -1e-3 < finding.verdict.expected < 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_the_stable_form_keeps_every_digit(dtype):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(3, rng.integers(1, 6))).astype(np.float16) * rng.choice([1.0, 8.0])
        assert not any(finding.form or finding.verdict for finding in asked(kept, x.astype(np.float64), True, dtype))


def test_what_is_wrong_far_apart_is_wrong():
    (finding,) = asked(lambda x, dim: np.maximum(kept(x, dim), -20))
    assert finding.claim == "rounding" and finding.verdict.expected < -20


OF_CLASSES = {"target": np.array([0, 1]), "reduction": "none"}


@pytest.mark.parametrize(("name", "more"), [("log_softmax", {"dim": 1}), ("cross_entropy", OF_CLASSES)])
@pytest.mark.parametrize("gap", [0.5, 3.0, 20.0, 40.0])
def test_the_references_keep_the_digits_of_confident_rows(name, more, gap):
    x = np.array([[0.0, -gap, -gap - 1], [1.0, 1.0, 1 - gap]])
    definition = Definition(catalog.get(name), catalog.get(name).case(x, **more))
    got = getattr(reference, name)(x, **more)
    for at in np.ndindex(got.shape):
        assert got[at] == pytest.approx(float(definition.output("output", at)), rel=2.0**-48, abs=0)
