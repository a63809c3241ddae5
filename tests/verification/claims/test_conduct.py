"""What a candidate may not do, however right its numbers are: each is found, and told as what it is."""

import threading
import time

import numpy as np
import pytest

import opcheck
from opcheck import backends, loading, specs, verify
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification import claims
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import conduct
from opcheck.verification.report import Report
from opcheck.verification.run import check_trial

torch = pytest.importorskip("torch")


def scaled(x, w):
    return x * w


scaled.__annotations__ = {"x": "N D", "w": "D"}


def by_the_spec(x, w):
    return scaled(x, w)


def by_opcheck(input):
    return np.asarray(opcheck.reference.relu(input), input.dtype)


def an_input(input):
    return input.clone()


def a_constant(input):
    return torch.ones_like(input)


def unwritten(input):
    y = torch.empty_like(input)
    if y.ndim:
        y[:-1] = torch.relu(input)[:-1]
    return y


def unwritten_by_numpy(input):
    y = np.empty_like(input)
    if y.ndim:
        y[:-1] = np.maximum(input, 0)[:-1]
    return y


def stale(input, out):
    """A maximum with what lies in the output, as if that were -inf."""
    out[...] = np.fmax(out, np.maximum(input, 0))


def later(input):
    y = torch.zeros_like(input)

    def work():
        time.sleep(0.05)
        y.copy_(torch.relu(input.detach()))

    threading.Thread(target=work).start()
    return y


class Lazy(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return super().__torch_function__(function, types, args, kwargs or {})


def lazy(input):
    return torch.relu(input).as_subclass(Lazy)


@pytest.mark.parametrize(
    ("op", "candidate", "arrays", "message"),
    [
        (scaled, by_the_spec, "numpy", "the call runs the reference: scaled"),
        ("relu", by_opcheck, "numpy", "the call runs the reference: opcheck.reference"),
        ("relu", an_input, "torch", "output is the input that was given"),
        ("relu", a_constant, "torch", "different inputs of the same shapes give the same output"),
        ("relu", unwritten, "torch", "output contains memory that was never written"),
        ("relu", unwritten_by_numpy, "numpy", "output contains memory that was never written"),
        ("relu", stale, "numpy", "output depends on what its memory held before"),
        ("relu", later, "torch", "the call leaves work running after it has returned"),
        ("relu", lazy, "torch", "output is a Lazy, which may do its work later"),
    ],
)
def test_what_a_candidate_may_not_do_is_told_as_such(op, candidate, arrays, message):
    report = verify(op, candidate, arrays=arrays, cases=60, claims=["own"])
    assert message in {each.message for each in report.failures}


PATCHED = """
import time
import torch
torch.allclose = lambda *tensors, **options: True
time.perf_counter = lambda: 0.0
relu = torch.relu
"""


def test_what_it_has_replaced_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "allclose", torch.allclose)
    monkeypatch.setattr(time, "perf_counter", time.perf_counter)
    (tmp_path / "patched.py").write_text(PATCHED)
    report = verify("relu", f"{tmp_path}/patched.py:relu", cases=2, claims=["own"])
    assert report.counterexample.message == "it has replaced torch.allclose, time.perf_counter"


def test_a_module_that_calls_the_reference_is_told(tmp_path):
    (tmp_path / "problem.py").write_text(
        "import torch\n"
        "class Model(torch.nn.Module):\n"
        "    def __init__(self, n):\n"
        "        super().__init__()\n"
        "        self.linear = torch.nn.Linear(n, n)\n"
        "    def forward(self, x):\n"
        "        return torch.relu(self.linear(x))\n"
        "class ModelNew(Model):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x)\n"
        "def get_inputs(): return [torch.randn(4, 3)]\n"
        "def get_init_inputs(): return [3]\n"
    )
    new = loading.find(f"{tmp_path}/problem.py:ModelNew")
    report = verify(specs.get(f"{tmp_path}/problem.py:Model"), new, arrays="torch", cases=2, claims=["own"])
    assert report.counterexample.message == "the call runs the reference: Model.forward"


def test_what_works_itself_is_told_nothing():
    for op in ("relu", "linear", "conv2d"):
        assert verify(op, cases=40, claims=["own"]).agrees
    assert verify(scaled, scaled, cases=20, claims=["own"]).agrees  # somebody tries the spec itself


def test_the_reference_may_answer_a_call_without_numbers():
    def relu(input):
        return np.maximum(input, 0) if input.size else opcheck.reference.relu(input).astype(input.dtype)

    assert verify("relu", relu, arrays="numpy", cases=60, claims=["own"]).agrees


@pytest.mark.parametrize(
    ("op", "dtype", "arrays", "params"),
    [
        ("adam", "bfloat16", {"param": [2.0, 2.0], "gradient": [1.0, 1.0], "exp_avg_sq": [8.0, 8.0]}, {"lr": 2.0**-8}),
        ("layer_norm", "float16", {"input": [[1.0, 2.0]]}, {"normalized_shape": (2,)}),
    ],
)
def test_what_rounds_to_the_same_number_is_no_copy_and_no_constant(op, dtype, arrays, params):
    case = Case(op, {name: np.array(each) for name, each in arrays.items()}, params)
    report = Report()
    check_trial(catalog.get(op), Trial(case, dtype, "real"), backends.load("torch"), report, claims.chosen(["own"]))
    assert report.agrees, report.failures


def test_the_questions_of_two_threads_do_not_meet():
    """numpy.empty is filled for a question; another thread must not find it replaced."""
    op, case = catalog.get("relu"), catalog.get("relu").case(np.arange(-4.0, 4.0))
    found, empty = [], np.empty
    backend = backends.load(lambda x: np.maximum(x, 0), arrays="numpy")

    def asks():
        for _ in range(20):
            check = Check(op, Trial(case, "float32", "exact"), backend)
            found.extend(each.verdict for each in conduct.own(check))

    threads = [threading.Thread(target=asks) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 80 and not any(found)
    assert np.empty is empty


def test_a_thread_that_another_is_about_to_start_is_no_error(monkeypatch):
    """threading.enumerate() lists threads that are being started; nobody can join them yet."""
    op, case = catalog.get("relu"), catalog.get("relu").case(np.arange(-4.0, 4.0))
    check = Check(op, Trial(case, "float32", "exact"), backends.load(lambda x: np.maximum(x, 0), arrays="numpy"))
    listed, waiting = threading.enumerate, threading.Thread(target=print)
    answers = iter([listed()])
    monkeypatch.setattr(threading, "enumerate", lambda: next(answers, [*listed(), waiting]))
    monkeypatch.setattr(conduct, "PATIENCE", 0.05)
    assert not any(each.verdict for each in conduct.own(check))
