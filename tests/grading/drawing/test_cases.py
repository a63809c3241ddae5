"""Cases stay within the ranges that were taught, show what they are meant to, and are the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing.cases import draw, large
from opcheck.grading.drawing.sizes import cut, sizes
from opcheck.operators import catalog

SCOPES = [(name, op) for name in conventions.NAMES for op in sorted(conventions.get(name).entries)]


def scope_of(convention, op, **taught):
    entry = conventions.get(convention).entry(op)
    return Scope.of(catalog.get(op), taught, entry.allows, entry.usual)


@pytest.mark.parametrize(("convention", "op"), SCOPES)
def test_every_case_is_legal_and_within_the_ranges(convention, op):
    scope = scope_of(convention, op)
    for seed in range(3):
        drawn = draw(scope, "float32", [seed], special=True)
        for trial in (*drawn.ordinary, *drawn.special):
            scope.op.checked(trial.case)
            assert scope.holds(trial.case)
            assert all(array.size for array in trial.case.arrays.values())


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_same_seed_draws_the_same_cases(seed):
    scope = scope_of("functional", "conv2d")
    one, two = (draw(scope, "float32", [seed, 1], special=False).ordinary for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert a.case.params == b.case.params
        assert all(np.array_equal(a.case.arrays[name], b.case.arrays[name]) for name in a.case.arrays)
    other = draw(scope, "float32", [seed + 1, 1], special=False).ordinary[0]
    assert (
        not np.array_equal(one[0].case.arrays["input"].ravel()[:3], other.case.arrays["input"].ravel()[:3]) or seed < 0
    )


@pytest.mark.parametrize("seed", range(12))
def test_convolutions_meet_what_students_get_wrong(seed):
    trials = draw(scope_of("cs231n", "conv2d"), "float32", [seed], special=False).ordinary
    shapes = [trial.case.arrays["input"].shape for trial in trials]
    strides = [trial.case.params.get("stride", 1) for trial in trials]
    assert any(n > 1 for n, *_ in shapes) and any(n == 1 for n, *_ in shapes) and any(c == 1 for _, c, *_ in shapes)
    assert any(h != w for *_, h, w in shapes)
    assert any(stride > 1 for stride in strides) and any(trial.case.params.get("padding", 0) for trial in trials)
    for direction in (2, 3):  # an output size that is rounded up differs from one that is rounded down in each
        assert any(
            (x[direction] + 2 * t.case.params.get("padding", 0) - t.case.arrays["weight"].shape[direction]) % s
            for t, x, s in zip(trials, shapes, strides, strict=True)
        )


@pytest.mark.parametrize("seed", range(5))
def test_pools_meet_what_students_get_wrong(seed):
    trials = draw(scope_of("functional", "max_pool2d"), "float32", [seed], special=False).ordinary
    assert any((trial.case.arrays["input"] < 0).all() and trial.case.params.get("padding", 0) for trial in trials)
    assert any(len(np.unique(trial.case.arrays["input"])) < trial.case.arrays["input"].size for trial in trials)
    assert any(
        min(np.ravel(trial.case.params.get("stride") or trial.case.params["kernel_size"]))
        < max(np.ravel(trial.case.params["kernel_size"]))
        for trial in trials
    )


def test_a_convention_without_ties_meets_none():
    for seed in range(5):
        for trial in draw(scope_of("coursera", "max_pool2d"), "float32", [seed], special=False).ordinary:
            assert len(np.unique(trial.case.arrays["input"])) == trial.case.arrays["input"].size


def test_ranges_that_were_taught_are_kept_to():
    scope = scope_of("functional", "conv2d", stride=((2, 1),), padding=("same", "valid"), groups=(2,), bias=(False,))
    with pytest.raises(Refused):  # torch has no "same" with a stride; the author of the assignment is told
        draw(scope, "float32", [0], special=False)
    scope = scope_of("functional", "conv2d", stride=((2, 1),), padding=((1, 0),), groups=(2,), bias=(False,))
    for trial in draw(scope, "float32", [0], special=False).ordinary:
        assert trial.case.params["stride"] == (2, 1) and trial.case.params["groups"] == 2
        assert "bias" not in trial.case.arrays


def test_without_an_upstream_gradient_cotangents_are_ones():
    for trial in draw(scope_of("cmu2022", "tanh"), "float32", [0], special=True, upstream=False).ordinary:
        assert all((each == 1).all() for each in trial.cotangent.values())


@pytest.mark.parametrize("op", ["linear", "conv2d", "max_pool2d", "cross_entropy", "softmax", "mse_loss"])
def test_a_large_case_is_large_and_legal(op):
    trial = large(scope_of("functional", op), "float32", [0])
    assert catalog.get(op).checked(trial.case)
    assert max(array.size for array in trial.case.arrays.values()) >= 24


@pytest.mark.parametrize(("convention", "said"), [("cmu", False), ("cs231n", True)])
def test_a_kernel_that_the_convention_cannot_say_is_not_asked(convention, said):
    """Its size is no parameter of torch's, but one of a constructor; so no case is shrunk to it either."""
    scope = scope_of(convention, "conv2d")
    for kernel, holds in [((2, 2), True), ((2, 1), said)]:
        case = scope.op.case(np.ones((1, 1, 3, 3)), np.ones((1, 1, *kernel)), np.ones(1))
        assert scope.holds(case) is holds


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_what_is_cut_is_legal_or_is_none(op):
    """Of a layer norm `*` stands for all dimensions of the input, and for the last ones of its weight."""
    for trial in draw(scope_of("functional", op.name), "float32", [1], special=False).ordinary:
        for letter, n in sizes(op, trial.case).items():
            for size in {1, n - 1} - {0}:
                if (case := cut(op, trial.case, letter, size)) is not None:
                    op.checked(case)


def test_leading_dimensions_end_together():
    op = catalog.get("layer_norm")
    case = op.case(np.ones((4, 3, 2)), normalized_shape=(2,), weight=np.ones(2))
    smaller = cut(op, case, "d0", 2)
    assert smaller is not None and {n: a.shape for n, a in smaller.arrays.items()} == {
        "input": (2, 3, 2), "weight": (2,),
    }  # fmt: skip


def test_sizes_are_cut_everywhere_at_once():
    op = catalog.get("linear")
    case = op.case(np.ones((4, 3)), np.ones((2, 3)), np.ones(2))
    assert sizes(op, case) == {"d0": 4, "In": 3, "Out": 2}
    smaller = cut(op, case, "In", 1)
    assert smaller is not None and {n: a.shape for n, a in smaller.arrays.items()} == {
        "input": (4, 1), "weight": (2, 1), "bias": (2,),
    }  # fmt: skip
