"""What a submission defines, and what becomes of one that does not load, or not all of it."""

from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import File, Isolation, Limits, Module, Source, Status, Worker

from .support import CMU, X, call


def test_definitions_tell_names_kinds_and_parameters(trusted):
    worker = trusted(CMU + "\n    from math import sqrt\n    rate = 0.1\n    def relu(x, *, slope=0): return x\n")
    found = {definition.name: definition for definition in worker.load().definitions}
    assert {name: (each.kind, each.own) for name, each in found.items()} == {
        "Linear": ("class", True),
        "sqrt": ("function", False),
        "rate": ("value", True),
        "relu": ("function", True),
    }
    assert [(p.name, p.has_default) for p in found["Linear"].parameters] == [
        ("in_features", False),
        ("out_features", False),
        ("debug", True),
    ]
    methods = {method.name: [p.name for p in method.parameters] for method in found["Linear"].methods}
    assert methods["backward"] == ["self", "dLdZ"]
    assert [p.kind for p in found["relu"].parameters] == ["POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"]


def test_a_failure_at_top_level_does_not_hide_the_functions_below_it(trusted):
    worker = trusted("name = input('your name? ')\n\ndef f(x):\n    return x\n")
    loaded = worker.load()
    assert (loaded.status, loaded.failure.type, loaded.failure.line) == (Status.RAISED, "EOFError", 1)
    assert [definition.name for definition in loaded.definitions] == ["f"]
    assert np.array_equal(call(worker, "f", X).values["y"], X)


def test_sys_exit_at_import_does_not_hide_the_functions_below_it(trusted):
    loaded = trusted("import sys\nsys.exit(0)\ndef f(): return 1\n").load()
    assert (loaded.status, loaded.failure.message, loaded.failure.line) == (Status.EXITED, "sys.exit(0)", 2)
    assert [definition.name for definition in loaded.definitions] == ["f"]


def test_a_syntax_error_names_its_line_and_run_repeats_it(trusted):
    worker = trusted("import numpy\n\ndef f(x)\n    return x\n")
    loaded = worker.load()
    assert (loaded.status, loaded.failure.type, loaded.failure.line) == (Status.RAISED, "SyntaxError", 3)
    assert loaded.failure.message == "expected ':'"
    assert call(worker, "f", X).failure == loaded.failure


def test_a_missing_import_is_named(trusted):
    failure = trusted("import tensorflow_of_last_year\n").load().failure
    assert (failure.type, failure.message) == ("ModuleNotFoundError", "No module named 'tensorflow_of_last_year'")


def test_the_main_guard_is_closed_and_future_imports_hold(trusted):
    source = "from __future__ import annotations\ndef f(x: Undefined): return f.__annotations__['x']\n"
    assert (
        call(trusted(source + "if __name__ == '__main__':\n    raise SystemExit\n"), "f", 1).values["y"] == "Undefined"
    )


def test_definitions_only_leaves_out_an_endless_loop_at_top_level():
    source = Source("import numpy as np\nwhile True:\n    pass\nscale = 3\ndef f(x):\n    return scale * x\n")
    with Worker(source, Isolation.TRUSTED, Limits(memory=None, seconds=1.0)) as worker:
        assert worker.load().status is Status.TIMED_OUT
    with Worker(source, Isolation.TRUSTED, Limits(memory=None), definitions_only=True) as worker:
        assert worker.load().status is Status.OK
        assert np.array_equal(call(worker, "f", X).values["y"], 3 * X)


def test_a_file_is_loaded_with_its_neighbours(tmp_path):
    (tmp_path / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    path = tmp_path / "layers.py"
    path.write_text("import helper\n\ndef f(x):\n    return helper.twice(x)\n\ndef g():\n    return helper.twice({})\n")
    with Worker(File(path, root=tmp_path), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert np.array_equal(call(worker, "f", X).values["y"], 2 * X)
        failure = call(worker, "g").failure
        assert (failure.file, failure.line) == ("helper.py", 2)


USES = """
import random, secrets, statistics, json
import numpy as np
import helper, mine.more
import confine, loading, places, seccomp, wire, worker

def f(x):
    return x + 0 * statistics.mean([secrets.randbelow(9), random.random(), np.random.default_rng(0).random()])

def names():
    return [each.NAME for each in (helper, mine.more, confine, loading, places, seccomp, wire, worker)]
"""
OWN = ("helper", "mine/more", "confine", "loading", "places", "seccomp", "wire", "worker")


def test_what_lies_beside_a_submission_is_its_own_and_never_the_standard_library(isolation, tmp_path):
    """A random.py there would be imported by numpy; a helper may be called as a module of ours is."""
    (tmp_path / "mine").mkdir()
    for name in ("random", "secrets", "statistics", "json", "struct", "hmac"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py beside the submission')\n")
    for name in OWN:
        (tmp_path / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "layers.py").write_text(USES)
    with Worker(File(tmp_path / "layers.py", root=tmp_path), isolation) as worker:
        assert worker.load().failure is None
        assert np.array_equal(call(worker, "f", X).values["y"], X)
        assert call(worker, "names").values["y"] == [*OWN]


@pytest.mark.parametrize("name", ["random", "secrets", "numpy", "wire"])
def test_a_lone_submission_may_have_any_name(isolation, name, tmp_path):
    path = tmp_path / f"{name}.py"
    path.write_text("import numpy as np\ndef f(x): return x + 0 * np.random.default_rng(0).normal(size=x.shape)\n")
    with Worker(File(path), isolation) as worker:
        assert np.array_equal(call(worker, "f", X).values["y"], X)


def test_an_installed_module_is_loaded_in_the_parents_environment():
    with Worker(Module("numpy.linalg"), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert np.array_equal(call(worker, "det", np.diag([2.0, 3.0])).values["y"], np.linalg.det(np.diag([2.0, 3.0])))


def test_a_module_that_does_not_exist_says_so():
    with Worker(Module("no_such_module"), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert worker.load().failure.message == "No module named 'no_such_module'"


def test_a_submission_must_be_a_file_that_is_there(tmp_path):
    link = tmp_path / "link.py"
    link.symlink_to(Path(__file__))
    for path, message in [
        (tmp_path, "is not a file"),
        (tmp_path / "no.py", "is not a file"),
        (link, "is a symbolic link"),
    ]:
        with pytest.raises(ValueError, match=message):
            Worker(File(path), Isolation.BUBBLEWRAP)
    (tmp_path / "hw.py").touch()
    with pytest.raises(ValueError, match="is not inside"):
        Worker(File(tmp_path / "hw.py", root=Path(__file__).parent), Isolation.BUBBLEWRAP)
    with pytest.raises(ValueError, match="numpy is an installed module; only a file or its text can be isolated"):
        Worker(Module("numpy"), Isolation.LANDLOCK)
