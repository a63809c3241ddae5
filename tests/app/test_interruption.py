"""SIGTERM ends a command as Ctrl-C does: what was found is printed, nothing is left behind, and the code says how."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opcheck

COMMAND = [sys.executable, "-c", "from opcheck.app import main; main()"]
KERNEL = """
import pathlib, time
import numpy as np

calls = []

def slow(x):
    calls.append(x)
    if len(calls) == 100:  # the first case is through
        pathlib.Path(__file__).with_name("ran").touch()
    time.sleep(0.01 if len(calls) < 100 else 60)  # longer than anybody waits for it
    return np.maximum(x, 0)
"""


def members(group):
    """Who is left of a process group, once multiprocessing's tracker has noticed that it has nothing to track."""
    end = time.monotonic() + 10
    while found := [each for each in Path("/proc").glob("[0-9]*/stat") if belongs(each, group)]:
        if time.monotonic() > end:
            return found
        time.sleep(0.05)
    return []


def belongs(stat, group):
    try:
        state, _, of, *_ = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(of) == group and state != "Z"


def ended_by(number, tmp_path, *arguments, group=False):
    """The command, ended by that signal once the kernel has run: its exit code and what it printed."""
    (tmp_path / "kernel.py").write_text(KERNEL)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(opcheck.__file__).parents[1]), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup, SIGHUP is ignored
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while not (tmp_path / "ran").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.3)
        for _ in range(2 if group else 1):  # as `timeout` does: to the process, and then to all of its group
            (os.killpg if group else os.kill)(process.pid, number)
        printed, _ = process.communicate(timeout=60)
    assert members(process.pid) == []
    assert list(temporary.iterdir()) == []
    return process.returncode, printed


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(
    ("number", "group", "jobs"),
    [(signal.SIGTERM, True, 1), (signal.SIGHUP, False, 0)],
)
def test_a_signal_ends_verify_as_ctrl_c_does(tmp_path, number, group, jobs):
    how = ("--jobs", str(jobs)) if jobs else ("--in-process",)
    code, printed = ended_by(
        number, tmp_path, "verify", "relu", "--impl", "kernel.py:slow", "--cases", "99", *how, group=group
    )
    assert code == 128 + number, printed
    found = re.search(r"interrupted; everything checked so far agrees: (\d+) cases? \(", printed)
    assert found and int(found[1]) >= 1, printed
    assert "Traceback" not in printed


def test_a_signal_that_was_to_be_ignored_is_ignored(monkeypatch):
    from opcheck.app.interruption import heard

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with heard():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
