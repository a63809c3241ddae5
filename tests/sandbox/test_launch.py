import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import (
    Call,
    Capability,
    Isolation,
    Limits,
    NoSandbox,
    Source,
    Status,
    Worker,
    capabilities,
    choose,
    launch,
    probe,
    visible,
)
from opcheck.sandbox.probe import capability

from .support import children, running

SOURCE = "def f(x): return x\n"


def test_capabilities_tell_what_works_or_why_not():
    found = capabilities()
    assert [each.isolation for each in found] == [Isolation.BUBBLEWRAP, Isolation.LANDLOCK]
    assert all(each.reason == "works" if each.works else each.reason for each in found)


def test_where_the_strongest_isolation_works_no_other_is_tried(monkeypatch):
    monkeypatch.setattr(probe, "capability", {Isolation.BUBBLEWRAP: Capability(Isolation.BUBBLEWRAP, True, "")}.get)
    assert choose() is Isolation.BUBBLEWRAP


def test_what_starts_also_confines():
    """The other tests leave out what does not work here; that it starts and leaks must not be a reason to."""
    assert [
        each.reason for each in capabilities() if "does not keep" in each.reason or "fails in it" in each.reason
    ] == []


def test_a_machine_without_bubblewrap_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandbox, match=r"^bubblewrap \(bwrap\) is not installed$"):
        Worker(Source(SOURCE), Isolation.BUBBLEWRAP).load()
    capability.cache_clear()
    try:
        bubblewrap, _ = capabilities()
        assert not bubblewrap.works and bubblewrap.reason == "bubblewrap (bwrap) is not installed"
    finally:
        capability.cache_clear()


def test_a_bubblewrap_that_fails_is_quoted(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NoSandbox, match="a worker under bubblewrap does not start: bwrap: No permissions to create new"
    ):
        Worker(Source(SOURCE), Isolation.BUBBLEWRAP).load()


def test_a_bubblewrap_that_only_pretends_is_found_out(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    inside = Path(__file__).parents[2] / "opcheck" / "sandbox" / "inside"
    fake.write_text(f'#!{sys.executable}\nimport os, sys\nat = sys.argv.index("--") + 1\ncommand = sys.argv[at:]\n'
                    f'command[5] = "{inside}/confine.py"\nos.execv(command[0], command)\n')  # fmt: skip
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    capability.cache_clear()
    try:
        bubblewrap, _ = capabilities()
        assert not bubblewrap.works and "it does not keep a program from other files" in bubblewrap.reason
    finally:
        capability.cache_clear()


def test_too_little_memory_to_start_is_said(isolation):
    with pytest.raises(NoSandbox, match=f"a worker under {isolation} does not start"):
        Worker(Source(SOURCE), isolation, Limits(memory=30 << 20)).load()


def test_landlock_lists_a_folder_with_something_hidden_and_reads_the_rest():
    allowed = launch._landlock(Source(""), ("numpy",))
    folder = str(Path(np.__file__).parent.parent)
    assert folder in allowed["list"] and folder not in allowed["read"]
    assert str(Path(np.__file__).parent) not in allowed["read"]
    assert any(path.startswith(f"{folder}/hypothesis") for path in allowed["read"])


def test_a_worker_starts_with_little_more_than_numpy(isolation):
    """A class has hundreds of workers: what each imports beside numpy is paid for hundreds of times."""
    with Worker(Source("import sys\nNAMES = sorted(sys.modules)\n"), isolation) as worker:
        found = worker.run([], want={"names": "module.NAMES"}).values["names"]
    script = "import sys, numpy, dataclasses, inspect, json; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {visible.packages()!r}; {script}"]
    needed = {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()}
    ours = {path.stem for path in launch.INSIDE.glob("*.py")} | {"submission"}
    assert {*found} - needed - ours <= {"errno", "faulthandler", "fcntl", "gc", "importlib.machinery", "resource"}


def test_what_every_worker_runs_is_compiled_once(isolation, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "INSIDE", Path(shutil.copytree(launch.INSIDE, tmp_path / "inside")))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    launch._compiled.cache_clear()
    try:
        with Worker(Source(SOURCE), isolation) as worker:
            assert worker.load().status is Status.OK
    finally:
        launch._compiled.cache_clear()
    files = [*launch.INSIDE.glob("*.py")]
    assert files and all(Path(cache_from_source(file)).is_file() for file in files)


@pytest.mark.parametrize("name", ["../x", "torch.nn", "", "numpy", "*"])
def test_only_top_level_names_can_be_hidden(name):
    with pytest.raises(ValueError, match="cannot be hidden; give top-level names such as torch, but not numpy"):
        Worker(Source(""), Isolation.BUBBLEWRAP, hidden=(name,))


def test_no_descriptor_and_no_child_is_left_behind(isolation):
    def once() -> None:
        with Worker(Source(SOURCE), isolation) as worker:
            worker.load()

    once()
    before = sorted(Path("/proc/self/fd").iterdir()), children(os.getpid())
    for _ in range(3):
        once()
    assert (sorted(Path("/proc/self/fd").iterdir()), children(os.getpid())) == before


def test_workers_run_beside_each_other(isolation):
    def ask(k: int) -> np.ndarray:
        with Worker(Source(f"def f(x): return x + {k}\n"), isolation) as worker:
            return worker.run([Call("module.f", (np.zeros(3),), keep="y")], want={"y": "y"}).values["y"]

    with ThreadPoolExecutor(3) as executor:
        for k, y in enumerate(executor.map(ask, range(6))):
            assert np.array_equal(y, np.full(3, float(k)))


PARENT = """
import sys
from opcheck.sandbox import Call, Isolation, Limits, Source, Worker
worker = Worker(Source("def f():\\n    while True: pass\\n"), Isolation(sys.argv[1]), Limits(seconds=1000.0))
worker.load()
print("ready", flush=True)
worker.run([Call("module.f")], want={})
"""


@pytest.mark.parametrize("kind", [*Isolation])
def test_a_worker_dies_with_a_parent_that_is_killed(kind):
    (reason,) = [each.reason for each in capabilities() if each.isolation is kind and not each.works] or [""]
    if reason:
        pytest.skip(f"{kind} cannot be tested on this machine: {reason}")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", PARENT, kind], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout.readline() == b"ready\n"
        family = children(parent.pid)
        assert family
        parent.kill()
    deadline = time.monotonic() + 10
    while family & running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert family & running() == set()


def test_a_bubblewrap_of_the_old_kind_lends_no_capability_and_gets_no_tmp_to_write_to(monkeypatch):
    """Installed setuid, it refuses --cap-add to whoever is not root; so nobody could limit the files in /tmp."""
    for setuid in (False, True):
        monkeypatch.setattr(launch, "_is_setuid", lambda answer=setuid: answer)
        command = launch._bubblewrap(Source(SOURCE), Limits(), 0, ())
        assert ("CAP_SYS_ADMIN" in command) is not setuid
        assert ("/tmp" in [after for each, after in pairwise(command) if each == "--remount-ro"]) is setuid
