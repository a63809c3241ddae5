"""Which exact value a wrong element is held against."""

import numpy as np
import pytest

from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, differs
from opcheck.verification.mutation.mutants import Reference, backend
from opcheck.verification.truth.definition import Definition
from opcheck.verification.truth.formats import FORMATS

CONV = catalog.get("conv2d")
CENTRE = (0, 0, 1, 1)


def convolution(images, kernels):
    """A check of the reference itself, with a cotangent of ones, on numbers that need no rounding."""
    draw = np.random.default_rng(0)
    arrays = {
        "input": draw.integers(-4, 5, images).astype(np.float64),
        "weight": draw.integers(-4, 5, kernels).astype(np.float64),
    }
    case = Case("conv2d", arrays, {})
    cotangent = {"output": np.ones(CONV.checked(case)[1]["output"])}
    return Check(CONV, Trial(case, "float64", cotangent=cotangent), backend(Reference(CONV)))


@pytest.mark.parametrize("name", ["input", "weight"])
def test_a_gradient_is_read_from_the_definition(name):
    check = convolution((1, 2, 5, 5), (2, 2, 3, 3))
    check.expected_gradients = {}  # not from here
    assert (
        check.exact("gradient", name, CENTRE).value
        == check.op.vjp(check.p, check.trial.cotangent["output"], **check.arrays)[name][CENTRE]
    )


@pytest.mark.parametrize(
    ("images", "kernels"),
    [((2, 1, 3, 2), (48, 1, 128, 64)), ((2, 4, 40, 40), (4, 4, 3, 3))],
    ids=["few outputs of many terms", "many outputs of few terms"],
)
def test_a_gradient_that_would_take_minutes_to_trace_is_the_references(images, kernels, monkeypatch):
    """A wrong gradient must come back as wrong, not as a kernel that hangs."""
    monkeypatch.setattr(Definition, "gradient", lambda *_: pytest.fail("it was traced"))
    padded = (*images[:2], images[2] + kernels[2] - 1, images[3] + kernels[3] - 1)
    check = convolution(padded, kernels)
    assert check.exact("gradient", "weight", CENTRE).value == check.expected_gradients["weight"][CENTRE]


def test_an_infinity_agrees_with_the_same_one_only_whatever_its_bound():
    got, expected = np.array([-np.inf, np.inf, 1.0, np.nan]), np.full(4, np.inf)
    wrong, _, _ = differs(got, expected, np.full(4, np.inf), FORMATS["float32"])
    assert wrong.tolist() == [True, False, True, True]
