"""What a worker is asked and answers: values that stay with it or travel, limits, and what the code prints."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from opcheck.sandbox import (
    Call,
    File,
    Isolation,
    Limits,
    Opaque,
    Outsized,
    Place,
    Set,
    Skipped,
    Source,
    Status,
    Worker,
)

from .support import CMU, X, call

CS231N = """
    import numpy as np

    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, b = cache
        return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""


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


def test_what_is_printed_is_captured_by_request(trusted):
    worker = trusted(
        "import sys\nprint('loading')\ndef f(): print('caf\\u00e9'); print('\\x1b[31mred', file=sys.stderr)\n"
    )
    assert worker.load().printed == "loading\n"
    assert call(worker, "f").printed == "café\n\N{REPLACEMENT CHARACTER}[31mred\n"
    assert worker.run([], want={}).printed == ""


def test_too_large_a_result_is_refused_by_the_worker_which_lives_on(trusted):
    worker = trusted("import numpy as np\ndef f(n): return np.ones(n)", reply=8000)
    assert call(worker, "f", 1000).status is Status.OK
    outcome = call(worker, "f", 1001)
    assert (outcome.status, outcome.failure.message) == (Status.MALFORMED, "arrays of more than 8000 bytes")
    assert worker.alive


def test_an_array_for_which_there_is_no_room_comes_back_as_its_shape(trusted):
    worker = trusted("import numpy as np\ndef f(): return np.ones(1000), np.ones((3, 1001))")
    outcome = worker.run([Call("module.f", keep="y")], {"a": "y[0]", "b": "y[1]"}, largest=8000)
    assert outcome.status is Status.OK and outcome.values["a"].size == 1000
    assert outcome.values["b"] == Outsized((3, 1001))
    outcome = worker.run([Call("module.f", keep="y")], {"a": "y[0]", "b": "y[1]"}, reply=20_000)
    assert (outcome.status, outcome.failure.message) == (Status.MALFORMED, "arrays of more than 20000 bytes")


def test_a_file_need_not_have_a_name_in_utf_8(tmp_path, isolation):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe"))
    folder.mkdir()
    path = folder / os.fsdecode(b"\xff.py")
    path.write_text("import helper\ndef f(): return helper.y\n")
    (folder / "helper.py").write_text("y = 1\n")
    with Worker(File(path, folder), isolation) as worker:
        assert call(worker, "f").values == {"y": 1}


def test_a_text_may_be_larger_than_a_message_beside_its_arrays(trusted):
    assert call(trusted("#" + "é" * (1 << 20) + "\ndef f(): return 1"), "f").values == {"y": 1}


def test_a_notebook_is_taken_apart_inside(isolation):
    cells = ["%pylab", "%%bash\nls", "def f(): return 1", "x = ("]
    text = json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})
    with Worker(Source(text, notebook=True), isolation) as worker:
        outcome = worker.load()
        assert (outcome.status, outcome.commands) == (Status.OK, 1)
        assert outcome.skipped == (Skipped(2, "magic", "bash"), Skipped(4, "error", "'(' was never closed", 1))
        assert call(worker, "f").values == {"y": 1}
    with Worker(Source("{", notebook=True), isolation) as worker:
        assert (worker.load().failure.type, worker.load().failure.file) == ("no notebook", "json")


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


def test_a_limit_must_be_positive():
    with pytest.raises(ValueError, match="seconds is 0; a limit is a positive number"):
        Limits(seconds=0)
