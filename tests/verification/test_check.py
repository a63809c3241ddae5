"""Which exact value a wrong element is held against."""

import numpy as np
import pytest

from opcheck import backends
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


def test_a_derivative_at_a_singular_place_is_infinite_or_nan():
    """Weights that add up to 0: the loss is -inf, and its tangent is what the order of the operations makes of it."""
    ramp, column = np.arange(1.0, 5.0), np.array([[13.0], [-28.0], [-42.0], [-24.0]])
    case = catalog.get("mse_loss").case(ramp, ramp[:, None], weight=np.array([-33.0, 39.0, -15.0, 9.0]))
    tangents = {"input": np.eye(4)[0], "target": column, "weight": np.array([-45.0, -64.0, 63.0, 10.0])}
    trial = Trial(case, "float32", "exact", cotangent={"output": np.array(1.0)}, tangents=tangents)
    check = Check(catalog.get("mse_loss"), trial, backends.load("torch"))
    assert np.isnan(check.expected_tangents["output"])
    for got, agrees in ((np.inf, True), (np.nan, True), (1.0, False)):
        assert (check.compare("jvp", "tangent", {"output": np.array(got)}).verdict is None) is agrees
