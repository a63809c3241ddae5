"""A question that asks for the teacher's own function."""

import pytest

from opcheck import grade
from opcheck.errors import Refused
from opcheck.grading.assignments import assignment as assignments
from opcheck.grading.assignments import check as checks

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
