"""Each format has the structure that its platform asks for."""

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.grading import formats
from opcheck.grading.formats import clean
from opcheck.grading.formats import json as json_format
from opcheck.grading.results import Check, Outcome, Result
from opcheck.steps import Prose, Step
from tests.grading import examples
from tests.grading.formats.support import one, rendered


def test_json_comes_back():
    results = [examples.result(), examples.every_outcome()]
    loaded = json_format.load(rendered("json", *results)[""])
    assert [(each.student, each.score, each.checks[2].detail) for each in loaded] == [
        (each.student, each.score, each.checks[2].detail) for each in results
    ]


def test_json_has_no_times_so_that_a_seed_gives_the_same_bytes():
    timed = examples.result()
    assert "seconds" not in one("json", timed)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "opcheck.other/1"}', '{"schema": "opcheck.grades/1"}'])
def test_json_of_another_kind_is_refused(text):
    with pytest.raises(Refused, match=r"this is not a results file \(schema opcheck.grades/1\)"):
        json_format.load(text)


def test_gradescope_has_the_fields_of_its_specification():
    document = json.loads(one("gradescope", examples.result()))
    allowed = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
               "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"}  # fmt: skip
    assert document.keys() <= allowed
    assert document["score"] == 4.5 == sum(test["score"] for test in document["tests"])
    allowed = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags",
               "visibility", "extra_data"}  # fmt: skip
    for test in document["tests"]:
        assert test.keys() <= allowed
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert [test["status"] for test in document["tests"]] == ["passed", "passed", "failed", "failed"]
    assert "the kernel is flipped" in document["tests"][2]["output"]


def test_junit_has_the_structure_and_the_counts_of_junit_10():
    root = ElementTree.fromstring(rendered("junit", examples.result(), examples.every_outcome())[""])
    assert root.tag == "testsuites"
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for suite in root:
        assert suite.tag == "testsuite"
        cases = suite.findall("testcase")
        kinds = [child.tag for case in cases for child in case]
        assert {child.tag for child in suite} <= {"testcase", "system-out"}
        assert set(kinds) <= {"failure", "error", "skipped"}
        assert all({"name", "classname", "time"} == set(case.keys()) for case in cases)
        counts = {"tests": len(cases), "failures": kinds.count("failure"), "errors": kinds.count("error"),
                  "skipped": kinds.count("skipped")}  # fmt: skip
        assert {name: int(suite.get(name)) for name in counts} == counts
        totals = {name: totals[name] + counts[name] for name in totals}
    assert {name: int(root.get(name)) for name in totals} == totals
    assert totals == {"tests": 15, "failures": 4, "errors": 4}


@given(examples.results())
def test_junit_is_xml_whatever_is_in_it(result):
    root = ElementTree.fromstring(one("junit", result))
    assert root.find("testsuite").get("name") == clean.line(result.student)


def test_csv_has_nbgraders_columns_and_a_line_for_each_person():
    group = examples.result("Ada King Lovelace (s1) + Bob (bob@example.org)")
    table = list(csv.DictReader(io.StringIO(rendered("csv", group, examples.result("eve"))[""])))
    assert ",".join([*table[0]][:11]) == (
        "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score,max_score"
    )
    assert [(row["student_id"], row["first_name"], row["last_name"], row["email"]) for row in table] == [
        ("s1", "Ada King", "Lovelace", ""),
        ("bob@example.org", "", "Bob", "bob@example.org"),
        ("eve", "", "", ""),
    ]
    assert {(row["score"], row["raw_score"], row["max_score"]) for row in table} == {("4.5", "4.5", "10")}


@given(st.text(st.sampled_from("=+-@\t\r\n＝ ax(,\"'"), max_size=8))
def test_no_name_is_a_formula(name):
    text = rendered("csv", examples.result(name), examples.result(f"{name} ({name}1)"))[""]
    for row in csv.reader(io.StringIO(text)):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))]


def test_check50_has_its_structure():
    document = json.loads(one("check50", examples.result()))
    assert document.keys() == {"slug", "version", "results"}
    for each in document["results"]:
        assert each.keys() == {"name", "description", "passed", "log", "cause", "data", "dependency"}
        assert re.fullmatch(r"\w+", each["name"])
        assert (each["cause"] is None) == (each["passed"] is True)
    assert [each["passed"] for each in document["results"]] == [True, False, None]
    assert document["results"][1]["cause"]["rationale"] == "y[0,0] is wrong: the kernel is flipped"


def test_prairielearn_scores_are_shares_and_its_points_add_up():
    document = json.loads(one("prairielearn", examples.result()))
    assert (document["gradable"], document["score"]) == (True, 0.45)
    assert sum(test["points"] for test in document["tests"]) == 4.5
    assert sum(test["max_points"] for test in document["tests"]) == 10
    fields = {"name", "description", "points", "max_points", "message", "output"}
    assert all(test.keys() == fields for test in document["tests"])


def test_prairielearn_what_does_not_load_costs_no_attempt():
    check = Check("linear", "forward", Outcome.DOES_NOT_LOAD, 1, 0, "line 3: invalid syntax")
    document = json.loads(one("prairielearn", Result("ada", "", (check,), 1)))
    assert (document["gradable"], document["score"], document["message"]) == (False, 0, "line 3: invalid syntax")


@pytest.mark.parametrize("name", ["prairielearn", "gradescope"])
def test_a_flood_of_output_stays_within_a_megabyte(name):
    flood = Step("", (Prose("\U0001f30a" * 100_000),))
    checks = tuple(Check("q", str(n), Outcome.WRONG, 1, 0, "m", flood) for n in range(40))
    text = one(name, Result("eve", "", checks, 1))
    assert 10_000 < len(text.encode()) <= 1_000_000
    assert len(json.loads(text)["tests"]) == 40


def test_autolabs_last_line_is_the_scores():
    lines = one("autolab", examples.result()).splitlines()
    assert json.loads(lines[-1]) == {"scores": {"linear": 4.5, "conv2d": 0.0}, "scoreboard": [4.5]}
    assert any("the kernel is flipped" in line for line in lines[:-1])


@given(examples.results())
def test_autolabs_last_line_is_ours_whatever_the_student_prints(result):
    last = one("autolab", result).splitlines()[-1]
    assert json.loads(last)["scoreboard"] == [result.score]


def test_text_of_one_submission():
    text = one("text", examples.result())
    assert text.startswith("ada: 4.5 of 10 points\n")
    assert "linear, gradients  2.5 of 2.5  right (hidden)" in text
    assert "conv2d, forward: wrong\n\ny[0,0] is wrong: the kernel is flipped\n" in text
    assert text.endswith("Note: it printed 3 lines\nNote: --seed 7 draws the same inputs again")
    assert max(map(len, text.splitlines())) <= 80


def test_checks_of_which_a_sentence_tells_all_are_told_together():
    absent, unread = Outcome.NOT_ATTEMPTED, Outcome.DOES_NOT_LOAD
    checks = [Check(name, each, absent, 1, 0, "output is None") for name in ("a", "b") for each in ("forward", "vjp")]
    text = one("text", Result("ada", "ada.py", tuple(checks), 1))
    assert (
        "a, forward, gradients: not attempted  output is None\nb, forward, gradients: not attempted  output is None\n"
        in text
    )
    checks = [replace(check, outcome=unread, message="it is not valid Python") for check in checks]
    text = one("text", Result("ada", "ada.py", tuple(checks), 1))
    assert "4 checks: does not load  it is not valid Python" in text and text.count("it is not valid Python") == 1


def test_gradescope_tells_no_score_of_what_it_hides():
    result = examples.result()  # its second check is hidden, and has 2.5 of 2.5 points
    document = json.loads(one("gradescope", result))
    assert (document["score"], document["output"]) == (4.5, "2 of 7.5 points, not counting hidden checks")
    whole = replace(result, checks=tuple(replace(check, hidden=False) for check in result.checks))
    assert json.loads(one("gradescope", whole))["output"] == "4.5 of 10 points"


def test_text_of_a_class():
    text = rendered("text", examples.result(), examples.result("bob", wrong=0))[""]
    assert "2 students, mean 7.25, median 7.25 of 10 points" in text
    assert re.search(r"^full marks +1 +█+$", text, re.MULTILINE)
    assert re.search(r"^1 +conv2d +kernel flipped$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


def test_gradescope_shows_each_question_when_the_assignment_says():
    asked = examples.Titled(
        questions=(examples.Asked("linear", None), examples.Asked("conv2d", None, visibility="after_due_date"))
    )
    document = json.loads(formats.render("gradescope", [examples.result()], asked))
    assert [test["visibility"] for test in document["tests"]] == [
        "visible",
        "hidden",
        "after_due_date",
        "after_due_date",
    ]
    assert document["output"] == "2 of 2 points, not counting hidden checks"
