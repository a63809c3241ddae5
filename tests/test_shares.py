"""The marker `share(n)` of conftest.py: some parameters by day, all at night."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKED = """
import pytest

@pytest.mark.share(2)
@pytest.mark.parametrize("k", range(7))
def test_one(k): pass

@pytest.mark.share(2)
@pytest.mark.parametrize("k", range(7))
def test_other(k): pass

@pytest.mark.parametrize("k", range(3))
def test_all(k): pass
"""


def collected(folder: Path, profile: str, *asked: str) -> list[str]:
    (folder / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    (folder / "test_marked.py").write_text(MARKED)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *(asked or ["."])]
    environment = {**os.environ, "OPCHECK_PROFILE": profile}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.parametrize(("profile", "count"), [("ci", 2), ("dev", 2), ("nightly", 7)])
def test_a_share_is_taken_of_each_test(tmp_path: Path, profile: str, count: int) -> None:
    found = collected(tmp_path, profile)
    assert [sum(f"::{name}[" in each for each in found) for name in ("test_one", "test_other")] == [count, count]
    assert sum("::test_all[" in each for each in found) == 3
    assert found == collected(tmp_path, profile)


def test_what_is_asked_for_by_name_runs(tmp_path: Path) -> None:
    names = [f"test_marked.py::test_one[{k}]" for k in range(7)]
    assert [collected(tmp_path, "ci", name) for name in names] == [[name] for name in names]
