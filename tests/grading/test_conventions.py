"""Right solutions get full marks in each convention, from the real sandbox; layouts are inverses."""

from dataclasses import replace

import numpy as np
import pytest

from opcheck.grading import conventions
from opcheck.grading.conventions import layouts
from tests.grading.students import assignment, graded, solution

RIGHT = {
    "cs231n": ["linear", "relu", "conv2d", "max_pool2d", "cross_entropy", "sgd", "rmsprop", "adam"],
    "functional": ["linear", "conv2d", "relu", "softmax", "mse_loss", "cross_entropy"],
    "cmu": ["linear", "conv2d", "max_pool2d", "relu", "mse_loss", "cross_entropy"],
    "cmu2022": ["linear", "tanh", "mse_loss", "cross_entropy"],
    "coursera": ["linear", "relu", "conv2d", "max_pool2d"],
    "layer": ["linear", "relu", "cross_entropy"],
    "module": ["linear", "relu"],
}


def complaints(code, asked, seed=None):
    return [(c.question, c.part, c.message) for c in graded(code, asked, seed).checks if c.score != c.points]


@pytest.mark.parametrize("name", [n if n != "module" else pytest.param(n, marks=pytest.mark.torch) for n in RIGHT])
def test_a_right_solution_gets_full_marks(name):
    asked = assignment(*RIGHT[name], convention=name, changes={"memory = 2048": "memory = 8192"})
    for seed in (1, None):
        assert complaints(solution(name), asked, seed) == []


def test_coursera_pools_average_too():
    asked = assignment("avg_pool2d", convention="coursera")
    assert complaints(solution("coursera"), asked) == []


def test_a_second_entry_of_an_operator_is_chosen_by_its_name():
    asked = assignment("sgd", convention="cs231n", changes={'entry = "sgd"': 'entry = "sgd_momentum"'})
    assert complaints(solution("cs231n"), asked) == []
    wrong = solution("cs231n").replace('- config["learning_rate"] * dw\n    return w + v', "- dw\n    return w + v")
    assert complaints(wrong, asked) != []


TUPLES = """
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dy):
        return dy @ self.W.T, self.x.T @ dy, dy.sum(0)
"""
GRADS = """
class Dense:
    def __init__(self, W, b):
        self.W, self.b = {"val": W, "grad": None}, {"val": b, "grad": None}
    def forward(self, x):
        self.x = x
        return x @ self.W["val"] + self.b["val"]
    def backward(self, dy):
        self.W["grad"], self.b["grad"] = self.x.T @ dy, dy.sum(0)
        return dy @ self.W["val"].T
"""
LEARNS = """
class Dense:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, output_gradient, learning_rate):
        dW, dx = self.x.T @ output_gradient, output_gradient @ self.W.T
        self.W = self.W - learning_rate * dW
        self.b = self.b - learning_rate * output_gradient.sum(0)
        return dx
"""


@pytest.mark.parametrize("code", [TUPLES, GRADS, LEARNS], ids=["tuples", "dicts", "learns"])
def test_variants_of_layers_are_found_by_looking(code):
    asked = assignment("linear", convention="layer", changes={'entry = "Affine"\n': ""})
    assert complaints(code, asked) == []
    for right, wrong in (("self.x.T @", "2 * self.x.T @"), (".sum(0)", ".mean(0)")):
        assert {part for _, part, _ in complaints(code.replace(right, wrong), asked)} == {"vjp"}


@pytest.mark.torch
def test_functional_with_tensors_is_differentiated_by_autograd():
    asked = assignment("linear", "softmax", changes={
        'dtype = "float32"': 'arrays = "torch"\ndtype = "float32"', 'forbidden = ["torch", "scipy"]': "forbidden = []",
        "memory = 2048": "memory = 8192",
    })  # fmt: skip
    code = """
def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias
def softmax(x, dim):
    return x.softmax(dim)
"""
    assert complaints(code, asked) == []
    assert ("linear", "vjp") in {(q, p) for q, p, _ in complaints(code.replace("y + bias", "y + bias.detach()"), asked)}


@pytest.mark.torch
def test_functions_with_a_cache_may_take_tensors():
    asked = assignment("linear", convention="cs231n", changes={
        'dtype = "float32"': 'arrays = "torch"\ndtype = "float32"', 'forbidden = ["torch", "scipy"]': "forbidden = []",
        "memory = 2048": "memory = 8192",
    })  # fmt: skip
    code = """
class Linear:
    @staticmethod
    def forward(x, w, b):
        return x.reshape(x.shape[0], -1).mm(w) + b, (x, w, b)
    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        return dout.mm(w.t()).view(x.shape), x.reshape(x.shape[0], -1).t().mm(dout), dout.sum(dim=0)
"""
    asked = replace(
        asked,
        questions=tuple(replace(each, entry=conventions.get("cs231n").entry("linear")) for each in asked.questions),
    )
    assert complaints(code, asked) == []


def test_a_teachers_own_convention(tmp_path):
    (tmp_path / "ours.py").write_text("""
from opcheck.grading.conventions import Convention, Entry, Plan, Reading, only
from opcheck.grading.conventions.layouts import TRANSPOSED
from opcheck.sandbox import Call, Place

def call(r):
    args = (r.array("input"), r.array("weight", TRANSPOSED), r.array("bias"))
    return Plan([Call(r.forward, args, keep="y")], {"output": Reading("y['out']")})

def gradients(r, g):
    names = ("input", "weight", "bias")
    return Plan([Call(r.backward, (g["output"], Place("y")), keep="d")],
                {n: Reading(f"d['{n}']", TRANSPOSED if n == "weight" else Reading("").layout) for n in names})

CONVENTION = Convention("ours", "with dicts", {"linear": Entry(("affine",), ("affine_grad",), {"bias": only(True)})},
                        call, gradients)
""")
    (tmp_path / "hw.toml").write_text('convention = "ours.py"\n[[question]]\noperator = "linear"\n')
    from opcheck.grading.assignment import read

    code = """
def affine(x, w, b):
    return {"out": x @ w + b, "x": x, "w": w}
def affine_grad(g, y):
    return {"input": g @ y["w"].T, "weight": y["x"].T @ g, "bias": g.sum(0)}
"""
    assert complaints(code, read(tmp_path / "hw.toml")) == []


@pytest.mark.parametrize(
    "name", ["SAME", "TRANSPOSED", "CHANNELS_LAST", "KERNEL_LAST", "COLUMN", "ROW", "FOUR", "FLATTENED"]
)
def test_layouts_are_inverses(name):
    layout = getattr(layouts, name)
    dims = {"TRANSPOSED": 2, "FLATTENED": 2, "CHANNELS_LAST": 4, "KERNEL_LAST": 4}.get(name, 1)
    for shape in [(2, 3, 4, 5)[:dims], (3, 4, 1, 2)[:dims]]:
        a = np.arange(np.prod(shape)).reshape(shape)
        given = layout.give(a)
        assert np.array_equal(layout.take(given), a)
        assert np.array_equal(layouts.scaled(0.5, layout).take(layouts.scaled(0.5, layout).give(a)), a)


def test_taking_never_hides_a_wrong_shape():
    assert layouts.COLUMN.take(np.ones((3, 2))).shape == (3, 2)
    assert layouts.ROW.take(np.ones((2, 3))).shape == (2, 3)
    assert layouts.FOUR.take(np.ones((1, 2, 1, 3))).shape == (1, 2, 1, 3)


def test_every_convention_is_listed_and_says_what_it_is():
    for name in conventions.NAMES:
        found = conventions.get(name)
        assert found.name == name and found.summary and found.entries
