"""`opcheck replay --known` runs a stored case where the deviation was found."""

import pytest
from click.testing import CliRunner

from opcheck.app.replay import command

pytest.importorskip("onnx")


def replayed(*words):
    return CliRunner().invoke(command, words, standalone_mode=False)


def test_a_known_deviation_is_replayed_on_its_own_library():
    done = replayed("--known", "onnx-nll-loss-counts-what-ignore-index-minus-1-ignores")
    assert done.return_value == 1 and "output is 0.5 but should be 1.0" in done.output
    assert "onnx 1." in done.output


def test_another_implementation_can_be_named():
    done = replayed("--known", "onnx-nll-loss-counts-what-ignore-index-minus-1-ignores", "--impl", "torch")
    assert done.return_value == 0 and "torch 2." in done.output
