"""What code takes beside what is asked must be right or refuse; what is right by chance is worth nothing."""

import pytest

from tests.grading.students import assignment, graded, part

POOL = """
import numpy as np

def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1):
    CHECK
    s = stride or kernel_size
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
    n = (x.shape[2] - kernel_size) // s + 1
    return np.stack([x[:, :, i * s : i * s + kernel_size].max(axis=2) for i in range(n)], axis=2)
"""
FORWARD = {", vjp = 4": ""}
PARTLY = {"partial": "cases", "changes": FORWARD}


@pytest.fixture(scope="module")
def ignores():
    return graded(POOL.replace("CHECK", "pass"), assignment("max_pool1d", **PARTLY))


def test_a_parameter_that_is_taken_and_ignored_costs_a_share(ignores):
    check = part(ignores, "forward")
    assert 2 < check.score < 4
    assert check.message == "The dilation was ignored."
    assert check.mistakes == ("dilation_ignored",)


def test_it_is_said_that_nobody_asked(ignores):
    told = str(part(ignores, "forward").detail)
    assert "wrong whenever dilation > 1" in told
    assert "does not ask for this, but your code accepts it" in told


def test_whoever_refuses_it_loses_nothing():
    refuses = POOL.replace("CHECK", "if dilation != 1: raise NotImplementedError")
    result = graded(refuses, assignment("max_pool1d", changes=FORWARD))
    assert result.score == result.points


def test_an_assignment_can_leave_it_out():
    one = {**FORWARD, "[question.parameters]": "[question.parameters]\ndilation = [1]"}
    result = graded(POOL.replace("CHECK", "pass"), assignment("max_pool1d", changes=one))
    assert result.score == result.points


CHANCE = "called again with the same input, it gives a different result"
RANDOM = {
    "chance": "y = x @ weight.T if np.random.rand() < 0.5 else x @ weight.T + 1",
    "noise": "y = x @ weight.T + 0.1 * np.random.randn()",
    "memory": "calls.append(1); y = x @ weight.T + len(calls) % 3",
}


@pytest.mark.parametrize("kind", sorted(RANDOM))
def test_what_is_right_by_chance_is_worth_nothing_and_told_so(kind):
    code = f"""
import numpy as np
calls = []
def linear(x, weight, bias=None):
    {RANDOM[kind]}
    return y if bias is None else y + bias
"""
    check = part(graded(code, assignment("linear", partial="cases", changes=FORWARD)), "forward")
    assert check.score == 0 and check.message.startswith(CHANCE)


def test_what_is_always_wrong_is_not_called_chance():
    code = "def linear(x, weight, bias=None): return x @ weight.T"
    check = part(graded(code, assignment("linear", partial="cases", changes=FORWARD)), "forward")
    assert check.mistakes == ("bias_missing",) and 0 < check.score < 4


def test_a_mask_under_another_name_need_not_mean_what_torchs_does():
    code = """
import numpy as np
def scaled_dot_product_attention(q, k, v, mask=None):
    s = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1])
    s = s if mask is None else np.where(mask == 0, -1e9, s)
    w = np.exp(s - s.max(-1, keepdims=True))
    return w / w.sum(-1, keepdims=True) @ v
"""
    asked = {", vjp = 4": "", "is_causal = [true, false]": "is_causal = [false]"}
    result = graded(code, assignment("scaled_dot_product_attention", changes=asked))
    assert result.score == result.points


def test_layer_norm_by_the_names_of_the_paper():
    code = """
import numpy as np
def layer_norm(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) + beta
"""
    result = graded(code, assignment("layer_norm", partial="cases", changes={", vjp = 4": ""}))
    assert result.score == result.points
    wrong = part(
        graded(code.replace("eps) +", "1e-5) +"), assignment("layer_norm", changes={", vjp = 4": ""})), "forward"
    )
    assert 0 < wrong.score < 4
