"""The autograder to upload: what is in it, and that its scripts grade."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from opcheck.app import run
from opcheck.errors import Refused
from opcheck.grading import bundle
from opcheck.sandbox import NoSandbox, choose
from tests.grading.formats import documented

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
    with pytest.raises(Refused, match="cannot write"):
        bundle.write("gradescope", homework, homework.parent / "no" / "x.zip")


# --- as Gradescope runs it ---


@pytest.fixture
def autograder(homework, tmp_path) -> Path:
    """The folder /autograder, with the zip unpacked and the script copied where Gradescope does that."""
    home = tmp_path / "autograder"
    assert run(["grade", "--bundle", "gradescope", str(homework), "-o", str(tmp_path / "autograder.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(home / "source")
    shutil.copy(home / "source" / "run_autograder", home)
    (home / "submission").mkdir()
    (home / "results").mkdir()
    people = {"users": [{"name": "Ada Lovelace", "email": "a@x"}, {"name": "Bob", "email": "b@x"}]}
    (home / "submission_metadata.json").write_text(json.dumps(people))
    return home


def run_autograder(home: Path) -> dict:
    done = subprocess.run(
        [sys.executable, home / "run_autograder"],
        cwd=home,
        env={**os.environ, "AUTOGRADER_HOME": str(home), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return documented.gradescope((home / "results" / "results.json").read_text())


@pytest.fixture
def isolated():
    try:
        choose()
    except NoSandbox as reason:
        pytest.skip(str(reason))


def test_it_grades_a_submission(autograder, isolated):
    (autograder / "submission" / "layers.py").write_text(RIGHT)
    (autograder / "submission" / "helper.py").write_text("x = 1\n")
    results = run_autograder(autograder)
    assert results["score"] == 3
    assert [(test["name"], test["status"]) for test in results["tests"]] == [("linear, forward", "passed")]


@pytest.mark.parametrize(
    ("code", "score", "told"),
    [
        (RIGHT.replace(" + b", ""), 0, "The bias was not added.\n\nThe smallest case that fails: "),
        (RIGHT.replace("return", "raise ValueError\n    return"), 0, "it raises ValueError (line 2 of layers.py)\n"),
        (RIGHT.replace("return", "print('x' * 10**6)\n    return"), 3, ""),
        ("print('x' * 10**6)\nwhile True: pass\n" + RIGHT, 3, ""),
        ("def linear(x, w, b): __import__('os').abort()", 0, "the process was ended by SIGABRT\n"),
        ("def linear(x, w, b): open('/autograder/results/results.json', 'w')", 0, "it raises FileNotFoundError: "),
        ("def linear(", 0, "it is not valid Python: "),
        ("", 0, "there is no linear; the file defines nothing"),
    ],
)
def test_results_are_what_gradescope_documents_whatever_is_handed_in(autograder, isolated, code, score, told):
    limits = "[limits]\nseconds = 1\n[[question]]\n"
    assignment = autograder / "source" / "assignment.toml"
    assignment.write_text(assignment.read_text().replace("[[question]]\n", limits))
    (autograder / "submission" / "layers.py").write_text(code)
    results = run_autograder(autograder)
    (test,) = results["tests"]
    assert (results["score"], test["score"], test["max_score"]) == (score, score, 3)
    assert (test["status"] == "passed") == (score == 3)
    assert test["output"].startswith(told)


SHIM = """#!/bin/sh
case "$1 $2" in
"-m venv")
    mkdir -p "$3/bin"
    ln -s "$0" "$3/bin/python"
    printf '#!/bin/sh\\necho pip "$@" >> {log}\\n' > "$3/bin/pip"
    chmod +x "$3/bin/pip" ;;
*) exec {python} "$@" ;;
esac
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_set_up_script_makes_what_the_autograder_runs_in(autograder, isolated, tmp_path):
    """With this interpreter for the one that it would make an environment of, and this machine's packages."""
    programs, log = tmp_path / "programs", tmp_path / "log"
    programs.mkdir()
    for name, text in (
        ("apt-get", f'#!/bin/sh\necho apt-get "$@" >> {log}\n'),
        ("python3.13", SHIM.format(log=log, python=sys.executable)),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "AUTOGRADER_HOME": str(autograder)}
    subprocess.run(["bash", autograder / "source" / "setup.sh"], env=environment, check=True)
    assert log.read_text().splitlines() == [
        "apt-get update",
        "apt-get install -y --no-install-recommends bubblewrap ca-certificates",
        "pip install --no-cache-dir -r requirements.txt",
    ]
    for line in (autograder / "source" / "requirements.txt").read_text().splitlines():
        assert version(Requirement(line).name) in Requirement(line).specifier
    (autograder / "submission" / "layers.py").write_text(RIGHT)
    command = [autograder / "venv" / "bin" / "python", autograder / "run_autograder"]
    subprocess.run(command, cwd=autograder, env={**environment, "PYTHONPATH": ""}, check=True)
    assert documented.gradescope((autograder / "results" / "results.json").read_text())["score"] == 3


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
