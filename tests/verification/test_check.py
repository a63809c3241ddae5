"""Which exact value a wrong element is held against."""

import numpy as np
import pytest

from opcheck import backends
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification import check as check_module
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, differs
from opcheck.verification.mutation.mutants import Reference, backend
from opcheck.verification.truth.adjudication import exact
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


def test_when_exact_readings_have_taken_long_the_reference_decides_what_is_far_from_right(monkeypatch):
    """One exact mean of thousands of logarithms takes seconds, and every case of a wrong loss has some."""
    asked = []
    monkeypatch.setattr(check_module, "exact", lambda *which: asked.append(which) or exact(*which))
    wrong = backends.load(lambda x: (1.01 / (1 + np.exp(-x))).astype(x.dtype), arrays="numpy")
    trial = Trial(Case("sigmoid", {"input": np.array([0.5, 1.0])}, {}), "float32")

    def verdict(spent):
        check = Check(catalog.get("sigmoid"), trial, wrong)
        check.readings.seconds = spent
        return check.compare("rounding", "output", check.got).verdict

    patient = verdict(spent=0.0)
    assert len(asked) == 1
    hurried = verdict(spent=1e9)
    assert len(asked) == 1
    assert (hurried.at, hurried.got) == (patient.at, patient.got)
    assert hurried.expected == pytest.approx(patient.expected, rel=2**-45)


def test_what_the_reference_cannot_decide_is_still_read_exactly():
    check = convolution((1, 2, 5, 5), (2, 2, 3, 3))  # in float64, where the reference is no better than its bound
    assert not check._is_far(1.5, 1.0, 0.2)
    assert check._is_far(1.5, 1.0, 0.1) and check._is_far(np.nan, 1.0, 0.1)
