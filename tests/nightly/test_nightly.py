"""The nightly run from outside, with quick programs in place of its commands; and that these do what they are asked."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nightly import works
from tests.nightly.schedule import Run, Work

ROOT = Path(__file__).parents[2]


def beside(folder):
    """Where a night that keeps its results in this folder has its temporary files."""
    return folder.with_name(f"{folder.name}-temporary")


def night(folder, *words):
    (temporary := beside(folder)).mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.nightly.stand_ins", "--results", str(folder), *words], cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ran(folder, *words):
    process = night(folder, *words)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def kept(folder, part="part-1-of-1"):
    return [Run(**json.loads(line)) for line in (folder / f"{part}.jsonl").read_text().splitlines()]


def test_a_night_ends_when_its_floors_are_met_keeps_its_runs_and_tells_its_figures(tmp_path):
    code, out, err = ran(tmp_path, "--floors", "--jobs", "2", "--only", "w")  # slow and wrong
    assert code == 1, err
    runs = kept(tmp_path)
    assert sum(run.done for run in runs if run.work == "mutation slow") == 4
    assert sum(run.done for run in runs if run.work == "verify torch wrong") == 56  # 7 at a time, as it says itself
    assert out.count("FAILED verify torch wrong, seed ") == 8 and "exit code 1" in out
    assert "60 cases; all floors of a release are met" in out


def test_a_night_ends_when_its_time_is_over(tmp_path):
    code, out, err = ran(tmp_path, "--hours", "0.0003", "--only", "endless")
    assert code == 0, err
    assert "0 cases; 1 of 1 floors are not met yet" in out and not alive(str(tmp_path))


def test_what_is_not_there_is_told_and_asked_again_when_the_run_goes_on(tmp_path):
    for words in ([], ["--resume"]):
        code, out, err = ran(tmp_path, "--floors", "--only", "fuzz", *words)
        assert code == 0 and "not run: no such folder" in out and out.count("fuzz missing: 0 in") == 1, err
    assert not (tmp_path / "part-1-of-1.jsonl").exists()


def test_a_run_that_is_resumed_goes_on_and_one_that_is_not_begins(tmp_path):
    assert ran(tmp_path, "--floors", "--only", "slow")[0] == 0
    path, before = tmp_path / "part-1-of-1.jsonl", tmp_path / "part-1-of-1.jsonl.before"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:3]) + '{"work": "mutation sl')  # as if it had been killed
    assert ran(tmp_path, "--floors", "--only", "slow", "--resume")[0] == 0
    runs = kept(tmp_path)
    assert len(runs) == 4 and runs[:3] == [Run(**json.loads(line)) for line in whole.splitlines()[:3]]
    code, out, _ = ran(tmp_path, "--hours", "0", "--resume")
    assert code == 0 and kept(tmp_path) == runs and "4 cases; 4 of 5 floors are not met yet" in out
    code, out, _ = ran(tmp_path, "--hours", "0")
    assert code == 0 and "0 cases; 5 of 5 floors are not met yet" in out  # what is kept beside does not count
    assert not path.exists() and len(before.read_text().splitlines()) == 4


def test_the_figures_are_those_of_all_parts(tmp_path):
    for part in ("1/2", "2/2"):
        assert ran(tmp_path, "--floors", "--only", "slow", "--part", part)[0] == 0
    assert [len(kept(tmp_path, f"part-{k}-of-2")) for k in (1, 2)] == [2, 2]
    out = ran(tmp_path, "--hours", "0", "--only", "slow", "--resume", "--part", "1/2")[1]
    assert "4 cases; all floors of a release are met" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_figures_and_leaves_no_process_and_no_file_behind(tmp_path, number):
    process = night(tmp_path, "--hours", "1", "--jobs", "2", "--only", "l")  # slow, endless
    end = time.monotonic() + 60
    while not ((tmp_path / "began").exists() and (tmp_path / "part-1-of-1.jsonl").exists()):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stopped: these are the figures so far, and --resume goes on" in out and "mutation" in out
    assert all(run.work == "mutation slow" for run in kept(tmp_path))
    assert not alive(str(tmp_path))
    assert not list(beside(tmp_path).iterdir())


def alive(word):
    """The processes that have this in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may have ended meanwhile
            found += [line] if word in (line := path.read_text(errors="replace")) else []
    return found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "3/2"], "'3/2' is no part: write K/N with K from 1 to N, as in 2/4"),
        (["--part", "half"], "'half' is no part: write K/N with K from 1 to N, as in 2/4"),
        (["--only", "keras"], "nothing here is called 'keras'; the names are: grade, "),
        (["--hours", "-1"], "-1.0 is not in the range x>=0"),
    ],
)
def test_bad_use_is_one_message_and_touches_no_results(tmp_path, words, message):
    (tmp_path / "part-1-of-1.jsonl").write_text("")
    code, _, err = ran(tmp_path, *words)
    assert code == 2 and message in " ".join(err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["part-1-of-1.jsonl"]


# --- the real commands ------------------------------------------------------------------------------------------------


def test_every_floor_of_a_release_is_here():
    floors = {(work.kind, work.floor) for work in works.every()}
    assert floors >= {("verify torch", 100_000), ("verify torch:func", 5_000), ("verify onnx", 5_000),
                      ("verify onnxruntime", 5_000), ("verify jax", 1_000), ("verify torch:compile", 300),
                      ("grade", 10_000)}  # fmt: skip
    assert "fuzz" in works.kinds() and "properties" in works.kinds() and "verify tinygrad" in works.kinds()


@pytest.mark.parametrize(
    ("kind", "of", "done"),
    [("verify onnx", "relu", 4), ("alarms forms", "linear", 4), ("grade", "relu", 1), ("properties", "tracing", 1)],
)
def test_a_real_command_does_what_it_is_asked_for(tmp_path, kind, of, done):
    work = next(each for each in works.every() if (each.kind, each.of) == (kind, of))
    command = works.command(work, 1, 5, tmp_path)
    environment = os.environ | works.environment(work, 1)
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    run = works.outcome(work, 5, 1, ended.returncode, 1.0, ended.stdout + ended.stderr, shlex.join(command))
    assert not run.failed and not run.unavailable and run.done >= done - 1


def test_the_fuzzer_counts_in_seconds_and_properties_in_examples():
    fuzz, properties = works.every()[0], Work("properties", "ops", 9, 9)
    assert (fuzz.kind, fuzz.floor) == ("fuzz", 1200)
    assert works.environment(fuzz, 60)["OPCHECK_FUZZ_SECONDS"] == "60"
    assert works.environment(properties, 60)["OPCHECK_EXAMPLES"] == "60"


def test_a_failure_tells_its_command_and_its_findings_in_words():
    report = {"schema": "opcheck.report/1", "trials": 12, "failures": [{"claim": "exact", "message": "1 should be 2"}]}
    run = works.outcome(Work("verify jax", "relu", 9, 9), 5, 9, 1, 1.0, f"noise\n{json.dumps(report)}\n", "opcheck x")
    assert run.done == 12 and run.failed == "opcheck x\nexit code 1\nnoise\nexact: 1 should be 2"


def test_a_run_that_was_killed_did_nothing():
    run = works.outcome(Work("grade", "relu", 9, 9), 5, 9, -9, 1.0, "")
    assert run.done == 0 and run.failed
