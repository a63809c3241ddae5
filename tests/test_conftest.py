"""The shared set-up of the tests, seen from outside: pytest run on a small file with this conftest."""

import gc
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
        ({"OPCHECK_PROFILE": "nightly"}, 2000),
        ({"OPCHECK_PROFILE": "nightly", "OPCHECK_EXAMPLES": "70"}, 70),
    ],
)
def test_the_profile_comes_from_the_environment(run_pytest, monkeypatch, environment, examples):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert f"profile of {examples}\n" in run_pytest(PROFILE)


GIVEN = "from hypothesis import given, strategies\n@given(strategies.integers())\ndef test_given(n): assert n < 9\n"


def test_in_ci_a_failure_prints_the_blob_that_repeats_it(run_pytest, monkeypatch):
    monkeypatch.setenv("CI", "true")
    printed = run_pytest(GIVEN + PROFILE)
    assert "profile of 12\n" in printed and "@reproduce_failure(" in printed


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


WARNING = "import warnings\ndef test_warning(): warnings.warn('look')\ndef test_last(): pass\n"


def test_without_an_environment_a_warning_is_an_error_and_a_failure_is_named_as_it_happens(run_pytest):
    printed = run_pytest(PROFILE + WARNING)
    assert "profile of 12\n" in printed and "2 failed, 1 passed" in printed
    at_once = printed.partition("= FAILURES =")[0]
    assert "\nFAILED tests/test_it.py::test\n" in at_once and "\nFAILED tests/test_it.py::test_warning\n" in at_once


class Item:
    """A test as pytest collects it."""

    def __init__(self, nodeid, slow=False, share=None):
        self.nodeid, self.slow, self.share = nodeid, slow, share

    def get_closest_marker(self, name):
        if name == "share":
            return self.share and pytest.mark.share(self.share).mark
        return (name == "slow" and self.slow) or None


class Config:
    """pytest's settings: what was asked for, and who is told of what is left out."""

    def __init__(self, *args):
        self.args, self.hook = args, self

    def pytest_deselected(self, items):
        self.left_out = len(items)


def test_fast_rooms_are_first_and_slow_tests_never_the_last_of_a_room():
    items = [Item("tests/verification/a/test_x.py::test"), Item("tests/operators/test_x.py::test"),
             Item("tests/operators/test_x.py::test_slow", slow=True), Item("tests/tracing/test_x.py::test"),
             Item("tests/test_project.py::test")]  # fmt: skip
    pytest_collection_modifyitems(Config("tests"), items)
    assert [each.nodeid.split("::")[0] for each in items] == [
        "tests/tracing/test_x.py", "tests/test_project.py", "tests/operators/test_x.py", "tests/operators/test_x.py",
        "tests/verification/a/test_x.py",
    ]  # fmt: skip
    assert items[2].slow


def taken(monkeypatch, profile, asked="tests"):
    monkeypatch.setattr("tests.conftest.PROFILE", profile)
    items = [Item(f"tests/test_x.py::{name}[{k}]", share=share)
             for name, share in (("test_one", 2), ("test_other", 2), ("test_all", None)) for k in range(7)]  # fmt: skip
    config = Config(asked)
    pytest_collection_modifyitems(config, items)
    assert len(items) + config.left_out == 21
    return [each.nodeid for each in items]


@pytest.mark.parametrize(("profile", "count"), [("ci", 2), ("dev", 2), ("nightly", 7)])
def test_a_share_is_taken_of_each_test_that_says_so(monkeypatch, profile, count):
    found = taken(monkeypatch, profile)
    assert [sum(f"::{name}[" in each for each in found) for name in ("test_one", "test_other")] == [count, count]
    assert sum("::test_all[" in each for each in found) == 7
    assert found == taken(monkeypatch, profile)


def test_of_a_share_what_is_asked_for_by_name_runs(monkeypatch):
    names = [f"tests/test_x.py::test_one[{k}]" for k in range(7)]
    assert all(name in taken(monkeypatch, "ci", asked=name) for name in names)


THREADS = """
import os, pytest
@pytest.mark.parametrize("k", [1, 2])
def test(k): assert os.environ["OMP_NUM_THREADS"] == "1"
"""


def test_each_process_has_one_thread_also_under_xdist(run_pytest):
    assert "2 passed" in run_pytest(THREADS, "-n", "2")


def test_the_search_for_garbage_leaves_out_what_was_collected():
    assert gc.get_freeze_count() > 10_000
