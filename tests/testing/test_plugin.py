"""The pytest plugin in a pytest of its own."""

import json
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

import opcheck

pytest_plugins = ["pytester"]
CUDA = find_spec("torch") is not None and import_module("torch").cuda.is_available()  # pytester forgets later imports

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

def test_what_a_library_has_not(opcheck_verify):
    opcheck_verify("adam", "onnx")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    # the plugin may be installed as an entry point or not: it is named, and nothing is loaded by itself
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTHONPATH", str(Path(opcheck.__file__).parents[1]))
    pytester.makepyfile(test_kernels=TESTS)
    # a process of its own: torch cannot be imported twice, and pytester takes away what a run imported
    return lambda *options: pytester.runpytest_subprocess("-p", "opcheck.testing.plugin", "-q", *options)


def test_fails_with_the_counterexample_and_saves_it(run, pytester):
    done = run("-k", "right or wrong or device")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["*output* should be *", "opcheck replay *", "*relu float32 right: 100 cases agree"])
    (saved,) = (pytester.path / ".pytest_cache").rglob("relu-float32-*.json")
    data = json.loads(saved.read_text())
    assert data["schema"] == "opcheck.case/1" and data["status"] == "DIFFERS"


def test_the_replay_line_runs_the_test_file_s_own_function(run):
    done = run("-k", "wrong")
    line = next(line for line in done.outlines if line.startswith("opcheck replay"))
    command = [sys.executable, str(Path(opcheck.__file__).parents[1] / "cli.py"), *shlex.split(line)[1:]]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1 and "DIFFERS  relu float32" in again.stdout, again.stderr


def test_every_dtype_is_a_test_of_its_own(run):
    done = run("--opcheck-dtype", "float32,float64", "-k", "right")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["relu float64 right: 100 cases agree"])


def test_seconds_instead_of_cases(run):
    done = run("--opcheck-seconds", "0.2", "-k", "right")
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("*100 cases agree")


def test_what_was_verified_is_in_the_junit_report(run, pytester):
    run("-k", "right", "--junitxml", "report.xml")
    properties = ElementTree.parse(pytester.path / "report.xml").findall(".//property")
    assert [each.get("value") for each in properties] == ["relu float32 right: 100 cases agree"]


def test_the_processes_of_xdist_report_too(run):
    pytest.importorskip("xdist")
    done = run("-p", "xdist.plugin", "-n", "1", "-k", "right")
    done.stdout.fnmatch_lines(["relu float32 right: 100 cases agree"])


def test_without_a_cache_nothing_is_saved(run):
    done = run("-k", "wrong", "-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.no_fnmatch_line("*opcheck replay*")


def test_nothing_to_check_is_skipped_and_not_passed(run):
    pytest.importorskip("onnx")
    done = run("-k", "library", "-rs")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["*nothing was checked: no counterpart in ONNX"])


def test_no_device_is_skipped(run):
    pytest.importorskip("torch")
    if CUDA:
        pytest.skip("there is a device")
    done = run("-k", "right or device", "--opcheck-device", "cuda", "-rs")
    done.assert_outcomes(skipped=2)
    done.stdout.fnmatch_lines(["*torch finds no CUDA device here"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--opcheck-dtype", "float32,float8"], "--opcheck-dtype: 'float8' is none of float64, float32*"),
        (["--opcheck-seconds", "0"], "--opcheck-seconds must be more than 0. Got 0.0"),
    ],
)
def test_bad_options_are_one_message(run, options, message):
    done = run(*options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {message}"])


PROPERTY = """
import {library}
from opcheck.testing import conforms

@conforms("relu", claims=["shape"])
def test_relu():
    return lambda x: {library}.{function}
"""


@pytest.mark.torch
def test_property_tests_run_on_the_device_of_the_option_or_are_skipped(run, pytester):
    of_torch = PROPERTY.format(library="torch", function="relu(x)")
    of_numpy = PROPERTY.format(library="numpy", function="maximum(x, 0)")
    pytester.makepyfile(test_of_torch=of_torch, test_of_numpy=of_numpy)
    done = run("test_of_torch.py", "test_of_numpy.py", "--opcheck-device", "cuda", "-rs")
    if CUDA:
        done.assert_outcomes(passed=2)
    else:
        done.assert_outcomes(passed=1, skipped=1)
        done.stdout.fnmatch_lines(["SKIPPED*there is no CUDA device here*"])
