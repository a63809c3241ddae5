"""The program as a process: streams that are closed or full, keys that end it, and where nothing can be kept."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import opcheck

ROOT = str(Path(opcheck.__file__).parents[1])
ON_A_TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background ignores it
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
PROGRAM = (sys.executable, "-c", "from opcheck.app import main; main()")


def run(*arguments, redirected="", **env):
    """`opcheck ARGUMENTS` in a shell, with the redirection."""
    command = " ".join(f"'{word}'" for word in (*PROGRAM, *arguments))
    return subprocess.run(
        f"{command} {redirected}", shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": ROOT, **env},
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_said_in_one_line():
    ran = run("ops", redirected="> /dev/full")
    assert ran.returncode == 2
    assert ran.stderr == "opcheck: cannot write the output: [Errno 28] No space left on device\n"


def test_closed_streams_are_no_error_of_ours():
    ran = run("ops", redirected=">&-")
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = run("ops", "nonsense", redirected="2>&-")
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",), ("explain", "--help"), ("explain", "conv2d", "--all"), ("explain", "conv2d", "--format", "html"),
        ("trace", "x*x", "--at", "x=2"), ("ops", "conv2d"), ("learn", "--list"), ("learn", "1"), ("practice",),
        ("practice", "relu"), ("grade", "--init", "linear"),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_reader_who_has_seen_enough_is_no_error(arguments, reader, tmp_path):
    ran = run(*arguments, redirected=f"2>&1 | {reader}; exit ${{PIPESTATUS[0]}}", XDG_STATE_HOME=str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("\n") == (reader != "true")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
@pytest.mark.parametrize(("name", "code"), [("maximum", 0), ("absolute", 1)])
def test_whether_something_differs_does_not_depend_on_the_reader(name, code, reader, options, tmp_path):
    (tmp_path / "ours.py").write_text(
        f"from numpy import {name}\ndef relu(input): return {name}(input, *[0.0] * {1 - code})\n"
    )
    command = [
        "verify",
        "relu",
        "--impl",
        f"{tmp_path}/ours.py:relu",
        "--cases",
        "5",
        "--claims",
        "exact",
        "--in-process",
    ]
    ran = run(*command, *options, "--save", str(tmp_path), redirected=f"| {reader}; exit ${{PIPESTATUS[0]}}")
    assert (ran.returncode, ran.stderr) == (code, "")


def test_an_error_that_nobody_reads_is_an_error_all_the_same():
    ran = run("explain", "nonsense", redirected="2>&1 | true; exit ${PIPESTATUS[0]}")
    assert (ran.returncode, ran.stderr) == (2, "")


@pytest.mark.parametrize("arguments", [("learn",), ("learn", "3"), ("practice", "conv2d")])
def test_where_there_is_no_home_nothing_is_kept_and_all_works(arguments, tmp_path):
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file")
    ran = run(*arguments, HOME=home, XDG_STATE_HOME=home)
    assert ran.returncode == 0
    assert ran.stderr.count("\n") <= 1 and "Traceback" not in ran.stderr


@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"\x04", 0)], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize("arguments", [("learn",), ("learn", "3"), ("practice", "conv2d")])
def test_a_key_ends_what_waits_for_a_person(arguments, key, code, tmp_path):
    surroundings = {**os.environ, "PYTHONPATH": ROOT, "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}
    command = [sys.executable, "-c", ON_A_TERMINAL, *PROGRAM, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings) as process:
        assert process.stdin is not None and process.stdout is not None
        printed = b""
        while not printed.rstrip().endswith((b"quits):", b"quit]")):
            more = process.stdout.read1()
            assert more, printed
            printed += more
        while process.poll() is None:  # CPython misses a Ctrl-C between its prompt and its read: press it again
            with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
                process.stdin.write(key)
                process.stdin.flush()
                process.wait(timeout=2)
        printed += process.stdout.read()
        assert process.returncode == code
    assert b"Traceback" not in printed
