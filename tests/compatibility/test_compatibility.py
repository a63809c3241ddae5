"""What opcheck 0.1.0 wrote still means the same: cases replay, journals and assignments load, JSON keeps its fields."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

import opcheck
from opcheck import backends, specs
from opcheck.app import cli
from opcheck.grading.assignments.assignment import read
from opcheck.grading.classes.journal import Journal
from opcheck.verification import casefile
from opcheck.verification.report import Report
from opcheck.verification.run import check_again

HERE = Path(__file__).parent
VERDICTS = dict(line.split() for line in (HERE / "verdicts.txt").read_text().splitlines())
KERNELS = ("linear", "mse_loss", "relu", "softmax")  # in kernels.py, all of them wrong


def implementation(name: str) -> str:
    """What replayed the case: torch, or the kernel that its failure was saved for."""
    kernel = next((each for each in KERNELS if name.startswith(f"failing-{each}-")), "")
    return f"{HERE / 'kernels.py'}:{kernel}" if kernel else "torch"


def test_all_is_there():
    assert len(VERDICTS) == 50
    assert {path.name for path in (HERE / "cases").iterdir()} == VERDICTS.keys()
    assert sum(verdict == "1" for verdict in VERDICTS.values()) >= 10


@pytest.mark.torch
def test_cases_replay_with_the_same_verdict():
    pytest.importorskip("torch")
    found = {}
    for name in VERDICTS:
        data = json.loads((HERE / "cases" / name).read_text())
        made = casefile.from_json(data)
        report = Report(trials=1)
        backend = backends.load(implementation(name))
        check_again(specs.get(made.case.op), made, backend, report, data["claim"])
        found[name] = str(int(not report.agrees))
    assert found == VERDICTS


@pytest.mark.parametrize("path", sorted((HERE / "assignments").iterdir()), ids=lambda path: path.stem)
def test_assignments_load(path):
    assignment = read(path)
    asked = [line.split('"')[1] for line in path.read_text().splitlines() if line.startswith("operator = ")]
    assert asked
    assert [question.op.name for question in assignment.questions] == asked


@pytest.mark.parametrize("name", ["functional", "cs231n", "cmu"])
def test_journals_give_their_results_back(name, tmp_path):
    shutil.copy(HERE / "journals" / f"{name}.jsonl", tmp_path)
    printed = json.loads((HERE / "json" / f"grade-{name}.json").read_text())["results"]
    with Journal(tmp_path / f"{name}.jsonl") as journal:
        kept = {result.student: result.score for result in map(journal.read, (1, 2, 3))}
    assert kept == {result["student"]: result["score"] for result in printed}


def fields(data: object, path: str = "") -> set[str]:
    """The fields of a document, with what they hold."""
    if isinstance(data, dict):
        return {each for key, value in data.items() for each in fields(value, f"{path}.{key}")}
    if isinstance(data, list):
        return {each for value in data for each in fields(value, f"{path}[]")}
    kind = "number" if isinstance(data, (int, float)) and not isinstance(data, bool) else type(data).__name__
    return {f"{path}: {kind}"}


def written_now(name: str) -> str:
    match name:
        case "explain-conv2d":
            return opcheck.explain("conv2d", shapes={"input": (4, 4)}).to_json()
        case "explain-softmax-grad":
            return opcheck.explain("softmax", shapes={"input": (3,)}, grad=True).to_json()
        case "explain-adam":
            return opcheck.explain("adam", shapes={"param": (2,), "grad": (2,)}).to_json()
        case "trace-scalar":
            return str(opcheck.trace("ln(x1)+x1*x2-sin(x2)", at={"x1": 2, "x2": 5}).to_json())
        case "trace-tensor":
            from opcheck.autodiff import load

            return str(opcheck.trace(load(HERE / "program.py", "loss")).to_json())
        case "verify-relu":
            command = [
                "verify",
                "relu",
                "--impl",
                f"{HERE / 'kernels.py'}:relu",
                "--seed",
                "7",
                "--in-process",
                "--json",
            ]
            with TemporaryDirectory() as folder:
                return str(CliRunner().invoke(cli, [*command, "--save", folder]).stdout)
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name", ["explain-conv2d", "explain-softmax-grad", "explain-adam", "trace-scalar", "trace-tensor", "verify-relu"]
)
def test_json_keeps_its_fields_or_changes_its_schema(name):
    old = json.loads((HERE / "json" / f"{name}.json").read_text())
    new = json.loads(written_now(name))
    assert new["schema"] != old["schema"] or fields(old) <= fields(new)


def test_a_lost_field_would_be_seen():
    assert fields({"a": [{"b": 1}]}) == {".a[].b: number"}
    assert not fields({"a": 1, "b": "x"}) <= fields({"a": 1})
