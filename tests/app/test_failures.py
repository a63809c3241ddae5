"""Which failures come first, and what is told of each."""

import numpy as np
import pytest

from opcheck.app import failures
from opcheck.app.failures import also, brief, by_cause
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.report import Report
from opcheck.verification.verdict import Status, Verdict


def failure(claim, bounds, size=2, got=2.0, expected=1.0):
    trial = Trial(Case("relu", {"input": np.arange(float(size))}, {}))
    bound = None if bounds is None else abs(got - expected) / bounds
    return Verdict(Status.DIFFERS, claim, trial, "output", (0,), expected, got, bound)


def first_of(*failures):
    """The place in the report of what is shown first, of causes that no case was remembered of."""
    groups = by_cause(Report(failures=list(failures)))[0]
    return groups[0].places[0]


def test_an_error_of_few_bounds_comes_after_a_clear_one():
    assert first_of(failure("rounding", 2.0), failure("vjp:input", 1e6)) == 1
    assert first_of(failure("rounding", 2.0), failure("special", None, got=np.nan)) == 1


def test_outputs_come_before_gradients_and_small_cases_before_large_ones():
    assert first_of(failure("vjp:input", 1e6), failure("rounding", 1e4)) == 1
    one, other = failure("exact", 1e6, size=50), failure("exact", 1e6, size=3, got=np.nan)
    assert first_of(one, other) == 1


def test_special_numbers_are_told_with_their_failure():
    verdict = failure("special", None, got=np.nan)
    lines = brief(verdict, None), " ".join(also(verdict, None))
    assert all("input 2 = [0, 1]" in each for each in lines)


@pytest.mark.parametrize(("got", "places"), [(0.26896307, 6), (0.3, 4), (0.26894142, 10), (float("nan"), 4), (None, 4)])
def test_a_calculation_shows_the_digits_that_differ(got, places):
    verdict = Verdict(Status.DIFFERS, "exact", expected=0.2689414213699951, got=got)
    assert failures.places(verdict) == places
