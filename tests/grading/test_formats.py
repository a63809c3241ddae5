"""Every format of results: its own structure, the same points, and nothing in it that a student could abuse."""

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import formats
from opcheck.grading.formats import clean, wording
from opcheck.grading.formats import json as json_format
from opcheck.grading.results import Check, Outcome, Result
from opcheck.steps import Prose, Step
from tests.grading import examples

ASSIGNMENT = examples.Titled()
# Control characters but tab and newline, marks that turn writing around, halves of pairs, U+FFFE and U+FFFF.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def rendered(name: str, *results: Result) -> dict[str, str]:
    """Every text of a format by file name; one text has the name ""."""
    found = formats.render(name, results, ASSIGNMENT)
    return {"": found} if isinstance(found, str) else dict(found)


def one(name: str, result: Result) -> str:
    return rendered(name, result)[""]


# --- all formats ---


@pytest.mark.parametrize("name", formats.FORMATS)
@given(results=st.lists(examples.results() | st.just(examples.hostile()), min_size=1, max_size=3))
def test_whatever_students_write_is_harmless_and_can_be_encoded(name, results):
    for file, text in rendered(name, *results).items():
        if name == "json":
            assert text.isascii()
            assert not DANGEROUS.search(text)
        assert not DANGEROUS.search(text), f"{file}: {DANGEROUS.search(text)}"
        text.encode("utf-8")


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_outcome_can_be_shown(name):
    assert all(rendered(name, examples.every_outcome()).values())
    assert all(rendered(name, examples.every_outcome(), examples.result()).values())


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_class_of_nobody(name):
    assert [text for text in rendered(name).values() if not text] == []


SECRET = Step("", (Prose("undisclosed"),))
HIDDEN = Result("ada", "ada.py", (
    Check("linear", "forward", Outcome.RIGHT, 1, 1),
    Check("secret", "covert", Outcome.WRONG, 2, 0, "unspoken", SECRET, ("veiled",), hidden=True),
), 1)  # fmt: skip


@pytest.mark.parametrize("name", ["check50", "prairielearn", "autolab", "html"])
def test_what_is_for_the_teacher_is_not_in_what_a_student_gets(name):
    text = one(name, HIDDEN)
    assert not re.search("covert|unspoken|undisclosed|veiled", text)


def test_gradescope_hides_it_itself():
    test = json.loads(one("gradescope", HIDDEN))["tests"][1]
    assert (test["visibility"], test["max_score"]) == ("hidden", 2)


@pytest.mark.parametrize("name", ["gradescope", "check50", "prairielearn", "autolab", "html"])
def test_the_seed_from_which_hidden_inputs_follow_reaches_no_student(name):
    assert "987654321987" not in one(name, replace(examples.result(), seed=987654321987))


def test_the_notes_for_the_teacher_reach_no_student():
    for name in ("gradescope", "check50", "prairielearn", "autolab", "html"):
        assert "it printed 3 lines" not in one(name, examples.result())
    for name in ("text", "json", "junit"):
        assert "it printed 3 lines" in one(name, examples.result())


# --- one by one ---


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
    with pytest.raises(Refused, match=r"this is not a file of results \(schema opcheck.grades/1\)"):
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
    assert totals == {"tests": 11, "failures": 4, "errors": 2}


@given(examples.results())
def test_junit_is_xml_whatever_is_in_it(result):
    root = ElementTree.fromstring(one("junit", result))
    assert root.find("testsuite").get("name") == clean.line(result.student)


def test_csv_has_nbgraders_columns_and_a_line_for_each_person():
    group = examples.result("Ada King Lovelace (s1) + Bob (bob@example.org)")
    table = list(csv.DictReader(io.StringIO(rendered("csv", group, examples.result("eve"))[""])))
    assert ",".join(table[0]) == (
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
    assert "linear, vjp      2.5 of 2.5  right (hidden)" in text
    assert "conv2d, forward: wrong\n\ny[0,0] is wrong: the kernel is flipped\n" in text
    assert text.endswith("Note: it printed 3 lines\nNote: --seed 7 draws the same inputs again")
    assert max(map(len, text.splitlines())) <= 80


def test_text_of_a_class():
    text = rendered("text", examples.result(), examples.result("bob", wrong=0))[""]
    assert "2 students, mean 7.25, median 7.25 of 10 points" in text
    assert re.search(r"^full marks +1 +█+$", text, re.MULTILINE)
    assert re.search(r"^1 +conv2d +kernel flipped$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


# --- html ---

VOID = {"meta", "br"}


class Page(html.parser.HTMLParser):
    """What a browser would find: tags, links, whether they are closed, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_of_a_class_leads_to_every_student_and_back():
    names = ["ada", "Zoë Müller (s1)", "a/../b", "ADA", "<b>"]
    pages = rendered("html", *map(examples.result, names))
    index = Page(pages.pop("index.html"))
    assert index.links == [file.replace("ë", "%C3%AB").replace("ü", "%C3%BC") for file in pages]
    assert len(pages) == len(names)
    assert all(re.fullmatch(r"students/[\w.-]+\.html", file) and "/." not in file for file in pages)
    assert len({file.casefold() for file in pages}) == len(names)
    for name, page in zip(names, pages.values(), strict=True):
        assert Page(page).links == ["../index.html"]
        assert name in Page(page).text


@given(result=examples.results() | st.just(examples.hostile()))
def test_a_page_holds_nothing_that_runs_or_loads(result):
    for text in (one("html", result), *rendered("html", result, examples.result()).values()):
        page = Page(text)
        assert not page.tags & {"script", "iframe", "img", "link", "object", "embed", "form", "base"}
        assert not [name for name in page.attributes if name.startswith("on")]
        assert all(re.fullmatch(r"students/[\w.%-]+\.html|\.\./index\.html", link) for link in page.links)
        assert "default-src 'none'" in text
        assert not re.search(r"url\(|@import", text)


def test_a_mistake_is_told_by_the_catalogues_sentence():
    from opcheck import catalog

    conv = catalog.get("conv2d")
    asked = examples.Titled(questions=(examples.Asked("conv2d", conv),))
    known = conv.mistakes[0]
    assert wording.mistake(asked, "conv2d", known.name) == known.sentence
    assert wording.mistake(asked, "conv2d", "of_no_name") == "of no name"
    assert wording.mistake(asked, "linear", known.name) == known.name.replace("_", " ")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("file", ["index.html", "students/hostile.html", "students/ada.html"])
def test_a_phone_shows_a_page_without_scrolling_sideways(tmp_path, file):
    results = [examples.result("ada"), replace(examples.hostile(), student="hostile"), examples.every_outcome()]
    formats.write("html", results, ASSIGNMENT, tmp_path)
    measured = """<body style="margin:0">
        <iframe id="phone" src="FILE" style="width:390px;height:800px;border:0"></iframe>
        <script>onload = () => { const page = document.getElementById("phone").contentDocument.documentElement;
        document.title = `${page.scrollWidth} of ${page.clientWidth}, ${page.scrollHeight} high`; }</script>"""
    (tmp_path / "phone.html").write_text(measured.replace("FILE", file))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--allow-file-access-from-files", "--dump-dom", "--virtual-time-budget=2000",
               f"--user-data-dir={tmp_path}/profile", (tmp_path / "phone.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(\d+) of (\d+), (\d+) high</title>", done.stdout)
    assert title, done.stdout[:500]
    assert int(title[1]) <= int(title[2])
    assert int(title[3]) > 300, "an empty page"


# --- writing ---


def test_one_text_goes_to_stdout_or_to_a_file(tmp_path, capsys):
    formats.write("csv", [examples.result()], ASSIGNMENT)
    printed = capsys.readouterr().out
    formats.write("csv", [examples.result()], ASSIGNMENT, tmp_path / "new" / "grades.csv")
    assert (tmp_path / "new" / "grades.csv").read_text() == printed
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["grades.csv"]


@pytest.mark.parametrize("name", formats.FORMATS)
def test_one_text_has_a_name_of_its_own_in_a_folder(name, tmp_path):
    formats.write(name, [examples.result()], ASSIGNMENT, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.read_text().rstrip("\n") == one(name, examples.result()).rstrip("\n")


def test_where_nobody_was_graded_there_is_no_file(tmp_path, capsys):
    formats.write("gradescope", [], ASSIGNMENT)
    formats.write("gradescope", [], ASSIGNMENT, tmp_path / "out")
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["gradescope", "check50", "prairielearn", "autolab", "html"])
def test_several_files_need_a_folder(name, tmp_path):
    results = [examples.result("ada"), examples.result("bob")]
    with pytest.raises(Refused) as refused:
        formats.write(name, results, ASSIGNMENT)
    said = f"{name} is a file for each student. Got 2 students. name a folder for them (-o FOLDER)"
    assert str(refused.value) == said
    formats.write(name, results, ASSIGNMENT, tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out").rglob("*.*")} >= {"ada", "bob"}


def test_a_format_that_is_none_and_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(Refused, match=r"there is no format 'xlsx'. one of text, json, csv, html"):
        formats.write("xlsx", [], ASSIGNMENT)
    (tmp_path / "file").write_text("")
    with pytest.raises(CouldNotRun, match="cannot write"):
        formats.write("csv", [], ASSIGNMENT, tmp_path / "file" / "grades.csv")


def test_a_narrow_terminal_encoding_gets_question_marks_and_no_error(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    formats.write("text", [examples.result("Zoë")], ASSIGNMENT)
    assert stream.buffer.getvalue().startswith(b"Zo?: 4.5 of 10 points")


# --- strings ---


@given(examples.texts)
def test_clean_text_is_clean_and_stays_as_it_is(raw):
    once = clean.text(raw)
    assert not DANGEROUS.search(once)
    assert clean.text(once) == once
    assert "\n" not in clean.line(raw)


@given(examples.texts)
def test_a_file_name_is_one(raw):
    name = clean.file_name(raw)
    assert re.fullmatch(r"[\w.-]{1,60}", name) and name[0] not in ".-" and Path(name).name == name


@given(st.text(max_size=50), st.integers(0, 60))
def test_shortened_is_at_most_that_long_or_whole(raw, most):
    short = clean.shortened(raw, most)
    assert short == raw if len(raw) <= most else len(short) <= max(most, len(clean.CUT))
