"""`opcheck replay --known` runs a stored case where the deviation was found."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from opcheck import backends
from opcheck.app.replay import command
from opcheck.operators.spec import Case
from opcheck.verification import casefile, known

ENTRY = known.find("onnx-nll-loss-counts-what-ignore-index-minus-1-ignores")


def replayed(*words, entry=ENTRY):
    return CliRunner().invoke(command, ["--known", entry.name, *words], standalone_mode=False)


def test_a_known_deviation_is_replayed_on_its_own_library():
    pytest.importorskip("onnx")
    version = backends.load("onnx").version()
    if not ENTRY.concerns("onnx", version):
        pytest.skip(f"described for version {ENTRY.versions}; here is {version}")
    done = replayed()
    assert done.return_value == 1 and "output is 0.5 but should be 1.0" in done.output
    assert version in done.output


def test_another_implementation_can_be_named():
    pytest.importorskip("torch")
    done = replayed("--impl", "torch")
    assert done.return_value == 0 and "torch 2." in done.output


def test_a_case_that_ended_a_process_is_replayed_in_one_of_its_own(tmp_path):
    (tmp_path / "kernels.py").write_text("import os\n\ndef relu(x):\n    os.abort()\n")
    trial = known.find("torch-convolution-crash-where-no-column-reads-the-input").trial()
    case = casefile.to_json(trial.replace(case=Case("relu", {"input": np.ones(2)}, {})), status="CRASHED")
    (tmp_path / "case.json").write_text(json.dumps(case))
    words = [str(tmp_path / "case.json"), "--impl", f"{tmp_path / 'kernels.py'}:relu"]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.return_value == 1
    assert "CRASHED  relu float32 answers: the process was killed by SIGABRT" in done.output


def test_a_known_deviation_that_ends_the_process_is_survived():
    torch = pytest.importorskip("torch")
    entry = known.find("torch-convolution-crash-where-no-column-reads-the-input")
    if not entry.concerns("torch", f"torch {torch.__version__}"):
        pytest.skip(f"described for version {entry.versions}")
    if torch.backends.cpu.get_cpu_capability() != entry.processor:
        pytest.skip(f"described for processors with {entry.processor}")
    done = replayed(entry=entry)
    assert done.return_value == 1
    assert "CRASHED  conv2d float32 answers: the process was killed by SIGSEGV, for" in done.output
