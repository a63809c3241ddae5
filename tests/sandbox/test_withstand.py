"""What a grader must withstand, each item on a real sandbox of every kind that this machine has.

In each test the parent gets a status or plain arrays, never something that decides for it, and goes on.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import Call, File, Isolation, Limits, Opaque, Outcome, Source, Status, Worker, choose

from .conftest import MEBIBYTE

X = np.arange(1.0, 7.0).reshape(2, 3)


def call(worker: Worker, name: str, *args: object) -> Outcome:
    return worker.run([Call(f"module.{name}", args, keep="y")], want={"y": "y"})


def value(worker: Worker, name: str, *args: object) -> object:
    outcome = call(worker, name, *args)
    assert outcome.status is Status.OK, outcome
    return outcome.values["y"]


TRIED = """
    import os, sys

    def tried(action):
        try:
            return ["possible", repr(action())[:200]]
        except BaseException as error:
            return [type(error).__name__, str(error)[:200]]
"""


def test_an_honest_submission_works(submit):
    worker = submit("import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n")
    assert np.array_equal(value(worker, "relu", X - 3), np.maximum(X - 3, 0))


def test_the_network_is_refused(submit):
    worker = submit(
        TRIED
        + """
    import socket
    def inet(): return tried(lambda: socket.create_connection(("127.0.0.1", 80), 1))
    def unix(): return tried(lambda: socket.socket(socket.AF_UNIX))
    def pair(): return tried(socket.socketpair)
    """
    )
    for name in ("inet", "unix", "pair"):
        assert value(worker, name)[0] == "PermissionError"


def test_files_other_than_the_submission_cannot_be_read(submit, tmp_path):
    secret = tmp_path / "expected.npy"
    secret.write_bytes(b"the answers")
    worker = submit(
        TRIED
        + """
    def read(path): return tried(lambda: open(path, "rb").read())
    def listed(path): return tried(lambda: os.listdir(path))
    """
    )
    for path in (
        str(secret),
        "/etc/passwd",
        __file__,
        str(Path.home() / ".bashrc"),
        "/proc/self/environ",
        "/proc/1/maps",
    ):
        assert value(worker, "read", path)[0] in ("FileNotFoundError", "PermissionError"), path
    for path in (str(tmp_path), "/home", "/etc", str(Path(__file__).parent)):
        seen = value(worker, "listed", path)
        assert seen[0] in ("FileNotFoundError", "PermissionError") or seen[1] in ("[]", "['ld.so.cache']"), path


def test_only_the_submission_is_visible_and_not_its_neighbours(isolation, tmp_path):
    own, other = tmp_path / "own.py", tmp_path / "other.py"
    own.write_text("def sibling(path):\n    import other\n\ndef read(path):\n    return open(path).read()\n")
    other.write_text("x = 1")
    with Worker(File(own), isolation) as worker:
        assert call(worker, "sibling", "").status is Status.RAISED
        for path in (str(other), "/submission/other.py"):
            assert call(worker, "read", path).failure.type in ("FileNotFoundError", "PermissionError")
    with Worker(File(own, root=tmp_path), isolation) as worker:
        assert call(worker, "sibling", "").status is Status.OK


def test_nothing_of_opcheck_can_be_imported_or_read(submit):
    import opcheck

    package = str(Path(opcheck.__file__).parent)
    worker = submit(
        TRIED
        + """
    def imported():
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "Hidden"]
        return [tried(lambda: __import__("opcheck.spec")), tried(lambda: __import__("opcheck").spec)]
    def read(path): return tried(lambda: open(path).read())
    """
    )
    assert call(worker, "__import__").status is Status.ABSENT
    assert all(each[0] in ("ModuleNotFoundError", "AttributeError") for each in value(worker, "imported"))
    assert value(worker, "read", f"{package}/spec.py")[0] in ("FileNotFoundError", "PermissionError")


def test_a_forbidden_module_cannot_be_imported_even_past_the_finder(submit):
    source = """
    import sys
    try:
        import scipy
    except ModuleNotFoundError as error:
        polite = str(error)
    sys.meta_path.pop(0)
    def around():
        import scipy.linalg
        return scipy.linalg.det([[1.0]])
    def message(): return polite
    """
    pytest.importorskip("scipy")
    worker = submit(source, hidden=("scipy",))
    assert value(worker, "message") == "scipy is not available here"
    assert call(worker, "around").failure.type in ("ModuleNotFoundError", "AttributeError", "PermissionError")
    assert value(submit(source.replace("sys.meta_path.pop(0)", "")), "around") == 1.0


def test_nothing_is_written_outside_a_private_folder(submit, isolation, tmp_path):
    worker = submit(
        TRIED
        + """
    def write(path): return tried(lambda: open(path, "w").write("stolen"))
    def chmod(path): return tried(lambda: os.chmod(path, 0))
    """
    )
    target = tmp_path / "results.json"
    target.write_text("{}")
    for path in (str(target), "/results.json", "/dev/shm/x", "/etc/x", "/submission/x", "/usr/lib/x", "/worker/x"):
        assert value(worker, "write", path)[0] in ("FileNotFoundError", "PermissionError", "OSError"), path
    assert value(worker, "chmod", str(target))[0] in ("FileNotFoundError", "PermissionError")
    assert target.read_text() == "{}"
    private = value(worker, "write", "/tmp/opcheck-own-file")[0]
    assert private == ("possible" if isolation is Isolation.BUBBLEWRAP else "PermissionError")
    assert not Path("/tmp/opcheck-own-file").exists()


def test_the_disk_cannot_be_filled(submit):
    worker = submit(
        """
    def fill():
        written = 0
        for k in range(8):
            try:
                with open(f"/tmp/{k}", "wb", buffering=0) as file:
                    for _ in range(64):
                        written += file.write(bytes(1 << 20))
            except OSError:
                continue
        return written
    """,
        disk=8 * MEBIBYTE,
    )
    assert value(worker, "fill") <= 8 * MEBIBYTE


def test_memory_that_lives_in_no_address_space_is_refused(submit):
    worker = submit(TRIED + "\n    def hidden(): return tried(lambda: os.memfd_create('x'))\n")
    assert value(worker, "hidden")[0] == "PermissionError"


def test_a_memory_bomb_ends_in_a_memory_error(submit):
    worker = submit(
        """
    import numpy as np
    def bomb(): return np.ones(1 << 30)
    def creep():
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    def f(x): return x
    """,
        memory=512 * MEBIBYTE,
    )
    for name in ("bomb", "creep"):
        outcome = call(worker, name)
        assert outcome.status is Status.RAISED and outcome.failure.type in ("MemoryError", "_ArrayMemoryError")
    assert np.array_equal(value(worker, "f", X), X)


def test_a_fork_bomb_does_not_start(submit):
    worker = submit(
        TRIED
        + """
    import subprocess, threading
    def fork(): return tried(os.fork)
    def program(): return tried(lambda: subprocess.run([sys.executable, "-c", ""]))
    def become(): return tried(lambda: os.execv(sys.executable, ["python"]))
    def thread():
        found = []
        thread = threading.Thread(target=found.append, args=(1,))
        thread.start()
        thread.join()
        return found
    """
    )
    for name in ("fork", "program", "become"):
        assert value(worker, name)[0] == "PermissionError"
    assert value(worker, "thread") == [1]  # numerical libraries need them


def test_other_processes_are_out_of_reach(submit):
    import os

    worker = submit(
        TRIED
        + """
    import ctypes, signal
    libc = ctypes.CDLL(None, use_errno=True)
    def kill(pid): return tried(lambda: os.kill(pid, signal.SIGTERM))
    def ptrace(pid): return [libc.ptrace(16, pid, 0, 0), ctypes.get_errno()]
    """
    )
    for pid in (os.getpid(), 1, -1, 0):
        assert value(worker, "kill", pid)[0] in ("PermissionError", "ProcessLookupError")
    assert value(worker, "ptrace", os.getpid()) == [-1, 1]


def test_processes_are_numbered_afresh_under_bubblewrap(submit, isolation):
    pid = value(submit("import os\ndef f(): return os.getpid()"), "f")
    assert pid < 10 if isolation is Isolation.BUBBLEWRAP else isinstance(pid, int)


def test_no_privilege_is_left(submit):
    worker = submit(
        TRIED
        + """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    def capabilities():
        data = (ctypes.c_uint32 * 6)()
        libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), data)
        return list(data)
    def no_new_privileges(): return libc.prctl(39, 0, 0, 0, 0)
    def unshare(): return [libc.unshare(0x10000000), ctypes.get_errno()]
    def mount(): return [libc.mount(b"none", b"/tmp", b"tmpfs", 0, None), ctypes.get_errno()]
    """
    )
    assert value(worker, "capabilities") == [0] * 6
    assert value(worker, "no_new_privileges") == 1
    assert value(worker, "unshare") == [-1, 1]
    assert value(worker, "mount") == [-1, 1]


def test_gigabytes_of_output_cost_the_time_limit_and_no_memory(submit):
    worker = submit("def flood():\n    while True:\n        print('x' * 1_000_000)\n", seconds=1.5, output=10_000)
    outcome = call(worker, "flood")
    assert outcome.status is Status.TIMED_OUT
    assert outcome.printed == "x" * 10_000


def test_much_output_beside_a_result_does_not_hurt_the_result(submit):
    worker = submit("def f(x):\n    for _ in range(30):\n        print('x' * 1_000_000)\n    return x\n", output=100)
    outcome = call(worker, "f", X)
    assert np.array_equal(outcome.values["y"], X) and outcome.printed == "x" * 100


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "__import__('re').match('(a+)+$', 'a' * 100 + 'b')",  # inside C code, where no Python exception arrives
        "__import__('ctypes').CDLL(None).pause()",
        "__import__('signal').pthread_sigmask(0, range(1, 65)); __import__('time').sleep(1000)",
    ],
)
def test_an_endless_loop_ends_at_the_limit(submit, body):
    worker = submit(f"def f():\n    {body}\ndef g(x): return x\n", seconds=0.5)
    assert call(worker, "f").status is Status.TIMED_OUT
    assert np.array_equal(value(worker, "g", X), X)


def test_a_submission_that_hangs_at_import_costs_its_limit_once(submit):
    worker = submit("while True: pass", seconds=0.5)
    first = worker.load()
    assert first.status is Status.TIMED_OUT
    assert call(worker, "f") == first and worker.load() == first


def test_a_thread_that_goes_on_is_ended_with_the_worker(submit):
    worker = submit(
        """
    import threading, time
    def work():
        while True: time.sleep(0.01)
    def f(x):
        threading.Thread(target=work).start()
        return x
    """
    )
    assert np.array_equal(value(worker, "f", X), X)
    worker.close()
    assert not worker.alive


def test_nothing_of_a_worker_outlives_it():
    """Also under no isolation: a fork that outlives its parent is killed with the group."""
    source = "import os, time\ndef f():\n    if os.fork() == 0:\n        time.sleep(1000)\n    return os.getpid()\n"
    with Worker(Source(source), Isolation.UNSAFE, Limits()) as worker:
        group = value(worker, "f")
        members = group_members(group)
        assert len(members) == 2
    deadline = time.monotonic() + 10
    while group_members(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert group_members(group) == []


def group_members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def test_no_descriptor_is_open_but_the_channel_and_the_standard_ones(submit):
    worker = submit(
        """
    import os
    def f():
        found = []
        for descriptor in range(256):
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            found.append(descriptor)
        return found
    """
    )
    descriptors = value(worker, "f")
    assert descriptors[:3] == [0, 1, 2] and len(descriptors) == 5 and descriptors[3] >= 32


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
        ("os.kill(os.getpid(), 24)", Status.TIMED_OUT, "TIMED_OUT"),  # SIGXCPU: the processor time is used up
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


def test_an_object_that_equals_everything_arrives_as_a_description(submit):
    worker = submit(
        """
    import numpy as np
    class Yes:
        __array_priority__ = 1e9
        def __eq__(self, other): return True
        def __bool__(self): return True
        def __array_ufunc__(self, *args, **kwargs): return True
    class Agreeable(np.ndarray):
        def __eq__(self, other): return True
        def __array_function__(self, *args): return True
        def __array_ufunc__(self, *args, **kwargs): return True
        def tobytes(self, *args): return b""
    class Chameleon:
        __class__ = np.ndarray
        dtype = np.dtype(float)
        shape = (2, 3)
    def yes(): return Yes()
    def agreeable(): return np.zeros((2, 3)).view(Agreeable)
    def chameleon(): return Chameleon()
    def objects(): return np.array([Yes()] * 3)
    """
    )
    assert value(worker, "yes") == Opaque("a value of type submission.Yes")
    assert value(worker, "objects") == Opaque("an array of dtype object and shape (3,)")
    array = value(worker, "agreeable")
    assert type(array) is np.ndarray and np.array_equal(array, np.zeros((2, 3)))
    assert value(worker, "chameleon") == Opaque("an array of dtype object and shape ()")


def test_a_patched_numpy_harms_nobody_else(submit):
    source = """
    import numpy as np
    np.array_equal = np.allclose = lambda *args, **kwargs: True
    np.testing.assert_array_equal = lambda *args, **kwargs: None
    def f(x): return x + 1
    """
    assert np.array_equal(value(submit(source), "f", X), X + 1)
    assert not np.array_equal(X, X + 1)
    broken = submit("import numpy as np\nnp.array = np.frombuffer = np.dtype = None\ndef f(x): return x\n")
    assert call(broken, "f", X).status in (Status.RAISED, Status.EXITED)


def test_a_process_that_breaks_the_worker_from_within_gets_nothing(submit):
    worker = submit(
        """
    import sys
    def f(x):
        sys.modules["wire"].encode = lambda *args: b"OPCK" + bytes(1000)
        return x
    """
    )
    outcome = call(worker, "f", X)
    assert outcome.status is Status.MALFORMED and outcome.values == {}


FORGERIES = {
    "garbage": "b'garbage' * 100",
    "a reply without a nonce": "reply()",
    "a reply with no nonce in it": "reply(['nonce', None])",
    "a reply with another nonce": "reply(['nonce', 'x' * 32])",
    "a verdict": "frame({'dict': [['nonce', None], ['status', 'agrees'], ['score', 100]]})",
    "an endless header": "b'OPCK' + (2 ** 32 - 1).to_bytes(4, 'big')",
    "an endless array": "frame({'array': 0}, [1 << 60])",
    "a pickle": "__import__('pickle').dumps(print)",
    "nested": "raw(b'[' * 100000)",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_frames_on_every_descriptor_are_no_result(submit, forgery):
    worker = submit(
        f"""
    import json, os, struct
    def raw(header): return struct.pack(">4sI", b"OPCK", len(header)) + header
    def frame(value, sizes=()): return raw(json.dumps({{"value": value, "sizes": list(sizes)}}).encode())
    def reply(*items): return frame({{"dict": [*items, ["status", "ok"], ["values", {{"dict": [["y", 42]]}}]]}})
    def f(x):
        for descriptor in range(256):
            try:
                os.write(descriptor, {FORGERIES[forgery]})
            except OSError:
                pass
        return x
    def g(x): return x
    """,
        seconds=5,
    )
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.values) == (Status.MALFORMED, {})
    assert np.array_equal(value(worker, "g", X), X)


def test_a_forger_who_finds_the_nonce_can_only_choose_his_own_answer(submit):
    """He may send any plain values for what was asked, as he might have returned them, and nothing else."""
    worker = submit(
        """
    import gc, os
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        channel.send({"status": "ok", "values": {"y": 42, "score": 100}}, 1 << 20)
        os._exit(0)
        return x
    def g(x): return x
    """
    )
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.values) == (Status.OK, {"y": 42})
    assert call(worker, "g", X).status is Status.EXITED
    assert np.array_equal(value(worker, "g", X), X)


def test_a_reply_written_in_advance_does_not_answer_the_next_request(submit):
    worker = submit(
        """
    import gc
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        for y in (1, 2, 3):
            channel.send({"status": "ok", "values": {"y": y}}, 1 << 20)
    def g(x): return x
    """
    )
    seen = [call(worker, name, X) for name in ("f", "g", "g")]
    assert [outcome.status for outcome in seen] == [Status.OK, Status.MALFORMED, Status.OK]
    assert seen[0].values == {"y": 1} and seen[1].values == {}
    assert np.array_equal(seen[2].values["y"], X)


def test_a_result_without_the_wanted_values_is_none(submit):
    worker = submit(
        """
    import gc
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        channel.send({"status": "ok", "values": {"score": 100}}, 1 << 20)
    """
    )
    assert call(worker, "f", X).status is Status.MALFORMED


def test_a_worker_cannot_say_of_itself_what_only_the_parent_may_see(submit):
    worker = submit(
        """
    import gc
    def f(status):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        error = {"type": "x", "message": "x", "file": "", "line": 0}
        channel.send({"status": status, "error": error, "values": {}}, 1 << 20)
    """
    )
    for status in ("crashed", "timed out", "agrees", "KNOWN"):
        assert call(worker, "f", status).status is Status.MALFORMED


def test_input_sees_an_empty_stdin(submit):
    outcome = submit("def f():\n    return input()\n").run([Call("module.f")], want={})
    assert (outcome.status, outcome.failure.type) == (Status.RAISED, "EOFError")


def test_the_environment_and_arguments_tell_nothing(submit, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    worker = submit("import os, sys\ndef names(): return sorted(os.environ)\ndef arguments(): return sys.argv\n")
    assert "SECRET_TOKEN" not in value(worker, "names")
    assert value(worker, "arguments") == ["submission"]


def test_the_order_of_a_set_is_the_same_in_every_process(submit):
    source = "def f(): return list({'weight', 'bias', 'input', 'stride', 'padding'})"
    assert value(submit(source), "f") == value(submit(source), "f")


def test_a_plot_at_top_level_needs_no_display(submit):
    assert value(submit("import os\ndef f(): return os.environ['MPLBACKEND']"), "f") == "Agg"


def test_without_any_sandbox_untrusted_code_is_refused(monkeypatch):
    from opcheck.sandbox import Capability, NoSandbox, probe

    none = tuple(Capability(each, False, "not here") for each in (Isolation.BUBBLEWRAP, Isolation.LANDLOCK))
    monkeypatch.setattr(probe, "capabilities", lambda: none)
    with pytest.raises(NoSandbox) as refusal:
        choose()
    assert str(refusal.value) == (
        "untrusted code cannot be isolated on this machine (bubblewrap: not here; landlock: not here). Install "
        "bubblewrap, use a Linux kernel with Landlock 3 or later, or say --unsafe for code that you trust."
    )
    assert choose(unsafe=True) is Isolation.UNSAFE
