"""Where there is no derivative (relu at 0, equal maxima) every subgradient is right, and nothing else."""

import numpy as np
import pytest

from opcheck import specs
from opcheck.grading.assignments.assignment import read
from opcheck.grading.judging.kinks import Kinks
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.inline import Unasked
from tests.grading.students import assignment, graded, part

RELU = """
import numpy as np
def relu(x):
    return np.maximum(x, 0)
def relu_backward(dy, x):
    return dy * ({})
"""
POOL = """
import numpy as np
def max_pool1d(x, kernel_size, stride=None, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
    s = stride or kernel_size
    starts = range(0, x.shape[2] - kernel_size + 1, s)
    return np.stack([x[:, :, i : i + kernel_size].max(2) for i in starts], 2)
def max_pool1d_backward(dy, x, kernel_size, stride=None, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
    dx, s = np.zeros_like(x), stride or kernel_size
    for n, c, i in np.ndindex(dy.shape):
        window = x[n, c, i * s : i * s + kernel_size]
        m = window == window.max()
        dx[n, c, i * s : i * s + kernel_size] += dy[n, c, i] * ({})
    return dx[:, :, padding : dx.shape[2] - padding]
"""
LAST = "np.arange(len(m)) == np.flatnonzero(m)[-1]"


@pytest.mark.parametrize(
    ("op", "code", "share", "right"),
    [
        ("relu", RELU, "x >= 0", True),
        ("relu", RELU, "(x > 0) + 0.25 * (x == 0)", True),
        ("relu", RELU, "(x > 0) + 1.5 * (x == 0)", False),
        ("relu", RELU, "(x > 0) - 0.5 * (x == 0)", False),
        ("max_pool1d", POOL, "m / m.sum()", True),
        ("max_pool1d", POOL, LAST, True),
        ("max_pool1d", POOL, "m", False),
        ("max_pool1d", POOL, "m / 2", False),
    ],
)
def test_every_subgradient_is_right(op, code, share, right):
    found = part(graded(code.format(share), assignment(op)), "vjp")
    assert (found.score == found.points) is right, found.message
    assert ("torch takes another derivative" in found.message) is right


def test_it_is_no_mistake_beside_another_one():
    found = part(graded(RELU.format("-(x >= 0)"), assignment("relu")), "vjp")
    assert not found.score
    assert "gradient_one_at_zero" not in found.mistakes


HINGE = """
import numpy as np
def hinge(x: "N C", y: "N C"):
    return np.maximum(0.0, 1 - x * y) + abs(x - y) + np.clip(x, -1, 1)
"""
STUDENT = """
import numpy as np
def hinge(x, y):
    return np.maximum(0, 1 - x * y) + np.abs(x - y) + np.clip(x, -1, 1)
def hinge_backward(g, x, y):
    on, sign, inside = {}
    return g * (-y * on + sign + inside), g * (-x * on - sign)
"""


@pytest.mark.parametrize(
    ("chosen", "right"),
    [
        ("1 - x * y >= 0, np.where(x >= y, 1, -1), abs(x) < 1", True),
        ("1 - x * y > 0, np.sign(x - y), abs(x) <= 1", True),
        ("1 - x * y > 0, np.where(x > y, 1, -3 * (x < y)), abs(x) <= 1", False),
    ],
)
def test_of_a_teachers_own_function_too(tmp_path, chosen, right):
    (tmp_path / "reference.py").write_text(HINGE)
    (tmp_path / "hw.toml").write_text('title = "Hinge"\n[[question]]\nspec = "reference.py:hinge"\n')
    found = part(graded(STUDENT.format(chosen), read(tmp_path / "hw.toml")), "vjp")
    assert (found.score == found.points) is right, found.message


@pytest.mark.parametrize(("a", "b", "right"), [(1, 0, True), (0.5, 0.5, True), (1, 1, False), (0.25, 0.25, False)])
def test_two_equal_inputs_share_one_gradient(tmp_path, a, b, right):
    (tmp_path / "two.py").write_text('import numpy as np\ndef larger(a: "N", b: "N"):\n    return np.maximum(a, b)\n')
    two, one = np.array([2.0, 3.0]), np.array([2.0, 1.0])
    trial = Trial(Case("larger", {"a": two, "b": one}, {}), "float64", "exact", cotangent={"output": np.ones(2)})
    kinks = Kinks(Check(specs.get(f"{tmp_path}/two.py:larger"), trial, Unasked()))
    assert kinks.any
    got = {"a": np.array([a, 1.0]), "b": np.array([b, 0.0])}
    assert kinks.allow(got, {name: np.zeros(2) for name in got}) is right
