"""Points for the kinds of cases that are right, and the condition that all wrong cases share, in words."""

import pytest

from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing.cases import draw
from opcheck.grading.drawing.conditions import conditions
from opcheck.operators import catalog
from opcheck.render import render
from tests.grading.students import assignment, graded, part, solution

RIGHT = solution("cs231n")
PADDED = "np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))"


def shared(code, op="conv2d", seed=1):
    return graded(code, assignment(op, convention="cs231n", partial="cases"), seed)


@pytest.mark.parametrize("op", ["conv1d", "conv2d", "max_pool1d", "max_pool2d", "avg_pool2d"])
def test_a_case_of_one_condition_is_plain_in_every_other_way(op):
    drawn = draw(Scope.of(catalog.get(op), {}, {}), "float32", [3], special=False, separately=True)
    asked = dict(drawn.separate)
    assert {"plain", "batch", "channels", "padding", "a remainder at the edge"} <= asked.keys()
    for name, trial in asked.items():
        found = {each.name for each in conditions(catalog.get(op), trial.case)} - {"one example", "stride"}
        assert found == ({name} - {"plain", "stride"})


def test_right_without_padding_is_nearly_all_of_the_points():
    assert PADDED in RIGHT
    unpadded = RIGHT.replace(PADDED, "np.pad(x, ((0, 0), (0, 0), (2 * pad, 0), (2 * pad, 0)))", 1)
    check = part(shared(unpadded), "forward")
    assert check.score == 3.27  # 9 of 11 kinds, of 4
    assert check.message == "All of the padding was put before the input; half of it belongs after."
    text = " ".join(render(check.detail, "text", width=80).split())
    assert text.startswith("Right without padding; wrong whenever padding > 0.")
    assert "Right: plain, batch, channels, output channels, stride, not square" in text
    assert "Wrong: padding, all of these together." in text


def test_identical_code_gets_the_same_marks_by_any_seed():
    unpadded = RIGHT.replace(PADDED, "np.pad(x, ((0, 0), (0, 0), (2 * pad, 0), (2 * pad, 0)))", 1)
    assert len({shared(unpadded, seed=seed).score for seed in range(3)}) == 1


def test_one_wrong_gradient_of_three_costs_its_own_share():
    code = RIGHT.replace("dw, dout.sum(axis=(0, 2, 3))", "dw, 2 * dout.sum(axis=(0, 2, 3))")
    check = part(shared(code), "vjp")
    assert code != RIGHT and 2 < check.score < 4


def test_nothing_right_is_nothing():
    code = RIGHT.replace("    return out, (x, w, b, conv_param)", "    return 0 * out, (x, w, b, conv_param)")
    check = part(shared(code), "forward")
    assert code != RIGHT and check.score == 0
    assert "None of the 11 kinds of cases is right." in render(check.detail, "text", width=80)


def test_without_the_key_it_is_all_or_nothing():
    text = '{}[[question]]\noperator = "relu"\n'
    assert [parse(text.format(key)).questions[0].partial for key in ("", 'partial = "cases"\n')] == ["none", "cases"]
    assert parse(text.format("")).digest != parse(text.format('partial = "cases"\n')).digest
    with pytest.raises(Refused, match="partial: must be one of none, cases"):
        parse(text.format('partial = "some"\n'))


# --- a gradient of the student's own forward pass ---

TANH = "import numpy as np\ndef tanh(x): return {y}\ndef tanh_backward(d, x): return {back}"


@pytest.mark.parametrize(
    ("y", "back", "score"),
    [
        ("1.7159 * np.tanh(2 * x / 3)", "d * 1.7159 * 2 / 3 * (1 - np.tanh(2 * x / 3) ** 2)", 4),
        ("1.7159 * np.tanh(2 * x / 3)", "d * 1.7159 * (1 - np.tanh(2 * x / 3) ** 2)", 0),  # of neither
        ("x", "d", 0),  # what does nothing has no gradient that shows anything
        ("2 * x", "2 * d", 0),
        ("0 * x", "0 * d", 0),
    ],
)
def test_a_gradient_of_the_own_forward_pass_is_right(y, back, score):
    result = graded(TANH.format(y=y, back=back), assignment("tanh"))
    assert part(result, "forward").score == 0
    check = part(result, "vjp")
    assert check.score == score
    assert check.message.startswith("right for your own forward pass") == bool(score)


MSE = """
def mse_loss(input, target):
    return ((input - target) ** 2).mean()
def mse_loss_backward(dy, input, target):
    return dy * (input - target) / input.size
"""


def test_a_gradient_that_nobody_gives_earns_nothing():
    """Of a loss the gradient of the target is not asked: it was half of the points, and "right so far"."""
    check = part(graded(MSE, assignment("mse_loss", partial="cases")), "vjp")
    assert check.score == 0
    text = render(check.detail, "text", width=80)
    assert "kinds of cases is right." in text and "Right so far" not in text
