"""What is not allowed is not there, whichever way it is asked for; what the standard library has always is."""

import importlib.util

import numpy as np
import pytest

from opcheck.sandbox import File, Source, Status, Worker, visible

from .support import TRIED, X, call, value

ABSENT = "mpmath"  # installed: opcheck itself needs it
WAYS = f"""
import ctypes, glob, importlib, importlib.machinery, importlib.util, os, runpy, statistics, subprocess, sys
import numpy as np
{TRIED.strip().replace("import os, sys", "").replace(chr(10) + "    ", chr(10))}

FOLDERS = {[*visible.libraries()]!r}

def by_import(): import {ABSENT}; return {ABSENT}
def by_importlib(): return importlib.import_module("{ABSENT}")
def absent(): return importlib.util.find_spec("{ABSENT}") is None
def by_finder():
    sys.meta_path.append(importlib.machinery.PathFinder)
    return importlib.import_module("{ABSENT}")
def by_path():
    for folder in FOLDERS:
        path = os.path.join(folder, "{ABSENT}", "__init__.py")
        try:
            return runpy.run_path(path)
        except (FileNotFoundError, PermissionError) as error:
            last = error
    raise last
def by_open(): return [open(os.path.join(folder, "{ABSENT}", "__init__.py")) for folder in FOLDERS]
def by_subprocess(): return subprocess.run([sys.executable, "-c", "import {ABSENT}"], check=True)
def by_library():
    for folder in FOLDERS:
        for path in glob.glob(folder + "/**/*.so*", recursive=True):
            if "/numpy" not in path:
                return ctypes.CDLL(path)
    raise OSError("none")
"""
WAYS += "".join(f"def try_{name}(): return tried({name})\n" for name in (
    "by_import", "by_importlib", "by_finder", "by_path", "by_open", "by_subprocess", "by_library"))  # fmt: skip


@pytest.mark.parametrize("name", ["import", "importlib", "finder", "path", "open", "subprocess", "library"])
def test_what_is_not_allowed_cannot_be_reached(isolation, name):
    with Worker(Source(WAYS), isolation, allowed=["numpy"]) as worker:
        assert worker.load().status is Status.OK
        found = value(worker, f"try_by_{name}")
        assert found[0] != "possible", found


def test_it_is_not_found_either(isolation):
    with Worker(Source(WAYS), isolation, allowed=["numpy"]) as worker:
        assert value(worker, "absent") is True


def test_a_worker_without_a_list_has_it(isolation):
    """The tests above could fail."""
    with Worker(Source(WAYS), isolation) as worker:
        assert value(worker, "try_by_import")[0] == "possible"


def test_what_is_allowed_works(isolation):
    code = "import numpy as np, statistics, random\nimport numpy.linalg\ndef f(x): return np.linalg.pinv(x).T\n"
    with Worker(Source(code), isolation, allowed=["numpy"]) as worker:
        assert worker.load().failure is None
        assert np.allclose(call(worker, "f", X).values["y"], np.linalg.pinv(X).T)


@pytest.mark.torch
def test_what_an_allowed_module_needs_is_there(isolation):
    pytest.importorskip("torch")
    code = "import torch\ndef f(x): return torch.from_numpy(x).relu().numpy()\n"
    from opcheck.sandbox import Limits

    with Worker(Source(code), isolation, Limits(seconds=60, memory=None), allowed=["numpy", "torch"]) as worker:
        assert worker.load().failure is None
        assert np.array_equal(call(worker, "f", X).values["y"], X)


def test_a_students_file_may_have_the_name_of_what_is_not_allowed(isolation, tmp_path):
    (tmp_path / f"{ABSENT}.py").write_text("def twice(x): return 2 * x\n")
    (tmp_path / "hw.py").write_text(f"import {ABSENT}\nf = {ABSENT}.twice\n")
    assert importlib.util.find_spec(ABSENT) is not None
    with Worker(File(tmp_path / "hw.py", tmp_path), isolation, allowed=["numpy"]) as worker:
        assert worker.load().failure is None
        assert np.array_equal(call(worker, "f", X).values["y"], 2 * X)
