"""`opcheck ops OP --convention NAME`: how a course's code is called."""

import pytest

from opcheck.grading import conventions
from tests.app.support import run


def test_an_operator_in_a_convention():
    done = run("ops", "conv2d", "--convention", "cs231n")
    assert done.code == 0 and not done.err
    assert "conv_forward_naive(x, w, b, conv_param)\nconv_backward_naive(dout, cache)\n" in done.out
    assert "out = conv_forward_naive(x, w, b, {'stride': 2, 'pad': 1})\n" in done.out
    assert "output is out[0]; the gradient of x is gradients[0]" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_the_operators_of_a_convention():
    done = run("ops", "--convention", "coursera")
    assert "conv2d conv_forward conv_backward" in " ".join(done.out.split()) and "one shows" not in done.out


@pytest.mark.parametrize("name", ["functional", "layer", "needle", "minitorch"])
def test_every_convention_can_be_shown(name):
    for op in conventions.get(name).entries:
        assert run("ops", op, "--convention", name).code == 0, op


def test_a_spec_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text('def gate(x: "N D", w: "D"):\n    """A gate."""\n    return x * w\n')
    done = run("ops", f"{path}:gate", "--convention", "cs231n")
    assert "gate_forward(x, w)\ngate_backward(dy, cache)\n" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conv1d", "--convention", "cs231n"], "convention cs231n has no conv1d\n  it has "),
        (["conv2d", "--convention", "cs2"], "there is no convention 'cs2'\n  they are functional,"),
    ],
)
def test_what_is_not_there_is_told(words, message):
    done = run("ops", *words)
    assert done.code == 2 and message in done.err and not done.out
