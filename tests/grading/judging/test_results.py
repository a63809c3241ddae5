"""Results of no use: of any size, shape and kind, they cost their student marks and the grader little."""

import numpy as np
import pytest

from opcheck.grading.conventions import layouts
from opcheck.grading.judging import calls
from opcheck.grading.judging.calls import MOST_MISSHAPEN
from opcheck.grading.judging.replies import Failed, failure, plain_array
from opcheck.grading.results import Outcome
from opcheck.sandbox import Failure, Status
from opcheck.sandbox import Outcome as Reply
from tests.grading.students import assignment, graded, outcomes, part, solution

linear = assignment("linear", changes={", vjp = 4": ""})


def returning(expression: str) -> str:
    return f"import numpy as np\ndef linear(x, weight, bias=None): return {expression}\n"


@pytest.mark.parametrize("size", ["(24, 1 << 20)", "(1 << 20,)", "(0, 1 << 39)", "(1 << 8, 1, 1 << 9)"])
def test_of_a_large_array_of_a_wrong_shape_nothing_but_its_shape_is_looked_at(monkeypatch, size):
    received = []
    look = calls.plain_array
    monkeypatch.setattr(calls, "plain_array", lambda value, what: received.append(value) or look(value, what))
    result = graded(returning(f"np.zeros({size}, np.int8)"), linear)
    assert outcomes(result) == {Outcome.WRONG}
    shape = eval(f"{size}", {})
    assert part(result, "forward").message == f"output has shape {shape}; it should be (1, 1)"
    assert all(np.size(value) <= MOST_MISSHAPEN * calls.WIDEST for value in received)


def test_small_arrays_of_a_wrong_shape_are_explained_as_ever():
    result = graded(returning("x @ weight.T if bias is None else (x @ weight.T + bias)[:, None]"), linear)
    assert part(result, "forward").detail is not None


@pytest.mark.parametrize("expression", ["2**64", "-(2**64)", "2**1024 - 1", "-(2**1024) + 1", "np.uint64(2**64 - 1)"])
def test_a_whole_number_of_any_size_is_a_wrong_result(expression):
    assert outcomes(graded(returning(expression), linear)) == {Outcome.WRONG}


def test_numbers_of_python_are_arrays():
    assert plain_array(2**63 - 1, "y").dtype == np.int64 and plain_array(2**63, "y") == 2.0**63
    assert plain_array(2**1024, "y") == np.inf and plain_array(-(2**1024), "y") == -np.inf


def test_a_layout_that_cannot_be_undone_is_a_wrong_shape():
    """Subtracting a learned parameter of another shape, and flattening nothing, raise in numpy."""
    assert calls._in_torchs_layout(layouts.FLATTENED, np.zeros((0, 5, 2)), 3).shape == (0, 5, 2)
    code = """
import numpy as np
class Affine:
    def __init__(self, W, b): self.W, self.b = W, b
    def forward(self, x): self.x = x; return x @ self.W + self.b
    def backward(self, dy, lr):
        dx = dy @ self.W.T
        self.W, self.b = np.zeros((5, 7)), np.zeros(11)
        return dx
"""
    result = graded(code, assignment("linear", convention="layer"))
    assert part(result, "forward").outcome is Outcome.RIGHT and part(result, "vjp").outcome is Outcome.WRONG


def test_what_a_worker_says_of_a_place_is_no_sentence_of_ours():
    """A message of 20,000 characters took a regular expression half a minute."""
    for way in ((), ("a" * 200,), ("y[1]", "a", "b", "c"), ("y" * 200 + "[1]", "x" * 200, "[1]")):
        failed = Failure("absent", "linear, forward  4 of 4  right", way=way)
        told = str(failure(Reply(Status.ABSENT, failure=failed), "output", {}, 10.0))
        assert told.startswith(("output is missing", "there is no "))
    failed = Failure("result", "linear, forward  4 of 4  right")
    told = failure(Reply(Status.MALFORMED, failure=failed), "output", {}, 10.0)
    assert isinstance(told, Failed) and str(told).startswith("its result cannot be sent: ")


def test_a_message_of_any_length_is_cut_and_of_one_line():
    code = returning("1").replace("return 1", "raise ValueError('a\\n' * 10**6)")
    message = part(graded(code, linear), "forward").message
    assert len(message) < 2100 and "\n" not in message and "\u2028" not in message


def test_names_without_end_are_no_list():
    names = "".join(f"n{'x' * 300}{k} = lambda: 0\n" for k in range(600))
    message = part(graded(names, linear), "forward").message
    assert len(message) < 8 * 200 + 100


def test_the_right_solution_is_right():
    assert outcomes(graded(solution("functional"), linear)) == {Outcome.RIGHT}
