"""Forms of student code that a convention finds by looking, and a teacher's own convention."""

import pytest

from opcheck.grading.assignments.assignment import read
from tests.grading.students import assignment, complaints, graded, part, solution

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
    code = """
def affine(x, w, b):
    return {"out": x @ w + b, "x": x, "w": w}
def affine_grad(g, y):
    return {"input": g @ y["w"].T, "weight": y["x"].T @ g, "bias": g.sum(0)}
"""
    assert complaints(code, read(tmp_path / "hw.toml")) == []


@pytest.mark.parametrize(
    ("op", "right", "wrong", "name"),
    [
        ("sgd", "+ self.l[i].dLd", "+ (1 - self.mu) * self.l[i].dLd", "velocity_as_average"),
        ("adam", "self.t += 1", "pass", "step_counted_from_zero"),
        ("adam", "m[i] / (1 - self.beta1**self.t), v[i] / (1 - self.beta2**self.t)", "m[i], v[i]",
         "bias_correction_missing"),
        ("adamw", "theta - theta * self.lr * self.decay", "theta", "weight_decay_missing"),
    ],
)  # fmt: skip
def test_optimisers_of_11_785_act_on_the_layers_of_a_model(op, right, wrong, name):
    asked = assignment(op, convention="cmu")
    code = solution("cmu")
    assert complaints(code, asked) == []
    assert right in code
    assert name in part(graded(code.replace(right, wrong), asked), "forward").mistakes[:2]


def test_code_for_one_image_is_a_layout_in_a_teachers_own_convention(tmp_path):
    (tmp_path / "one.py").write_text("""
from opcheck.grading.conventions import Convention, Entry, Plan, Reading, only, whole
from opcheck.grading.conventions.layouts import UNBATCHED
from opcheck.sandbox import Call

def call(r):
    args = (r.array("input", UNBATCHED), r.one("kernel_size"), r.one("stride"))
    return Plan([Call(r.forward, args, keep="y")], {"output": Reading("y", UNBATCHED)})

def gradients(r, g):
    args = (r.sent(g["output"], UNBATCHED), r.array("input", UNBATCHED), r.one("kernel_size"), r.one("stride"))
    return Plan([Call(r.backward, args, keep="dx")], {"input": Reading("dx", UNBATCHED)})

CONVENTION = Convention("one image", "functions of an image (C, H, W)", {"max_pool2d": Entry(
    ("pool",), ("pool_backward",), {"kernel_size": whole, "stride": whole, "padding": only(0), "dilation": only(1)},
)}, call, gradients)
""")
    (tmp_path / "hw.toml").write_text(
        'convention = "one.py"\n[[question]]\noperator = "max_pool2d"\n[question.parameters]\nbatch = [1]\n'
    )
    code = """
import numpy as np
def pool(x, k, s):
    out = np.zeros((len(x), (x.shape[1] - k) // s + 1, (x.shape[2] - k) // s + 1))
    for c, i, j in np.ndindex(*out.shape):
        out[c, i, j] = x[c, i * s : i * s + k, j * s : j * s + k].max()
    return out
def pool_backward(dy, x, k, s):
    dx = np.zeros(x.shape)
    for c, i, j in np.ndindex(*dy.shape):
        a, b = divmod(int(x[c, i * s : i * s + k, j * s : j * s + k].argmax()), k)
        dx[c, i * s + a, j * s + b] += dy[c, i, j]
    return dx
"""
    asked = read(tmp_path / "hw.toml")
    assert complaints(code, asked) == []
    assert {name for _, name, _ in complaints(code.replace("] += dy", "] = dy"), asked)} == {"vjp"}


@pytest.mark.parametrize("targets", ["[true]", "[true, false]"])
def test_targets_may_be_probabilities(targets):
    code = solution("cmu")
    asked = assignment("cross_entropy", convention="cmu", changes={
        "points = {": f"parameters.probabilities = {targets}\npoints = {{",
    })  # fmt: skip
    assert complaints(code, asked) == []
    hard = code.replace("-np.sum(Y * self.log_p)", "-np.sum((Y == Y.max(axis=1, keepdims=True)) * self.log_p)")
    assert hard != code
    assert {name for _, name, _ in complaints(hard, asked)} >= {"forward"}
