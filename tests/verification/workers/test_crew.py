"""Crashes are survived and named, Ctrl-C keeps what was found, and a seed finds the same wherever the cases run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import opcheck
from opcheck import verify
from opcheck.backends.base import given
from opcheck.operators import catalog
from opcheck.verification.report import sentence
from opcheck.verification.verdict import Status

COMMAND = [sys.executable, "-c", "from opcheck.app import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(opcheck.__file__).parents[1])}
CRASHES = """
import ctypes, os, time
import numpy as np

def right(x):
    return np.where(x < 0, np.zeros_like(x), x)

def of_matrices(harm):
    def relu(x):
        if x.ndim == 2:
            harm()
        return right(x)
    return relu

@of_matrices
def segmentation_fault():
    ctypes.string_at(0)

@of_matrices
def hangs():
    time.sleep(3600)

@of_matrices
def aborts():
    os.abort()

@of_matrices
def exits():
    os._exit(0)

@of_matrices
def exits_politely():
    raise SystemExit(3)

@of_matrices
def interrupts():
    raise KeyboardInterrupt

@of_matrices
def eats():
    np.ones(10**11)

@of_matrices
def prints():
    while True:
        print("gigabytes " * 1000)

def pool(x, kernel_size):
    os.abort()

def unprintable(x):
    class Mute(Exception):
        def __str__(self):
            raise ValueError
    raise Mute

def slow(x):
    with open(__file__ + ".ran", "a") as ran:
        ran.write(".")
    time.sleep(0.1)
    return right(x)

def talks(x):
    print("here I am")
    return right(x)

def wrong(x):
    return np.abs(x)

def by_the_environment(x):
    return right(x) if os.environ.get("OPCHECK_TEST_KERNEL") == "right" else wrong(x)
"""


@pytest.fixture
def crashes(tmp_path):
    path = tmp_path / "crashes.py"
    path.write_text(CRASHES)
    return path


def test_workers_have_the_environment_of_the_moment(crashes, monkeypatch):
    """Though the process that they are copies of began before it was changed."""
    for kernel in ("wrong", "right"):
        monkeypatch.setenv("OPCHECK_TEST_KERNEL", kernel)
        report = verify("relu", f"{crashes}:by_the_environment", cases=6, jobs=1, seed=1)
        assert report.agrees is (kernel == "right")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("segmentation_fault", "the process was killed by SIGSEGV"),
        ("aborts", "the process was killed by SIGABRT"),
        ("exits", "the process ended with exit code 0"),
        ("exits_politely", "raised SystemExit: 3"),
        ("interrupts", "raised KeyboardInterrupt"),
        ("prints", "it printed more than 67 MB"),
    ],
)
def test_a_crash_is_a_verdict_and_the_run_goes_on(crashes, name, how):
    report = verify("relu", f"{crashes}:{name}", cases=12, jobs=1)
    crashed = [each for each in report.failures if each.status is Status.CRASHED]
    assert crashed and crashed[0].message == how
    assert crashed[0].trial.case.arrays["input"].ndim == 2
    agreeing = sum(row.cases - row.failed for row in report.rows.values())
    assert agreeing > 0 and not report.agrees


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_kernel_that_asks_for_800_gb_ends_as_memory(crashes, jobs):
    report = verify("relu", f"{crashes}:eats", cases=12, jobs=jobs, seed=0)
    assert {each.status for each in report.failures} == {Status.MEMORY}
    assert "Unable to allocate 745. GiB" in report.failures[0].message
    assert sum(row.cases - row.failed for row in report.rows.values()) > 0


@pytest.mark.torch
def test_memory_that_torch_does_not_get_is_memory(tmp_path):
    path = tmp_path / "eats.py"
    path.write_text("import torch\n\ndef relu(x):\n    return torch.ones(10**11).sum() + x\n")
    report = verify("relu", f"{path}:relu", cases=4, jobs=0, seed=0)
    assert {each.status for each in report.failures} == {Status.MEMORY}


def test_a_worker_that_is_killed_before_its_first_case_costs_nothing(tmp_path):
    path = tmp_path / "killed.py"
    path.write_text(
        "import os, pathlib\nimport numpy as np\n\n"
        "def relu(x):\n"
        "    return np.maximum(x, 0)\n\n"
        "once = pathlib.Path(__file__ + '.once')\n"
        "if not once.exists():\n"
        "    once.touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    report = verify("relu", f"{path}:relu", cases=8, jobs=1, seed=1)
    assert report.agrees and report.trials == 8


def test_workers_that_are_killed_again_before_a_case_lose_that_case_and_not_the_run(tmp_path):
    path = tmp_path / "killed.py"
    path.write_text(
        "import os, pathlib\nimport numpy as np\n\n"
        "def relu(x):\n"
        "    if x.ndim == 2:\n"
        "        os.abort()\n"
        "    return np.maximum(x, 0)\n\n"
        "starts = pathlib.Path(__file__ + '.starts')\n"
        "n = int(starts.read_text()) + 1 if starts.exists() else 1\n"
        "starts.write_text(str(n))\n"
        "if n in (2, 3):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    report = verify("relu", f"{path}:relu", cases=12, jobs=1, seed=0)
    messages = {each.message for each in report.failures}
    assert messages == {"the process was killed by SIGABRT", "the process was killed by SIGKILL"}


def test_a_limit_on_data_that_is_lower_already_stays():
    code = (
        "import resource as r\n"
        "from opcheck.verification.workers.worker import limit_memory\n"
        "r.setrlimit(r.RLIMIT_DATA, (2**30, 2**30))\n"
        "limit_memory(1.0)\n"
        "print(r.getrlimit(r.RLIMIT_DATA) == (2**30, 2**30))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


def test_a_hang_is_a_verdict(crashes):
    report = verify("relu", f"{crashes}:hangs", cases=3, jobs=1, seed=1, timeout=2)
    (first, *_) = [each for each in report.failures if each.status is Status.TIMED_OUT]
    assert re.fullmatch(r"no answer after 2 s( for \w+ memory)? \(input [0-9×]+\)", sentence(first))
    assert re.search(r'crashes.py", line \d+ in hangs', first.details["printed"])


def test_a_case_that_takes_opcheck_too_long_is_no_hang(tmp_path):
    """The implementation had answered: its spec takes long in one of the readings."""
    (tmp_path / "spec.py").write_text(
        "import time\nimport numpy as np\n\n"
        "def twice(x: 'N M'):\n"
        "    time.sleep(60 if getattr(x, 'is_traced', False) and np.shape(x) == (5, 5) else 0)\n"
        "    return 2 * x\n\n"
        "def right(x):\n"
        "    return x + x\n"
    )
    claims = ["values"]
    report = verify(f"{tmp_path}/spec.py:twice", f"{tmp_path}/spec.py:right", cases=90, jobs=1, seed=1, timeout=1,
                    claims=claims)  # fmt: skip
    why = {each for row in report.rows.values() for each in row.left_out}
    assert report.agrees and why == {"opcheck itself takes more than 1 s for this case (x 5×5)"}


def test_a_crash_while_a_failure_is_made_smaller_loses_nothing(tmp_path):
    path = tmp_path / "fragile.py"
    path.write_text(
        "import os\nimport numpy as np\n\n"
        "def wrong(x):\n"
        "    if x.size == 1 and x.ndim == 1:  # the smallest cases\n"
        "        os.abort()\n"
        "    return np.abs(x)\n"
    )
    report = verify("relu", f"{path}:wrong", cases=40, jobs=2, seed=2)
    assert {each.status for each in report.failures} >= {Status.DIFFERS}
    assert not report.agrees


def test_a_fault_tells_the_line_of_the_kernel(crashes):
    report = verify("relu", f"{crashes}:segmentation_fault", cases=12, jobs=1)
    crashed = next(each for each in report.failures if each.status is Status.CRASHED)
    assert "Segmentation fault" in crashed.details["printed"]
    assert 'crashes.py", line 17 in segmentation_fault' in crashed.details["printed"]


def test_the_case_of_a_crash_is_the_one_that_ran(crashes):
    report = verify("max_pool2d", f"{crashes}:pool", cases=16, jobs=1, seed=1)
    crashed = [each.trial.case for each in report.failures if each.status is Status.CRASHED]
    assert crashed and all(set(given(catalog.get("max_pool2d"), case.params)) == {"kernel_size"} for case in crashed)


def test_an_error_without_a_message_is_survived(crashes):
    found = verify("relu", f"{crashes}:unprintable", cases=3).counterexample
    assert found is not None and found.message == "raised Mute: (its message cannot be printed)"


def test_a_slow_import_is_no_hang(tmp_path):
    path = tmp_path / "slow_import.py"
    path.write_text("import time\ntime.sleep(3)\ndef relu(x):\n    return x.clip(0)\n")
    report = verify("relu", f"{path}:relu", cases=3, jobs=1, seed=1, timeout=2, claims=["shape"])
    assert report.agrees and report.checked


def test_two_hangs_are_enough(crashes):
    report = verify("relu", f"{crashes}:hangs", cases=200, jobs=2, timeout=1, seed=1)
    assert 1 < sum(each.status is Status.TIMED_OUT for each in report.failures) < 4


@pytest.mark.parametrize("words", [["--jobs", "2"], ["--in-process"]])
def test_control_c_keeps_what_was_found(crashes, words):
    command = [*COMMAND, "verify", "relu", "--impl", f"{crashes}:slow", "--cases", "5000", "--seed", "1", "--json"]
    running = subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    ran, end = Path(f"{crashes}.ran"), time.monotonic() + 60
    while (not ran.exists() or ran.stat().st_size < 40) and time.monotonic() < end:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    found, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    report = json.loads(found)
    assert report["interrupted"] and 0 < report["directed"] + report["trials"] < 5000 and report["agrees"]


def test_what_a_kernel_prints_does_not_spoil_the_report(crashes):
    for words in (["--jobs", "1"], ["--in-process"]):
        command = [*COMMAND, "verify", "relu", "--impl", f"{crashes}:talks", "--cases", "5", "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
        assert json.loads(done.stdout)["agrees"], done.stderr


def test_an_executor_that_loses_a_worker_loses_no_case(crashes):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        report = verify("relu", f"{crashes}:aborts", cases=12, executor=executor)
    crashed = [each for each in report.failures if each.status is Status.CRASHED]
    assert crashed and crashed[0].message == "the process was killed by SIGABRT"


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_a_seed_finds_the_same_in_this_process_in_workers_and_in_an_executor(crashes, name):
    options = {"cases": 250, "seed": 9}
    reports = [verify("relu", f"{crashes}:{name}", **options), verify("relu", f"{crashes}:{name}", jobs=2, **options)]
    with ThreadPoolExecutor(2) as executor:
        reports.append(verify("relu", f"{crashes}:{name}", executor=executor, **options))
    assert reports[0].agrees is (name == "right")
    assert len({json.dumps(stable(report)) for report in reports}) == 1


def stable(report):
    """A report without what depends on the clock, and without how many layouts there are: memory beside pages that
    cannot be read is for workers only."""
    data = report.to_json()
    rows = [{key: each for key, each in row.items() if row["claim"] != "layout" or key not in COUNTED}
            for row in data["rows"]]  # fmt: skip
    return {**data, "seconds": 0, "rows": [{**row, "seconds": 0} for row in rows]}


COUNTED = ("cases", "elements", "free")
