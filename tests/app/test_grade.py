"""`opcheck grade` from the command line, and opcheck.grade."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import opcheck
from opcheck.app import grade
from opcheck.grading.assignments import check
from opcheck.operators import catalog
from tests.grading.students import solution

ROOT = str(Path(opcheck.__file__).parents[1])
LINEAR = """
def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias
def linear_backward(dy, x, weight, bias=None):
    gradients = dy @ weight, dy.T @ x
    return gradients if bias is None else (*gradients, dy.sum(axis=0))
"""


def run(*words, cwd):
    return subprocess.run(
        [sys.executable, "-c", "from opcheck.app import main; main()", "grade", *words],
        capture_output=True, text=True, cwd=cwd, check=False, env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ann.py").write_text(LINEAR)
    (tmp_path / "bob.py").write_text(LINEAR.replace("y + bias", "y"))
    return tmp_path


def test_one_operator_of_one_file(folder):
    done = run("ann.py", "--op", "linear", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ann: 9 of 9 points" in done.stdout


def test_what_is_wrong_is_explained_and_told_by_the_exit_code(folder):
    done = run("bob.py", "--op", "linear", "--seed", "4", cwd=folder)
    assert done.returncode == 1
    assert "bob: 7 of 9 points" in done.stdout
    assert "The bias was not added." in done.stdout and "The smallest case that fails: input 1×1" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_class_by_an_assignment_that_was_scaffolded(folder):
    made = run("--init", "linear", "-o", "hw.toml", cwd=folder)
    assert made.returncode == 0
    (folder / "class").mkdir()
    for name in ("ann", "bob"):
        (folder / f"{name}.py").rename(folder / "class" / f"{name}.py")
    done = run("class", "--assignment", "hw.toml", "--jobs", "2", "--format", "json", "--seed", "1", cwd=folder)
    assert done.returncode == 1
    again = run("class", "--assignment", "hw.toml", "--format", "json", "--seed", "1", cwd=folder)
    assert done.stdout == again.stdout  # byte for byte
    assert len(json.loads(done.stdout)["results"]) == 2


def test_a_format_that_needs_a_folder_is_refused_before_anything_is_graded(folder):
    (folder / "class").mkdir()
    for name in ("ann", "bob"):
        (folder / f"{name}.py").rename(folder / "class" / f"{name}.py")
    done = run("class", "--op", "linear", "--format", "gradescope", "--journal", "journal.db", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "opcheck: gradescope writes one file for each student\n"
        "  got: 2 students\n  name a folder for them (-o FOLDER)\n"
    )
    assert not (folder / "journal.db").exists()


def test_an_assignment_is_checked(folder):
    (folder / "hw.toml").write_text('[[question]]\noperator = "linear"\npoints = { forward = 1 }\n')
    done = run("--check", "hw.toml", cwd=folder)
    assert done.returncode == 0
    right, *missed = done.stdout.splitlines()[1:]
    assert right == "  the correct solution: 1 of 1"
    assert missed[0].startswith("  not caught: input_gradient_weight_transposed,")
    assert missed[-3:] == [
        "A mistake that is not caught usually cannot change this question's result. To",
        "catch it, ask for more in [question.parameters] or in points, if the convention",
        "supports it. opcheck ops OP describes each mistake.",
    ]
    (folder / "all.toml").write_text('[[question]]\noperator = "linear"\n')
    done = run("--check", "all.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "linear\n  the correct solution: 9 of 9\n")
    done = run("--check", "hw.toml", "--seeds", "5", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 of 5 seeds mark a correct solution wrong\n", "")
    again = run("--check", "hw.toml", "--seeds", "5", "--jobs", "2", cwd=folder)
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")


def test_what_is_not_caught_is_told_within_the_page(folder):
    (folder / "hw.toml").write_text('[[question]]\noperator = "conv2d"\npoints = { forward = 1 }\n')
    lines = run("--check", "hw.toml", cwd=folder).stdout.splitlines()
    assert any(line.startswith("  not caught: ") for line in lines) and any(line.startswith("    ") for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_seeds_by_which_a_right_solution_loses_points_are_told(tmp_path, monkeypatch, capsys):
    """There are none; so a mistake stands in for the right solution here, by three seeds."""
    real, wrong = check.one, next(each for each in catalog.get("relu").mistakes if each.forward is not None)
    monkeypatch.setattr(check, "one", lambda *a: real(*a[:3], wrong if a[4] % 2 else None, a[4]))
    monkeypatch.setattr(grade, "TOLD", 2)
    (tmp_path / "hw.toml").write_text('[[question]]\noperator = "relu"\npoints = { forward = 1 }\n')
    assert grade.repeat(tmp_path / "hw.toml", 7, 0, 1) == 1
    told = capsys.readouterr().out
    assert told.startswith("  seed 1: relu, forward: ") and "\n  seed 3: " in told and "seed 5" not in told
    assert told.endswith("\n  and 1 more\n3 of 7 seeds mark a correct solution wrong\n")
    assert all(len(line) <= 80 for line in told.splitlines())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "what should be graded?"),
        (["--init"], "which operators should it ask for?"),
        (["ann.py", "--op", "linear", "--assignment", "hw.toml"], "give either --assignment FILE or --op OP"),
        (["ann.py", "--op", "linaer"], "there is no operator 'linaer'"),
        (["ann.py", "--assignment", "none.toml"], "cannot read the assignment"),
        (["none.py", "--op", "linear"], "none.py"),
        (["ann.py", "--op", "conv1d", "--convention", "layer"], "convention layer has no conv1d"),
        (["--bundle", "gradescope", "hw.toml"], "a bundle needs one assignment and an output file"),
    ],
)
def test_wrong_usage_is_one_message(folder, words, message):
    done = run(*words, cwd=folder)
    assert done.returncode == 2, done
    assert message in done.stderr and "Traceback" not in done.stderr and not done.stdout


def test_the_python_function(folder):
    (folder / "hw.toml").write_text('convention = "cs231n"\n[[question]]\noperator = "relu"\n')
    (folder / "eve.py").write_text(solution("cs231n"))
    grade = opcheck.grade(folder / "eve.py", folder / "hw.toml")
    assert (grade.score, grade.points, grade.failed) == (9, 9, ())
    assert [result.student for result in grade.results] == ["eve"]
    assert str(grade).startswith("eve: 9 of 9 points")
    assert json.loads(grade.render("json"))["assignment"]
    with pytest.raises(opcheck.Refused, match="cannot read the assignment"):
        opcheck.grade("eve.py", "none.toml")


def test_a_handout(folder):
    assert run("--init", "linear", "-o", "hw.toml", cwd=folder).returncode == 0
    done = run("--handout", "hw.toml", "-o", "starter/", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["starter/submission.py", "starter/SIGNATURES.md", "starter/selftest.py"]
    again = run("--handout", "hw.toml", "-o", "starter", cwd=folder)
    assert again.returncode == 2 and "submission.py already exists" in again.stderr
    bare = run("--handout", "hw.toml", cwd=folder)
    assert bare.stderr == "opcheck: a handout needs a folder\n  --handout hw.toml -o starter/\n"


@pytest.fixture
def homework(folder):
    (folder / "class").mkdir()
    for name in ("ann", "bob"):
        (folder / f"{name}.py").rename(folder / "class" / f"{name}.py")
    late = "[late]\ndue = 2026-12-01\nper_day = 10\n"
    (folder / "hw.toml").write_text(f'seed = 1\n{late}[[question]]\noperator = "linear"\n')
    (folder / "roster.csv").write_text("name,id,late days\nAnn Ace,ann,1\nBob Boe,bob,0\nCy Cee,cyd,0\n")
    return folder


def test_a_class_with_a_roster_a_journal_adjustments_and_old_results(homework):
    usual = ("class", "--assignment", "hw.toml", "--journal", "run.db")
    done = run(*usual, "--format", "json", "-o", "old.json", cwd=homework)
    assert done.stderr.splitlines() == [
        "note: 0 of 2 results came from the journal run.db",
        "note: lateness is read from a roster: --roster FILE, with late days or",
        "  submission times",
    ]
    named = ("--roster", "roster.csv", "--adjust", "Bob Boe", "linear", "-1", "no comments")
    done = run(*usual, *named, "--compare", "old.json", cwd=homework)
    assert done.stdout.startswith("0 up, 2 down, 0 changed at the same score, 0 unchanged\n")
    assert "Ann Ace (ann)  9 of 9  8.1 of 9  -0.9    late, 1 day: -0.9, new" in done.stdout
    assert done.stderr.splitlines() == [
        "note: 2 of 2 results came from the journal run.db",
        "note: the journal has 1 adjustment by hand",
        "note: nothing handed in (1): Cy Cee (cyd)",
    ]
    again = run(*usual, "--format", "csv", cwd=homework)  # kept
    assert "adjustment" in again.stdout and ",-1," in again.stdout
    gone = run(*usual, "--adjust", "bob", "linear", "0", "", "--format", "csv", cwd=homework)
    assert ",-1," not in gone.stdout


def test_a_class_without_names(homework):
    usual = ("class", "--assignment", "hw.toml", "--roster", "roster.csv", "--anonymise", "key.csv")
    done = run(*usual, cwd=homework)
    assert "student " in done.stdout and not [each for each in ("Ann", "Bob", "ann", "bob") if each in done.stdout]
    assert "Ann Ace (ann)" in (homework / "key.csv").read_text()
    refused = run(*usual, "--format", "moodle", cwd=homework)
    assert refused.returncode == 2 and "moodle needs the names of the students" in refused.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--adjust", "ann", "linear", "1", "x"], "adjustments are kept in the journal\n  name one: --journal run.db"),
        (
            ["--journal", "j", "--adjust", "ann", "relu", "1", "x"],
            "there is no question 'relu' to adjust\n  one of lin",
        ),
        (["--journal", "j", "--adjust", "ann", "all", "many", "x"], "an adjustment is a number of points, such as +1"),
        (
            ["--journal", "j", "--adjust", "eve", "all", "1", "x"],
            "there is no submission of 'eve'\n  there are ann, bob",
        ),
        (["--compare", "none.json"], "cannot read the old results"),
        (["--compare", "hw.toml"], "this is not a results file"),
        (["--compare", "old.json", "--format", "csv"], "the comparison and the results cannot both be printed"),
        (["--roster", "hw.toml"], "has no column of names, numbers or emails"),
    ],
)
def test_wrong_usage_of_a_class_is_one_message(homework, words, message):
    (homework / "old.json").write_text('{"schema": "opcheck.grades/1", "results": []}')
    done = run("class", "--assignment", "hw.toml", *words, cwd=homework)
    assert (done.returncode, done.stdout) == (2, "") and message in done.stderr, done.stderr


def test_help_has_every_option_under_a_heading():
    shown = grade.command.get_help(grade.click.Context(grade.command))
    for each in grade.command.params:
        if isinstance(each, grade.click.Option):
            assert each.opts[0] in shown
    assert shown.index("A class:") < shown.index("--roster FILE") < shown.index("Preparing assignments:")
    named = [name for names in grade.GROUPS.values() for name in names]
    assert sorted(named) == sorted(each.name for each in grade.command.params if isinstance(each, grade.click.Option))
