"""What is said about notebooks, which are read inside the sandbox and nowhere else."""

import json
from pathlib import Path

import pytest

from opcheck.grading.judging.judge import grade_source
from opcheck.grading.results import Outcome, Result
from opcheck.grading.submissions.submission import Submission
from opcheck.sandbox import Source
from tests.grading.students import assignment, solution

LIMITS = {"seconds = 10": "seconds = 3", "total_seconds = 60": "total_seconds = 6"}


def graded(text: str, **changes: str) -> Result:
    asked = assignment(
        "relu", "linear", changes={'operator = "linear"': 'operator = "linear"\ndepends_on = ["relu"]', **changes}
    )
    return grade_source(Submission("Ann", Path("hw.ipynb"), Source(text, "hw.py", notebook=True)), asked, 1)


def notebook(*cells: str, **more: object) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], **more})


def test_what_is_left_out_is_said():
    cells = [solution("functional"), "%%bash\nls", "x = (", "%a\n0\n" * 300, "!ls\n%ls"]
    result = graded(notebook(*cells))
    assert result.score == result.points
    assert result.notes == (
        "203 lines of notebook commands (% or !) were left out",
        "code cell 2 was left out: its first line is %%bash",
        "code cell 3 was left out: '(' was never closed (line 1 of the cell)",
        "code cell 4 was left out: it has too many notebook commands (% or !)",
    )
    assert graded(notebook("%ls")).notes == ("1 line of notebook commands (% or !) was left out",)


def test_the_notes_stay_where_the_notebook_does_not_come_to_an_end():
    result = graded(notebook("%pylab", solution("functional"), "while True: pass"), **LIMITS)
    assert result.score == result.points
    assert result.notes[0] == "1 line of notebook commands (% or !) was left out"
    assert result.notes[-1] == "only its definitions were used"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{",
            "the notebook is not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 "
            "(char 1))",
        ),
        ("[1]", "the file is not a notebook: it has no list of cells"),
        (
            notebook(metadata={"kernelspec": {"language": "R\n4 of 4"}}),
            "the notebook's language is R 4 of 4, not Python",
        ),
    ],
)
def test_what_is_no_notebook_does_not_load(text, said):
    result = graded(text)
    assert {(check.outcome, check.message) for check in result.checks} == {(Outcome.DOES_NOT_LOAD, said)}
    assert len(result.checks) == 6 and result.notes == ()


def test_a_notebook_larger_than_a_message_is_read():
    assert graded(notebook(solution("functional"), "#" + "x" * (1 << 21))).score > 0


def test_a_line_is_that_of_its_cell():
    result = graded(notebook("import numpy as np", "%ls\n\ndef relu(x):\n    y = x\n    return y.nothing", "1 / 0"))
    assert "(line 5 of code cell 2)" in result.checks[0].message
    assert "division by zero (line 1 of code cell 3)" in result.checks[0].message
