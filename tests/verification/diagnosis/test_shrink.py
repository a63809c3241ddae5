"""What is reported is a small case of the same bug."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.app.failures import facts
from opcheck.backends.function import NumpyFunction
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification import known
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import chosen, correctness
from opcheck.verification.claims.behaviour import refusal
from opcheck.verification.diagnosis.shrink import SameFailure, minimal
from opcheck.verification.report import Report
from opcheck.verification.run import WRONG_KEPT, check_trial


def shifted(input, weight, bias=None, stride=1):
    """A convolution that forgets the second column of a kernel that has one."""
    weight = np.where(np.arange(weight.shape[-1]) == 1, 0, weight)
    padded = input if input.ndim == weight.ndim else input[None]
    by = (stride, stride) if isinstance(stride, int) else tuple(stride) * (2 // len(stride))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))[:, :, :: by[0], :: by[1]]
    y = np.einsum("nchwij,ocij->nohw", windows, weight)
    y = y if bias is None else y + bias[:, None, None]
    return y if input.ndim == weight.ndim else y[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_failing_case_is_taken_back_to_what_it_needs(seed):
    case = verify("conv2d", shifted, arrays="numpy", seed=seed, cases=60, claims=["exact"]).counterexample.trial.case
    assert case.params == {} and "bias" not in case.arrays
    assert case.arrays["weight"].shape[:2] == (1, 1) and case.arrays["weight"].size <= 4
    assert case.arrays["input"].size <= 12


def without_the_ninth(input, target, reduction="mean"):
    """A sum in blocks of eight that forgets a rest of one."""
    d = (input - target).ravel() ** 2
    total = d[: len(d) - (len(d) > 8 and len(d) % 8 == 1)].sum(dtype=d.dtype)
    return (
        {"mean": total / d.dtype.type(len(d)), "sum": total}[reduction]
        if reduction != "none"
        else (input - target) ** 2
    )


def test_the_size_of_a_wide_case_gets_smaller_too():
    found = verify("mse_loss", without_the_ninth, arrays="numpy", seed=1, cases=300, claims=["exact"]).counterexample
    assert np.broadcast(*found.trial.case.arrays.values()).size == 9


def smallest(op, verdict, candidate):
    return minimal(op, verdict, NumpyFunction(candidate)).trial.case.arrays


def verdict_on(op, candidate, **arrays):
    made = Trial(Case(op.name, {name: np.array(each) for name, each in arrays.items()}, {}))
    return next(each.verdict for each in correctness.numbers(Check(op, made, NumpyFunction(candidate))))


def test_the_numbers_of_a_small_case_get_plain():
    op = catalog.get("relu")
    verdict = verdict_on(op, np.abs, input=[[-38.0]])
    assert smallest(op, verdict, np.abs)["input"].tolist() == [[-1.0]]


def test_of_a_wide_case_the_row_that_fails_is_left():
    """What decides stands behind the beginning: the maximum of the third row."""

    def softmax(input, dim=None):
        e = np.exp(input - input[..., :32].max(axis=-1, keepdims=True))
        return np.minimum(e, 8) / e.sum(axis=-1, keepdims=True)

    x = np.zeros((4, 96))
    x[2, 80] = 7.0
    op = catalog.get("softmax")
    found = smallest(op, verdict_on(op, softmax, input=x), softmax)["input"]
    assert found.shape[0] == 1 and found.size <= 65


def test_arguments_that_must_be_refused_get_small():
    """A wide case came with 2,047 rows before, in a file of a megabyte."""
    op, bad = catalog.get("linear"), {"input": np.ones((40, 300)) / 3, "weight": np.ones((7, 300)), "bias": np.ones(8)}
    backend = NumpyFunction(lambda input, weight, bias=None: np.zeros((*input.shape[:-1], len(weight))))
    (finding,) = refusal(op, Trial(Case("linear", bad, {})), backend)
    small = minimal(op, finding.verdict, backend)
    shapes = {name: array.shape for name, array in small.trial.case.arrays.items()}
    assert shapes == {"input": (1, 1), "weight": (1, 1), "bias": (2,)} and small.claim == "refuses"


# --- a deviation that is known ----------------------------------------------------------------------------------------


def relu(input):
    """A NaN becomes 0, which is known, and infinity a large number, which is not."""
    return np.where(input > 0, np.minimum(input, 1e30), 0.0).astype(input.dtype)


ENTRY = {
    "name": "relu-of-nan", "operators": ["relu"], "backend": "kernels", "versions": "1",
    "condition": "isnan(arrays['input']).any()", "answer": "isnan(expected) and got == 0", "claims": ["special"],
    "summary": "", "case": "", "element": "", "exact": "", "observed": "",
}  # fmt: skip


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.setattr(known, "every", lambda: (known.entry(ENTRY),))
    found = NumpyFunction(relu, "kernels")
    monkeypatch.setattr(found, "version", lambda: "kernels 1.0")
    return found


def trial(*numbers):
    return Trial(Case("relu", {"input": np.array(numbers)}, {}), policy="special")


def first(trial, backend):
    return next(
        each.verdict for each in correctness.numbers(Check(catalog.get("relu"), trial, backend)) if each.verdict
    )


@pytest.mark.parametrize(("numbers", "others"), [((np.inf, np.nan), (np.nan,)), ((np.nan,), (np.inf,))])
def test_a_bug_does_not_shrink_to_a_known_deviation_nor_the_other_way(backend, numbers, others):
    fails = SameFailure(catalog.get("relu"), first(trial(*numbers), backend), backend)
    assert fails(trial(*others)) is None
    assert fails(trial(numbers[0], 1.0)) is not None


def test_every_wrong_element_must_be_known_and_few_of_them_are_kept(backend):
    def checked(*numbers):
        report = Report(backend=backend.name, version=backend.version())
        check_trial(catalog.get("relu"), trial(*numbers), backend, report, chosen(["special"]))
        return report

    nan = [np.nan] * (2 * WRONG_KEPT)
    assert checked(*nan).known and not checked(*nan).failures
    (failure,) = checked(*nan, np.inf).failures
    fails = SameFailure(catalog.get("relu"), failure, backend)
    assert fails(trial(np.nan)) is None and fails(trial(np.nan, np.inf)) is not None
    assert failure.wrong == len(nan) + 1 and len(failure.details["wrong"]) == WRONG_KEPT


def test_a_search_that_is_cut_short_says_so():
    backend = NumpyFunction(np.abs)
    report = Report()
    made = Trial(Case("relu", {"input": np.array([[1.0, -2.0], [3.0, -4.0]])}, {}), policy="exact")
    check_trial(catalog.get("relu"), made, backend, report, chosen(["exact"]))
    (verdict,) = report.failures
    cut, whole = (minimal(catalog.get("relu"), verdict, backend, seconds) for seconds in (-1.0, 60.0))
    assert cut.details["cut"] and cut.trial == verdict.trial
    assert "cut" not in whole.details and whole.trial.case.arrays["input"].size == 1
    assert any("was cut short" in line for line in facts(cut, False))
    assert not any("was cut short" in line for line in facts(whole, False))
