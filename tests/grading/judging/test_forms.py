"""Every form of a right formula is right, whatever the seed and the precision; it loses digits or range, no more."""

import os
from itertools import product

import pytest

from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.check import _solution, one
from opcheck.grading.results import Outcome
from opcheck.operators import catalog
from tests.grading.students import assignment, graded, part

SEEDS = range(int(os.environ.get("OPCHECK_SEEDS", "1")))  # 2,000 at times, by hand
FORMED = [op.name for op in catalog.every() if op.forms]
ALL_PARTS = {"vjp = 4": "vjp = 4, accuracy = 1, stability = 1"}


def question(op: str, dtype: str, points: str = "") -> str:
    return f'dtype = "{dtype}"\npartial = "cases"\nforbidden = []\n[[question]]\noperator = "{op}"\n{points}'


@pytest.mark.parametrize("op", FORMED)
def test_every_form_gets_full_marks_by_any_seed_in_both_precisions(op):
    assignments = [parse(question(op, dtype)) for dtype in ("float32", "float64")]
    with _solution(assignments[0].questions[0]) as loaded:
        for asked in assignments:
            (only,) = asked.questions
            for form, seed in product((None, *only.op.forms), SEEDS):
                found = one(only, asked, loaded, form, seed)
                assert found.score == found.points, (form, seed, [c.message for c in found.checks if not c.score])


# The formula, what it loses where the teacher asks for it, and the name of its form.
TANH = "def tanh_backward(d, x): return d * (1 - tanh(x) ** 2)"
WRITTEN = {
    "library": ("np.tanh(x)", set(), ""),
    "one exponential": ("2 / (1 + np.exp(-2 * x)) - 1", {"accuracy"}, "by_sigmoid"),
    "e - 1": ("(np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)", {"accuracy", "stability"}, "by_one_exponential"),
    "two": ("(np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))", {"accuracy", "stability"}, "by_exponentials"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_form_loses_points_of_accuracy_and_stability_only(name):
    formula, lost, form = WRITTEN[name]
    code = f"import numpy as np\ndef tanh(x): return {formula}\n{TANH}"
    result = graded(code, assignment("tanh", changes=ALL_PARTS))
    assert {check.part for check in result.checks if check.score < check.points} == lost
    if lost:
        check = part(result, max(lost))
        assert form in check.mistakes
        assert check.message.startswith("right, but it loses digits for small x")
        assert check.message.endswith(": use np.tanh")


SOFTMAX = """
import numpy as np
def softmax(x, dim=None):
    e = np.exp({z})
    return e / e.sum(dim, keepdims=True)
"""


@pytest.mark.parametrize(
    ("z", "name"),
    [
        ("x", "maximum_not_subtracted"),
        ("x - x.max()", "maximum_of_the_whole_array"),
        ("x - x.max(0, keepdims=True)", "maximum_over_the_batch"),
        ("x - x.max(dim, keepdims=True)", ""),
    ],
)
def test_what_was_subtracted_is_told_apart(z, name):
    result = graded(SOFTMAX.format(z=z), assignment("softmax", changes=ALL_PARTS))
    mistaken = name == "maximum_over_the_batch"
    assert part(result, "forward").score == (0 if mistaken else 4)
    check = part(result, "forward" if mistaken else "stability")
    assert check.mistakes[:1] == ((name,) if name else ())


CROSS_ENTROPY = """
import numpy as np
def cross_entropy(x, t):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(t)), t] + {eps}).mean()
"""


@pytest.mark.parametrize("eps", ["1e-12", "1e-8", "1e-7", "1e-6"])
def test_a_small_number_inside_a_logarithm_is_a_form(eps):
    for seed in range(3):
        assert part(graded(CROSS_ENTROPY.format(eps=eps), assignment("cross_entropy"), seed), "forward").score == 4


@pytest.mark.parametrize("eps", ["1e-4", "2e-4", "1e-3", "0.01", "0.3"])
def test_a_larger_one_is_a_mistake_that_has_its_name(eps):
    check = part(graded(CROSS_ENTROPY.format(eps=eps), assignment("cross_entropy")), "forward")
    assert check.score == 0 and check.mistakes == ("epsilon_inside_logarithm",)


def test_a_form_is_told_where_it_is_asked_and_costs_nothing_elsewhere():
    code = "import numpy as np\ndef sigmoid(x): return np.exp(x) / (1 + np.exp(x))\n"
    code += "def sigmoid_backward(d, x): return d * sigmoid(x) * (1 - sigmoid(x))"
    usual = graded(code, assignment("sigmoid"))
    assert usual.score == usual.points and {check.outcome for check in usual.checks} == {Outcome.RIGHT}
    asked = part(graded(code, assignment("sigmoid", changes=ALL_PARTS)), "stability")
    assert asked.message == "right, but e^x overflows for large x, and ∞/∞ is NaN: use 1 / (1 + e^−x)"
