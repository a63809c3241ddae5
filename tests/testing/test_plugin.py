"""The pytest plugin in a pytest of its own."""

import json
import subprocess
import sys

TESTS = """
import numpy as np

def right(x):
    return np.where(x < 0, np.zeros_like(x), x)

def wrong(x):
    return np.abs(x)

def test_right(opcheck_verify):
    opcheck_verify("relu", right)

def test_wrong(opcheck_verify):
    opcheck_verify("relu", wrong)

def test_device(opcheck_device, opcheck_dtype):
    assert opcheck_device == "cpu"
"""


def run(tmp_path, *options):
    (tmp_path / "test_kernels.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "opcheck.testing.plugin", "-q", *options, "test_kernels.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(tmp_path))


def environment(tmp_path):
    import os
    from pathlib import Path

    import opcheck

    # the plugin may be installed as an entry point or not: it is named above, so nothing is loaded by itself
    return {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(Path(opcheck.__file__).parents[1]),
        "COLUMNS": "200",
    }


def test_fails_with_the_counterexample_and_saves_it(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1
    assert "1 failed, 2 passed" in done.stdout
    assert "opcheck replay" in done.stdout
    saved = list((tmp_path / ".pytest_cache").rglob("relu-float32-*.json"))
    assert len(saved) == 1 and json.loads(saved[0].read_text())["schema"] == "opcheck.case/1"
    assert "relu float32 right: 100 cases agree" in done.stdout


def test_every_dtype_is_a_test_of_its_own(tmp_path):
    done = run(tmp_path, "--opcheck-dtype", "float32,float64", "-k", "right")
    assert "2 passed" in done.stdout
    assert "relu float64 right: 100 cases agree" in done.stdout
