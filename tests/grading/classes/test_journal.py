"""The journal: what is recorded stays, whatever happens to the process."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from opcheck.errors import Refused
from opcheck.grading.classes.journal import Journal, Key, Results
from tests.grading import examples

ROOT = Path(__file__).parents[3]
KEY = Key("ada", "1" * 64, "a" * 64)


@given(examples.results())
def test_a_result_comes_back_as_it_was(result):
    with Journal() as journal:
        assert journal.read(journal.record(KEY, result)) == replace(result, seconds=round(result.seconds, 3))


def test_results_outlive_the_journal_that_wrote_them(tmp_path):
    with Journal(tmp_path / "j.db") as journal:
        number = journal.record(KEY, examples.result())
    with Journal(tmp_path / "j.db") as journal:
        assert journal.find(KEY) == number
        assert journal.read(number) == examples.result()


@pytest.mark.parametrize("field", Key._fields)
def test_another_student_submission_or_assignment_is_not_found(field):
    with Journal() as journal:
        journal.record(KEY, examples.result())
        assert journal.find(KEY._replace(**{field: "other"})) is None


def test_a_key_has_one_result_the_first():
    with Journal() as journal:
        first = journal.record(KEY, examples.result(wrong=0))
        assert journal.record(KEY, examples.result(wrong=1)) == first
        assert journal.read(first) == examples.result(wrong=0)


def test_a_name_need_not_be_unicode():
    with Journal() as journal:
        key = KEY._replace(student="ad\udce9")
        assert journal.find(key) is None
        number = journal.record(key, examples.hostile())
        assert journal.find(key) == number


def test_results_are_a_sequence_that_reads_what_is_asked_for():
    with Journal() as journal:
        numbers = [journal.record(KEY._replace(student=name), examples.result(name)) for name in "abc"]
        results = Results(journal, numbers[::-1])
        assert [result.student for result in results] == ["c", "b", "a"]
        assert len(results) == 3
        assert results[-1].student == "a"
        assert [result.student for result in results[:2]] == ["c", "b"]


# --- refusals ---


def test_two_runs_cannot_use_one_journal(tmp_path):
    path = tmp_path / "j.db"
    with Journal(path), pytest.raises(Refused, match=rf"another run is using the journal {path}. wait for it, or name"):
        Journal(path)


def test_other_files_are_left_as_they_are(tmp_path):
    text = tmp_path / "grades.txt"
    text.write_text("precious, and longer than the header of a database " * 99)
    with pytest.raises(Refused, match=r"grades.txt is not a journal, or it is damaged. name another file"):
        Journal(text)
    assert text.read_text().startswith("precious")
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE precious (x)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    with pytest.raises(Refused, match=r"other.db is not an opcheck journal"):
        Journal(other)
    assert other.read_bytes() == before


def test_a_later_version_is_refused(tmp_path):
    with Journal(tmp_path / "j.db"):
        pass
    connection = sqlite3.connect(tmp_path / "j.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Refused, match="was written by another version of opcheck"):
        Journal(tmp_path / "j.db")


def test_a_record_that_was_tampered_with_is_refused(tmp_path):
    with Journal(tmp_path / "j.db") as journal:
        number = journal.record(KEY, examples.result())
    connection = sqlite3.connect(tmp_path / "j.db")
    connection.execute("UPDATE results SET result = '{}'")
    connection.commit()
    connection.close()
    with Journal(tmp_path / "j.db") as journal, pytest.raises(Refused, match="damaged"):
        journal.read(number)


def test_a_place_where_nothing_can_be_written_is_told(tmp_path):
    with pytest.raises(Refused, match="No such file or directory"):
        Journal(tmp_path / "missing" / "j.db")


# --- kill -9 ---

WRITER = """
import sys
from pathlib import Path
from opcheck.grading.classes.journal import Journal, Key
from tests.grading import examples
with Journal(Path(sys.argv[1])) as journal:
    for n in range(100_000):
        key = Key(str(n), "s", "a")
        if journal.find(key) is None:
            journal.record(key, examples.result(str(n)))
            print(n, flush=True)
"""


def test_whatever_was_recorded_survives_kill_9_at_any_moment(tmp_path):
    told: list[int] = []
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "j.db"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            told.append(int(process.stdout.readline()))
            time.sleep(random.random() / 5)
            os.kill(process.pid, signal.SIGKILL)
            told += [int(line) for line in process.stdout if line.endswith("\n")]
    assert len(told) == len(set(told)), "one was graded twice"
    with Journal(tmp_path / "j.db") as journal:
        for n in told:
            number = journal.find(Key(str(n), "s", "a"))
            assert number is not None, "one was lost"
            assert journal.read(number) == examples.result(str(n))
