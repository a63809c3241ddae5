"""Students' code that takes tensors: functions, static methods, autograd.Function classes."""

from dataclasses import replace

import pytest

from opcheck.grading import conventions
from tests.grading.students import assignment, complaints, graded, part

pytestmark = pytest.mark.torch
IN_TORCH = {
    'dtype = "float32"': 'arrays = "torch"\ndtype = "float32"',
    'allowed = ["numpy"]': 'allowed = ["numpy", "torch"]',
    "memory = 2048": "memory = 8192",
}
LINEAR = """
class Linear:
    @staticmethod
    def forward(x, w, b):
        return x.reshape(x.shape[0], -1).mm(w) + b, (x, w, b)
    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        return dout.mm(w.t()).view(x.shape), x.reshape(x.shape[0], -1).t().mm(dout), dout.sum(dim=0)
"""
EECS498 = (
    f"import torch{LINEAR}"
    + """class ReLU:
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
)


def test_functional_with_tensors_is_differentiated_by_autograd():
    asked = assignment("linear", "softmax", changes=IN_TORCH)
    code = """
def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias
def softmax(x, dim):
    return x.softmax(dim)
"""
    assert complaints(code, asked) == []
    assert ("linear", "vjp") in {(q, p) for q, p, _ in complaints(code.replace("y + bias", "y + bias.detach()"), asked)}


def test_functions_with_a_cache_may_take_tensors():
    asked = assignment("linear", convention="cs231n", changes=IN_TORCH)
    asked = replace(
        asked,
        questions=tuple(replace(each, entry=conventions.get("cs231n").entry("linear")) for each in asked.questions),
    )
    assert complaints(LINEAR, asked) == []


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
