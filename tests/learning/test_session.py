"""Blocks that run, and answers that run with a mistake in an operator."""

import pytest

from opcheck.learning.lesson import Code
from opcheck.learning.session import Session, statements


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def python(text: str) -> Code:
    return Code("python", (), text)


def test_statements_are_shown_run_and_share_their_names(session):
    code = python(
        ">>> def double(x):\n...     return 2 * x\n>>> y = double(3)\n>>> y\n6\n>>> print(y)\n6\n"
        ">>> {}['a']\nTraceback (most recent call last):\n    ...\nKeyError: 'a'\n"
    )
    run = [(each.shown, each.prints, session.run(each)) for each in statements(code)]
    assert run == [
        (">>> def double(x):\n...     return 2 * x", False, ""),
        (">>> y = double(3)", False, ""),
        (">>> y", True, "6"),
        (">>> print(y)", True, "6"),
        (">>> {}['a']", True, "Traceback (most recent call last):\n    ...\nKeyError: 'a'"),
    ]
    session.run_all(python("z = y + 1"))
    assert session.names["z"] == 7


def test_an_exception_that_the_lesson_does_not_show_is_raised(session):
    with pytest.raises(ZeroDivisionError):
        session.run_all(python(">>> 1 / 0\n"))


def test_blocks_run_in_the_lessons_directory(session, tmp_path):
    session.write(Code("python", ("file=layer.py",), "size = 3\n"))
    assert (tmp_path / "layer.py").read_text() == "size = 3\n"
    session.run_all(python("from pathlib import Path\ntext = Path('layer.py').read_text()"))
    assert session.names["text"] == "size = 3\n"


def test_the_value_is_that_of_the_last_line_or_of_what_it_prints(session):
    assert session.value(python(">>> x = 2\n>>> x + 1\n3\n")) == 3
    assert session.value(python(">>> print(x + 2)\n4\n")) == 4
    assert session.names["x"] == 2


def test_the_answer_runs_with_each_mistake_of_the_operators_that_are_imported(session):
    session.run_all(python(
        "import numpy as np\nfrom opcheck.reference import linear, relu\n"
        "def layer(x):\n    return linear(x, np.eye(2), np.array([10.0, 20.0]))\n"
    ))  # fmt: skip
    right = session.names["linear"]
    answer = python(">>> layer(np.array([[1.0, 2.0]]))\narray([[11., 22.]])\n")
    found = dict(session.mistaken(answer))
    assert found["The bias was not added."].tolist() == [[1.0, 2.0]]
    assert found["The bias was added to every product; it is added once to their sum."].tolist() == [[21.0, 42.0]]
    assert "The sign of negative numbers was flipped; they become 0." in found  # relu is imported too
    assert session.names["linear"] is right
    assert session.value(answer).tolist() == [[11.0, 22.0]]


def test_mistakes_in_gradients_are_tried_too(session):
    session.run_all(python("import numpy as np\nfrom opcheck.reference import mse_loss"))
    answer = python(">>> mse_loss.vjp(1.0, np.array([5.0, 2.0]), np.array([3.0, 2.0]))['input']\narray([2., 0.])\n")
    found = {sentence: value.tolist() for sentence, value in session.mistaken(answer)}
    assert found["The factor 2 is missing: the derivative of d² is 2·d."] == [1.0, 0.0]


def test_a_mistake_that_fails_on_these_arrays_is_passed_over(session):
    session.run_all(python("from opcheck.reference import softmax"))
    answer = python(">>> softmax([1.0, 2.0], dim=0).tolist()[5]\n")
    assert list(session.mistaken(answer)) == []
    assert "softmax" in session.names
