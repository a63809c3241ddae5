"""What is handed out: a self-test that right solutions pass and nothing of an answer is in, stubs, a sheet."""

import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest

from opcheck.errors import Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.handouts import write as handouts
from opcheck.grading.handouts.example import literal
from opcheck.grading.judging import judge
from opcheck.grading.results import Outcome
from opcheck.grading.submissions.submission import Submission
from opcheck.sandbox import Source
from tests.grading.test_specs import REFERENCE as SPEC

ASKED = "linear", "relu", "conv2d", "max_pool2d"


def handed(convention: str, *ops: str):
    known = conventions.get(convention)
    return parse(scaffold(ops or [*known.entries], convention))


def run(folder, text: str, submission: str) -> tuple[int, list[str]]:
    """The self-test in this process: its exit code and its lines."""
    (folder / "submission.py").write_text(submission)
    space = {"__name__": "selftest", "__file__": str(folder / "selftest.py")}
    printed = io.StringIO()
    before = [*sys.path]
    try:
        exec(compile(text, "selftest.py", "exec"), space)
        with contextlib.redirect_stdout(printed):
            code = space["main"]()
    finally:
        sys.path[:] = before
    return code, printed.getvalue().splitlines()


@pytest.mark.parametrize("name", [*conventions.NAMES, *conventions.COURSES])
def test_a_right_solution_passes_and_the_empty_starter_does_not(name, tmp_path):
    if conventions.get(name).arrays == "torch" or name == "needle":
        pytest.importorskip("torch")
    texts = handouts.texts(handed(name))
    assert "opcheck" not in texts["selftest.py"] + texts["submission.py"]
    right = f"from opcheck.grading.solutions import {name} as found\nglobals().update(vars(found))\n"
    code, lines = run(tmp_path, texts["selftest.py"], right)
    assert (code, [line for line in lines if not line.endswith(": ok")]) == (0, [])
    code, lines = run(tmp_path, texts["selftest.py"], texts["submission.py"])
    assert code == 1
    if "torch" in sys.modules:  # what raised has not left gradients off
        assert sys.modules["torch"].is_grad_enabled()
    if name != "needle":  # whose Tensor is the course's
        assert {line.rpartition(": ")[2] for line in lines} == {"not written yet"}


def test_a_wrong_one_is_told_what_came_and_what_should(tmp_path):
    text = handouts.texts(handed("functional", "relu"))["selftest.py"]
    code, lines = run(
        tmp_path, text, "def relu(input):\n    return abs(input)\ndef relu_backward(dy, input):\n    return dy"
    )
    assert code == 1 and "output is" in lines[0] and "and should be" in "\n".join(lines)
    code, lines = run(tmp_path, text, "def relu(input):\n    return input[0]\n")
    assert "output has shape (4,); it should be (1, 4)" in lines[0]


@pytest.mark.parametrize("name", ["cs231n", "cmu"])
def test_the_starter_file_is_graded_as_not_attempted(name):
    asked = handed(name, *ASKED)
    starter = handouts.texts(asked)["submission.py"]
    result = judge.grade_source(Submission("ann", "submission.py", Source(starter)), asked, seed=1)
    assert {check.outcome for check in result.checks} == {Outcome.NOT_ATTEMPTED}


def test_the_sheet_says_names_shapes_calls_and_points():
    sheet = handouts.texts(handed("cs231n", *ASKED))["SIGNATURES.md"]
    assert "conv_forward_naive(x, w, b, conv_param)\nconv_backward_naive(dout, cache)" in sheet
    assert "| w | weight | (In, Out) | one row for each output feature |" in sheet
    assert (
        "out = conv_forward_naive(x, w, b, {'stride': 2, 'pad': 1})\ngradients = conv_backward_naive(dy, out[1])"
        in sheet
    )
    assert "Points: forward 4, gradients 4, shapes 1." in sheet and "standard library and numpy" in sheet


def test_nothing_of_a_hidden_question_or_of_a_spec_is_shown(tmp_path):
    (tmp_path / "reference.py").write_text(SPEC)
    name = SPEC.partition("def ")[2].partition("(")[0]
    asked = parse(f'[[question]]\nspec = "reference.py:{name}"\n[[question]]\noperator = "relu"\nhidden = true',
                  folder=tmp_path)  # fmt: skip
    texts = handouts.texts(asked)
    assert f"def {name}(" in texts["submission.py"] and "def relu(" in texts["submission.py"]
    assert "relu" not in texts["selftest.py"] and f"test_{name}_1" in texts["selftest.py"]
    body = [line.strip() for line in SPEC.splitlines() if line.strip().startswith("return")]
    assert body and not any(line in text for line in body for text in texts.values())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("values", [[[1, 2, 3], [4, 5, 6]], [[-3, -2, -1], [0, 1, 2]], [7], 5, [[]], [0.1, -0.0, 1e30],
                                    [float("inf"), float("-inf"), float("nan")], [2.0**60, 1]])  # fmt: skip
def test_an_array_is_written_bit_for_bit(values, dtype):
    if dtype == "int64" and not all(map(float.is_integer, np.ravel(values).astype(float))):
        return
    array = np.array(values, dtype)
    again = eval(literal(array), {"numpy": np})
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_nothing_is_overwritten(tmp_path):
    asked = handed("functional", "relu")
    assert [path.name for path in handouts.write(asked, tmp_path)] == ["submission.py", "SIGNATURES.md", "selftest.py"]
    with pytest.raises(Refused, match=r"submission.py already exists. name a new folder"):
        handouts.write(asked, tmp_path)


def test_the_self_test_is_a_program(tmp_path):
    handouts.write(handed("functional", "relu"), tmp_path)
    done = subprocess.run([sys.executable, "selftest.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "") and done.stdout.startswith("relu, input 1x4: not written yet\n")
