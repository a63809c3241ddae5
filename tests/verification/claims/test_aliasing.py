"""One array in several places: for several inputs, and for the outputs of two calls."""

import numpy as np
import pytest

from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification.check import Check
from opcheck.verification.claims.aliasing import one_for_several
from opcheck.verification.streams import trial
from tests.verification.refusal import refusal

torch = pytest.importorskip("torch")

CASES = 40


def scaled_in_place(input, other):
    """Right but for a moment, and for one array that is both."""
    input *= 2
    found = np.matmul(input, other) / 2
    input /= 2
    return found


def short_of_self_attention(query, key, value):
    if key is query and value is query:
        key = key.flip(-2)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value)


class HalfOfItsGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, other):
        ctx.save_for_backward(input, other)
        return input @ other

    @staticmethod
    def backward(ctx, gradient):
        input, other = ctx.saved_tensors
        of_other = None if input.data_ptr() == other.data_ptr() else input.mT @ gradient
        return gradient @ other.mT, of_other


def square_or_not(input, other):
    return HalfOfItsGradient.apply(input, other) if input.dim() == other.dim() == 2 else input @ other


WHERE = "where input, other are one array"


@pytest.mark.parametrize(
    ("op", "kernel", "arrays", "message"),
    [
        ("matmul", scaled_in_place, "numpy", WHERE),
        ("scaled_dot_product_attention", short_of_self_attention, "torch", "where query, key, value are one array"),
        ("matmul", square_or_not, "torch", "the gradient of one array given for input, other is not the sum of"),
    ],
)
def test_one_array_for_several_inputs(op, kernel, arrays, message):
    failure, seed = refusal(catalog.get(op), load(kernel, arrays), CASES, wanted=["state"])
    assert failure and message in failure.message, seed


def maximum(input, out=None, inplace=False):
    """Keeps what it has computed by the address of its output."""
    if out is None:
        return np.maximum(input, 0)
    if np.shares_memory(input, out) or np.isnan(out).any():
        out[...] = np.maximum(input, 0)
    return out


def accumulates(input, out):
    """Adds to what an earlier call left, if that is a number."""
    out[...] = np.maximum(input, 0) + np.where(np.isnan(out) | np.shares_memory(input, out), 0, out)


@pytest.mark.parametrize("kernel", [maximum, accumulates])
@pytest.mark.parametrize("arrays", ["numpy", "torch"])
def test_the_same_out_twice(kernel, arrays):
    def of_tensors(input, out):
        kernel(input.numpy(), out=out.numpy())

    candidate = kernel if arrays == "numpy" else of_tensors
    failure, seed = refusal(catalog.get("relu"), load(candidate, arrays), CASES, wanted=["state"])
    assert failure and "in arrays that an earlier call wrote its outputs into" in failure.message, seed


def test_a_mean_of_squares_stays_above_zero():
    """One array for parameters and second moments has the numbers of the second moments."""
    op, seen = catalog.get("adam"), 0
    for index in range(12):
        check = Check(op, trial(op, "float32", 0, index), load("torch"))
        for names, other in one_for_several(check):
            seen += "exp_avg_sq" in names
            assert other.trial.case.arrays.get("exp_avg_sq", np.zeros(1)).min(initial=0.0) >= 0, names
    assert seen


def test_what_is_right_in_one_array_agrees():
    def product(input, other, out=None):
        return np.matmul(input, other, out=out)

    assert refusal(catalog.get("matmul"), load(product, "numpy"), CASES, wanted=["state"])[0] is None
