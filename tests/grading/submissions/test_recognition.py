"""`opcheck grade FILE` finds out what the file defines and how it is called, in the styles of many courses."""

from dataclasses import replace
from pathlib import Path

import pytest

from opcheck.app import run
from opcheck.grading import conventions
from opcheck.grading.assignments import scaffold
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.check import check
from opcheck.grading.classes.classroom import grade_class
from tests.grading.students import FOLDER

COURSES = {
    "nnfs.py": ("layer", 45),
    "classes.py": ("layer", 108),
    "dlfs.py": ("layer", 27),
    "columns.py": ("layer_columns, layer", 27),
    "dlfs_optimizer.py": ("layer", 25),
    "optimizers.py": ("layer", 20),
    "accum.py": ("layer, layer_out_in, cmu", 27),
    "np_funcs.py": ("functional", 20),
    "d2l_numpy.py": ("d2l, functional", 50),
    "lstm_dlfs.py": ("layer, functional", 14),
    "nielsen.py": ("functional", 32),
    "lstm_tuple.py": ("layer", 9),
    "lstm_gates.py": ("layer, functional", 14),
    "lstm_beside.py": ("layer", 9),
    "cmu_2022_convolution.py": ("cmu", 27),
    "minitorch.py": ("minitorch", 14),
    "needle_hw": ("needle", 27),
    "../cs231n.py": ("cs231n", 65),
    "cs231n_later.py": ("cs231n, functional", 59),
    "../coursera.py": ("coursera", 45),
    "cmu_later.py": ("cmu, layer", 36),
    "coursera_later.py": ("coursera, functional", 34),
    "../cmu2022.py": ("cmu2022", 36),
    "../cmu.py": ("cmu", 78),
    "../layer.py": ("layer", 27),
    "../functional.py": ("functional", 54),
}
TORCH = {
    "eecs498.py": ("eecs498", 27),
    "torch_optimizers.py": ("module", 15),
    "own_torch.py": ("module, functional", 36),
    "cs336.py": ("cs336, module", 59),
    "d2l.py": ("d2l, functional", 95),
    "lstm_torch.py": ("module", 9),
    "lstm_linear.py": ("module", 9),
    "../module.py": ("module", 18),
}


def graded(path: Path, op: str = ""):
    asked = scaffold.single(op) if op else scaffold.everything()
    with grade_class([path], asked, student="Ann", seed=1, progress=False) as found:
        (result,) = found.results
        return result


@pytest.mark.share(15)
@pytest.mark.parametrize(
    "name", [*COURSES, *(pytest.param(name, marks=pytest.mark.torch) for name in TORCH)]
)  # fmt: skip
def test_a_course_is_recognised_without_configuration(name):
    styles, points = (COURSES | TORCH)[name]
    result = graded(FOLDER / "courses" / name)
    assert [check for check in result.checks if check.score < check.points] == []
    assert result.points == points
    told = [note for note in result.notes if "called as" in note]
    assert {note.rpartition("called as ")[2] for note in told} == {f"{each} does" for each in styles.split(", ")}


@pytest.mark.parametrize(
    "name", ["nnfs.py", "columns.py", "cmu_2022_convolution.py", "minitorch.py", "np_funcs.py", "nielsen.py"]
)
def test_what_is_wrong_in_a_recognised_file_loses_points(name, tmp_path):
    code = (FOLDER / "courses" / name).read_text()
    for old, new in [("np.maximum(0", "np.minimum(0"), ("np.tanh(x)\n", "np.tanh(2 * x)\n"),
                     (", self.W, axes=([1, 2, 3], [1, 2, 3])", ", -self.W, axes=([1, 2, 3], [1, 2, 3])"),
                     ("1 - a**2", "1 - a"), ("2 * (y_pred - y_true)", "y_pred - y_true"),
                     ("x if x > 0 else 0.0", "x if x > 0 else 0.01 * x")]:  # fmt: skip
        code = code.replace(old, new)
    (tmp_path / "hw.py").write_text(code)
    result = graded(tmp_path / "hw.py")
    assert 0 < result.score < result.points


WRONG = {
    "K).sum()": "K).mean()",
    ".max()": ".min()",
    "+ b\n": "- b\n",
    "** 2 / 2": "** 2",
    "sum(1, keepdims": "sum(0, keepdims",
    "-np.log(y_hat[": "np.log(y_hat[",
    "np.maximum(X, 0)": "np.minimum(X, 0)",
    "/ (1.0 - dropout)": "/ dropout",
    "gamma * X_hat + beta": "beta * X_hat + gamma",
}


def test_what_is_wrong_in_the_books_functions_loses_points(tmp_path):
    code = (FOLDER / "courses" / "d2l_numpy.py").read_text()
    for old, new in WRONG.items():
        assert old in code, old
        code = code.replace(old, new)
    (tmp_path / "hw.py").write_text(code)
    asked = replace(scaffold.everything(), feedback="part")  # no smallest cases are looked for
    with grade_class([tmp_path / "hw.py"], asked, seed=1, progress=False) as found:
        (result,) = found.results
    forward = [check for check in result.checks if check.part == "forward"]
    assert [check.question for check in forward if check.score == check.points] == ["avg_pool2d"]
    assert len(forward) == 10


def test_an_operator_without_a_backward_pass_is_graded_forward(tmp_path, capsys):
    path = tmp_path / "hw.py"
    path.write_text("def linear(x, w, b):\n    return x @ w.T + b\n")
    assert run(["grade", str(path), "--op", "linear"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "5 of 5 points" in out
    assert "to have gradients graded, write linear_backward(dy, input, weight, bias)" in out
    path.write_text("class Linear:\n    def __init__(self, W, b): self.W, self.b = W, b\n"
                    "    def forward(self, x): return x @ self.W + self.b\n")  # fmt: skip
    assert run(["grade", str(path), "--op", "linear"]) == 0
    assert "write Linear.backward" in " ".join(capsys.readouterr().out.split())


def test_a_file_without_anything_known_says_what_it_has(tmp_path, capsys):
    path = tmp_path / "hw.py"
    path.write_text("def my_layer(x):\n    return x\n")
    assert run(["grade", str(path)]) == 2
    assert "nothing in it has the name of a known operator; it defines my_layer" in capsys.readouterr().out


def test_an_operator_that_was_asked_for_and_is_not_there_is_not_attempted(tmp_path):
    (tmp_path / "hw.py").write_text("def relu(x):\n    return x\n")
    (check, *_) = graded(tmp_path / "hw.py", "conv2d").checks
    assert check.outcome.value == "not attempted"
    assert "there is no conv2d" in check.message


@pytest.mark.nightly
@pytest.mark.torch
@pytest.mark.parametrize("name", conventions.COURSES)
def test_the_right_solutions_of_a_course_get_full_marks(name, nightly):
    """Of all conventions: in test_mistakes."""
    for op in conventions.get(name).entries if nightly else [*conventions.get(name).entries][:1]:
        asked = parse(f'convention = "{name}"\n[[question]]\noperator = "{op}"\n')
        found = next(check(asked, seed=1, only=()))
        assert not found.caught, [(each.part, each.message) for each in found.checks]


@pytest.mark.parametrize("name", (*conventions.NAMES, *conventions.COURSES))
def test_names_are_looked_for_once(name):
    found = conventions.get(name)
    assert found.name == name
    for op in found.entries:
        assert set(found.entry(op).forward) <= set(conventions.get(conventions.ANY).entry(op).forward)


def test_what_one_student_takes_is_not_asked_of_the_next(tmp_path):
    """One ignores a dilation that nobody asked; the next has no such parameter, and all of their points."""
    first = tmp_path / "hw.py"
    code = (FOLDER / "functional.py").read_text()
    plain = "weight, bias=None, stride=1, padding=0):"
    assert f"def conv2d(x, {plain}" in code and f"def conv2d_backward(dy, x, {plain}" in code
    first.write_text(code.replace(plain, plain.replace("padding=0", 'padding=0, dilation=1, padding_mode="zeros"')))
    careless, plain = graded(first), graded(FOLDER / "functional.py")
    assert careless.score < careless.points and plain.score == plain.points


NAMED_LOOSELY = """
import numpy as np
def my_relu(z): return np.maximum(0, z)
def my_relu_backward(dy, z): return dy * (z > 0)
def linear_numpy(x, w, b): return x @ w.T + b
def softmax_loss_naive(W, X, y, reg): return 0.0, W
def softmax_loss_vectorized(W, X, y, reg): return 0.0, W
"""


def test_words_that_say_nothing_are_no_part_of_a_name(tmp_path):
    (tmp_path / "hw.py").write_text(NAMED_LOOSELY)
    result = graded(tmp_path / "hw.py")
    assert (result.score, result.points) == (14, 14)
    assert "linear (linear_numpy), relu (my_relu): called as functional does" in result.notes
    left = [note for note in result.notes if "not graded" in note]
    assert left == ["softmax_loss_naive was not graded: no known way to call cross_entropy fits it; lesson 17 shows "
                    "how to describe yours"]  # fmt: skip


def test_what_another_convention_would_know_is_said(tmp_path):
    (tmp_path / "hw.py").write_text(
        "def relu(X): return X * (X > 0)\ndef dropout_forward(x, param): return x, None\ndef helper(): pass\n"
    )
    with grade_class([tmp_path / "hw.py"], scaffold.everything("d2l"), seed=1, progress=False) as found:
        (result,) = found.results
    assert result.notes[-2:] == (
        "dropout_forward was not graded: the convention d2l has no dropout of this kind; --convention any looks in all "
        "of them",
        "not graded, because no operator has these names: helper",
    )


LEFT = """
import numpy as np
def relu(x): return np.maximum(x, 0)
def my_helper(x): return x
def layer_norm(a, b, c, d, e, f, g): return a
class Linear:
    def run(self, x): return x
"""


def test_what_was_not_looked_at_is_said(tmp_path):
    (tmp_path / "hw.py").write_text(LEFT)
    notes = graded(tmp_path / "hw.py").notes
    assert "not graded, because no operator has these names: my_helper" in notes
    assert [note.partition(":")[0] for note in notes if "was not graded" in note] == [
        "layer_norm was not graded", "Linear was not graded"]  # fmt: skip


@pytest.mark.parametrize("name", ["lstm_gates.py", "lstm_tuple.py"])
def test_a_convention_that_is_named_finds_the_layout_as_well(name):
    """The first layout was taken: a right cell that has a matrix for each gate got nothing."""
    asked = scaffold.single("lstm_cell", "layer")
    with grade_class([FOLDER / "courses" / name], asked, student="Ann", seed=1, progress=False) as found:
        (result,) = found.results
    assert result.score == result.points == 9, result.checks
