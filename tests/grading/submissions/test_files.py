"""A submission is all of its files: operators are looked for in every one, and they import each other as at home."""

import json
from pathlib import Path

import pytest

from opcheck.app import run
from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.classes.classroom import grade_class
from opcheck.grading.submissions import roster
from opcheck.sandbox import File, Isolation, Limits, Worker

LINEAR = """
import numpy as np

class Linear:
    def __init__(self, in_features, out_features, debug=False):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))

    def forward(self, A):
        self.A = A
        return A @ self.W.T + self.b.T

    def backward(self, dLdZ):
        self.dLdW, self.dLdb = dLdZ.T @ self.A, dLdZ.sum(axis=0)[:, None]
        return dLdZ @ self.W
"""
RELU = """
import numpy as np

class ReLU:
    def forward(self, Z):
        self.A = np.maximum(Z, 0)
        return self.A

    def backward(self, dLdA):
        return dLdA * (self.A > 0)
"""
ASKED = 'convention = "cmu"\n[[question]]\noperator = "linear"\n[[question]]\noperator = "relu"\n'
UTILS = "def twice(x): return 2 * x\nclass Marker: pass\n"


def place(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def graded(folder: Path, asked: str = ASKED, **options):
    with grade_class([folder], parse(asked), student="Ann", seed=1, progress=False, **options) as found:
        (result,) = found.results
        return result


@pytest.mark.parametrize(
    "files",
    [
        {"Linear.py": LINEAR, "ReLU.py": RELU},
        {"hw1/mytorch/nn/linear.py": LINEAR, "hw1/mytorch/nn/activation.py": RELU, "hw1/mytorch/nn/__init__.py": "",
         "hw1/mytorch/__init__.py": "from .nn.linear import Linear\n", "hw1/mlp.py": "from mytorch import Linear\n"},
        {"Linear.py": LINEAR, "nb.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": RELU}]})},
        {"base.py": "class Layer:\n    pass\n", "Linear.py": LINEAR.replace("Linear:", "Linear(Layer):").replace(
            "import numpy", "from .base import Layer\nimport numpy"), "ReLU.py": RELU},
        {"a/__init__.py": "raise RuntimeError('no compiled backend here')\n", "a/linear.py": LINEAR, "a/relu.py": RELU},
    ],
    ids=["a file each", "a package", "a notebook beside", "relative", "a package that does not load"],
)  # fmt: skip
def test_an_operator_is_looked_for_in_every_file(tmp_path, files):
    result = graded(place(tmp_path, files))
    assert result.score == result.points == 18, result.checks


def test_a_file_that_fails_does_not_cost_what_is_in_the_others(tmp_path):
    result = graded(place(tmp_path, {"Linear.py": LINEAR, "ReLU.py": "import no_such_library\n" + RELU}))
    assert result.score == 18
    assert any("No module named 'no_such_library' (line 1 of ReLU.py)" in note for note in result.notes)
    result = graded(place(tmp_path, {"ReLU.py": "def broken(:\n" + RELU}))
    assert (result.score, result.points) == (9, 18)
    assert any("ReLU.py" in check.message for check in result.checks)


def test_tests_and_scripts_without_an_answer_do_not_run(tmp_path):
    loud = "raise SystemExit('it ran')\n"
    files = {"Linear.py": LINEAR, "ReLU.py": RELU, "test_linear.py": loud + LINEAR, "train.py": loud}
    assert not [note for note in graded(place(tmp_path, files)).notes if "it ran" in note]


@pytest.mark.parametrize(("file", "score"), [("mine/linear.py", 18), ("old/linear.py", 10), ("none.py", 9)])
def test_an_assignment_pins_a_file(tmp_path, file, score):
    wrong = LINEAR.replace("+ self.b.T", "- self.b.T")
    place(tmp_path, {"mine/linear.py": LINEAR, "old/linear.py": wrong, "relu.py": RELU})
    asked = ASKED.replace('"linear"', f'"linear"\nfile = "{file}"')
    result = graded(tmp_path, asked)
    assert (result.score >= score) if score == 10 else (result.score == score)
    if file == "none.py":
        assert result.checks[0].message.startswith("there is no file none.py; these were looked at: ")
    if file == "old/linear.py":
        assert result.checks[0].score == 0


def test_one_file_is_graded_within_its_folder(tmp_path, capsys):
    linear = LINEAR.replace("import numpy as np", "from .base import np")
    asked = ASKED.partition('[[question]]\noperator = "relu"')[0]
    place(tmp_path, {"hw/linear.py": linear, "hw/base.py": "import numpy as np\n", "hw.toml": asked})
    command = ["grade", str(tmp_path / "hw/linear.py"), "--assignment", str(tmp_path / "hw.toml")]
    assert run(command) == 1
    assert "it imports files beside it: --within" in " ".join(capsys.readouterr().out.split())
    assert run([*command, "--within", str(tmp_path / "hw")]) == 0
    assert run([*command, "--within", str(tmp_path / "none")]) == 2
    with (
        pytest.raises(Refused, match=r"name one \.py or \.ipynb file that is in"),
        roster.opened([tmp_path], within=tmp_path),
    ):
        pass  # fmt: skip


def test_a_module_that_is_imported_is_the_one_that_is_graded(tmp_path):
    place(tmp_path, {"a.py": "import b\nfrom .b import Marker as Relative\ndef same(): return [b.Marker is Relative]\n",
                     "b.py": UTILS})  # fmt: skip
    code = File(tmp_path / "b.py", tmp_path, (tmp_path / "a.py",))
    with Worker(code, Isolation.TRUSTED, Limits(memory=None)) as worker:
        found = worker.load()
        assert {each.module for each in found.definitions} == {"module", "module1"}
        from opcheck.sandbox import Call

        assert worker.run([Call("module1.same", keep="y")], {"y": "y"}).values["y"] == [True]


def test_files_of_a_submission_must_be_inside_its_folder(tmp_path):
    place(tmp_path, {"in/a.py": UTILS, "b.py": UTILS})
    with pytest.raises(ValueError, match="is not inside"):
        Worker(File(tmp_path / "in/a.py", tmp_path / "in", (tmp_path / "b.py",)), Isolation.BUBBLEWRAP)
