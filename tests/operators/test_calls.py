"""How operators are called and what they return: torch's signature, tuples, updated arrays, chance."""

import inspect

import numpy as np
import pytest

import opcheck
from opcheck import reference
from opcheck.backends.base import arguments
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.operators.spec import Refused

NEW = (
    "adaptive_avg_pool2d", "batch_norm", "conv_transpose2d", "dropout", "embedding", "group_norm", "lstm_cell",
    "matmul", "rms_norm",
)  # fmt: skip


def torch_function(op):
    import torch

    found = torch
    for name in op.torch_function.split(".")[1:]:
        found = getattr(found, name)
    return found


@pytest.mark.torch
@pytest.mark.share(3)
@pytest.mark.parametrize("name", NEW)
def test_torchs_own_function_is_a_candidate(name):
    op = catalog.get(name)
    report = opcheck.verify(name, torch_function(op), arrays="torch", cases=16, seed=3)
    assert report.agrees, report.failures[0]
    assert not report.left_out


@pytest.mark.torch
@pytest.mark.parametrize("name", NEW)
def test_the_signature_is_torchs(name):
    op = catalog.get(name)
    try:
        theirs = list(inspect.signature(torch_function(op)).parameters.values())
    except ValueError:
        pytest.skip("a built-in without a signature")
    ours = [each for each in op.signature.parameters.values() if each.name not in (op.draws,)]
    assert [each.name for each in ours] == [each.name for each in theirs]
    assert [each.default for each in ours] == [each.default for each in theirs]


def call(name):
    op = catalog.get(name)
    case = op.sample(RandomChooser(0, ExactValues))
    return case, *arguments(op, case.arrays, case.params)


def test_behind_a_first_input_without_a_gradient_everything_goes_by_name():
    case, positional, keywords = call("embedding")
    assert positional == [case.arrays["input"]] and keywords["weight"] is case.arrays["weight"]


def test_what_torch_takes_as_a_tuple_is_passed_as_one():
    case, positional, _ = call("lstm_cell")
    assert positional[1] == (case.arrays["h_0"], case.arrays["c_0"])
    assert positional[2] is case.arrays["w_ih"]


def test_what_torch_has_no_default_for_is_said_to_be_none():
    case = catalog.get("batch_norm").case(np.ones((2, 2)), None, None, training=True)
    _, keywords = arguments(catalog.get("batch_norm"), case.arrays, case.params)
    assert keywords["running_mean"] is None and keywords["running_var"] is None


def test_a_tuple_is_refused_where_it_has_another_length():
    x, h, w = np.ones((1, 2)), np.ones((1, 1)), np.ones((4, 2))
    for bad, got in ((h, "ndarray"), ((h,), "1 of them")):
        with pytest.raises(Refused, match="hx is a tuple of 2 arrays: h_0, c_0") as refused:
            reference.lstm_cell(x, bad, w, np.ones((4, 1)))
        assert refused.value.got == got


def test_gradients_and_tangents_of_a_tuple_are_tuples():
    x, hx = np.ones((1, 2)), (np.ones((1, 1)), np.full((1, 1), 2.0))
    rest = (np.ones((4, 2)), np.ones((4, 1)))
    both = reference.lstm_cell.vjp((np.ones((1, 1)), np.zeros((1, 1))), x, hx, *rest)
    one = reference.lstm_cell.vjp({"h_1": np.ones((1, 1))}, x, hx, *rest)
    assert list(both) == ["input", "hx", "w_ih", "w_hh"] and len(both["hx"]) == 2
    assert all(np.array_equal(a, b) for a, b in zip(both["hx"], one["hx"], strict=True))
    moved = reference.lstm_cell.jvp({"hx": (np.zeros((1, 1)), np.ones((1, 1)))}, x, hx, *rest)
    assert len(moved) == 2 and moved[1] > 0


def test_the_reference_never_writes_and_returns_what_torch_writes_on_demand():
    x, mean, var = np.array([[1.0, 2], [3, 4]]), np.zeros(2), np.ones(2)
    output = reference.batch_norm(x, mean, var, training=True)
    again, new_mean, new_var = reference.batch_norm(x, mean, var, training=True, return_updated=True)
    assert np.array_equal(output, again) and not mean.any() and (var == 1).all()
    assert new_mean == pytest.approx([0.2, 0.3]) and new_var == pytest.approx([1.1, 1.1])


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    axes, along = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    mean, var = (x.mean(axes), x.var(axes)) if training else (running_mean, running_var)
    if training and running_mean is not None:
        n = x.size // x.shape[1]
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * var * n / (n - 1)
    y = (x - mean.reshape(along)) / np.sqrt(var.reshape(along) + eps)
    y = y if weight is None else y * weight.reshape(along)
    return (y if bias is None else y + bias.reshape(along)).astype(x.dtype)


def returning(x, running_mean, running_var, *args, training=False, **options):
    kept = [each if each is None else each.copy() for each in (running_mean, running_var)]
    y = batch_norm(x, *kept, *args, training=training, **options)
    return (y, *kept) if training and running_mean is not None else y


def writing_in_evaluation(x, running_mean, running_var, *args, training=False, **options):
    y = batch_norm(x, running_mean, running_var, *args, training=training, **options)
    if not training:
        running_mean *= 0.5
    return y


def updating_nothing(x, running_mean, running_var, *args, **options):
    kept = [each if each is None else each.copy() for each in (running_mean, running_var)]
    return batch_norm(x, *kept, *args, **options)


CLAIMS = ["exact", "rounding", "special", "pure", "repeat"]


@pytest.mark.parametrize(
    ("candidate", "found"),
    [(batch_norm, None), (returning, None), (writing_in_evaluation, "pure"), (updating_nothing, "exact")],
)
def test_what_is_written_in_place_is_judged_after_the_call(candidate, found):
    report = opcheck.verify("batch_norm", candidate, arrays="numpy", cases=30, seed=1, claims=CLAIMS)
    assert report.agrees if found is None else found in {each.claim for each in report.failures}


CHANCE = np.random.default_rng(3)


def dropout(x, p=0.5, training=True, rng=CHANCE, rate=1.0):
    if not training or p == 0:
        return x.copy()
    kept = rng.random(x.shape) >= p * rate
    return (np.where(kept, x / (1 - p), x * 0) if p < 1 else x * 0).astype(x.dtype)


def dropout_too_often(x, p=0.5, training=True):
    return dropout(x, p, training, rate=1.1)


def dropout_alike(x, p=0.5, training=True):
    return dropout(x, p, training, rng=np.random.default_rng(1))


def dropout_unscaled(x, p=0.5, training=True):
    return (dropout(x, p, training) * (1 - p if training and p < 1 else 1)).astype(x.dtype)


@pytest.mark.parametrize(
    ("candidate", "found"),
    [(dropout, ""), (dropout_too_often, "were dropped instead of"), (dropout_alike, "each call draws anew")],
)
def test_the_rate_of_dropout_is_counted(candidate, found):
    report = opcheck.verify("dropout", candidate, arrays="numpy", cases=40, seed=2)
    assert report.agrees if not found else found in report.failures[0].message


def test_every_number_that_dropout_keeps_is_checked():
    report = opcheck.verify("dropout", dropout_unscaled, arrays="numpy", cases=20, seed=2)
    assert {"exact", "rounding"} <= {each.claim for each in report.failures}


def test_dropout_draws_from_a_seed_and_takes_a_mask():
    x = np.arange(1.0, 7)
    assert np.array_equal(reference.dropout(x, 0.5), reference.dropout(x, 0.5))
    assert reference.dropout(x, 0.5, True, mask=[1, 0, 1, 0, 0, 1]).tolist() == [2, 0, 6, 0, 0, 12]
    assert reference.dropout.vjp(np.ones(6), x, 0.5, mask=[1, 0, 1, 0, 0, 1])["input"].tolist() == [2, 0, 2, 0, 0, 2]
    assert np.isnan(reference.dropout(np.array([np.inf, np.nan]), 1.0)).all()
    with pytest.raises(Refused, match="mask must hold 0 and 1"):
        reference.dropout(x, mask=[1, 2, 1, 1, 1, 1])


def test_the_eps_of_rms_norm_depends_on_the_dtype():
    x = np.full((1, 2), 2.0**-9)
    assert reference.rms_norm(x, (2,))[0, 0] == pytest.approx(1)
    assert reference.rms_norm(x.astype(np.float32), (2,))[0, 0] == pytest.approx(0.98473, rel=1e-4)
