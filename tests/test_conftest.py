"""The shared set-up of the tests, seen from outside: pytest run on a small file with this conftest."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import pytest_collection_modifyitems

CONFTEST = Path(__file__).with_name("conftest.py")
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.fixture
def run_pytest(tmp_path, monkeypatch):
    """Runs pytest on a file with the given text, with our conftest and settings; returns what it printed."""
    for variable in (
        "OPCHECK_PROFILE",
        "OPCHECK_EXAMPLES",
        "CI",
        "PYTEST_ADDOPTS",
        "PYTEST_XDIST_WORKER",
        "OMP_NUM_THREADS",
    ):
        monkeypatch.delenv(variable, raising=False)

    def run(text: str, *arguments: str) -> str:
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "pyproject.toml").write_text(PYPROJECT.read_text())
        (tmp_path / "tests" / "conftest.py").write_text(CONFTEST.read_text())
        (tmp_path / "tests" / "test_it.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        return done.stdout

    return run


PROFILE = "from hypothesis import settings\ndef test(): assert 0, f'profile of {settings.default.max_examples}'\n"


@pytest.mark.parametrize(
    ("environment", "examples"),
    [
        ({}, 25),
        ({"CI": "true"}, 50),
        ({"OPCHECK_PROFILE": "nightly"}, 2000),
        ({"OPCHECK_PROFILE": "nightly", "OPCHECK_EXAMPLES": "70"}, 70),
        ({"OPCHECK_PROFILE": "dev", "CI": "true"}, 25),
    ],
)
def test_the_profile_comes_from_the_environment(run_pytest, monkeypatch, environment, examples):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert f"profile of {examples}\n" in run_pytest(PROFILE)


def test_a_ci_failure_prints_the_blob_that_repeats_it(run_pytest, monkeypatch):
    monkeypatch.setenv("CI", "true")
    text = "from hypothesis import given, strategies\n@given(strategies.integers())\ndef test(n): assert n < 9\n"
    assert "@reproduce_failure(" in run_pytest(text)


SEED = """
from opcheck import verify
def test():
    found = verify("relu", lambda input: input.clip(0), arrays="numpy", cases=1, seed=None).seed
    assert 0, f"seed {found}."
"""


@pytest.mark.parametrize(("profile", "seeds"), [("ci", 1), ("dev", 2)])
def test_only_ci_draws_the_same_seeds(run_pytest, monkeypatch, profile, seeds):
    monkeypatch.setenv("OPCHECK_PROFILE", profile)
    assert len({re.search(r"seed \d+\.", run_pytest(SEED))[0] for _ in range(2)}) == seeds


MARKED = """
import pytest
@pytest.mark.torch
def test(): assert True
"""


def test_without_torch_its_tests_are_skipped_with_a_reason(run_pytest):
    printed = run_pytest("import sys; sys.modules['torch'] = None\n" + MARKED, "-rs")
    assert "1 skipped" in printed
    assert "needs torch: pip install -c constraints.txt '.[torch]'" in printed


def test_with_torch_its_tests_run(run_pytest):
    printed = run_pytest(
        "import sys, importlib.machinery as m, types; sys.modules['torch'] = t = types.ModuleType('torch')\n"
        "t.__spec__ = m.ModuleSpec('torch', None)\n" + MARKED
    )
    assert "1 passed" in printed


def test_a_warning_is_an_error(run_pytest):
    assert "1 failed" in run_pytest("import warnings\ndef test(): warnings.warn('look')\n")


def test_a_failure_is_named_as_it_happens(run_pytest):
    printed = run_pytest("def test_first(): assert 0\ndef test_second(): pass\n")
    assert "\nFAILED tests/test_it.py::test_first\n" in printed.partition("= FAILURES =")[0]


def test_fast_rooms_are_first_and_slow_tests_never_the_last_of_a_room():
    class Item:
        def __init__(self, nodeid, slow=False):
            self.nodeid, self.slow = nodeid, slow

        def get_closest_marker(self, name):
            return (name == "slow" and self.slow) or None

    items = [Item("tests/verification/a/test_x.py::test"), Item("tests/operators/test_x.py::test"),
             Item("tests/operators/test_x.py::test_slow", slow=True), Item("tests/tracing/test_x.py::test"),
             Item("tests/test_project.py::test")]  # fmt: skip
    pytest_collection_modifyitems(items)
    assert [each.nodeid.split("::")[0] for each in items] == [
        "tests/tracing/test_x.py", "tests/test_project.py", "tests/operators/test_x.py", "tests/operators/test_x.py",
        "tests/verification/a/test_x.py",
    ]  # fmt: skip
    assert items[2].slow


THREADS = """
import os, pytest
@pytest.mark.parametrize("k", [1, 2])
def test(k): assert os.environ["OMP_NUM_THREADS"] == "1"
"""


def test_each_process_has_one_thread_also_under_xdist(run_pytest):
    assert "2 passed" in run_pytest(THREADS, "-n", "2")
