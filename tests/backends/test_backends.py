"""Every backend that is installed agrees where it should, and what opcheck found in them is still found."""

import pytest

from opcheck import backends, verify
from opcheck.errors import CouldNotRun
from opcheck.verification.report import sentence

# backend: operators that agree, and a type to check them in
AGREE = {
    "torch:func": (("linear", "softmax", "max_pool2d", "cross_entropy", "tanh"), "float64"),
    "torch:autocast": (("linear", "conv2d", "softmax", "max_pool2d"), "bfloat16"),
    "jax": (("linear", "relu"), "float32"),
    "onnx": (("linear", "conv2d", "max_pool2d", "avg_pool2d", "relu", "softmax"), "float32"),
    "onnxruntime": (("linear", "conv2d", "max_pool2d", "avg_pool2d", "relu", "softmax", "log_softmax"), "float32"),
    "tinygrad": (("linear", "relu"), "float32"),
}


def load(name):
    try:
        return backends.load(name)
    except CouldNotRun as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", sorted(AGREE))
def test_what_agrees(name):
    backend = load(name)
    operators, dtype = AGREE[name]
    report = verify(operators, backend, dtype=dtype, cases=8 if name in ("jax", "tinygrad") else 24, seed=3)
    assert report.agrees, f"{report.failures[0].trial.case.op}: {sentence(report.failures[0])}"
    assert report.checked


def test_onnx_takes_the_logarithm_of_a_softmax_that_underflows():
    found = verify("log_softmax", load("onnx"), cases=60, seed=1).counterexample
    assert found is not None and found.got == float("-inf") and found.expected < -100


def test_onnxruntime_flushes_small_sigmoids():
    found = verify("sigmoid", load("onnxruntime"), cases=60, seed=1).counterexample
    assert found is not None and found.got == 0.0 and 0 < found.expected < 1e-17


def test_what_a_backend_lacks_is_left_out_and_counted():
    report = verify("conv2d", load("onnx"), cases=40, seed=1)
    assert report.left_out["conv2d", "padding_mode"] > 0


def test_an_operator_without_a_counterpart_is_not_run():
    report = verify("adam", load("onnx"), cases=3)
    assert report.not_run == {("adam", "float32"): "no counterpart in ONNX"}
    assert not report.checked


def test_a_local_dask_cluster_gives_the_same_report():
    distributed = pytest.importorskip("distributed")
    from opcheck.verification.workers.cluster import dask_executor

    options = {"cases": 150, "seed": 4}
    place = {"host": "127.0.0.1", "protocol": "tcp", "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, **place) as cluster:
        executor = dask_executor(f"dask://{cluster.scheduler_address.removeprefix('tcp://')}")
        report = verify("relu", "torch", executor=executor, **options)
        executor._client.close()
    alone = verify("relu", "torch", **options)
    assert report.agrees and report.trials == alone.trials
    assert {k: r.elements for k, r in report.rows.items()} == {k: r.elements for k, r in alone.rows.items()}


def test_no_cluster_is_said():
    pytest.importorskip("distributed")
    from opcheck.errors import Refused
    from opcheck.verification.workers.cluster import dask_executor

    with pytest.raises(Refused, match="--executor is dask://HOST:PORT"):
        dask_executor("tcp://127.0.0.1:1")
