"""What is out of a submission's reach, on a real sandbox of every kind that this machine has."""

import os
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import Call, Capability, File, Isolation, NoSandbox, Status, Worker, choose

from .support import TRIED, X, call, children, value


def test_an_honest_submission_works(submit):
    worker = submit("import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n")
    assert np.array_equal(value(worker, "relu", X - 3), np.maximum(X - 3, 0))


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


def innermost(worker: Worker) -> Path:
    """What the kernel tells of the process in which the submission runs."""
    outer = worker._launched.process.pid
    (inner,) = [pid for pid in {outer, *children(outer)} if not children(pid)]
    return Path(f"/proc/{inner}")


def test_namespaces_are_of_its_own_under_bubblewrap(submit, isolation):
    worker = submit("import os\ndef f(): return os.getpid()")
    pid = value(worker, "f")
    apart = {
        kind
        for kind in ("user", "ipc", "pid", "net", "uts", "mnt")
        if (innermost(worker) / "ns" / kind).readlink() != Path("/proc/self/ns", kind).readlink()
    }
    if isolation is Isolation.BUBBLEWRAP:  # user: unless root lets it become another user of the machine's
        assert apart | {"user"} == {"user", "ipc", "pid", "net", "uts", "mnt"} and pid < 10
    else:
        assert apart == set()


def test_no_privilege_is_left(submit):
    worker = submit("import ctypes\ndef no_new_privileges(): return ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)\n")
    assert value(worker, "no_new_privileges") == 1
    status = dict(line.split(":\t") for line in (innermost(worker) / "status").read_text().splitlines())
    # Whoever is not root may not empty the bounding set, and has no_new_privs instead.
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb", *(("CapBnd",) if os.geteuid() == 0 else ()))
    assert {name: int(status[name], 16) for name in sets} == dict.fromkeys(sets, 0)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


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
        "bubblewrap, use a Linux kernel with Landlock 3 or later, or pass --unsafe for code that you trust."
    )
    assert choose(unsafe=True) is Isolation.UNSAFE
