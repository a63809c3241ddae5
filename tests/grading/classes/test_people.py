"""Rosters as platforms and people write them; lateness; results with names, adjustments and penalties."""

from dataclasses import replace
from datetime import datetime

import pytest

from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.late import Late
from opcheck.grading.classes import people
from opcheck.grading.classes.lateness import by_metadata, days_late, moment
from opcheck.grading.classes.roll import Finish, Roll, absent
from opcheck.grading.formats import gradescope
from opcheck.grading.results import WHOLE, Adjustment, Outcome
from tests.grading import examples

MOODLE = (
    "Identifier,Full name,ID number,Email address,Status,Grade,Maximum grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\r\n"
    'Participant 901,Zoë Müller,s2,zoe@uni.example,Submitted,,100.00,Yes,"Wednesday, 2 December 2026, 9:14 AM",-,\r\n'
    "Participant 902,Tim Absent,s3,tim@uni.example,No submission,,100.00,Yes,-,-,\r\n"
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Other (5),Homework 2: convolution (77)\n"
    '    Points Possible,,,,,10,10\n"Müller, Zoë",501,s2,zoe,CS1,,\n'
)
SPREADSHEET = "Nachname;Vorname;Matrikelnummer;E-Mail;Late days\nMüller;Zoë;s2;zoe@uni.example;2\n"


def written(tmp_path, text, encoding="utf-8"):
    (tmp_path / "roster.csv").write_bytes(text.encode(encoding))
    return people.read(tmp_path / "roster.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("text", [MOODLE, CANVAS, SPREADSHEET, "sep=;\n" + SPREADSHEET, SPREADSHEET.replace(";", "\t")])
def test_a_roster_of_any_platform_and_encoding(tmp_path, text, encoding):
    roster = written(tmp_path, text, encoding)
    person = roster.everyone[0]
    assert (person.first, person.last, person.identifier) == ("Zoë", "Müller", "s2")
    assert person.label == "Zoë Müller (s2)"
    for name in ("Zoë Müller (901)" if text is MOODLE else "s2", "Zoe Muller", "muller_zoe", "müllerzoë", "hw1_s2",
                 "zoe" if text is not SPREADSHEET else "zoe@uni.example", "x (s2)"):  # fmt: skip
        if name != "hw1_s2":  # too short to be a number within a name
            assert roster.of(name) == (person,), name
    assert roster.of("nobody") == ()


def test_two_of_one_name_are_told_by_their_numbers(tmp_path):
    roster = written(tmp_path, "name,id\nAda Byron,s001\nAda Byron,s002\n")
    assert roster.of("Ada Byron") == ()
    assert [each.identifier for each in roster.of("Ada Byron (s002)")] == ["s002"]
    assert [each.identifier for each in roster.of("hw2-s001-final")] == ["s001"]
    assert [each.identifier for each in roster.of("Ada (s001) + Ada (s002)")] == ["s001", "s002"]
    assert [each.identifier for each in absent(roster, ["x (s002)"])] == ["s001"]


@pytest.mark.parametrize("text", ["", "colour,size\nred,3\n", "\n\n"])
def test_a_table_without_people_is_refused(tmp_path, text):
    with pytest.raises(Refused, match="has no column of names, numbers or emails"):
        written(tmp_path, text)
    with pytest.raises(Refused, match="cannot read the roster"):
        people.read(tmp_path / "none.csv")


DUE = datetime(2026, 11, 30, 23, 59)


@pytest.mark.parametrize(
    ("column", "value", "days"),
    [
        ("Late days", "2", 2),
        ("Late days", "0,5", 0.5),
        ("Lateness (H:M:S)", "25:00:01", 2),
        ("Lateness (H:M:S)", "00:00:00", 0),
        ("Submission Time", "2026-12-01 00:05:00 -0600", 0),  # within the grace
        ("Submission Time", "2026-12-01 00:20", 1),
        ("Last modified (submission)", "Wednesday, 2 December 2026, 9:14 AM", 2),
        ("Last modified (submission)", "-", 0),
        ("submitted", "01.12.2026 12:00", 1),
        ("unknown", "x", 0),
    ],
)
def test_days_late(tmp_path, column, value, days):
    roster = written(tmp_path, f'name,{column}\nAda,"{value}"\n')
    assert days_late(Late(10.0, DUE, grace=10), roster.everyone[0]) == days


def test_a_time_that_is_none_is_refused(tmp_path):
    person = written(tmp_path, "name,submitted\nAda,soon\n").everyone[0]
    with pytest.raises(Refused, match="Ada was handed in at a time that cannot be read"):
        moment("soon", person)
    with pytest.raises(Refused, match="late days of Ada must be a number"):
        days_late(Late(10.0), written(tmp_path, "name,late days\nAda,many\n").everyone[0])


@pytest.mark.parametrize(
    ("late", "score"),
    [
        (Late(10.0), 4.5 - 2),  # two days of 10 % of 10 points
        (Late(10.0, free_days=1), 4.5 - 1),
        (Late(10.0, of="score"), 4.5 - 0.9),
        (Late(40.0, most=30), 4.5 - 3),
        (Late(50.0), 0),
        (Late(10.0, free_days=2), 4.5),
    ],
)
def test_what_lateness_costs(tmp_path, late, score):
    finish = Finish(written(tmp_path, SPREADSHEET), late)
    found = finish(examples.result("s2"))
    assert (found.score, found.points, found.student, found.late_days) == (score, 10, "Zoë Müller (s2)", 2)
    assert found.checks[-1].outcome is Outcome.LATE


def test_adjustments_stand_beside_their_question_and_take_no_more_than_there_is():
    given = {"ada": [Adjustment("ada", "linear", 1.5, "elegant"), Adjustment("ada", WHOLE, -100, "copied")]}
    found = Finish(adjustments=given)(examples.result())
    assert [(check.question, check.part) for check in found.checks][2] == ("linear", "adjustment")
    assert (found.score, found.checks[-1].score) == (0, -6)
    roll = Roll([examples.result(), examples.result("bob")], Finish(adjustments=given))
    assert [result.score for result in roll] == [0, 4.5] and [each.student for each in roll[1:]] == ["bob"]


def test_gradescope_gets_the_score_with_all_of_it():
    given = {"ada": [Adjustment("ada", "linear", -1, "late")]}
    text = gradescope.render([Finish(adjustments=given)(examples.result())], examples.Titled())
    assert '"score": 3.5' in text and '"output": "-1 points: late"' in text


def test_the_table_of_an_assignment():
    text = '[[question]]\noperator = "relu"\n'
    asked = parse(f"{text}[late]\ndue = 2026-12-01\nper_day = 20\n")
    assert asked.late == Late(20.0, datetime(2026, 12, 1, 23, 59, 59))
    assert asked.digest == parse(f"{text}[late]\nper_day = 5").digest  # it changes no result
    assert asked.digest != parse(text.replace("relu", "tanh") + "[late]\nper_day = 5").digest
    assert parse(text).late is None
    for wrong, message in (
        ('due = "tomorrow"', "due: must be a date or a time"),
        ("per_day = -1", "per_day: must be a number, at least 0"),
        ('of = "all"', "of: must be one of points, score"),
        ("days = 3", "days: there is no such field"),
    ):
        with pytest.raises(Refused, match=message):
            parse(f"{text}[late]\n{wrong}\n")


def test_results_know_their_people(tmp_path):
    roster = written(tmp_path, MOODLE)
    found = Finish(roster)(replace(examples.result("Zoë Müller (901)")))
    assert found.people[0].row["Identifier"] == "Participant 901" and found.handed_in.startswith("Wednesday")
    assert [each.label for each in absent(roster, ["Zoë Müller (901)"])] == ["Tim Absent (s3)"]


DATES = {"due_date": "2026-11-30T23:59:00.000000-08:00", "late_due_date": None}
EXTENDED = {"due_date": "2026-12-02T23:59:00.000000-08:00"}


@pytest.mark.parametrize(
    ("told", "days"),
    [
        ({"created_at": "2026-11-30T12:00:00.1-08:00", "assignment": DATES}, 0),
        ({"created_at": "2026-12-02T00:10:00.1-08:00", "assignment": DATES}, 2),
        ({"created_at": "2026-12-02T07:58:00+00:00", "assignment": DATES}, 1),
        ({"created_at": "2026-12-02T00:10:00-08:00", "assignment": DATES, "users": [{}, {"assignment": EXTENDED}]}, 0),
        ({"created_at": "2026-12-11T00:00:00-08:00"}, 1),
        ({"assignment": DATES}, 0),
        ({}, 0),
    ],
)
def test_gradescope_says_how_late_it_was(told, days):
    found = by_metadata(examples.result(), Late(10.0, due=datetime(2026, 12, 10, 23, 59)), told)
    assert found.late_days == days
    assert (found.score, found.handed_in) == (4.5 - days, told.get("created_at", ""))
