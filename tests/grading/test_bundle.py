"""The autograder to upload: what is in it, and that its scripts grade."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import bundle
from opcheck.sandbox import NoSandbox, choose

ROOT = Path(__file__).parents[2]
HOMEWORK = """
title = "Homework"
[[question]]
operator = "linear"
points = { forward = 3 }
[question.parameters]
bias = [true]
"""
RIGHT = "def linear(x, w, b):\n    return x @ w.T + b\n"
OURS = """
from opcheck.grading.conventions import Convention, Entry
CONVENTION = Convention("ours", "for this test", {"linear": Entry(("linear",))}, None, None)
"""


@pytest.fixture
def homework(tmp_path) -> Path:
    (tmp_path / "hw.toml").write_text(HOMEWORK)
    return tmp_path / "hw.toml"


def bundled(homework: Path, **options) -> zipfile.ZipFile:
    output = homework.parent / "autograder.zip"
    bundle.write("gradescope", homework, output, **options)
    assert sorted(path.name for path in homework.parent.glob("autograder*")) == ["autograder.zip"]
    return zipfile.ZipFile(output)


def test_it_holds_opcheck_the_assignment_and_the_scripts(homework):
    with bundled(homework) as archive:
        names = set(archive.namelist())
        files = [path for path in (ROOT / "opcheck").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        package = {f"opcheck/{path.relative_to(ROOT / 'opcheck').as_posix()}" for path in files}
        assert names == package | {"setup.sh", "run_autograder", "assignment.toml", "requirements.txt"}
        assert archive.read("assignment.toml").decode() == HOMEWORK
        for name in ("setup.sh", "run_autograder"):
            assert archive.getinfo(name).external_attr >> 16 & stat.S_IXUSR
            assert archive.read(name).startswith(b"#!/")


def test_the_same_assignment_gives_the_same_bytes(homework):
    bundled(homework).close()
    first = (homework.parent / "autograder.zip").read_bytes()
    bundled(homework).close()
    assert (homework.parent / "autograder.zip").read_bytes() == first


def test_it_installs_what_opcheck_depends_on_in_the_versions_of_this_machine(homework):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [Requirement(line).name for line in project["dependencies"]] == list(bundle.PACKAGES)
    with bundled(homework) as archive:
        pins = [Requirement(line) for line in archive.read("requirements.txt").decode().splitlines()]
    for pin, line in zip(pins, project["dependencies"], strict=True):
        (version,) = (each.version for each in pin.specifier)
        assert version in Requirement(line).specifier


@pytest.mark.torch
def test_an_assignment_for_torch_installs_torch(homework):
    homework.write_text('arrays = "torch"\n' + HOMEWORK)
    with bundled(homework) as archive:
        *_, index, torch = archive.read("requirements.txt").decode().splitlines()
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert Requirement(torch).name == "torch"


def test_a_teachers_own_convention_comes_along(homework):
    (homework.parent / "ours.py").write_text(OURS)
    homework.write_text('convention = "ours.py"\n' + HOMEWORK)
    with bundled(homework) as archive:
        assert archive.read("ours.py").decode() == OURS


def test_what_cannot_be_bundled_is_refused(homework):
    with pytest.raises(Refused, match=r"there is no bundle for 'moodle'. one of gradescope"):
        bundle.write("moodle", homework, homework.parent / "x.zip")
    (homework.parent / "hw").mkdir()
    (homework.parent / "ours.py").write_text(OURS)
    inner = homework.parent / "hw" / "hw.toml"
    inner.write_text('convention = "../ours.py"\n' + HOMEWORK)
    with pytest.raises(Refused, match=r"lies beside the assignment. Got ../ours.py. copy it into that folder"):
        bundle.write("gradescope", inner, homework.parent / "x.zip")
    with pytest.raises(CouldNotRun, match="cannot write"):
        bundle.write("gradescope", homework, homework.parent / "no" / "x.zip")


# --- as Gradescope runs it ---


@pytest.fixture
def autograder(homework, tmp_path) -> Path:
    """The folder /autograder, with the zip unpacked where Gradescope unpacks it."""
    home = tmp_path / "autograder"
    with bundled(homework) as archive:
        archive.extractall(home / "source")
    (home / "submission").mkdir()
    (home / "results").mkdir()
    people = {"users": [{"name": "Ada Lovelace", "email": "a@x"}, {"name": "Bob", "email": "b@x"}]}
    (home / "submission_metadata.json").write_text(json.dumps(people))
    return home


def run_autograder(home: Path) -> dict:
    done = subprocess.run(
        [sys.executable, home / "source" / "run_autograder"],
        cwd=home,
        env={**os.environ, "AUTOGRADER_HOME": str(home), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((home / "results" / "results.json").read_text())


def test_it_grades_a_submission(autograder):
    try:
        choose()
    except NoSandbox as reason:
        pytest.skip(str(reason))
    (autograder / "submission" / "layers.py").write_text(RIGHT)
    (autograder / "submission" / "helper.py").write_text("x = 1\n")
    results = run_autograder(autograder)
    assert results["score"] == 3
    assert [(test["name"], test["status"]) for test in results["tests"]] == [("linear, forward", "passed")]


def test_an_empty_submission_is_graded_too(autograder):
    results = run_autograder(autograder)
    assert results["score"] == 0
    if "tests" in results:  # else: no sandbox on this machine
        assert "there is no .py or .ipynb file in it" in results["tests"][0]["output"]


def test_there_are_results_even_if_nothing_can_be_graded(autograder):
    (autograder / "source" / "assignment.toml").write_text("nonsense")
    results = run_autograder(autograder)
    assert results["score"] == 0
    assert results["output"].startswith("The autograder could not grade this; please tell your teacher. (Refused: ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_set_up_script_is_bash():
    script = ROOT / "opcheck" / "grading" / "bundles" / "gradescope" / "setup.sh"
    subprocess.run(["bash", "-n", script], check=True)
