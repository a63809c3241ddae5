"""Feedback blames nobody for what is right, and for nothing twice."""

import pytest

from opcheck.grading.parts import told_apart
from opcheck.grading.results import Outcome
from opcheck.render import render
from opcheck.verification.verdict import Status, Verdict
from tests.grading.students import assignment, graded, part
from tests.grading.test_judge import LINEAR, RELU, linear

QUICK = {"seconds = 10": "seconds = 1"}
LOOP = "def linear_backward(dy, x, weight, bias=None):\n    while len(x) > 0: pass\n"


@pytest.mark.parametrize("ending", [LOOP, "def linear_backward(*a): __import__('os').abort()"])
def test_a_backward_pass_that_never_returns_leaves_the_forward_pass_its_marks(ending):
    result = graded(f"{LINEAR}\n{ending}", assignment("linear", changes=QUICK))
    assert (part(result, "forward").outcome, part(result, "vjp").outcome) == (Outcome.RIGHT, Outcome.CRASHED)
    text = render(part(result, "vjp").detail, "text", width=80)
    assert text.startswith("A case that fails: ")  # no smaller one was tried


def test_a_part_that_says_the_same_as_another_does_not_show_its_case_again():
    crash = LINEAR.replace("    y = x", "    raise ValueError('no')\n    y = x", 1)
    result = graded(crash, linear)
    message = "it raises ValueError: no (line 3 of submission.py)"
    assert [(check.message, check.detail is None) for check in result.checks] == [
        (message, False), (message, True), (message, True)
    ]  # fmt: skip


def test_a_crash_for_want_of_an_import_tells_of_the_import():
    code = "import torch\ndef linear(x, weight, bias=None): return torch.tensor(x)\n"
    message = part(graded(code, linear), "forward").message
    assert message == (
        "it raises NameError: name 'torch' is not defined (line 2 of submission.py); "
        "not all of the file runs: an import fails: torch is not available here (line 1 of submission.py)"
    )


def test_another_question_is_no_misspelling():
    asked = assignment("linear", "relu", changes={'backward = "relu_backward"': 'backward = "linear_backwards"'})
    check = part(graded(LINEAR + RELU, asked), "vjp", "relu")
    assert check.message == "there is no linear_backwards; did you mean it by relu_backward?"
    asked = assignment("linear", "relu")
    check = part(graded(LINEAR + RELU.replace("relu_backward", "other"), asked), "vjp", "relu")
    assert check.message == "there is no relu_backward; the file defines linear, linear_backward, relu, other"


@pytest.mark.parametrize(
    ("got", "expected", "shown"),
    [
        (20.0, 32.0, ("20", "32")),
        (0.19661193324148185, 0.0, ("0.196612", "0")),
        (1.3132245540618896, 1.3132616875182228, ("1.31322", "1.31326")),
        (1.0 + 2.0**-30, 1.0, ("1.000000001", "1")),
        (float("nan"), 1.0, ("nan", "1")),
    ],
)
def test_numbers_have_the_digits_that_tell_them_apart(got, expected, shown):
    assert told_apart(Verdict(Status.DIFFERS, "rounding", got=got, expected=expected)) == shown


def test_integers_are_not_blamed_for_what_is_wrong_in_any_type():
    """A student who forgot the bias was also asked whether the result was cut to whole numbers."""
    for seed in range(4):
        result = graded(LINEAR.replace("y + bias", "y"), linear, seed)
        assert part(result, "forward").outcome is Outcome.WRONG
        assert (part(result, "shapes").outcome, part(result, "shapes").message) == (Outcome.RIGHT, "right")
