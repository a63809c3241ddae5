"""Feedback blames nobody for what is right, and for nothing twice."""

import pytest

from opcheck.grading import formats
from opcheck.grading.results import Outcome
from opcheck.render import render
from opcheck.verification.verdict import told_apart
from tests.grading.judging.test_judge import LINEAR, RELU, linear
from tests.grading.students import assignment, graded, part, solution

QUICK = {"seconds = 10": "seconds = 1"}
LOOP = "def linear_backward(dy, x, weight, bias=None):\n    while len(x) > 0: pass\n"


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [(LOOP, Outcome.TOO_SLOW), ("def linear_backward(*a): __import__('os').abort()", Outcome.CRASHED_ALWAYS)],
)
def test_a_backward_pass_that_never_returns_leaves_the_forward_pass_its_marks(ending, outcome):
    result = graded(f"{LINEAR}\n{ending}", assignment("linear", changes=QUICK))
    assert (part(result, "forward").outcome, part(result, "vjp").outcome) == (Outcome.RIGHT, outcome)
    if outcome is Outcome.TOO_SLOW:  # with the limit of the assignment, though the last try had half of it
        told = "it is too slow or never ends: it does not finish within 1 s"
        assert part(result, "vjp").message == told
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
        "this assignment does not allow torch (line 1 of submission.py); "
        "it raises NameError: name 'torch' is not defined (line 2 of submission.py)"
    )


def test_another_question_is_no_misspelling():
    asked = assignment("linear", "relu", changes={'backward = "relu_backward"': 'backward = "linear_backwards"'})
    check = part(graded(LINEAR + RELU, asked), "vjp", "relu")
    assert check.message == "there is no linear_backwards; did you mean relu_backward?"
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
    assert told_apart(got, expected) == shown


def test_integers_are_not_blamed_for_what_is_wrong_in_any_type():
    """A student who forgot the bias was also asked whether the result was cut to whole numbers."""
    for seed in range(4):
        result = graded(LINEAR.replace("y + bias", "y"), linear, seed)
        assert part(result, "forward").outcome is Outcome.WRONG
        assert (part(result, "shapes").outcome, part(result, "shapes").message) == (Outcome.RIGHT, "right")


TYPED = {
    "vjp = 4": "vjp = 4, dtype = 1",
    "[question.parameters]": "[question.parameters]\nintegers = [true, false]",
}


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("raise ValueError('x')", "it raises ValueError"),
        ("np.sum(x, axis=7)", "it raises an exception"),  # numpy's own AxisError
        ("x.astype(int).__iadd__(0.5)", "it raises an exception"),
        ("raise type('Inputs' + str(int(x[0, 0])), (Exception,), {})", "it raises an exception"),
        ("__import__('os').abort()", "it does not finish on every case"),
    ],
)
def test_a_crash_is_named_without_its_message_where_that_is_not_shown(crash, told):
    asked = assignment("linear", changes={'feedback = "worked calculation"': 'feedback = "part"'})
    code = "import numpy as np\n" + LINEAR.replace("    y = x", f"    {crash}\n    y = x", 1)
    assert part(graded(code, asked), "forward").message == told
    whole = LINEAR.replace("    y = x", "    if x.dtype.kind == 'i': raise ValueError\n    y = x", 1)
    changes = {**TYPED, 'feedback = "worked calculation"': 'feedback = "part"'}
    assert part(graded(whole, assignment("linear", changes=changes)), "dtype").message == "it raises ValueError"


def test_a_score_without_feedback_is_a_table_and_nothing_else():
    asked = assignment("linear", "relu", changes={'feedback = "worked calculation"': 'feedback = "score"'})
    text = formats.render("text", [graded(RELU, asked)], asked)
    assert "linear, all parts  0 of 9  not attempted\nrelu, all parts    9 of 9  right\n\nlinear, all parts:" in text
    text = formats.render("text", [graded(LINEAR.replace("y + bias", "y") + RELU, asked)], asked)
    assert text.endswith("right\n\nNote: --seed 1 draws the same inputs again")


@pytest.mark.parametrize(
    ("convention", "old", "new", "told"),
    [
        ("functional", "def linear_backward(", "def linear_backward(*a): raise NotImplementedError\ndef other(",
         "it raises NotImplementedError"),
        ("functional", "def linear_backward(", "def linear_backward(*a): pass\ndef other(",
         "the gradient of input is missing: None was returned"),
        ("cmu", "self.dLdW = dLdZ.T @ self.A", "self.dLdW = None", "the gradient of weight (layer.dLdW) is None"),
    ],
)  # fmt: skip
def test_what_is_not_attempted_is_said_at_every_level(convention, old, new, told):
    asked = assignment("linear", convention=convention,
                       changes={'feedback = "worked calculation"': 'feedback = "part"'})  # fmt: skip
    code = solution(convention)
    assert old in code
    check = part(graded(code.replace(old, new), asked), "vjp")
    assert (check.outcome, check.message) == (Outcome.NOT_ATTEMPTED, told)


def test_a_result_that_is_missing_is_named():
    pair = LINEAR.replace("(*gradients, dy.sum(axis=0))", "gradients")
    check = part(graded(pair, linear), "vjp")
    assert (check.outcome, check.message) == (
        Outcome.WRONG, "linear_backward returns too few values: the gradient of bias is missing"
    )  # fmt: skip
    template = LINEAR.replace("def linear_backward(", "def linear_backward(*a): pass\ndef other(")
    result = graded(template, linear)
    assert [check.outcome for check in result.checks] == [Outcome.RIGHT, Outcome.NOT_ATTEMPTED, Outcome.NOT_ATTEMPTED]
    brief = assignment("linear", changes={'feedback = "worked calculation"': 'feedback = "part"'})
    assert part(graded(pair, brief), "vjp").message == "the backward pass is not right yet"


@pytest.mark.parametrize(
    ("op", "old", "new", "message"),
    [
        ("linear", "@ w + b, (x, w, b)", "@ w + b",
         "affine_forward returns a single value; it should return several, of which output is the first"),
        ("linear", "@ w + b, (x, w, b)", "@ w + b,",
         "affine_forward returns too few values: what backward needs is missing"),
        ("linear", "    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)",
         "    return x.reshape(len(x), -1).T @ dout",
         "affine_backward returns a single value; it should return several, of which the gradient of input is the "
         "first"),
        ("cross_entropy", ".mean(), dx / N", ".mean()",
         "softmax_loss returns a single value; it should return several, of which output is the first"),
    ],
)  # fmt: skip
def test_a_function_that_forgets_one_of_the_values_it_returns_is_told_so(op, old, new, message):
    code = solution("cs231n")
    assert old in code
    result = graded(code.replace(old, new), assignment(op, convention="cs231n"))
    wrong = [check for check in result.checks if check.outcome is not Outcome.RIGHT]
    assert {(check.outcome, check.message) for check in wrong} == {(Outcome.WRONG, message)}
    assert part(result, "vjp") in wrong


def test_a_wrong_rank_is_not_taken_for_a_wrong_scale():
    """In this convention gradients are divided by the batch size: a bias gradient of the wrong rank is divided once."""
    asked = assignment("linear", convention="coursera")
    check = part(graded(solution("coursera").replace("keepdims=True) / m", "keepdims=False) / m"), asked), "vjp")
    assert (check.outcome, check.mistakes) == (Outcome.WRONG, ())
    assert check.message.startswith("the gradient of bias has shape (")


def test_a_gradient_under_another_name_is_wrong_and_no_crash():
    code = solution("cmu").replace("self.dLdW = dLdZ.T", "self.dW = dLdZ.T")
    check = part(graded(code, assignment("linear", convention="cmu")), "vjp")
    assert (check.outcome, check.message) == (
        Outcome.WRONG, "the gradient of weight is missing: Linear has no .dLdW"
    )  # fmt: skip


def test_what_is_kept_by_shape_is_shown_in_two_calls():
    code = """
import numpy as np
kept = {}
def relu(x):
    return kept.setdefault(x.shape, np.maximum(x, 0))
def relu_backward(dy, x):
    return dy * (x > 0)
"""
    check = part(graded(code, assignment("relu")), "forward")
    assert check.message.startswith("called again with different numbers of the same shapes, it returns its first")
    text = render(check.detail, "text", width=80)
    assert "Call 1: input" in text and text.index("Call 1") < text.index("Call 2") < text.index("yours")
