"""A question that asks for the teacher's own function."""

import pytest

from opcheck import grade
from opcheck.app import run
from opcheck.errors import Refused
from opcheck.grading.assignments import assignment as assignments
from opcheck.grading.assignments import check as checks
from tests.grading.students import FOLDER

REFERENCE = '''
import numpy as np

def gate(x: "N D", w: "D", scale=2.0):
    """A gate."""
    return np.tanh(x * w) * scale
'''
SUBMITTED = """
import numpy as np

def gate(x, w, scale=2.0):
    return np.tanh(x * w) * scale

def gate_backward(dy, x, w, scale=2.0):
    s = (1 - np.tanh(x * w) ** 2) * scale * dy
    return s * w, (s * x).sum(axis=0)
"""


@pytest.fixture
def assignment(tmp_path):
    (tmp_path / "reference.py").write_text(REFERENCE)
    path = tmp_path / "assignment.toml"
    path.write_text('title = "Gates"\n[[question]]\nspec = "reference.py:gate"\n')
    return path


@pytest.mark.parametrize(("change", "points"), [("", 9), (".mean(axis=0)", 5)])
def test_a_question_asks_for_a_function_of_the_teacher(assignment, tmp_path, change, points):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "gate.py").write_text(SUBMITTED.replace(".sum(axis=0)", change) if change else SUBMITTED)
    found = grade(folder / "gate.py", assignment)
    assert found.score == points


def test_its_arrays_may_be_named_as_an_option_of_explain_is(tmp_path):
    """A wrong solution is worked out; with an array named op it was not graded at all."""
    (tmp_path / "reference.py").write_text(REFERENCE.replace("w: ", "op: ").replace("* w", "* op"))
    path = tmp_path / "assignment.toml"
    path.write_text('title = "Gates"\n[[question]]\nspec = "reference.py:gate"\n')
    (tmp_path / "gate.py").write_text("def gate(x, op, scale=2.0):\n    return x * op * scale\n")
    found = grade(tmp_path / "gate.py", path)
    assert found.points == 9 and found.score < 9


def test_a_change_of_the_function_changes_the_digest(assignment):
    before = assignments.read(assignment).digest
    (assignment.parent / "reference.py").write_text(REFERENCE.replace("2.0", "3.0"))
    assert assignments.read(assignment).digest != before


@pytest.mark.parametrize(
    ("spec", "message"),
    [("reference.py:gates", "has no gates"), ("gate", "a spec is FILE.py:NAME"), ("none.py:gate", "there is no file")],
)
def test_a_spec_that_is_not_there_is_told_by_its_field(assignment, spec, message):
    assignment.write_text(f'title = "Gates"\n[[question]]\nspec = "{spec}"\n')
    with pytest.raises(Refused, match=message):
        assignments.read(assignment)


def test_a_solution_follows_from_a_function_of_the_teacher(assignment):
    (right,) = checks.check(assignments.read(assignment))
    assert (right.score, right.points) == (9, 9)


def test_a_spec_of_ones_own_has_ranges(assignment):
    assignment.write_text(assignment.read_text() + "[question.parameters]\nscale = [1.0, 0.5]\n")
    (right,) = checks.check(assignments.read(assignment))
    assert right.score == right.points


def test_a_spec_is_named_on_the_command_line(assignment, tmp_path, capsys):
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "gate.py").write_text(SUBMITTED.replace("(1 - np", "(2 - np"))
    assert run(["grade", str(tmp_path / "hw"), "--op", f"{tmp_path}/reference.py:gate"]) == 1
    out = capsys.readouterr().out
    assert "gate: 5 of 9 points" in out and "gate, gradients  0 of 4  wrong" in out
    for given, message in [("reference.py", f"  {tmp_path}/reference.py:gate"), ("none.py:gate", "there is no file"),
                           ("reference.py:gates", "it has gate")]:  # fmt: skip
        assert run(["grade", str(tmp_path / "hw"), "--op", f"{tmp_path}/{given}"]) == 2
        assert message in capsys.readouterr().err


def test_a_draft_names_a_spec_from_where_it_lies(assignment, tmp_path):
    (tmp_path / "drafts").mkdir()
    draft = tmp_path / "drafts" / "hw.toml"
    assert run(["grade", "--init", f"{tmp_path}/reference.py:gate", "linear", "-o", str(draft)]) == 0
    assert 'title = "gate, linear"' in draft.read_text() and 'spec = "../reference.py:gate"' in draft.read_text()
    assert [question.name for question in assignments.read(draft).questions] == ["gate", "linear"]


COURSE = """
import numpy as np

def layernorm(x: "N D", gamma: "D", beta: "D", eps=1e-5):
    d = x - x.mean(axis=1, keepdims=True)
    return d / np.sqrt((d**2).mean(axis=1, keepdims=True) + eps) * gamma + beta

def rnn_step(x: "N D", prev_h: "N H", Wx: "D H", Wh: "H H", b: "H"):
    return np.tanh(x @ Wx + prev_h @ Wh + b)

def RNNCell(x: "N input_size", h: "N hidden_size", W_ih: "hidden_size input_size", b_ih: "hidden_size",
            W_hh: "hidden_size hidden_size", b_hh: "hidden_size"):
    return np.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)

def SwiGLU(x: "N d_model", w1: "d_ff d_model", w2: "d_model d_ff", w3: "d_ff d_model"):
    a = x @ w1.T
    return (a / (1 + np.exp(-a)) * (x @ w3.T)) @ w2.T

def attention(Q: "N D", K: "M D", V: "M E"):
    s = Q @ K.T / np.sqrt(Q.shape[-1])
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ V
"""
NUMPY = {"layernorm": "cs231n", "rnn_step": "cs231n", "RNNCell": "cmu"}
TORCH = {"SwiGLU": "module", "attention": "functional"}


def course(tmp_path, names, convention):
    (tmp_path / "reference.py").write_text(COURSE)
    questions = "".join(f'[[question]]\nspec = "reference.py:{name}"\n' for name in names)
    allowed = '["numpy", "torch"]' if "SwiGLU" in names else '["numpy"]'
    (tmp_path / "hw.toml").write_text(f'convention = "{convention}"\nallowed = {allowed}\n{questions}')
    return tmp_path / "hw.toml"


@pytest.mark.parametrize("names", [NUMPY, pytest.param(TORCH, marks=pytest.mark.torch)], ids=["numpy", "torch"])
def test_a_spec_is_recognised_in_the_way_a_course_writes_it(tmp_path, names):
    code = FOLDER / "courses" / ("programs.py" if names is NUMPY else "torch_programs.py")
    result = grade(code, course(tmp_path, names, "any")).results[0]
    assert (result.score, result.points) == (9 * len(names), 9 * len(names)), result.checks
    for name, convention in names.items():
        assert any(name in note and f"called as {convention} does" in note for note in result.notes)


def test_gradients_that_add_up_are_right_to_their_last_digit(tmp_path):
    code = FOLDER / "courses" / "programs.py"
    assert grade(code, course(tmp_path, ["RNNCell"], "cmu"), seed=16).score == 9


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("gamma * xh + beta", "gamma * xh"), ("x.T.dot(da)", "x.T.dot(dnext_h)"), ("dz.sum(0)", "dz[0]")],
)
def test_what_is_wrong_of_a_spec_loses_points_in_its_convention(tmp_path, right, wrong):
    code = (FOLDER / "courses" / "programs.py").read_text()
    assert right in code
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "ann.py").write_text(code.replace(right, wrong))
    result = grade(tmp_path / "hw" / "ann.py", course(tmp_path, NUMPY, "any")).results[0]
    assert result.points - 9 < result.score < result.points


def test_a_spec_in_a_convention_that_is_named(tmp_path):
    for name, convention in NUMPY.items():
        assert grade(FOLDER / "courses" / "programs.py", course(tmp_path, [name], convention)).score == 9


CMU = """
import numpy as np
def RNNCell(x: "N input_size", h: "N hidden_size", W_ih: "hidden_size input_size",
            W_hh: "hidden_size hidden_size", b_ih: "hidden_size",
            b_hh: "hidden_size"):
    return np.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)

def _s(z): return 1 / (1 + np.exp(-z))

def GRUCell(x: "D", h: "H", Wrx: "H D", Wzx: "H D", Wnx: "H D", Wrh: "H H", Wzh: "H H", Wnh: "H H",
            brx: "H", bzx: "H", bnx: "H", brh: "H", bzh: "H", bnh: "H"):
    r = _s(Wrx @ x + brx + Wrh @ h + brh)
    z = _s(Wzx @ x + bzx + Wzh @ h + bzh)
    n = np.tanh(Wnx @ x + bnx + r * (Wnh @ h + bnh))
    return (1 - z) * n + z * h

def Attention(X: "N T D", W_k: "D K", W_q: "D K", W_v: "D V"):
    Q, K, V = X @ W_q, X @ W_k, X @ W_v
    A = Q @ np.swapaxes(K, 1, 2)
    T = X.shape[1]
    A = np.where(np.tril(np.ones((T, T))) > 0, A, -np.inf) / np.sqrt(W_k.shape[1])
    A = np.exp(A - A.max(axis=-1, keepdims=True))
    A = A / A.sum(axis=-1, keepdims=True)
    return A @ V
"""


@pytest.mark.parametrize(
    ("right", "wrong", "lost"),
    [
        ("", "", set()),
        ("dz = self.activation.backward(delta, state=h_t)", "dz = delta", {("RNNCell", "vjp")}),
        ("self.Wnx @ x + self.bnx + self.r * self.nh", "self.Wnx @ x + self.bnx + self.nh", {("GRUCell", "forward")}),
        (" / batch_size", " / batch_size / batch_size", {("RNNCell", "vjp")}),
        (
            "self.softmax.backward(dLdA_sig) / np.sqrt(self.D_k)",
            "self.softmax.backward(dLdA_sig)",
            {("Attention", "vjp")},
        ),
    ],
)
def test_recurrent_cells_and_attention_of_11_785(tmp_path, right, wrong, lost):
    code = (FOLDER / "courses" / "cmu_recurrent.py").read_text()
    assert right in code
    (tmp_path / "hw.py").write_text(code.replace(right, wrong) if right else code)
    (tmp_path / "reference.py").write_text(CMU)
    asked = [name for name in ("RNNCell", "GRUCell", "Attention") if not lost or name in dict(lost)]
    questions = "".join(f'[[question]]\nspec = "reference.py:{name}"\n' for name in asked)
    (tmp_path / "hw.toml").write_text(f'convention = "cmu"\nfeedback = "part"\n{questions}')
    result = grade(tmp_path / "hw.py", tmp_path / "hw.toml", seed=1).results[0]
    checks = {(each.question, each.part) for each in result.checks if each.score < each.points}
    assert checks == lost or checks - lost <= {("GRUCell", "vjp")}


SEQUENCE = """
import numpy as np
def RNNScratch(inputs: "T N I", W_xh: "I H", W_hh: "H H", b_h: "H"):
    H, outputs = np.zeros((inputs.shape[1], b_h.shape[0])), []
    for t in range(inputs.shape[0]):
        H = np.tanh(inputs[t] @ W_xh + H @ W_hh + b_h)
        outputs.append(H)
    return np.stack(outputs)
"""
SCRATCH = """
import torch
from torch import nn
class RNNScratch(nn.Module):
    def __init__(self, num_inputs, num_hiddens, sigma=0.01):
        super().__init__()
        self.W_xh = nn.Parameter(torch.randn(num_inputs, num_hiddens) * sigma)
        self.W_hh = nn.Parameter(torch.randn(num_hiddens, num_hiddens) * sigma)
        self.b_h = nn.Parameter(torch.zeros(num_hiddens))
    def forward(self, inputs):
        H, outputs = torch.zeros(inputs.shape[1], len(self.b_h), dtype=inputs.dtype), []
        for X in inputs:
            H = torch.tanh(X @ self.W_xh + H @ self.W_hh + self.b_h)
            outputs.append(H)
        return torch.stack(outputs)
"""


@pytest.mark.torch
def test_a_constructor_gets_the_sizes_of_its_own_arrays_whatever_it_calls_them(tmp_path):
    (tmp_path / "reference.py").write_text(SEQUENCE)
    (tmp_path / "hw.toml").write_text('convention = "module"\n[[question]]\nspec = "reference.py:RNNScratch"\n')
    (tmp_path / "ann.py").write_text(SCRATCH)
    assert grade(tmp_path / "ann.py", tmp_path / "hw.toml", seed=1).score == 9
