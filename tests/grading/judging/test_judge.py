"""One submission against an assignment, in the real sandbox: outcomes, partial credit, dependencies, seeds."""

import time

import pytest

from opcheck.grading.assignments.assignment import parse
from opcheck.grading.results import Outcome
from opcheck.render import render
from tests.grading.students import assignment, graded, outcomes, part, solution

LINEAR = """
def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias
def linear_backward(dy, x, weight, bias=None):
    gradients = dy @ weight, dy.T @ x
    return gradients if bias is None else (*gradients, dy.sum(axis=0))
"""
RELU = """
import numpy as np
def relu(x):
    return np.maximum(x, 0)
def relu_backward(dy, x):
    return dy * (x > 0)
"""
linear = assignment("linear")


def test_full_marks():
    result = graded(LINEAR, linear)
    assert outcomes(result) == {Outcome.RIGHT}
    assert (result.score, result.points, result.student, result.seed) == (9, 9, "Ann", 1)


def test_partial_credit_by_part_and_by_gradient():
    result = graded(LINEAR.replace("dy.sum(axis=0)", "dy.mean(axis=0)"), linear)
    assert {check.part: check.score for check in result.checks} == {"forward": 4, "vjp": 0, "shapes": 1}
    each = assignment("linear", changes={"vjp = 4": '"vjp:input" = 1, "vjp:weight" = 1, "vjp:bias" = 2'})
    result = graded(LINEAR.replace("dy.sum(axis=0)", "dy.mean(axis=0)"), each)
    assert {check.part: check.score for check in result.checks} == {
        "forward": 4, "shapes": 1, "vjp:input": 1, "vjp:weight": 1, "vjp:bias": 0,
    }  # fmt: skip


@pytest.mark.parametrize("body", ["pass", "raise NotImplementedError", "out = None; return out"])
def test_not_attempted(body):
    result = graded(f"def linear(x, weight, bias=None): {body}", linear)
    assert outcomes(result) == {Outcome.NOT_ATTEMPTED} and result.score == 0


def test_not_attempted_without_the_name_says_what_is_there():
    result = graded("def liner(x, w, b): return x", linear)
    assert outcomes(result) == {Outcome.NOT_ATTEMPTED}
    assert part(result, "forward").message == "there is no linear; did you mean liner?"
    assert part(graded("x = 1", linear), "vjp").message == "there is no linear; the file defines nothing"


def test_only_the_backward_pass_is_missing():
    result = graded(LINEAR.replace("linear_backward", "something"), linear)
    assert part(result, "forward").outcome is Outcome.RIGHT and part(result, "shapes").outcome is Outcome.RIGHT
    check = part(result, "vjp")
    assert (check.outcome, check.message) == (
        Outcome.NOT_ATTEMPTED,
        "there is no linear_backward; the file defines linear, something",
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def linear(:", "it is not valid Python: invalid syntax (line 1 of submission.py)"),
        ("import sklearn_of_my_own", "an import fails: No module named 'sklearn_of_my_own' (line 1 of submission.py)"),
        ("import scipy", "this assignment does not allow scipy (line 1 of submission.py)"),
        ("import numpy as np\nx = np.float(1)\n", "the file needs an older numpy: np.float was removed (line 2 of "
         "submission.py); write the builtin type or its new name"),
        ("1/0", "it raises ZeroDivisionError: division by zero (line 1 of submission.py)"),
        ("raise SystemExit(3)", "loading the file ends the program (line 1 of submission.py)"),
    ],
)  # fmt: skip
def test_does_not_load(code, message):
    result = graded(code, linear)
    assert outcomes(result) == {Outcome.DOES_NOT_LOAD}
    assert part(result, "forward").message == message


def test_what_fails_beside_the_functions_costs_nothing():
    result = graded("x = input()\nimport matplotlib_of_my_own\n" + LINEAR + "\nlinear(1, 2)\nraise SystemExit", linear)
    assert result.score == result.points
    assert result.notes == (
        "part of the file failed; it raises EOFError: EOF when reading a line (line 1 of submission.py)",
    )


def test_a_training_loop_at_top_level_costs_its_limit_and_no_marks():
    quick = assignment("linear", changes={"seconds = 10": "seconds = 1"})
    result = graded(LINEAR + "\nwhile True: pass", quick)
    assert result.score == result.points
    assert "training loops" in result.notes[0] and result.notes[1] == "only its definitions were used"


def test_crashed_on_some_inputs_names_the_smallest():
    code = LINEAR.replace("    y = x", "    if len(x) > 2: raise ValueError('too many')\n    y = x", 1)
    check = part(graded(code, linear), "forward")
    assert check.outcome is Outcome.CRASHED
    assert check.message == "it raises ValueError: too many (line 3 of submission.py)"
    assert "input 3×1, weight 1×1" in render(check.detail, "text", width=80)


def test_another_convention_is_named():
    check = part(graded(LINEAR.replace("return y if bias", "y = y / 2\n    return y if bias"), linear), "forward")
    assert check.outcome is Outcome.WRONG
    each = assignment("linear", changes={"vjp = 4": '"vjp:input" = 1'})
    halves = part(graded(LINEAR.replace("dy @ weight,", "0.5 * dy @ weight,"), each), "vjp:input")
    assert halves.outcome is Outcome.OTHER_CONVENTION
    assert halves.message == "the gradient of input is 0.5 times the right answer"
    batch = part(graded(LINEAR.replace("dy @ weight,", "dy @ weight / len(x),"), each), "vjp:input")
    assert batch.outcome is Outcome.OTHER_CONVENTION
    assert "divided by N, the size of the batch" in batch.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dy @ weight,", "0 * dy @ weight,", "the gradient of input is zero everywhere"),
        ("dy @ weight,", "(0 * dy + 1) @ weight,", "the gradient of input is the right one for an upstream "
         "gradient of ones: it must be multiplied by the upstream gradient"),
        ("dy @ weight, dy.T @ x", "dy.T @ x, dy @ weight", "the gradient of input is that of weight: gradients are "
         "returned in the order of the inputs"),
    ],
)  # fmt: skip
def test_a_relation_that_no_convention_has_is_wrong(old, new, message):
    assert old in LINEAR
    check = part(graded(LINEAR.replace(old, new), linear), "vjp")
    assert (check.outcome, check.message) == (Outcome.WRONG, message)


def test_what_is_wrong_with_one_gradient_and_another_is_said_of_both():
    old = "dpadded, dw = np.zeros_like(padded), np.zeros_like(w)"
    code = solution("cs231n").replace(old, f"{old}\n    s = 1")
    check = part(graded(code, assignment("conv2d", convention="cs231n")), "vjp")
    assert check.mistakes == ("input_gradient_stride_ignored", "weight_gradient_stride_ignored")
    assert "Also: The weight gradient read the input at stride 1." in render(check.detail, "text", width=80)


@pytest.mark.parametrize("seed", range(6))
def test_a_single_number_is_no_constant_factor_of_the_right_one(seed):
    code = solution("cs231n").replace(".mean(), dx", ".mean() + 0.001 * (y[0] == 0), dx")
    result = graded(code, assignment("cross_entropy", convention="cs231n"), seed)
    assert {check.outcome for check in result.checks} <= {Outcome.WRONG, Outcome.RIGHT}


def test_a_slow_solution_loses_the_points_for_its_speed_and_no_others():
    usual = "points = { forward = 4, shapes = 1, vjp = 4 }"
    timed = 'seconds = 0.001\npoints = { forward = 4, efficiency = 2, "vjp:input" = 2, "vjp:weight" = 2 }'
    asked = assignment("conv2d", convention="cs231n", changes={usual: timed})
    result = graded(solution("cs231n"), asked)
    (slow,) = (check for check in result.checks if check.score != check.points)
    assert (slow.part, slow.detail) == ("efficiency", None)
    assert slow.message.startswith("it needs more than 0.001 seconds for input 64×")


def test_a_wrong_shape_is_shown_by_a_case_where_the_shape_is_wrong():
    code = LINEAR.replace("dy @ weight, dy.T @ x", "dy.T @ x, dy @ weight")
    check = part(graded(code, linear), "shapes")
    assert check.message.startswith("the gradient of input has shape (")


def test_a_wrong_answer_is_shown_small_and_explained():
    check = part(graded(LINEAR.replace("dy.sum(axis=0)", "dy.mean(axis=0)"), linear), "vjp")
    assert check.outcome is Outcome.WRONG and check.mistakes == ("bias_gradient_averaged",)
    assert check.message == "The bias gradient was averaged over the batch; it is the sum."
    text = render(check.detail, "text", width=80)
    for line in ("The smallest case that fails: input 2×1, weight 1×1, bias 1", "Right so far:",
                 "the gradients: input, weight", "b̄[0] = ȳ[0,0] + ȳ[1,0] = 1 + 0 = 1"):  # fmt: skip
        assert line in text


def test_dependent_questions_are_skipped_and_not_failed():
    asked = assignment("linear", "relu", changes={'entry = "relu"': 'entry = "relu"\ndepends_on = ["linear"]'})
    result = graded(LINEAR + RELU, asked)
    assert result.score == result.points
    result = graded(LINEAR.replace("y + bias", "y"), asked)
    assert part(result, "forward", "relu").outcome is Outcome.SKIPPED
    assert part(result, "forward", "relu").message == "skipped: linear comes first and is not right yet"
    result = graded(LINEAR.replace("dy.sum(axis=0)", "0") + RELU, asked)  # its forward pass is what relu stands on
    assert part(result, "vjp", "relu").outcome is Outcome.RIGHT


def test_two_wrong_gradients_are_explained_one_by_one():
    code = LINEAR.replace("dy.sum(axis=0)", "dy.mean(axis=0)").replace("dy.T @ x", "dy.T @ x / len(x)")
    assert part(graded(code, linear), "vjp").mistakes == ("weight_gradient_divided_by_batch", "bias_gradient_averaged")


def test_shapes_are_looked_at_before_values():
    code = LINEAR.replace("dy.sum(axis=0)", "dy.sum(axis=0, keepdims=True)")
    result = graded(code, linear)
    assert part(result, "vjp").outcome is Outcome.WRONG and part(result, "shapes").score == 0
    assert part(result, "shapes").message == "the gradient of bias has shape (1, 1); it should be (1,)"
    loss = assignment("mse_loss")
    column = "def mse_loss(x, t): return ((x - t) ** 2).mean(keepdims=True)"
    assert part(graded(column, loss), "forward").outcome is Outcome.WRONG
    whole = graded("def linear(x, w, b=None): return (x @ w.T + (0 if b is None else b)).astype(int)",
                   linear)  # fmt: skip
    assert "has dtype int64; it should hold real numbers" in part(whole, "shapes").message


def test_efficiency_is_a_larger_case_within_its_seconds():
    asked = assignment(
        "linear", changes={"vjp = 4": "efficiency = 2", "[question.parameters]": "seconds = 0.5\n[question.parameters]"}
    )
    assert part(graded(LINEAR, asked), "efficiency").score == 2
    slow = LINEAR.replace("    y = x", "    import time; time.sleep(3 if x.size > 100 else 0)\n    y = x", 1)
    result = graded(slow, asked)
    assert part(result, "efficiency").score == 0 and part(result, "forward").score == 4
    assert "it needs more than 0.5 seconds" in part(result, "efficiency").message


def test_the_same_seed_gives_the_same_result_and_a_fresh_one_another():
    code = LINEAR.replace("dy.sum(axis=0)", "dy.mean(axis=0)")
    a, b = graded(code, linear, seed=5), graded(code, linear, seed=5)
    untimed = [[(c.question, c.part, c.outcome, c.score, c.message, c.mistakes,
                 c.detail and render(c.detail, "json")) for c in r.checks] for r in (a, b)]  # fmt: skip
    assert untimed[0] == untimed[1]
    fresh = graded(code, linear, seed=None), graded(code, linear, seed=None)
    assert fresh[0].seed != fresh[1].seed
    assert fresh[0].score == fresh[1].score == a.score
    assert graded(code, assignment("linear", changes={'seed = "fresh"': "seed = 9"}), seed=None).seed == 9


def test_memorised_answers_earn_nothing():
    """A submission that returns, whatever it is asked, what was right in an earlier run."""
    result = graded("def linear(x, weight, bias=None): return [[1.0]]", linear, seed=None)
    assert result.score == 0


LEAKY = """
import numpy as np
def linear(x, weight, bias=None):
    raise ValueError("the input is " + repr(x.tolist()))
def linear_backward(dy, x, weight, bias=None):
    return type(repr(dy.tolist()), (Exception,), {})
"""


@pytest.mark.parametrize("level", ["score", "part", "counterexample", "diagnosis", "worked calculation"])
def test_feedback_shows_what_its_level_allows_and_no_more(level):
    asked = assignment("linear", changes={'feedback = "worked calculation"': f'feedback = "{level}"'})
    first = "all parts" if level == "score" else "forward"
    wrong = part(graded(LINEAR.replace("y + bias", "y"), asked), first)
    assert wrong.mistakes == ("bias_missing",)  # for the teacher
    text = render(wrong.detail, "text", width=80) if wrong.detail else ""
    assert ("The smallest case" in text) == (level not in ("score", "part"))
    assert (wrong.message == "The bias was not added.") == (level in ("diagnosis", "worked calculation"))
    assert ("How this number is computed" in text) == (level == "worked calculation")
    assert {"score": "", "part": "the forward pass is not right yet"}.get(level, wrong.message) == wrong.message
    leaky = part(graded(LEAKY, asked), first)
    if level in ("score", "part"):
        assert leaky.message in ("", "it raises ValueError") and leaky.detail is None


def test_hidden_questions_are_marked():
    asked = assignment("linear", changes={'entry = "linear"': 'entry = "linear"\nhidden = true'})
    assert all(check.hidden for check in graded(LINEAR, asked).checks)


def test_the_whole_of_a_submission_has_a_time_limit():
    asked = assignment(
        "linear", "relu", changes={"seconds = 10": "seconds = 2", "total_seconds = 60": "total_seconds = 3"}
    )
    began = time.monotonic()
    result = graded("def linear(*a): \n while 1: pass\ndef relu(x): \n while 1: pass", asked)
    assert time.monotonic() - began < 15
    assert result.score == 0 and part(result, "forward", "relu").outcome is Outcome.TOO_SLOW


def test_nothing_that_was_right_is_hurt_by_a_crash_of_another_question():
    result = graded("import os\ndef linear(*a): os.abort()\n" + RELU, assignment("linear", "relu"))
    assert part(result, "forward", "linear").outcome is Outcome.CRASHED_ALWAYS
    assert sum(check.score for check in result.checks if check.question == "relu") == 9


def test_four_questions_in_one_submission():
    asked = assignment("linear", "conv2d", "max_pool2d", "cross_entropy", convention="cs231n")
    result = graded(solution("cs231n"), asked, seed=None)
    assert result.score == result.points == 36


LOOPS = """
import numpy as np
def conv2d(x, w, b=None, stride=1, padding=0):
    N, C, H, W = x.shape
    O, _, k, l = w.shape
    y = np.zeros((N, O, H - k + 1, W - l + 1), x.dtype)
    for n in range(N):
        for o in range(O):
            for i in range(H - k + 1):
                for j in range(W - l + 1):
                    for c in range(C):
                        for u in range(k):
                            for v in range(l):
                                y[n, o, i, j] += x[n, c, i + u, j + v] * w[o, c, u, v]
    return y
"""
ARRAYS = """
import numpy as np
def conv2d(x, w, b=None, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwuv,ocuv->nohw", windows, w)
"""
EFFICIENT = """
[[question]]
operator = "conv2d"
points = { efficiency = 2 }
[question.parameters]
stride = [1]
padding = [0]
bias = [false]
"""


@pytest.mark.parametrize(("code", "score"), [(LOOPS, 0), (ARRAYS, 2)])
def test_nested_loops_are_not_efficient_and_calls_of_numpy_are(code, score):
    assert graded(code, parse(EFFICIENT)).score == score


def test_a_question_may_have_a_feedback_level_of_its_own():
    asked = parse(
        'feedback = "diagnosis"\n[[question]]\noperator = "linear"\n[[question]]\noperator = "relu"\nfeedback = "score"'
    )
    result = graded(LINEAR.replace("y + bias", "y") + RELU.replace("x > 0", "x < 0"), asked)
    assert [(check.question, check.part) for check in result.checks][3:] == [("relu", "all parts")]
    assert part(result, "forward").message == "The bias was not added." and result.checks[3].message == ""
