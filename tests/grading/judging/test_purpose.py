"""Code is asked what it is for; an eps may be its own; what is drawn by chance is read off."""

import pytest

from opcheck.grading.assignments import scaffold
from opcheck.grading.assignments.assignment import parse
from tests.grading.students import complaints, graded

IMAGES = """
import numpy as np
class GroupNorm:
    def __init__(self, num_groups, num_channels):
        self.groups = num_groups
        self.weight, self.bias = np.ones((1, num_channels, 1, 1)), np.zeros((1, num_channels, 1, 1))
    def forward(self, x):
        N, C, H, W = x.shape
        rows = x.reshape(N, self.groups, -1)
        y = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-8)
        return y.reshape(x.shape) * self.weight + self.bias
"""
ROWS = """
import numpy as np
def batch_norm(x, gamma, beta):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8) * gamma + beta
"""
DROPOUT = """
import numpy as np
class Dropout:
    def __init__(self, p):
        self.keep, self.training = 1 - p, True
    def eval(self):
        self.training = False
    def train(self):
        self.training = True
    def __call__(self, x):
        self.mask = (np.random.rand(*x.shape) < self.keep) / self.keep if self.training else 1.0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask
"""


SQUARE = """
import numpy as np
def max_pool2d(x, k, stride):
    n, c, h, w = x.shape
    y = np.zeros((n, c, (h - k) // stride + 1, (w - k) // stride + 1))
    for i, j in np.ndindex(y.shape[2:]):
        y[:, :, i, j] = x[:, :, i * stride:i * stride + k, j * stride:j * stride + k].max((2, 3))
    return y
"""
TANH = """
import numpy as np
def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
"""


def asked(op):
    return scaffold.single(op)


@pytest.mark.parametrize(
    ("op", "code"),
    [("group_norm", IMAGES), ("batch_norm", ROWS), ("dropout", DROPOUT), ("max_pool2d", SQUARE), ("gelu", TANH)],
)
def test_what_code_is_for_is_what_it_is_asked(op, code):
    for seed in (101, None):
        assert complaints(code, asked(op), seed) == []


def test_the_dimensions_are_said():
    (note,) = [each for each in graded(IMAGES, asked("group_norm")).notes if "dimensions" in each]
    assert note == "group_norm (GroupNorm) is written for inputs of 4 dimensions, so only these were asked"
    assert "right, but it uses an eps other than" in graded(IMAGES, asked("group_norm")).checks[0].message


def test_a_formula_is_right_unless_an_assignment_names_the_other():
    named = 'convention = "functional"\n[[question]]\noperator = "gelu"\npoints = { forward = 4 }\n'
    assert complaints(TANH, parse(named), 1) == []
    assert complaints(TANH, parse(named + '[question.parameters]\napproximate = ["none"]\n'), 1) != []
    assert complaints(TANH.replace("0.044715", "0.04"), parse(named), 1) != []


def test_rows_alone_are_not_enough_where_images_are_asked():
    named = parse('convention = "functional"\n[[question]]\noperator = "batch_norm"\npoints = { forward = 4 }')
    assert complaints(ROWS, named, 1) != []


def test_without_any_eps_an_input_that_does_not_vary_divides_by_zero():
    assert complaints(IMAGES.replace(" + 1e-8", ""), asked("group_norm"), 1) != []


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("< self.keep) / self.keep", "< 0.9) / self.keep", "of the numbers were dropped instead of"),
        ("(*x.shape) < self.keep)", "(x.shape[0], *[1] * (x.ndim - 1)) < self.keep)", "has the same mask"),
        ("np.random.rand", "np.random.default_rng(0).random", "two calls dropped the same numbers"),
        (") / self.keep if", ") if", "they were left unscaled"),
    ],
)
def test_chance_is_judged(right, wrong, told):
    assert right in DROPOUT
    code = DROPOUT.replace(right, wrong).replace("random(*x.shape)", "random(x.shape)")
    assert told in complaints(code, asked("dropout"), 1)[0][2]
