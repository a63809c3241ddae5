"""A real server for the tests of a session, with a program of its own and a place of its own for progress."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.render.browser import window

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

PROGRAM = '''
import numpy as np


def halved(x: "N D", scale=0.5):
    """Each number, halved."""
    y = x * scale
    return y


def neuron(x1, x2, w=0.5):
    """A function of numbers."""
    return (x1 * w + x2) ** 2


def slow(x: "N"):
    """A program that does not end, of many numbers."""
    while x.shape[0] > 5:
        pass
    return x
'''


@dataclass
class Served:
    """A running server: its address, its process, and where it keeps progress."""

    address: str
    process: subprocess.Popen[str]
    state: Path


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("served")
    (home / "programs.py").write_text(PROGRAM)
    command = [sys.executable, "-c", "from opcheck.app import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "programs.py:halved", "programs.py:slow", "programs.py:neuron", "--seconds", "4"],
        cwd=home, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "XDG_STATE_HOME": str(home / "state")},
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://\S+", line)
    assert found, line + process.stderr.read()
    yield Served(found[0], process, home / "state")
    process.terminate()
    process.wait(30)
    process.stderr.close()


@pytest.fixture(scope="session")
def browser():
    """One browser for all tests that need one."""
    return window()
