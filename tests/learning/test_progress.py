"""Progress: it survives, it is written whole, and trouble with it never stops a lesson."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opcheck.learning import scores
from opcheck.learning.practice import Score
from opcheck.learning.progress import Mark, Progress, default_path


def test_what_was_kept_is_there_again(tmp_path):
    path = tmp_path / "state" / "opcheck" / "progress.json"
    progress = Progress(path)
    assert progress.of("03-linear") == Mark()
    progress.keep("03-linear", Mark(2, 5, 3, {1: "right", 2: "skipped"}))
    progress.keep("04-floats", Mark(5, 5, 0))
    again = Progress(path)
    assert again.marks == {"03-linear": Mark(2, 5, 3, {1: "right", 2: "skipped"}), "04-floats": Mark(5, 5, 0)}
    assert not again.of("03-linear").finished
    assert again.of("04-floats").finished
    assert again.of("03-linear").right == 1
    assert json.loads(path.read_text())["schema"] == "opcheck.progress/1"
    assert [each.name for each in path.parent.iterdir()] == ["progress.json"]


def test_forgetting_one_or_all(tmp_path):
    progress = Progress(tmp_path / "progress.json")
    for name in ("01-a", "02-b", "03-c"):
        progress.keep(name, Mark(1, 2))
    progress.forget("02-b")
    assert set(Progress(progress.path).marks) == {"01-a", "03-c"}
    progress.forget()
    assert Progress(progress.path).marks == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"schema": "other/1", "lessons": {}}',
        '{"schema": "opcheck.progress/1"}',
        '{"schema": "opcheck.progress/1", "lessons": {"a": {"part": "x"}}}',
    ],
)
def test_a_file_that_is_no_progress_is_put_aside(tmp_path, text):
    path = tmp_path / "progress.json"
    path.write_text(text)
    progress = Progress(path)
    assert progress.marks == {}
    assert progress.trouble == f"{path} was not readable as progress and is kept as progress.broken.json"
    assert (tmp_path / "progress.broken.json").read_text() == text
    progress.keep("01-a", Mark(1, 2))
    assert Progress(path).of("01-a") == Mark(1, 2)


def test_a_place_that_cannot_be_written_is_told_and_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    progress = Progress(tmp_path / "file" / "progress.json")
    progress.keep("01-a", Mark(1, 2))
    assert progress.of("01-a") == Mark(1, 2)
    assert "Not a directory" in progress.trouble or "exists" in progress.trouble


def test_the_place_is_the_platforms_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "opcheck" / "progress.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    places = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.delenv("LOCALAPPDATA", raising=False)
        places[platform] = default_path().parent.relative_to(tmp_path).as_posix()
    assert places == {
        "linux": ".local/state/opcheck",
        "darwin": "Library/Application Support/opcheck",
        "win32": "AppData/Local/opcheck",
    }
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert default_path() == tmp_path / "Local" / "opcheck" / "progress.json"


def test_two_that_keep_at_once_lose_nothing_of_each_other(tmp_path):
    path = tmp_path / "progress.json"
    one, other = Progress(path), Progress(path)
    one.keep("03-linear", Mark(2, 5, 2, {1: "right"}))
    other.keep("04-floats", Mark(1, 5))
    other.keep("03-linear", Mark(1, 5, 2, {2: "skipped"}))
    assert Progress(path).marks == {"03-linear": Mark(2, 5, 2, {1: "right", 2: "skipped"}), "04-floats": Mark(1, 5)}


def test_practice_of_many_at_once_is_counted(tmp_path):
    path = tmp_path / "practice.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: scores.add(path, "tanh", Score(1, 1)), range(40)))
    assert scores.read(path)["tanh"].asked == 40


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a FIFO")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "progress.json")
    assert Progress(tmp_path / "progress.json").marks == {}
    os.mkfifo(tmp_path / "practice.json")
    assert scores.read(tmp_path / "practice.json") == {}


def test_nobody_has_read_more_parts_than_there_are(tmp_path):
    kept = {"part": 1e9, "parts": 5, "questions": 0, "answers": {}}
    path = tmp_path / "progress.json"
    path.write_text(json.dumps({"schema": "opcheck.progress/1", "lessons": {"03-linear": kept}}))
    assert Progress(path).of("03-linear").part == 5
