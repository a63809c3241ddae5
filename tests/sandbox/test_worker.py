"""The protocol of steps, with crash survival only: the same requests work under every isolation."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import (
    Call,
    File,
    Isolation,
    Limits,
    Module,
    Opaque,
    Outcome,
    Place,
    Set,
    Source,
    Status,
    Worker,
)

CS231N = """
    import numpy as np

    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, b = cache
        return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""
CMU = """
    import numpy as np

    class Linear:
        def __init__(self, in_features, out_features, debug=False):
            self.W = np.zeros((out_features, in_features))
            self.b = np.zeros((out_features, 1))

        def forward(self, A):
            self.A = A
            return A @ self.W.T + self.b.T

        def backward(self, dLdZ):
            self.dLdW = dLdZ.T @ self.A
            self.dLdb = dLdZ.sum(axis=0)[:, None]
            return dLdZ @ self.W
"""


@pytest.fixture
def trusted():
    workers = []

    def start(source: str, **limits: float) -> Worker:
        worker = Worker(Source(textwrap.dedent(source)), Isolation.TRUSTED, Limits(**{"memory": None, **limits}))
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()


def call(worker: Worker, name: str, *args: object) -> Outcome:
    return worker.run([Call(f"module.{name}", args, keep="y")], want={"y": "y"})


X = np.arange(1.0, 7.0).reshape(2, 3)
W = np.arange(1.0, 7.0).reshape(3, 2)
B = np.array([1.0, -1.0])
D = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_a_function_with_a_cache_that_stays_in_the_worker(trusted):
    outcome = trusted(CS231N).run(
        [
            Call("module.affine_forward", (X, W, B), keep="out"),
            Call("module.affine_backward", (D, Place("out[1]")), keep="grads"),
        ],
        want={"y": "out[0]", "dx": "grads[0]", "dw": "grads[1]", "db": "grads[2]"},
    )
    assert outcome.status is Status.OK and outcome.failure is None
    assert np.array_equal(outcome.values["y"], X @ W + B)
    assert np.array_equal(outcome.values["dx"], D @ W.T)
    assert np.array_equal(outcome.values["dw"], X.T @ D)
    assert np.array_equal(outcome.values["db"], D.sum(axis=0))


def test_a_layer_is_constructed_filled_called_and_read(trusted):
    outcome = trusted(CMU).run(
        [
            Call("module.Linear", (3, 2), {"debug": True}, keep="layer"),
            Set("layer.W", W.T),
            Set("layer.b", B[:, None]),
            Call("layer.forward", (X,), keep="Z"),
            Call("layer.backward", (D,), keep="dLdA"),
        ],
        want={"Z": "Z", "dLdA": "dLdA", "dLdW": "layer.dLdW", "dLdb": "layer.dLdb"},
    )
    assert outcome.status is Status.OK
    assert np.array_equal(outcome.values["Z"], X @ W + B)
    assert np.array_equal(outcome.values["dLdA"], D @ W.T)
    assert np.array_equal(outcome.values["dLdW"], D.T @ X)
    assert np.array_equal(outcome.values["dLdb"], D.sum(axis=0)[:, None])


def test_values_are_kept_between_runs_until_a_fresh_one(trusted):
    worker = trusted(CS231N)
    worker.run([Set("x", X)], want={})
    assert np.array_equal(worker.run([], want={"x": "x"}, fresh=False).values["x"], X)
    outcome = worker.run([], want={"x": "x"})
    assert (outcome.status, outcome.failure.message) == (Status.ABSENT, "there is no x")


def test_a_mutated_input_can_be_seen(trusted):
    worker = trusted("def f(x):\n    x *= 2\n    return x")
    outcome = worker.run([Set("x", X), Call("module.f", (Place("x"),))], want={"x": "x"})
    assert np.array_equal(outcome.values["x"], 2 * X)


def test_libraries_are_called_by_name(trusted):
    steps = [
        Call("numpy.asfortranarray", (X,), keep="x"),
        Call("x.transpose", keep="t"),
        Call("len", (Place("t"),), keep="n"),
    ]
    outcome = trusted("").run(steps, want={"t": "t", "n": "n"})
    assert np.array_equal(outcome.values["t"], X.T) and outcome.values["n"] == 3


def test_a_failing_step_is_numbered_and_what_came_before_it_returns(trusted):
    worker = trusted("def f(x):\n    return x\n\ndef g(x):\n    helper = 1\n    return x[helper].missing")
    outcome = worker.run(
        [Call("module.f", (X,), keep="y"), Call("module.g", (X,), keep="dx")], want={"y": "y", "dx": "dx"}
    )
    assert outcome.status is Status.RAISED
    assert (outcome.failure.type, outcome.failure.line, outcome.failure.file) == ("AttributeError", 6, "submission.py")
    assert outcome.failure.message == "'numpy.ndarray' object has no attribute 'missing'"
    assert outcome.failure.step == 1
    assert list(outcome.values) == ["y"] and np.array_equal(outcome.values["y"], X)


def test_the_line_is_the_submissions_own_last_one(trusted):
    outcome = call(trusted("import numpy as np\n\ndef f(x):\n    return np.concatenate([x, 5])\n"), "f", X)
    assert (outcome.status, outcome.failure.type, outcome.failure.line) == (Status.RAISED, "ValueError", 4)


def test_a_missing_name_is_absent_and_not_an_error_of_the_code(trusted):
    outcome = call(trusted(CS231N), "conv_forward", X)
    assert outcome.status is Status.ABSENT
    assert outcome.failure.message == "there is no module.conv_forward: module has no .conv_forward"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("None", None),
        ("(1, 2.5, 'text', [True])", (1, 2.5, "text", [True])),
        ("{'W': 1, 2: 3}", {"W": 1, 2: 3}),
        ("float('inf')", float("inf")),
    ],
)
def test_plain_values_return_as_they_are(trusted, expression, expected):
    assert call(trusted(f"def f():\n    return {expression}"), "f").values["y"] == expected


@pytest.mark.parametrize(
    ("expression", "dtype"),
    [("np.float32(2)", "float32"), ("np.float64(2)", "float64"), ("np.ones(()) * 2", "float64"),
     ("np.int16(2)", "int16"), ("np.matrix([[2]])", "int64"), ("np.ma.array([2.0])", "float64")],
)  # fmt: skip
def test_scalars_and_subclasses_arrive_as_plain_arrays(trusted, expression, dtype):
    value = call(trusted(f"import numpy as np\ndef f():\n    return {expression}"), "f").values["y"]
    assert type(value) is np.ndarray and value.dtype == dtype and np.all(value == 2)


@pytest.mark.parametrize(
    ("expression", "description"),
    [
        ("np.array([None, 'x'])", "an array of dtype object and shape (2,)"),
        ("np.ones(3, complex)", "an array of dtype complex128 and shape (3,)"),
        ("lambda: 0", "a value of type builtins.function"),
        ("f", "a value of type builtins.function"),
        ("10 ** 5000", "a value of type builtins.int"),
    ],
)
def test_what_cannot_travel_is_described(trusted, expression, description):
    outcome = call(trusted(f"import numpy as np\ndef f():\n    return {expression}"), "f")
    assert outcome.status is Status.OK and outcome.values["y"] == Opaque(description)


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


def test_what_is_printed_is_captured_by_request(trusted):
    worker = trusted(
        "import sys\nprint('loading')\ndef f(): print('caf\\u00e9'); print('\\x1b[31mred', file=sys.stderr)\n"
    )
    assert worker.load().printed == "loading\n"
    assert call(worker, "f").printed == "café\n\N{REPLACEMENT CHARACTER}[31mred\n"
    assert worker.run([], want={}).printed == ""


def test_a_file_is_loaded_with_its_neighbours(tmp_path):
    (tmp_path / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    path = tmp_path / "layers.py"
    path.write_text("import helper\n\ndef f(x):\n    return helper.twice(x)\n\ndef g():\n    return helper.twice({})\n")
    with Worker(File(path, root=tmp_path), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert np.array_equal(call(worker, "f", X).values["y"], 2 * X)
        failure = call(worker, "g").failure
        assert (failure.file, failure.line) == ("helper.py", 2)


def test_an_installed_module_is_loaded_in_the_parents_environment():
    with Worker(Module("numpy.linalg"), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert np.array_equal(call(worker, "det", np.diag([2.0, 3.0])).values["y"], np.linalg.det(np.diag([2.0, 3.0])))


def test_a_module_that_does_not_exist_says_so():
    with Worker(Module("no_such_module"), Isolation.TRUSTED, Limits(memory=None)) as worker:
        assert worker.load().failure.message == "No module named 'no_such_module'"


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
        ("close", Status.MALFORMED, "MALFORMED", "the process closed the pipe of its results"),
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


def test_one_request_may_have_less_time_than_the_others(trusted):
    outcome = trusted(DEATHS).run([Call("module.hang")], want={}, seconds=0.5)
    assert (outcome.status, outcome.failure.message) == (Status.TIMED_OUT, "no result after 0.5 s")


def test_the_time_of_all_requests_together_is_limited(trusted):
    worker = trusted("import time\ndef nap(): time.sleep(0.4)", total_seconds=1.0)
    statuses = [call(worker, "nap").status for _ in range(3)]
    assert statuses == [Status.OK, Status.OK, Status.TIMED_OUT]


def test_a_fork_that_returns_from_the_call_does_not_answer_twice(trusted):
    worker = trusted("import os\ndef f(x):\n    os.fork()\n    return x\n")
    for k in range(5):
        assert np.array_equal(call(worker, "f", X + k).values["y"], X + k)


def test_too_large_a_result_is_refused_by_the_worker_which_lives_on(trusted):
    worker = trusted("import numpy as np\ndef f(n): return np.ones(n)", reply=8000)
    assert call(worker, "f", 1000).status is Status.OK
    outcome = call(worker, "f", 1001)
    assert (outcome.status, outcome.failure.message) == (Status.MALFORMED, "arrays of more than 8000 bytes")
    assert worker.alive


@pytest.mark.torch
def test_torch_is_driven_by_name_and_its_tensors_return_as_arrays():
    source = Source("import torch\ndef f(x, w): return x @ w\ndef low(x): return x.to(torch.bfloat16)\n")
    with Worker(source, Isolation.TRUSTED, Limits(memory=None, seconds=120.0)) as worker:
        outcome = worker.run(
            [
                Call("torch.from_numpy", (X,), keep="x"),
                Call("torch.from_numpy", (W,), keep="w"),
                Call("w.requires_grad_", (True,)),
                Call("module.f", (Place("x"), Place("w")), keep="y"),
                Call("torch.from_numpy", (D,), keep="d"),
                Call("torch.autograd.grad", (Place("y"), Place("w"), Place("d")), keep="grads"),
                Call("module.low", (Place("x"),), keep="low"),
            ],
            want={"y": "y", "dw": "grads[0]", "low": "low"},
        )
    assert outcome.status is Status.OK, outcome.failure
    assert np.array_equal(outcome.values["y"], X @ W)
    assert np.array_equal(outcome.values["dw"], X.T @ D)
    assert outcome.values["low"].dtype == np.float32 and np.array_equal(outcome.values["low"], X)


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


def test_a_limit_must_be_positive():
    with pytest.raises(ValueError, match="seconds is 0; a limit is a positive number"):
        Limits(seconds=0)
