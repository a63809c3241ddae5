"""What platforms document of the files that they read, as checks of types and words; each raises where it is not so."""

import csv
import io
import json
from xml.etree import ElementTree

from opcheck.grading.formats.csv import COLUMNS

NUMBER = (int, float)
TEXT_FORMATS = {"text", "html", "simple_format", "md", "ansi"}
VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}


def fields(document: dict, types: dict, required: tuple[str, ...] = ()) -> None:
    assert document.keys() <= types.keys(), document.keys() - types.keys()
    assert set(required) <= document.keys()
    for name, value in document.items():
        assert isinstance(value, types[name]) and not (isinstance(value, bool) and types[name] is NUMBER), (name, value)


def gradescope(text: str) -> dict:
    """gradescope-autograders.readthedocs.io/en/latest/specs."""
    document = json.loads(text)
    fields(document, {
        "score": NUMBER, "execution_time": NUMBER, "output": str, "output_format": str, "test_output_format": str,
        "test_name_format": str, "visibility": str, "stdout_visibility": str, "extra_data": dict, "tests": list,
        "leaderboard": list,
    })  # fmt: skip
    assert "score" in document or all("score" in test for test in document["tests"])
    assert {document.get(name, "text") for name in document if name.endswith("_format")} <= TEXT_FORMATS
    assert {document.get(name, "visible") for name in ("visibility", "stdout_visibility")} <= VISIBILITIES
    for test in document.get("tests", []):
        fields(test, {
            "score": NUMBER, "max_score": NUMBER, "status": str, "name": str, "name_format": str, "number": str,
            "output": str, "output_format": str, "tags": list, "visibility": str, "extra_data": dict,
        })  # fmt: skip
        assert test.get("status", "passed") in ("passed", "failed")
        assert test.get("visibility", "visible") in VISIBILITIES
        assert 0 <= test["score"] <= test["max_score"]
        assert all(isinstance(tag, str) for tag in test.get("tags", []))
    return document


def check50(text: str) -> dict:
    """cs50.readthedocs.io/projects/check50/en/latest/json_specification."""
    document = json.loads(text)
    fields(document, {"slug": str, "version": str, "results": list, "error": dict}, ("slug", "version", "results"))
    for each in document["results"]:
        optional = (str, type(None))
        fields(each, {"name": str, "description": str, "passed": (bool, type(None)), "log": list,
                      "cause": (dict, type(None)), "data": dict, "dependency": optional},
               ("name", "description", "passed", "log", "cause", "data", "dependency"))  # fmt: skip
        if each["cause"] is not None:
            fields(each["cause"], {"rationale": str, "help": optional, "expected": optional, "actual": optional},
                   ("rationale",))  # fmt: skip
    assert len({each["name"] for each in document["results"]}) == len(document["results"])
    return document


def prairielearn(text: str) -> dict:
    """prairielearn.readthedocs.io/en/latest/externalGrading."""
    assert len(text.encode()) <= 1 << 20
    document = json.loads(text)
    fields(document, {"gradable": bool, "score": NUMBER, "message": str, "output": str, "tests": list}, ("gradable",))
    assert 0 <= document["score"] <= 1
    for test in document["tests"]:
        fields(test, {"name": str, "description": str, "points": NUMBER, "max_points": NUMBER, "message": str,
                      "output": str})  # fmt: skip
    return document


def autolab(text: str) -> dict:
    """docs.autolabproject.com/lab: the last line of what is printed."""
    document = json.loads(text.rstrip("\n").rpartition("\n")[2])
    fields(document, {"scores": dict, "scoreboard": list}, ("scores",))
    assert all(isinstance(points, NUMBER) for points in document["scores"].values())
    return document


def junit(text: str) -> ElementTree.Element:
    """pytest's junit-10.xsd."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite" and {"name", "tests", "failures", "errors", "skipped", "time"} <= set(
            suite.keys()
        )
        for each in suite:
            assert each.tag in ("testcase", "system-out")
            if each.tag == "testcase":
                assert {"name", "classname", "time"} <= set(each.keys()) and float(each.get("time")) >= 0
                assert [child.tag for child in each] in ([], ["failure"], ["error"], ["skipped"])
    return root


def nbgrader(text: str) -> list[dict[str, str]]:
    """The columns of nbgrader's CSV export."""
    rows = [*csv.DictReader(io.StringIO(text))]
    assert all(tuple(row)[: len(COLUMNS)] == COLUMNS and float(row["score"]) <= float(row["max_score"]) for row in rows)
    return rows
