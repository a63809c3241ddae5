"""Questions to an implementation that fails in other ways when it is asked them."""

import numpy as np
import pytest

from opcheck import catalog, reference
from opcheck.backends.base import Malformed
from opcheck.backends.function import NumpyFunction
from opcheck.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from opcheck.verification.diagnosis import probes
from opcheck.verification.diagnosis.precision import explanation


def square(x, weight):
    """Wrong numbers, and as many columns as rows: it takes the height for the width."""
    y = 1.5 * reference.conv2d(x, weight)
    return y[..., : y.shape[2]]


def test_an_answer_of_another_shape_tells_no_precision():
    """The failing case is square, the larger image that is asked about is not."""
    rng = np.random.default_rng(0)
    case = Case("conv2d", {"input": rng.normal(size=(1, 1, 4, 3)), "weight": rng.normal(size=(1, 1, 3, 2))}, {})
    check = Check(catalog.get("conv2d"), Trial(case, "float32", "real"), NumpyFunction(square))
    (verdict,) = [found.verdict for found in correctness.numbers(check)]
    with pytest.raises(Malformed, match="output has another shape"):
        probes.is_local(check)
    assert explanation(check, verdict) is None
