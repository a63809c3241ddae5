"""Correct implementations that sum in other orders, or compute in other forms, are never accused."""

import numpy as np
import pytest

from opcheck import catalog, verify
from opcheck.verification.report import sentence


def reversed_order(terms):
    return pairless(terms[..., ::-1])


def pairless(terms):
    """One after the other, in the type of the terms."""
    total = np.zeros(terms.shape[:-1], terms.dtype)
    for k in range(terms.shape[-1]):
        total = (total + terms[..., k]).astype(terms.dtype)
    return total


def pairwise(terms):
    while terms.shape[-1] > 1:
        odd = terms[..., -1:] if terms.shape[-1] % 2 else terms[..., :0]
        even = terms[..., : terms.shape[-1] // 2 * 2]
        terms = np.concatenate([even[..., ::2] + even[..., 1::2], odd], axis=-1)
    return pairless(terms)


def blocked(terms):
    parts = [pairless(terms[..., k : k + 8]) for k in range(0, max(terms.shape[-1], 1), 8)]
    return pairless(np.stack(parts, axis=-1))


def shuffled(terms):
    return pairless(terms[..., np.random.default_rng(terms.shape[-1]).permutation(terms.shape[-1])])


def widened(terms):
    return terms.astype(np.float64).sum(axis=-1).astype(terms.dtype)


NUMBERS = ["dtype", "values", "layout", "pure", "repeat"]
ORDERS = [reversed_order, pairless, pairwise, blocked, shuffled, widened]


def linear(order):
    def function(x, weight, bias=None):
        if bias is not None and bias.shape != weight.shape[:-1]:
            raise ValueError("bias has one number for each row")
        rows = weight.reshape(-1, weight.shape[-1])
        y = order(x[..., None, :] * rows).astype(x.dtype).reshape(x.shape[:-1] + weight.shape[:-1])
        return y if bias is None else (y + bias).astype(x.dtype)

    return function


def conv2d(order, form):
    """A product for each window: of a matrix of windows (im2col), or taken directly from the padded input."""

    def function(x, weight, bias=None, stride=1, padding=0):
        if isinstance(padding, str):
            raise NotImplementedError("padding by name")
        if x.ndim == 3:
            return function(x[None], weight, bias, stride, padding)[0]
        (a, b), (p, q) = (pair(each) for each in (stride, padding))
        x = np.pad(x, [(0, 0), (0, 0), (p, p), (q, q)])
        view = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))[:, :, ::a, ::b]
        if form == "einsum":
            y = np.einsum("ncijuv,ocuv->noij", view, weight).astype(x.dtype)
        else:
            columns = view.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), *view.shape[2:4], weight[0].size)
            terms = columns[:, None] * weight.reshape(1, weight.shape[0], 1, 1, -1)
            y = order(terms).astype(x.dtype)
        return y if bias is None else (y + bias.reshape(-1, 1, 1)).astype(x.dtype)

    return function


def pair(value):
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * 2 if len(values) == 1 else values


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda each: each.__name__)
def test_every_order_of_a_dot_product_agrees(order, dtype):
    report = verify("linear", linear(order), arrays="numpy", dtype=dtype, cases=80, seed=None, claims=NUMBERS)
    assert report.agrees, f"seed {report.seed}: {sentence(report.failures[0])}"


@pytest.mark.parametrize("form", ["im2col", "einsum"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda each: each.__name__)
def test_every_order_and_form_of_a_convolution_agrees(order, form):
    report = verify("conv2d", conv2d(order, form), arrays="numpy", cases=300, seed=None, claims=NUMBERS)
    assert report.agrees, f"seed {report.seed}: {sentence(report.failures[0])}"
    answers = report.row("conv2d", "float32", "answers")
    assert answers.cases > 15 and set(answers.left_out) <= {"not implemented: padding by name"}


def test_the_bound_is_not_so_wide_that_a_lost_term_hides():
    def lossy(x, weight, bias=None):
        y = linear(widened)(x, weight, bias)
        return y - x[..., :1] * weight[..., 0] if weight.shape[-1] > 1 and weight.ndim == 2 else y

    report = verify("linear", lossy, arrays="numpy", cases=40, claims=["rounding"])
    assert min(each.error_in_bounds for each in report.failures if each.claim == "rounding") > 100
    assert catalog.get("linear").rounding is not None
