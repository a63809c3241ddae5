"""What is particular to losses: reductions, ignored rows, clamps, declared slopes, refusals."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import reference
from opcheck.explanation import explain
from opcheck.operators import catalog
from opcheck.operators.losses.binary_cross_entropy import SMALLEST_DIVISOR
from opcheck.operators.spec import Refused, RefusedType
from opcheck.tracing import TRACED, Tape, View, bound, exact, exp, log, reverse, symbolic

NAMES = ("mse_loss", "nll_loss", "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits")
LOSSES = pytest.mark.parametrize("name", NAMES)
FLAGS = [(a, b) for a in (None, False, True) for b in (None, False, True)]


def arrays_of(name: str) -> dict[str, Any]:
    """Two rows of three, which every loss takes."""
    classes = name in ("nll_loss", "cross_entropy")
    x = np.array([[0.25, 0.5, 0.125], [0.75, 0.5, 0.25]])
    return {"input": x, "target": np.array([2, 0]) if classes else x[::-1].copy()}


# --- reductions -----------------------------------------------------------------------------------------------------


@LOSSES
def test_the_sum_and_the_mean_are_those_of_the_losses(name: str) -> None:
    loss, arrays = getattr(reference, name), arrays_of(name)
    losses = loss(**arrays, reduction="none")
    assert losses.shape == arrays["target"].shape
    assert loss(**arrays, reduction="sum") == losses.sum()
    assert loss(**arrays) == loss(**arrays, reduction="mean") == losses.sum() / losses.size


@pytest.mark.torch
@LOSSES
@pytest.mark.parametrize(("size_average", "reduce"), FLAGS)
def test_deprecated_flags_mean_what_torch_says(name: str, size_average: bool | None, reduce: bool | None) -> None:
    from torch.nn import _reduction

    op, arrays = catalog.get(name), arrays_of(name)
    case = op.case(**arrays, size_average=size_average, reduce=reduce, reduction="sum")
    said = _reduction.legacy_get_string(size_average, reduce, emit_warning=False)
    assert op.checked(case)[0].reduction == ("sum" if (size_average, reduce) == (None, None) else said)


@pytest.mark.torch
@LOSSES
def test_the_signature_is_torchs(name: str) -> None:
    import torch

    theirs = inspect.signature(getattr(torch.nn.functional, name)).parameters.values()
    ours = catalog.get(name).signature.parameters.values()
    assert [(each.name, each.default) for each in ours] == [(each.name, each.default) for each in theirs]


@LOSSES
def test_the_mean_of_no_losses_is_nan_and_depends_on_nothing(name: str) -> None:
    loss, full = getattr(reference, name), arrays_of(name)
    arrays = {key: array[:0] for key, array in full.items()}
    assert np.isnan(loss(**arrays))
    assert loss(**arrays, reduction="sum") == 0
    assert loss.vjp(1.0, **arrays)["input"].shape == (0, 3)
    assert loss.jvp({"input": arrays["input"]}, **arrays) == 0


# --- mse_loss -------------------------------------------------------------------------------------------------------


def test_mse_is_exact_over_many_dyadic_numbers() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.integers(-64, 64, (2, 4096)) / 8.0
    loss = reference.mse_loss(x, t)
    assert loss == sum((int(8 * a) - int(8 * b)) ** 2 for a, b in zip(x, t, strict=True)) / 64 / 4096
    assert np.array_equal(reference.mse_loss.vjp(2.0, x, t)["input"], 2 * 2 * (x - t) / 4096)


def test_mse_says_that_it_broadcasts() -> None:
    x, t = np.array([1.0, 2.0]), np.array([[1.0], [4.0]])
    assert reference.mse_loss(x, t) == (0 + 1 + 9 + 4) / 4
    assert "broadcast to (2, 2): every pair is compared" in str(explain("mse_loss", x, t)).replace("\n", " ")


def test_a_weighted_mse_is_divided_by_the_weights() -> None:
    x, t, w = np.array([1.0, 2.0]), np.array([0.0, 4.0]), np.array([1.0, 3.0])
    assert reference.mse_loss(x, t, weight=w) == (1 * 1 + 3 * 4) / 4
    assert reference.mse_loss(x, np.zeros((3, 2)), weight=w) == 3 * (1 * 1 + 3 * 4) / 4  # torch's divisor, not repeated


# --- classes --------------------------------------------------------------------------------------------------------


def test_cross_entropy_of_logits_that_overflow_exp() -> None:
    assert reference.cross_entropy([1000.0, 0.0], 0) == 0
    assert reference.cross_entropy([1000.0, 0.0], 1) == 1000
    assert reference.cross_entropy([-1000.0, -1000.0], 1) == math.log(2)


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize("ignored", [-100, -1, 1])
def test_ignored_rows_count_for_nothing(name: str, ignored: int) -> None:
    loss = getattr(reference, name)
    x, t = np.array([[1.0, 2.0, 4.0], [0.5, 0.25, 8.0], [3.0, 1.0, 2.0]]), np.array([2, ignored, 0])
    assert loss(x, t, ignore_index=ignored) == loss(x[[0, 2]], t[[0, 2]])
    assert loss(x, t, ignore_index=ignored, reduction="none")[1] == 0
    assert not loss.vjp(1.0, x, t, ignore_index=ignored)["input"][1].any()
    x[1] = math.nan  # whatever they hold
    assert loss(x, t, ignore_index=ignored) == loss(x[[0, 2]], t[[0, 2]])
    assert not loss.vjp(1.0, x, t, ignore_index=ignored)["input"][1].any()


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_the_mean_of_ignored_rows_is_nan_and_its_gradient_zero(name: str) -> None:
    loss, x, t = getattr(reference, name), np.ones((2, 3)), np.array([-100, -100])
    assert np.isnan(loss(x, t))
    assert loss(x, t, reduction="sum") == 0
    assert np.array_equal(loss.vjp(1.0, x, t)["input"], np.zeros((2, 3)))
    assert loss.jvp({"input": x}, x, t) == 0


def test_one_row_takes_a_class_with_or_without_a_dimension() -> None:
    x = np.array([-1.0, -2.0, -4.0])
    assert reference.nll_loss(x, 2) == reference.nll_loss(x, [2]) == 4
    assert reference.nll_loss(x, [2], reduction="none").shape == ()


def test_probabilities_can_be_differentiated_and_class_numbers_cannot() -> None:
    loss, x = reference.cross_entropy, np.array([[1.0, 2.0, 4.0]])
    assert sorted(loss.vjp(1.0, x, np.array([2]))) == ["input"]
    assert sorted(loss.vjp(1.0, x, np.array([[0.25, 0.25, 0.5]]))) == ["input", "target"]


def test_one_hot_probabilities_are_class_numbers() -> None:
    x, t = np.array([[1024.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2048.0, 0.0]]), np.array([2, 0])  # saturated: log p is exact
    for smoothing in (0.0, 0.25):
        by_class = reference.cross_entropy(x, t, label_smoothing=smoothing, reduction="none")
        by_probability = reference.cross_entropy(x, np.eye(4)[t], label_smoothing=smoothing, reduction="none")
        assert np.array_equal(by_class, by_probability)


def test_all_smoothing_forgets_the_target() -> None:
    x = np.array([[1.0, 2.0, 4.0]])
    losses = {float(reference.cross_entropy(x, [c], label_smoothing=1.0)) for c in range(3)}
    assert len(losses) == 1


def test_the_worked_calculation_has_a_line_for_each_step() -> None:
    text = str(explain("cross_entropy", np.array([[1.0, 2.0, 3.0]]), np.array([0])))
    lines = [line.split(" = ")[0].strip() for line in text.splitlines() if " = " in line]
    assert [line for line in lines if line and line[0] != "="][-4:] == ["S[0]", "logp[0,0]", "ℓ[0]", "L"]
    assert "m[0] = max(x[0,0], x[0,1], x[0,2]) = max(1, 2, 3) = 3" in text
    assert "subtracting the maximum m changes nothing" in text


# --- yes or no ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "t", "loss", "by_input", "by_target"),
    [
        (0.0, 1.0, 100, -1 / SMALLEST_DIVISOR, math.inf),
        (0.0, 0.0, 0, 0, math.inf),
        (1.0, 0.0, 100, 1 / SMALLEST_DIVISOR, -math.inf),
        (1.0, 1.0, 0, 0, -math.inf),
        (0.5, 1.0, math.log(2), -2, 0),
    ],
)
def test_certain_answers_are_clamped_as_torch_does(
    x: float, t: float, loss: float, by_input: float, by_target: float
) -> None:
    assert reference.binary_cross_entropy([x], [t]) == loss
    gradients = reference.binary_cross_entropy.vjp(1.0, [x], [t])
    assert (gradients["input"], gradients["target"]) == ([by_input], [by_target])


def test_logits_that_overflow_exp() -> None:
    x, t = [1000.0, -1000.0, 1000.0, -1000.0], [1.0, 0.0, 0.0, 1.0]
    losses = reference.binary_cross_entropy_with_logits(x, t, reduction="none")
    assert losses.tolist() == [0, 0, 1000, 1000]
    assert reference.binary_cross_entropy_with_logits.vjp(4.0, x, t)["input"].tolist() == [0, 0, 1, -1]


def declared(name: str, **arrays: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The slopes that a definition declares, by input, and the symbols of its inputs."""
    import sympy

    op, tape = catalog.get(name), Tape()
    views = {key: View(tape, key, np.array(value)) for key, value in arrays.items()}
    loss = op.element(op.checked(op.case(**arrays))[0], (), **views)
    numbers = exact(tape.graph())
    adjoints = reverse(tape.graph(), {loss.id: tape.constant(1)}, tape.tracers(), TRACED, numbers)
    formulas = symbolic(tape.graph())
    slopes = {key: formulas[adjoints[views[key][()].id].id] for key in ("input", "target")}
    plain = {
        key: slope.replace(sympy.Max, lambda *args: next(arg for arg in args if arg.free_symbols))
        for key, slope in slopes.items()
    }
    return plain, {key: sympy.Symbol(key, real=True) for key in arrays}


def textbook(x: Any, t: Any, p: Any = 1) -> Any:
    """Bishop's equation 4.90, for a probability x."""
    import sympy

    return -(p * t * sympy.log(x) + (1 - t) * sympy.log(1 - x))


def test_declared_slopes_are_the_derivatives_of_the_textbook_formula() -> None:
    import sympy

    slopes, s = declared("binary_cross_entropy", input=0.25, target=0.5)
    for key, slope in slopes.items():
        right = sympy.diff(textbook(s["input"], s["target"]), s[key])
        assert sympy.simplify(slope - right) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_declared_slopes_with_logits_are_the_derivatives_of_the_textbook_formula(weighted: bool) -> None:
    import sympy

    slopes, s = declared(
        "binary_cross_entropy_with_logits", input=0.25, target=0.5, **({"pos_weight": 2.0} if weighted else {})
    )
    x, t, p = s["input"], s["target"], s.get("pos_weight", 1)
    whole = textbook(1 / (1 + sympy.exp(-x)), t, p)
    for key, slope in slopes.items():
        difference = slope - sympy.diff(whole, s[key])
        for sign in (-1, 1):  # min(x, 0) and |x| are what they are on each side of 0
            side = difference.subs(x, sign * sympy.Symbol("a", positive=True))
            assert sympy.simplify(sympy.expand_log(sympy.logcombine(side, force=True), force=True)) == 0


@given(x=st.floats(-30, 30))
def test_the_stable_form_is_the_textbook_form(x: float) -> None:
    """−log σ(x) = log(1 + exp(−x)), within the bound of the right-hand side's own graph."""
    tape = Tape()
    graph, whole = tape.graph(), log(1 + exp(-tape.input("x", x)))
    got = float(reference.binary_cross_entropy_with_logits([x], [1.0]))
    assert abs(got - exact(graph)[whole.id]) <= bound(graph, whole.id, "float64")


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "params", "message"),
    [
        ("mse_loss", ([1.0, 2.0], [1.0, 2.0, 3.0]), {}, r"broadcast to one\. Got input \(2,\) and target \(3,\)"),
        ("mse_loss", ([1.0, 2.0], [1.0, 2.0]), {"weight": [1.0]}, r"weight must have the shape of input, \(2,\)"),
        ("mse_loss", ([1.0], [1.0]), {"reduction": "avg"}, r"one of 'mean', 'sum', 'none'\. Got 'avg'"),
        ("nll_loss", (1.0, 0), {}, r"input must have a dimension of classes"),
        ("nll_loss", ([[1.0, 2.0]], [0, 1]), {}, r"without its classes, \(1,\)\. Got input \(1, 2\) and target \(2,\)"),
        ("nll_loss", ([[1.0, 2.0]], [2]), {}, r"a class from 0 to 1, or ignore_index=-100\. Got 2"),
        ("nll_loss", ([[1.0, 2.0]], [-1]), {}, r"a class from 0 to 1, or ignore_index=-100\. Got -1"),
        ("nll_loss", ([[1.0, 2.0]], [0.0]), {}, r"dtype int64 or uint8\. Got float64"),
        ("nll_loss", ([[1.0, 2.0]], [0]), {"weight": [1.0]}, r"one number for each of the 2 classes"),
        ("cross_entropy", ([[1.0, 2.0]], [[0, 1]]), {}, r"holds probabilities, which are real numbers\. Got int64"),
        ("cross_entropy", ([[1.0, 2.0]], [[0.0, 1.0]]), {"ignore_index": 0}, r"ignore_index needs class numbers"),
        ("cross_entropy", ([[1.0, 2.0]], [0]), {"label_smoothing": 1.5}, r"a number from 0\.0 to 1\.0\. Got 1\.5"),
        ("binary_cross_entropy", ([0.5], [[0.5]]), {}, r"target must have the shape of input"),
        ("binary_cross_entropy", ([1.5], [1.0]), {}, r"number of input must be from 0 to 1\. Got 1\.5\. .*with_logits"),
        ("binary_cross_entropy", ([math.nan], [1.0]), {}, r"number of input must be from 0 to 1\. Got nan"),
        ("binary_cross_entropy", ([0.5], [-1.0]), {}, r"number of target must be from 0 to 1\. Got -1"),
        ("binary_cross_entropy", ([0.5], [1.0]), {"weight": [1.0, 2.0]}, r"weight must broadcast to \(1,\)"),
        ("binary_cross_entropy_with_logits", ([0.5], [1.0]), {"pos_weight": [[1.0]]}, r"pos_weight must broadcast"),
    ],
)
def test_refusals_say_what_is_allowed(name: str, args: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        getattr(reference, name)(*args, **params)


def test_a_target_of_another_type_is_a_type_error() -> None:
    with pytest.raises(RefusedType, match=r"target\.astype\(np\.int64\)"):
        reference.cross_entropy([[1.0, 2.0]], np.array([0], dtype=np.int32))
    assert reference.cross_entropy([[1.0, 1.0]], np.array([0], dtype=np.uint8)) == math.log(2)
