"""Where the texts of a format go: to stdout, to a file, to a folder."""

import io

import pytest

from opcheck.errors import Refused
from opcheck.grading import formats
from tests.grading import examples
from tests.grading.formats.support import ASSIGNMENT, one


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
    said = f"{name} writes one file for each student. Got 2 students. name a folder for them (-o FOLDER)"
    assert str(refused.value) == said
    formats.write(name, results, ASSIGNMENT, tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out").rglob("*.*")} >= {"ada", "bob"}


def test_a_format_that_is_none_and_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(Refused, match=r"there is no format 'xlsx'. one of text, json, csv, html"):
        formats.write("xlsx", [], ASSIGNMENT)
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot write"):
        formats.write("csv", [], ASSIGNMENT, tmp_path / "file" / "grades.csv")


def test_a_narrow_terminal_encoding_gets_question_marks_and_no_error(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    formats.write("text", [examples.result("Zoë")], ASSIGNMENT)
    assert stream.buffer.getvalue().startswith(b"Zo?: 4.5 of 10 points")
