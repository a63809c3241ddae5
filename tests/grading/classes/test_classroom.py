"""A class, by the real judge in the real sandbox: whatever one submission does, the others get their points."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import formats
from opcheck.grading.assignments import assignment
from opcheck.grading.classes import classroom
from opcheck.grading.judging import judge
from opcheck.grading.results import Outcome, Result
from opcheck.sandbox import NoSandbox, choose
from tests.grading.submissions.test_roster import hostile_zips

ROOT = Path(__file__).parents[3]
HOMEWORK = """
title = "Homework"
seed = 5
[limits]
seconds = 3
total_seconds = 3
[[question]]
operator = "linear"
points = { forward = 3, shapes = 1 }
[question.parameters]
bias = [true]
"""
RIGHT = "def linear(x, w, b):\n    return x @ w.T + b\n"
WRONG = "def linear(x, w, b):\n    return x @ w.T - b\n"


@pytest.fixture(autouse=True)
def sandboxed():
    try:
        choose()
    except NoSandbox as reason:
        pytest.skip(str(reason))


@pytest.fixture
def homework(tmp_path) -> assignment.Assignment:
    (tmp_path / "hw.toml").write_text(HOMEWORK)
    return assignment.read(tmp_path / "hw.toml")


def hand_in(folder: Path, **submissions: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in submissions.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def graded(folder: Path, asked: assignment.Assignment, **options) -> dict[str, Result]:
    """Student -> result, of a run in which nothing failed."""
    with classroom.grade_class([folder], asked, **options) as found:
        assert not found.failed and not found.interrupted
        return {result.student: result for result in found.results}


def untimed(results: dict[str, Result]) -> list[Result]:
    return [
        replace(result, seconds=0.0, checks=tuple(replace(check, seconds=0.0) for check in result.checks))
        for result in results.values()
    ]


# --- one submission is nothing to the others ---

TROUBLE = {
    "exits": "import sys\nsys.exit(0)",
    "exits_hard": "import os\nos._exit(0)",
    "hangs": "while True: pass",
    "floods": f"{RIGHT}print('x' * (1 << 24))",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "breaks": "def linear(:",
    "forks": "import os\nwhile True: os.fork()",
    "eats": f"{RIGHT}x = [bytes(1 << 30) for _ in range(99)]",
}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_trouble_costs_nobody_else_their_points(tmp_path, homework, jobs):
    folder = hand_in(tmp_path / "class", aaa=RIGHT, zzz=RIGHT, wrong=WRONG, **TROUBLE)
    (folder / "nothing").mkdir()
    results = graded(folder, homework, jobs=jobs)
    assert list(results) == sorted(results), "in the order of the roster"
    assert set(results) == {"aaa", "zzz", "wrong", "nothing", *TROUBLE}
    assert {results["aaa"].score, results["zzz"].score, results["floods"].score} == {4}
    assert results["wrong"].score < 4
    unable = TROUBLE.keys() - {"floods", "eats"}
    assert {results[name].score for name in unable} == {0}
    assert {check.outcome for check in results["breaks"].checks} == {Outcome.DOES_NOT_LOAD}


def test_code_that_cannot_be_read_is_graded_as_what_does_not_load(tmp_path, homework):
    folder = hand_in(tmp_path / "class", ada=RIGHT)
    (folder / "bob.ipynb").write_text("{")
    bob = graded(folder, homework)["bob"]
    assert (bob.score, bob.points, bob.seed) == (0, 4, 5)
    assert [(check.part, check.outcome) for check in bob.checks] == [
        ("forward", Outcome.DOES_NOT_LOAD),
        ("shapes", Outcome.DOES_NOT_LOAD),
    ]
    assert bob.checks[0].message.startswith("the notebook is not valid JSON")


# From within the sandbox it says of a place what only we say; that took a regular expression half a minute.
ABSENT = """
import gc
def linear(*a):
    (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
    error = {"type": "absent", "message": "there is no " + "a" * 20_000, "file": "", "line": 0}
    channel.send({"status": "absent", "error": error}, 1 << 20)
"""


def test_what_strangers_hand_in_is_their_problem_and_no_defect_of_the_judge(tmp_path, homework):
    folder = hostile_zips(tmp_path / "class")
    hand_in(
        folder,
        ada=RIGHT,
        huge="def linear(*a): return 2**64",
        large="import numpy as np\ndef linear(*a): return np.zeros((24, 1 << 20), np.int8)",
        absent=ABSENT,
    )
    for name, cell in {"magics": "%a\n" * 4000, "blank": " " * 16_000 + "x", "long": "#" * (1 << 21)}.items():
        cells = [{"cell_type": "code", "source": source} for source in (RIGHT, cell)]
        (folder / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    os.mkfifo(folder / "fifo.py")
    (folder / os.fsdecode(b"\xff.py")).write_text(RIGHT)
    scores = {student: result.score for student, result in graded(folder, homework).items()}
    right = {"ada", "magics", "blank", "long", os.fsdecode(b"\xff")}
    assert {student for student, score in scores.items() if score == 4} == right
    assert {score for student, score in scores.items() if student not in right} == {0}
    assert len(scores) == 13


def test_a_defect_of_the_judge_costs_nobody_else_their_points(tmp_path, homework, monkeypatch):
    real = judge.grade_source

    def broken(source, *rest):
        if source.student == "bob":
            raise ZeroDivisionError("a defect")
        return real(source, *rest)

    monkeypatch.setattr(judge, "grade_source", broken)
    folder = hand_in(tmp_path / "class", ada=RIGHT, bob=RIGHT, eve=RIGHT)
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db") as found:
        assert found.failed == [("bob", "ZeroDivisionError: a defect")]
        assert [(each.student, each.score) for each in found.results] == [("ada", 4), ("eve", 4)]
    monkeypatch.undo()
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db") as found:
        assert (found.reused, found.failed, len(found.results)) == (2, [], 3)


CONVENTION = """
import os, signal
from opcheck.grading.conventions import Convention, Entry, Plan, Reading
from opcheck.sandbox import Call

def call(r):
    if any(each.name == "fatal" for each in r.found.parameters):
        os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when the memory is used up
    args = (r.array("input"), r.array("weight"), r.array("bias"))
    return Plan([Call(r.forward, args, keep="y")], {"output": Reading("y")})

def gradients(r, g):
    raise NotImplementedError

CONVENTION = Convention("ours", "for this test", {"linear": Entry(("linear",))}, call, gradients)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_costs_nobody_else_their_points(tmp_path):
    (tmp_path / "ours.py").write_text(CONVENTION)
    (tmp_path / "hw.toml").write_text(HOMEWORK.replace('"Homework"', '"Homework"\nconvention = "ours.py"'))
    fatal = "def linear(x, w, b, fatal=0):\n    return x @ w.T + b\n"
    folder = hand_in(tmp_path / "class", a=RIGHT, b=fatal, c=RIGHT, d=RIGHT, e=RIGHT, f=RIGHT, g=RIGHT)
    with classroom.grade_class([folder], assignment.read(tmp_path / "hw.toml"), jobs=2) as found:
        assert found.failed == [("b", "the process that graded it was killed")]
        assert [(each.student, each.score) for each in found.results] == [(name, 4) for name in "acdefg"]


# --- where it runs makes no difference ---


@pytest.mark.slow
def test_jobs_and_executors_give_the_same_results(tmp_path, homework):
    folder = hand_in(tmp_path / "class", ada=RIGHT, bob=WRONG, eve="def linear(x, w, b): return None", dan="x = ")
    alone = untimed(graded(folder, homework))
    assert untimed(graded(folder, homework, jobs=2)) == alone
    with ThreadPoolExecutor(3) as executor:
        assert untimed(graded(folder, homework, executor=executor)) == alone


def test_two_runs_of_one_seed_give_the_same_bytes_and_another_seed_the_same_scores(tmp_path, homework):
    folder = hand_in(tmp_path / "class", ada=RIGHT, bob=WRONG)
    first, again, other = (graded(folder, homework, seed=seed) for seed in (1, 1, 2))
    texts = [formats.render("json", [*each.values()], homework) for each in (first, again)]
    assert texts[0] == texts[1]
    assert [each.score for each in first.values()] == [each.score for each in other.values()]
    assert {each.seed for each in other.values()} == {2}


# --- the journal ---


def test_what_the_journal_holds_is_not_graded_again(tmp_path, homework, monkeypatch):
    folder = hand_in(tmp_path / "class", ada=RIGHT, bob=WRONG)
    first = graded(folder, homework, journal=tmp_path / "j.db")
    with monkeypatch.context() as patched:
        patched.setattr(judge, "grade_source", lambda *_: pytest.fail("graded twice"))
        again = graded(folder, homework, journal=tmp_path / "j.db")
    assert [each.checks for each in untimed(again)] == [each.checks for each in untimed(first)]
    hand_in(folder, bob=RIGHT, eve=RIGHT)
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db") as found:
        assert found.reused == 1
        assert [(each.student, each.score) for each in found.results] == [("ada", 4), ("bob", 4), ("eve", 4)]


@pytest.mark.parametrize("change", ["assignment", "seed", "version", "rules", "unsafe"])
def test_what_was_graded_otherwise_is_graded_anew(tmp_path, homework, monkeypatch, change):
    folder = hand_in(tmp_path / "class", ada=RIGHT)
    graded(folder, homework, journal=tmp_path / "j.db")
    options = {}
    if change == "assignment":
        homework = assignment.parse(HOMEWORK.replace("forward = 3", "forward = 30"))
    elif change == "seed":
        options["seed"] = 6
    elif change == "unsafe":
        options["unsafe"] = True
    elif change == "rules":
        monkeypatch.setattr(judge, "RULES", judge.RULES + 1)
    else:
        monkeypatch.setattr("opcheck.__version__", "999")
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db", **options) as found:
        assert found.reused == 0
        assert len(found.results) == 1


def test_ctrl_c_keeps_what_is_done(tmp_path, homework, monkeypatch):
    folder = hand_in(tmp_path / "class", ada=RIGHT, bob=RIGHT, eve=RIGHT)
    real = judge.grade_source
    monkeypatch.setattr(
        judge, "grade_source", lambda source, *rest: real(source, *rest) if source.student < "b" else stop()
    )
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db") as found:
        assert found.interrupted
        assert [each.student for each in found.results] == ["ada"]
    monkeypatch.undo()
    with classroom.grade_class([folder], homework, journal=tmp_path / "j.db") as found:
        assert (found.interrupted, found.reused, len(found.results)) == (False, 1, 3)


def stop() -> None:
    raise KeyboardInterrupt


# --- a run that is killed, from outside ---

RUN = """
import sys
from pathlib import Path
from opcheck.grading.assignments import assignment
from opcheck.grading.classes import classroom, journal

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    record = journal.Journal.record

    def told(self, key, result):
        number = record(self, key, result)
        print(key.student, flush=True)
        return number

    journal.Journal.record = told
    asked = assignment.read(folder / "hw.toml")
    with classroom.grade_class([folder / "class"], asked, jobs=2, journal=folder / "j.db") as found:
        print("interrupted" if found.interrupted else "done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_where_it_stopped(tmp_path, homework, how):
    names = [f"s{n}" for n in range(8)]
    hand_in(tmp_path / "class", **dict.fromkeys(names, RIGHT))
    (tmp_path / "run.py").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        told = [process.stdout.readline().strip() for _ in range(3)]
        if how is signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            os.kill(process.pid, how)
        # To the end of the pipe, which all processes hold: none of them outlives the run.
        rest, _ = process.communicate(timeout=120)
    told += [line for line in rest.split() if line in names]
    with closing(sqlite3.connect(tmp_path / "j.db")) as kept:  # the end may come between record and print
        done = [student for (student,) in kept.execute("SELECT student FROM results")]
    assert set(told) <= set(done)
    assert ("interrupted" in rest) == (how is signal.SIGINT)
    again = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    *graded_again, last = again.stdout.split()
    assert last == "done"
    assert not set(done) & set(graded_again), "graded twice"
    assert sorted([*done, *graded_again]) == names, "lost"


# --- refusals ---


def test_what_cannot_begin_is_refused_first(tmp_path, homework, monkeypatch):
    with pytest.raises(Refused, match=r"jobs must be a whole number, at least 1. Got 0"):
        classroom.grade_class([tmp_path], homework, jobs=0)
    with pytest.raises(Refused, match="does not exist"):
        classroom.grade_class([tmp_path / "no"], homework)

    def none(unsafe=False):
        raise NoSandbox("no isolation here; --unsafe")

    monkeypatch.setattr(classroom, "choose", none)
    with pytest.raises(CouldNotRun, match="no isolation here; --unsafe"):
        classroom.grade_class([tmp_path], homework)
