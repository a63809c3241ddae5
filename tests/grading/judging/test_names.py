"""What went wrong by its true name: verdicts, two mistakes at once, factors, precision, known errors."""

import pytest

from opcheck.grading.results import Outcome
from tests.grading.students import assignment, graded, part, solution

RELU = "import numpy as np\ndef relu(x): {}\ndef relu_backward(d, x): return d * (x > 0)\n"
QUICK = {"seconds = 10": "seconds = 1"}


@pytest.mark.parametrize(
    ("body", "outcome", "told"),
    [
        ("raise NotImplemented", Outcome.NOT_ATTEMPTED, "it raises NotImplementedError"),
        ("pass", Outcome.NOT_ATTEMPTED, "output is None"),
        ("print x", Outcome.DOES_NOT_LOAD, "it is Python 2: print is a function in Python 3"),
        ("return xrange(3)", Outcome.CRASHED_ALWAYS, "xrange is Python 2"),
        ("return np.float(x)", Outcome.CRASHED_ALWAYS, "it needs an older numpy: np.float was removed"),
        ("return float(np.ones((1, 1, 1)))", Outcome.CRASHED_ALWAYS, "it needs an older numpy: float()"),
        ("import torch; return torch.relu(x)", Outcome.CRASHED_ALWAYS, "this assignment does not allow torch"),
        ("return x + np.ones((7, 7, 7, 7, 7))", Outcome.CRASHED_ALWAYS, "two arrays do not fit together"),
        ("return x[99]", Outcome.CRASHED_ALWAYS, "index 99 is out of range for an axis of size "),
        ("return x + None", Outcome.CRASHED_ALWAYS, "one side of + is None: an optional argument"),
        ("return [x for _ in iter(int, 1)]", Outcome.TOO_SLOW, "does not finish within 1 s"),
    ],
)
def test_a_verdict_says_what_happened(body, outcome, told):
    check = part(graded(RELU.format(body), assignment("relu", changes=QUICK)), "forward")
    assert check.outcome is outcome
    assert told in check.message


def test_a_call_that_raises_the_first_time_only_is_a_crash():
    code = "n = []\n" + RELU.format("n.append(1); return np.maximum(x, 0) if len(n) > 1 else 1 / 0")
    result = graded(code, assignment("relu", partial="cases"))
    assert result.score == 0
    assert part(result, "forward").message.endswith("but only on the first call")


@pytest.mark.parametrize(
    ("y", "op"),
    [
        ("np.clip(x, 0, 9)", "relu"),
        ("np.maximum(x, 0).astype(np.int64).astype(np.uint64) - (x < 0)", "relu"),
        ("np.maximum(x, 0) if x.ndim == 2 else x", "relu"),
    ],
)
def test_large_numbers_other_dimensions_and_types_that_wrap_around_are_asked(y, op):
    for partial in ("none", "cases"):
        check = part(graded(RELU.format(f"return {y}"), assignment(op, partial=partial)), "forward")
        assert check.score < 4


@pytest.mark.parametrize(
    ("op", "line"),
    [("max_pool2d", "    return out, (x, pool_param)"), ("conv2d", "    return out, (x, w, b, conv_param)")],
)
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_a_dimension_of_one_is_no_reason_to_drop_it(op, line, axis):
    code = solution("cs231n")
    squeezed = f"out.squeeze({axis}) if out.shape[{axis}] == 1 else out"
    wrong = code.replace(line, line.replace("return out,", f"return {squeezed},"))
    assert wrong != code
    assert part(graded(wrong, assignment(op, convention="cs231n")), "forward").score == 0


def test_two_mistakes_at_once_are_both_named():
    code = solution("cs231n").replace("* w[f]) + b[f]", "* w[f][:, ::-1, ::-1])")
    check = part(graded(code, assignment("conv2d", convention="cs231n")), "forward")
    assert check.mistakes == ("kernel_flipped", "bias_missing")
    assert check.message.startswith("Two mistakes at once: The kernel was flipped")


SOFTMAX = """
import numpy as np
def softmax(x, dim=None):
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)
def softmax_backward(d, x, dim=None):
    y = softmax(x, dim)
    return {factor} * y * (d - (d * y).sum(dim, keepdims=True))
"""


@pytest.mark.parametrize(
    ("factor", "told"),
    [
        ("x.shape[1]", "the right one times C, the size of the second dimension"),
        ("1 / x.shape[0]", "the right one divided by N, the size of the batch"),
        ("1 / x.size", "the right one divided by the number of all elements of input"),
        ("3", "3 times the right answer"),
    ],
)
def test_a_factor_is_said_by_what_it_is(factor, told):
    check = part(graded(SOFTMAX.format(factor=factor), assignment("softmax")), "vjp")
    assert check.outcome is Outcome.OTHER_CONVENTION and told in check.message


@pytest.mark.parametrize(("dtype", "asked"), [("float16", "float32"), ("float32", "float64")])
def test_a_lower_precision_is_named(dtype, asked):
    code = f"import numpy as np\ndef sigmoid(x): return (1 / (1 + np.exp(-x))).astype(np.{dtype})"
    changes = {'dtype = "float32"': f'dtype = "{asked}"'}
    check = part(graded(code, assignment("sigmoid", changes=changes)), "forward")
    assert check.message.startswith(f"your result has only the precision of {dtype}")


def test_what_raises_speaks_against_what_would_come_there():
    code = "import numpy as np\ndef tanh(x):\n    if x.ndim != 2: raise ValueError('no')\n    return 0 * x"
    check = part(graded(code, assignment("tanh")), "forward")
    assert "zero everywhere" not in check.message


def test_a_weight_kept_the_other_way_round_is_another_convention():
    code = "import numpy as np\ndef linear(x, w, b=None): return x @ w + (0 if b is None else b)"
    assert part(graded(code, assignment("linear")), "forward").outcome is Outcome.OTHER_CONVENTION
