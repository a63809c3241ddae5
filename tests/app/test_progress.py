"""How far a verification is: a bar on a terminal, else a line now and then, on stderr only."""

import io
import sys

import pytest

from opcheck.app import progress
from opcheck.app.progress import Progress


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def told():
    """What a progress is told of a run of two operators."""

    def tell(shown):
        shown("relu", "float32", 0, 400)
        shown("softmax", "float32", 0, 300)
        shown("relu", "float32", 400, 400)
        shown("softmax", "float32", 30, 300)

    return tell


def test_a_log_gets_a_line_now_and_then(told, monkeypatch, capsys):
    clock = iter([0.0, 1.0, 2.0, 31.0, 32.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress() as shown:
        told(shown)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "opcheck: relu float32, 400 of 400 cases done after 31 s\n"


def test_a_run_by_time_has_no_total(monkeypatch, capsys):
    clock = iter([0.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress() as shown:
        shown("relu", "float32", 1200, 0)
    assert capsys.readouterr().err == "opcheck: relu float32, 1200 cases done after 40 s\n"


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind(told, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress() as shown:
        told(shown)
    bar = sys.stderr.getvalue()
    assert "430/700" in bar and "softmax float32, 0 s" in bar
    assert bar.endswith("\x1b[2K")
    assert capsys.readouterr().out == ""
