"""However a submission ends its process, that is no result; the parent says how it ended and goes on."""

import time

import numpy as np
import pytest

from opcheck.sandbox import Call, Status

from .support import X, call, value


def test_a_process_that_ends_between_requests_is_noticed_at_the_next(submit):
    worker = submit(
        """
    import os, threading
    def f(x):
        threading.Timer(0.05, os._exit, (3,)).start()
        return x
    def g(x): return x
    """
    )
    assert np.array_equal(value(worker, "f", X), X)
    time.sleep(0.5)
    large = np.ones(1 << 20)  # more than a pipe holds
    assert call(worker, "g", large).status is Status.EXITED
    assert np.array_equal(value(worker, "g", large), large)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ("os._exit(0)", Status.EXITED, "EXITED"),
        ("sys.exit(0)", Status.EXITED, "SystemExit"),
        ("raise KeyboardInterrupt", Status.RAISED, "KeyboardInterrupt"),
        ("ctypes.string_at(0)", Status.CRASHED, "SIGSEGV"),
        ("os.abort()", Status.CRASHED, "SIGABRT"),
        ("os.kill(os.getpid(), 9)", Status.CRASHED, "SIGKILL"),
        ("os.kill(os.getpid(), 24)", Status.TIMED_OUT, "TIMED_OUT"),  # SIGXCPU: it used up its processor time
    ],
)
def test_leaving_early_is_never_a_result(submit, body, status, kind):
    source = "import ctypes, os, sys\ndef f(x):\n    {}\ndef g(x): return x\n"
    worker = submit(source.format(body))
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.failure.type, outcome.values) == (status, kind, {})
    assert np.array_equal(value(worker, "g", X), X)
    at_import = submit(source.format("pass") + body)
    assert at_import.load().status is status and at_import.load().failure.type == kind


def test_a_crash_half_way_keeps_what_came_before_and_the_worker_goes_on(submit):
    worker = submit("import ctypes\ndef f(x):\n    return x\ndef g(x):\n    ctypes.string_at(0)\n")
    statuses = [call(worker, name, X).status for name in ("f", "g", "f", "g", "f")]
    assert statuses == [Status.OK, Status.CRASHED, Status.OK, Status.CRASHED, Status.OK]


def test_prints_at_exit_reach_nobody(submit):
    worker = submit(
        """
    import atexit, os
    atexit.register(print, '{"score": 100}')
    def f(x):
        print("100 points")
        raise SystemExit
    """
    )
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.printed, outcome.values) == (Status.EXITED, "100 points\n", {})


DEATHS = """
    import ctypes, os, signal, sys, time
    def crash(): ctypes.string_at(0)
    def abort(): os.abort()
    def leave(): os._exit(7)
    def hang(): time.sleep(1000)
    def close(): os.closerange(3, 256); time.sleep(1000)
    def f(x): return x
"""


@pytest.mark.parametrize(
    ("name", "status", "kind", "message"),
    [
        ("crash", Status.CRASHED, "SIGSEGV", "the process was ended by SIGSEGV"),
        ("abort", Status.CRASHED, "SIGABRT", "the process was ended by SIGABRT"),
        ("leave", Status.EXITED, "EXITED", "the process ended itself with exit code 7"),
        ("hang", Status.TIMED_OUT, "TIMED_OUT", "no result after 1 s"),
        ("close", Status.MALFORMED, "MALFORMED", "the process closed its result pipe"),
    ],
)
def test_a_death_is_reported_and_the_next_request_works(trusted, name, status, kind, message):
    worker = trusted(DEATHS, seconds=1.0)
    outcome = call(worker, name)
    assert (outcome.status, outcome.failure.type, outcome.failure.message) == (status, kind, message)
    assert np.array_equal(call(worker, "f", X).values["y"], X)


def test_a_crash_tells_where_in_what_was_printed(trusted):
    assert 'File "/submission/submission.py", line 3 in crash' in call(trusted(DEATHS), "crash").printed


def test_sys_exit_in_a_call_is_not_a_result(trusted):
    outcome = call(trusted("import sys\ndef f(): sys.exit(0)"), "f")
    assert (outcome.status, outcome.failure.message, outcome.values) == (Status.EXITED, "sys.exit(0)", {})


def test_a_fork_that_returns_from_the_call_does_not_answer_twice(trusted):
    worker = trusted("import os\ndef f(x):\n    os.fork()\n    return x\n")
    for k in range(5):
        assert np.array_equal(call(worker, "f", X + k).values["y"], X + k)


def test_one_request_may_have_less_time_than_the_others(trusted):
    outcome = trusted(DEATHS).run([Call("module.hang")], want={}, seconds=0.5)
    assert (outcome.status, outcome.failure.message) == (Status.TIMED_OUT, "no result after 0.5 s")


def test_the_time_of_all_requests_together_is_limited(trusted):
    worker = trusted("import time\ndef nap(): time.sleep(0.4)", total_seconds=1.0)
    statuses = [call(worker, "nap").status for _ in range(3)]
    assert statuses == [Status.OK, Status.OK, Status.TIMED_OUT]
