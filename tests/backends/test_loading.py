"""Files are loaded whole, once for each version, and what is wrong with them is told."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from opcheck import loading
from opcheck.errors import Refused


def test_two_threads_get_the_whole_module(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time\ntime.sleep(0.2)\n\ndef right(x):\n    return x\n")
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(loading.find, [f"{path}:right"] * 4))
    assert len({id(each) for each in found}) == 1


def test_an_edited_file_is_loaded_again(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text("def f(x):\n    return 1\n")
    before = loading.find(f"{path}:f")(0)
    time.sleep(0.01)
    path.write_text("def f(x):\n    return 22\n")
    assert (before, loading.find(f"{path}:f")(0)) == (1, 22)


def test_a_file_that_does_not_load_is_refused_with_its_error(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import no_such_module\n")
    with pytest.raises(Refused, match=r"broken\.py cannot be run\. Got ModuleNotFoundError: No module named"):
        loading.find(f"{path}:f")


def test_an_interruption_of_its_own_is_an_error_and_ctrl_c_none(tmp_path):
    """It was a traceback of opcheck's internals."""
    path = tmp_path / "own.py"
    path.write_text("def g():\n    raise KeyboardInterrupt\n\ng()\n")
    with pytest.raises(Refused, match=r"own\.py cannot be run\. Got KeyboardInterrupt \(own\.py line 2"):
        loading.find(f"{path}:f")
    path = tmp_path / "pressed.py"
    path.write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nfor k in range(1000): pass\n")
    with pytest.raises(KeyboardInterrupt):
        loading.find(f"{path}:f")
