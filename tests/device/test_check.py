"""The script for a GPU, on a CPU: it runs, and says what ended as it should not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
CHECK = Path(__file__).parent / "check"


def checked(*words):
    command = [sys.executable, str(CHECK), "--device", "cpu", "--cases", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_harness_is_asked_with_a_right_and_a_wrong_model():
    status, found = checked("--only", "harness")
    assert (status, found["schema"], found["device"]) == (0, "opcheck.device/1", "cpu")
    right, wrong = found["runs"]
    assert (right["exit"], right["agrees"], right["as_it_should"]) == (0, True, True)
    assert (wrong["exit"], wrong["agrees"], wrong["as_it_should"]) == (1, False, True)
    assert wrong["failures"]


def test_a_run_that_ends_otherwise_fails_it():
    status, found = checked("--only", "allowed by torch's switch", "--seconds", "0.2")
    (run,) = found["runs"]
    assert status == 1 and not run["as_it_should"] and not run["trials"]
