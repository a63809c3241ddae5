"""Real submissions, graded, in every format: each is what its platform documents."""

from pathlib import Path

import pytest

from opcheck.grading import formats
from opcheck.grading.classes.classroom import grade_class
from opcheck.grading.formats import json as json_format
from tests.grading.formats import documented
from tests.grading.judging.test_judge import LINEAR, RELU
from tests.grading.students import assignment

ASKED = assignment("linear", "relu", changes={"seconds = 10": "seconds = 1"})
SUBMISSIONS = {
    "ann": LINEAR + RELU,
    "bob": LINEAR.replace("y + bias", "y") + RELU.replace("x > 0", "x < 0"),
    "cem": LINEAR.replace("    y = x", "    raise ValueError(repr(x))\n    y = x", 1) + RELU,
    "dan": "def linear(x, weight, bias=None): pass\n",
    "eve": "def linear(:",
    "fay": LINEAR + "def relu(x):\n    while True: pass\n",
}
READERS = {
    "gradescope": documented.gradescope,
    "check50": documented.check50,
    "prairielearn": documented.prairielearn,
    "autolab": documented.autolab,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("class")
    for name, code in SUBMISSIONS.items():
        (folder / f"{name}.py").write_text(code)
    with grade_class([folder], ASKED, seed=1) as graded:
        assert not graded.failed
        return list(graded.results)


@pytest.mark.parametrize("name", READERS)
def test_a_file_for_each_student(name, results):
    for result in results:
        READERS[name](formats.render(name, [result], ASKED))
    scores = {result.student: result.score for result in results}
    assert scores == {"ann": 18, "bob": 10, "cem": 9, "dan": 0, "eve": 0, "fay": 9}


def test_one_file_for_the_class(results):
    suites = documented.junit(formats.render("junit", results, ASKED))
    assert [suite.get("name") for suite in suites] == list(SUBMISSIONS)
    rows = documented.nbgrader(formats.render("csv", results, ASKED))
    assert [(row["student_id"], row["score"]) for row in rows][:2] == [("ann", "18"), ("bob", "10")]
    loaded = json_format.load(formats.render("json", results, ASKED))
    assert [(each.student, each.score) for each in loaded] == [(each.student, each.score) for each in results]
