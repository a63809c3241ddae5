"""What is out of a submission's reach, on a real sandbox of every kind that this machine has."""

import os
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import Call, Capability, File, Isolation, NoSandbox, Status, Worker, choose

from .support import TRIED, X, call, value


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
        return [tried(lambda: __import__("opcheck.operators.spec")), tried(lambda: __import__("opcheck").spec)]
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


def test_other_processes_are_out_of_reach(submit):

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
    from opcheck.sandbox import probe

    monkeypatch.setattr(probe, "capability", lambda isolation: Capability(isolation, False, "not here"))
    with pytest.raises(NoSandbox) as refusal:
        choose()
    assert str(refusal.value) == (
        "untrusted code cannot be isolated on this machine (bubblewrap: not here; landlock: not here). Install "
        "bubblewrap, use a Linux kernel with Landlock 3 or later, or say --unsafe for code that you trust."
    )
    assert choose(unsafe=True) is Isolation.UNSAFE
