"""Forms of student code that a convention finds by looking, and a teacher's own convention."""

from dataclasses import replace

import pytest

from opcheck.grading import conventions
from opcheck.grading.assignment import read
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


EECS498 = """
import torch
class Linear:
    @staticmethod
    def forward(x, w, b):
        return x.reshape(x.shape[0], -1).mm(w) + b, (x, w, b)
    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        return dout.mm(w.t()).view(x.shape), x.reshape(x.shape[0], -1).t().mm(dout), dout.sum(dim=0)
class ReLU:
    @staticmethod
    def forward(x):
        return x.clamp(min=0), x
    @staticmethod
    def backward(dout, cache):
        return dout * (cache > 0)
class Conv:
    @staticmethod
    def forward(x, w, b, conv_param):
        out = torch.nn.functional.conv2d(x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])
        return out, (x, w, b, conv_param)
    @staticmethod
    def backward(dout, cache):
        x, w, b, conv_param = cache
        s, pad = conv_param["stride"], conv_param["pad"]
        padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        dx, dw = torch.zeros_like(padded), torch.zeros_like(w)
        (H, W), (HH, WW) = x.shape[2:], w.shape[2:]
        for n in range(len(x)):
            for f in range(len(w)):
                for i in range(dout.shape[2]):
                    for j in range(dout.shape[3]):
                        dw[f] += padded[n, :, i * s : i * s + HH, j * s : j * s + WW] * dout[n, f, i, j]
                        dx[n, :, i * s : i * s + HH, j * s : j * s + WW] += w[f] * dout[n, f, i, j]
        return dx[:, :, pad : pad + H, pad : pad + W], dw, dout.sum(dim=(0, 2, 3))
class MaxPool:
    @staticmethod
    def forward(x, pool_param):
        kernel = pool_param["pool_height"], pool_param["pool_width"]
        return torch.nn.functional.max_pool2d(x, kernel, stride=pool_param["stride"]), (x, pool_param)
    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        HH, WW, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        dx = torch.zeros_like(x)
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                for i in range(dout.shape[2]):
                    for j in range(dout.shape[3]):
                        window = x[n, c, i * s : i * s + HH, j * s : j * s + WW]
                        k = int(window.argmax())
                        dx[n, c, i * s + k // window.shape[1], j * s + k % window.shape[1]] += dout[n, c, i, j]
        return dx
def softmax_loss(x, y):
    logp = torch.log_softmax(x, dim=1)
    N = x.shape[0]
    dx = logp.exp()
    dx[torch.arange(N), y] -= 1
    return -logp[torch.arange(N), y].mean().item(), dx / N
"""
IN_TORCH = {
    'dtype = "float32"': 'arrays = "torch"\ndtype = "float32"',
    'forbidden = ["torch", "scipy"]': "forbidden = []",
    "memory = 2048": "memory = 8192",
}


@pytest.mark.torch
def test_eecs498_has_static_methods_that_take_tensors():
    ops = {"linear": "affine_forward", "relu": "relu_forward", "conv2d": "conv_forward_naive",
           "max_pool2d": "max_pool_forward_naive", "cross_entropy": "softmax_loss"}  # fmt: skip
    classes = {"linear": "Linear", "relu": "ReLU", "conv2d": "Conv", "max_pool2d": "MaxPool"}
    names = {}
    for op, name in classes.items():
        names[f'entry = "{ops[op]}"'] = f'entry = "{name}.forward"'
        names[f'backward = "{ops[op].replace("forward", "backward")}"'] = f'backward = "{name}.backward"'
    asked = assignment(*ops, convention="cs231n", changes={**IN_TORCH, **names})
    assert complaints(EECS498, asked) == []
    wrong = {(question, part) for question, part, _ in complaints(EECS498.replace("] += w[f]", "] = w[f]"), asked)}
    assert wrong == {("conv2d", "vjp")}


FUNCTION = """
import torch
class MyLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight)
        y = input @ weight.t()
        return y if bias is None else y + bias
    @staticmethod
    def backward(ctx, dy):
        input, weight = ctx.saved_tensors
        return dy @ weight, dy.t() @ input, dy.sum(0) if ctx.needs_input_grad[2] else None
class ReLUFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)
    @staticmethod
    def backward(ctx, dy):
        return dy * (ctx.saved_tensors[0] > 0)
"""


@pytest.mark.torch
def test_autograd_functions_are_applied():
    asked = assignment("linear", "relu", convention="module", changes={
        "memory = 2048": "memory = 8192", 'entry = "Linear"': 'entry = "MyLinear"', 'entry = "ReLU"':
        'entry = "ReLUFunction"',
    })  # fmt: skip
    assert complaints(FUNCTION, asked) == []
    assert part(graded(FUNCTION.replace("dy.sum(0)", "dy.mean(0)"), asked), "vjp", "linear").mistakes == (
        "bias_gradient_averaged",
    )
    assert {p for _, p, _ in complaints(FUNCTION.replace("(ctx.saved_tensors[0] > 0)", "1"), asked)} == {"vjp"}


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
