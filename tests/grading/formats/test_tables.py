"""The tables for platforms and spreadsheets: their own column names, cells and marks."""

import csv
import io
from dataclasses import replace

import pytest

from opcheck.errors import Refused
from opcheck.grading import formats
from opcheck.grading.assignments.late import Late
from opcheck.grading.classes import anonymous
from opcheck.grading.classes.comparison import compare, render
from opcheck.grading.classes.roll import Finish, Roll, absent
from opcheck.grading.formats import clean
from opcheck.grading.results import Adjustment, Check, Outcome
from tests.grading import examples
from tests.grading.classes.test_people import CANVAS, MOODLE, SPREADSHEET, written

ASKED = examples.Titled(late=Late(10.0))


def table(name, results) -> list[list[str]]:
    return [*csv.reader(io.StringIO(formats.render(name, results, ASKED)))]


def roll(tmp_path, text, student="Zoë Müller (s2)", **options):
    roster = written(tmp_path, text)
    return Roll([examples.result(student)], Finish(roster, **options), absent(roster, [student]))


def test_csv_has_a_column_for_each_question_and_part(tmp_path):
    found = roll(tmp_path, MOODLE, late=Late(10.0), adjustments={"Zoë Müller (s2)": [Adjustment("", "conv2d", 2, "x")]})
    head, zoe, tim = table("csv", found)
    row = dict(zip(head, zoe, strict=True))
    assert head[11:] == [
        "status", "late_days", "adjustment",
        "linear", "linear: forward", "linear: gradients", "conv2d", "conv2d: forward", "conv2d: gradients",
    ]  # fmt: skip
    assert [row[name] for name in ("linear", "linear: forward", "conv2d", "conv2d: forward")] == ["4.5", "2", "2", "0"]
    assert (row["score"], row["raw_score"], row["adjustment"], row["last_name"]) == ("6.5", "6.5", "2", "Müller")
    assert dict(zip(head, tim, strict=True))["status"] == "not handed in"


def test_the_late_penalty_has_its_column(tmp_path):
    head, zoe = table("csv", roll(tmp_path, SPREADSHEET, late=Late(10.0)))
    row = dict(zip(head, zoe, strict=True))
    assert [row[name] for name in ("raw_score", "late_submission_penalty", "score", "late_days")] == [
        "4.5", "2", "2.5", "2"]  # fmt: skip


def test_moodles_worksheet_comes_back_with_grades_on_its_scale(tmp_path):
    head, zoe = table("moodle", roll(tmp_path, MOODLE))
    assert ",".join(head) == MOODLE.splitlines()[0]
    row = dict(zip(head, zoe, strict=True))
    assert (row["Identifier"], row["Grade"], row["Last modified (grade)"]) == ("Participant 901", "45", "-")
    assert "conv2d, forward: 0 of 3: y[0,0] is wrong: the kernel is flipped" in row["Feedback comments"]
    assert "linear, gradients" not in row["Feedback comments"]  # which is hidden
    head, zoe = table("moodle", [examples.result("Zoë Müller (901)")])  # as Moodle's zip names the folders
    row = dict(zip(head, zoe, strict=True))
    assert (row["Identifier"], row["Full name"], row["Grade"]) == ("Participant 901", "Zoë Müller", "4.5")


def test_canvas_gets_its_five_columns_and_its_own_name_of_the_assignment(tmp_path):
    assert table("canvas", roll(tmp_path, CANVAS)) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 2: convolution (77)"],
        ["    Points Possible", "", "", "", "", "10"],
        ["Müller, Zoë", "501", "s2", "zoe", "CS1", "4.5"],
    ]
    assert table("canvas", [examples.result("mullerzoe (501)")])[2] == ["mullerzoe", "501", "", "", "", "4.5"]
    assert table("canvas", roll(tmp_path, SPREADSHEET))[2] == ["Müller, Zoë", "", "s2", "zoe", "", "4.5"]


def test_gradescopes_columns(tmp_path):
    head, zoe, tim = table("gradescope-csv", roll(tmp_path, MOODLE))
    assert head[:7] == ["First Name", "Last Name", "SID", "Email", "Total Score", "Max Points", "Status"]
    assert zoe[:7] == ["Zoë", "Müller", "s2", "zoe@uni.example", "4.5", "10", "Graded"]
    assert tim[:7] == ["Tim", "Absent", "s3", "tim@uni.example", "", "10", "Missing"]


@pytest.mark.parametrize("name", formats.TABLES)
def test_no_cell_is_a_formula(tmp_path, name):
    hostile = 'name,id,email\n"=cmd()",=1+2,@x\n'
    for found in (roll(tmp_path, hostile, "=1+2"), [examples.result("=cmd() (=1+2)")]):
        for row in table(name, found):
            assert not [cell for cell in row if cell.startswith(("=", "@", "\t"))], row


def test_a_mark_by_which_excel_knows_utf8_and_none_elsewhere(tmp_path):
    formats.write("csv", [examples.result("Zoë Müller (s2)")], ASKED, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfassignment,")
    formats.write("csv", [examples.result("ada")], ASKED, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes().startswith(b"assignment,")
    formats.write("moodle", [examples.result("Zoë Müller (s2)")], ASKED, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes().startswith(b"Identifier,")


def test_what_is_no_formula_is_kept():
    assert [*map(clean.kept, ("-", "-2", "+49 30", "=1", "-cmd()"))] == ["-", "-2", "+49 30", "'=1", "'-cmd()"]


def test_numbers_for_names(tmp_path):
    key = tmp_path / "key.csv"
    known = anonymous.numbers(key, ["Ada Lovelace (s001)", "bob"])
    again = anonymous.numbers(key, ["bob", "eve"])
    assert {name: again[name] for name in known} == known and len(set(again.values())) == 3
    told = "it raises ValueError: /home/Lovelace/s001.py of Ada; 1 of 2"
    result = examples.result("Ada Lovelace (s001)")
    result = replace(result, notes=(told,), checks=(*result.checks[:2], replace(result.checks[2], message=told)))
    found = anonymous.anonymous(result, known["Ada Lovelace (s001)"])
    assert found.student in known.values() and found.path == "" and found.score == result.score
    assert not [each for each in ("Ada", "Lovelace", "s001") if each in str(found)]
    assert "1 of 2" in found.notes[0] and found.checks[2].detail == result.checks[2].detail
    key.write_text("a,b\n")
    with pytest.raises(Refused, match="is not a list of numbers and students"):
        anonymous.numbers(key, ["bob"])


def test_a_comparison_says_what_changed():
    old = [examples.result("ada"), examples.result("bob"), examples.result("gone")]
    new = [examples.result("ada", wrong=0), examples.result("bob"), examples.result("new")]
    text = render(compare(old, new))
    assert text.startswith("1 up, 0 down, 0 changed at the same score, 1 unchanged\n")
    assert "ada      4.5 of 10  10 of 10  +5.5    conv2d, forward: 0 → 3 (wrong →" in text
    assert "not in the old results: new" in text and "only in the old results: gone" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_student_whom_a_roster_renamed_is_the_same(tmp_path):
    found = compare([examples.result("s2")], roll(tmp_path, SPREADSHEET, "s2"))
    assert (found.same, found.added, found.gone) == (1, [], [])


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((Outcome.RIGHT, Outcome.WRONG, Outcome.CRASHED), "graded"),
        ((Outcome.CRASHED_ALWAYS, Outcome.CRASHED_ALWAYS), "crashed"),
        ((Outcome.DOES_NOT_LOAD,), "does not load"),
        ((Outcome.RIGHT, Outcome.TOO_SLOW, Outcome.NOT_ATTEMPTED),
         "graded; q1 too slow or endless; q2 not attempted"),
        ((), "nothing to grade"),
    ],
)  # fmt: skip
def test_the_status_says_what_happened(outcomes, status):
    checks = tuple(Check(f"q{k}", "forward", outcome, 1, 0) for k, outcome in enumerate(outcomes))
    head, row = table("csv", [replace(examples.result(), checks=checks)])
    assert dict(zip(head, row, strict=True))["status"] == status
