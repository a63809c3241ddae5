"""`opcheck replay --known` runs a stored case where the deviation was found."""

import pytest
from click.testing import CliRunner

from opcheck import backends
from opcheck.app.replay import command
from opcheck.verification import known

ENTRY = known.find("onnx-nll-loss-counts-what-ignore-index-minus-1-ignores")


def replayed(*words):
    return CliRunner().invoke(command, ["--known", ENTRY.name, *words], standalone_mode=False)


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
