"""The device: what is refused, what is absent, what the report says, and a device that is lost. No GPU is needed."""

import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from opcheck import backends, verify
from opcheck.backends import device
from opcheck.backends.function import NumpyFunction
from opcheck.errors import CouldNotRun, Refused
from opcheck.operators import catalog
from opcheck.verification.report import Report
from opcheck.verification.run import DeviceLost, Shard, run_shard
from opcheck.verification.verdict import Status
from opcheck.verification.watcher import Watcher


def gpu(count=1, healthy=True, **more):
    """A stand-in for torch on a machine with CUDA devices."""

    def synchronize(place):
        if not healthy:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    cuda = types.SimpleNamespace(
        is_available=lambda: count > 0,
        device_count=lambda: count,
        get_device_name=lambda place: "NVIDIA H100",
        synchronize=synchronize,
    )
    version = types.SimpleNamespace(cuda="12.8", hip=None)
    return types.SimpleNamespace(cuda=cuda, version=version, __version__="2.13.0+cu128", **more)


@pytest.mark.parametrize("name", ["gpu", "meta", "mps", "cuda:", "cuda:x", "CUDA", ""])
def test_a_name_that_is_no_device_is_refused(name):
    with pytest.raises(Refused, match="the device must be cpu, cuda or cuda:NUMBER"):
        device.checked(gpu(), name)
    with pytest.raises(Refused, match="the device must be"):
        backends.load("torch", device=name)


def test_an_absent_device_is_told_with_its_reason():
    assert device.checked(gpu(2), "cuda:1") == "cuda:1"
    with pytest.raises(CouldNotRun, match=r"there is no cuda:2 here: torch finds 2 CUDA devices"):
        device.checked(gpu(2), "cuda:2")
    with pytest.raises(CouldNotRun, match=r"there is no CUDA device here \(torch 2.13.0\+cu128 finds none\)"):
        device.checked(gpu(0), "cuda")
    plain = gpu(0)
    plain.version.cuda = None
    with pytest.raises(CouldNotRun, match=r"was built without CUDA\): use --device cpu"):
        device.checked(plain, "cuda")


@pytest.mark.parametrize("name", ["jax", "onnx", "onnxruntime", "tinygrad"])
def test_what_runs_on_the_cpu_is_not_run_there_in_silence(name):
    with pytest.raises(Refused, match=f"{name} runs on the CPU here"):
        backends.load(name, device="cuda")


def test_numpy_functions_run_on_the_cpu():
    with pytest.raises(Refused, match="numpy functions run on the CPU"):
        backends.load(np.abs, "numpy", "cuda")


def test_the_report_names_the_hardware():
    assert device.described(gpu(), "cuda") == "torch 2.13.0+cu128, NVIDIA H100, CUDA 12.8"


def test_the_switches_are_named_as_torch_leaves_them():
    switches = device.switches(torch)
    assert switches["cudnn.conv.fp32_precision"] == "tf32"  # convolutions may use TF32
    assert switches["cuda.matmul.fp32_precision"] == "none"  # products may not
    assert switches["cuda.matmul.allow_bf16_reduced_precision_reduction"] is True
    assert switches["cuda.matmul.allow_fp16_accumulation"] is False
    assert switches["cudnn.benchmark"] is False and switches["cudnn.deterministic"] is False
    assert switches["deterministic_algorithms"] is False


def test_switches_are_read_where_torch_refuses_their_old_names():
    """torch raises for allow_tf32 and get_float32_matmul_precision once a file has set `fp32_precision`."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = conv.fp32_precision, matmul.fp32_precision
    try:
        conv.fp32_precision, matmul.fp32_precision = "ieee", "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            torch.get_float32_matmul_precision()
        switches = device.switches(torch)
        assert switches["cudnn.conv.fp32_precision"] == "ieee" and switches["cuda.matmul.fp32_precision"] == "tf32"
    finally:
        conv.fp32_precision, matmul.fp32_precision = before


def test_a_device_is_lost_when_it_answers_nothing():
    assert device.is_lost(gpu(healthy=False), "cuda") and not device.is_lost(gpu(), "cuda")
    assert not device.is_lost(gpu(healthy=False), "cpu")


def test_a_module_with_buffers_is_moved_to_the_device():
    class Linear(torch.nn.Module):
        def __init__(self, in_features, out_features, bias=True):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(out_features, in_features))
            self.bias = torch.nn.Parameter(torch.empty(out_features)) if bias else None
            self.register_buffer("one", torch.ones(()))

        def forward(self, x):
            return torch.nn.functional.linear(x, self.weight, self.bias) * self.one

    backend = backends.load(Linear)
    backend.device = "meta"  # every torch has this device: it computes shapes, and refuses what lives elsewhere
    op = catalog.get("linear")
    session = backend.open(op, op.case(np.ones((2, 3)), np.ones((4, 3)), np.ones(4)), "float32")
    (result,) = session.results().values()
    assert result.device.type == "meta" and result.shape == (2, 4)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("implementation", ["torch", "torch:func"])
@pytest.mark.parametrize("name", ["linear", "conv2d", "cross_entropy", "max_pool2d", "softmax"])
def test_every_tensor_of_a_call_lives_on_the_device(implementation, name):
    from opcheck.verification.streams import trial

    op, backend = catalog.get(name), backends.load(implementation)
    backend.device = "meta"
    session = backend.open(op, trial(op, "float32", 0, 1).case, "float32")
    assert {each.device.type for each in session.tensors.values()} == {"meta"}
    if implementation == "torch":
        assert {each.device.type for each in session.results().values()} == {"meta"}


# --- a device that is lost --------------------------------------------------------------------------------------------


class Fragile(NumpyFunction):
    """relu, which breaks its device at two dimensions: after that every call fails, as after an illegal access."""

    broken = False

    def __init__(self):
        super().__init__(self.relu, "relu")

    def relu(self, input):
        self.broken = self.broken or input.ndim == 2
        if self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return np.where(input < 0, np.zeros_like(input), input)

    def is_lost(self):
        return self.broken


def test_a_lost_device_is_a_crash_of_one_case_and_ends_the_run_in_this_process():
    report = verify("relu", Fragile(), cases=40, seed=0)
    assert [each.status for each in report.failures] == [Status.CRASHED] and report.interrupted
    assert report.failures[0].message == "the device is lost: CUDA error: an illegal memory access was encountered"
    assert report.failures[0].trial.case.arrays["input"].ndim == 2


class Replacing(Watcher):
    replaces = True


def test_in_a_worker_process_it_is_the_workers_end():
    with pytest.raises(DeviceLost, match="illegal memory access"):
        run_shard(catalog.get("relu"), Shard("relu", "float32", 0, 0, 40), Fragile(), watcher=Replacing())


WORKER = """
import numpy as np
from opcheck.backends.function import NumpyFunction

LOST = []

def relu(input):
    if LOST or input.ndim == 2:
        LOST.append(1)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return np.where(input < 0, np.zeros_like(input), input)

NumpyFunction.is_lost = lambda self: bool(LOST)
"""


def test_another_worker_goes_on_behind_the_case_that_lost_the_device(tmp_path):
    (tmp_path / "fragile.py").write_text(WORKER)
    report = verify("relu", f"{tmp_path}/fragile.py:relu", cases=12, jobs=1, seed=0)
    crashed = [each for each in report.failures if each.status is Status.CRASHED]
    assert crashed and all(each.trial.case.arrays["input"].ndim == 2 for each in crashed)
    assert all("illegal memory access" in each.details["printed"] for each in crashed)
    assert {each.status for each in report.failures} == {Status.CRASHED}
    assert report.rows["relu", "float32", "exact"].cases > 0  # what was checked on the devices that worked


def test_reports_of_lost_devices_merge():
    whole = Report()
    whole.merge(verify("relu", Fragile(), cases=40, seed=0))
    assert whole.interrupted and not whole.agrees and "torch" in sys.modules


def test_the_text_names_the_switches_on_cuda():
    from opcheck.app.findings import notes

    said = notes(Report(settings=device.switches(torch)))
    assert any(line.startswith("torch's switches: ") and "cudnn.conv.fp32_precision=tf32" in line for line in said)
    assert not any("switches" in line for line in notes(Report(settings={"threads": 2})))


def test_a_gpu_is_shared_by_two_processes_at_most():
    from opcheck.app.verify import cores, default_jobs

    assert default_jobs("cpu") == cores() and default_jobs("cuda") <= 2
