"""Every backend that is installed agrees where it should, and what opcheck found in them is still found."""

import pytest

from opcheck import backends, verify
from opcheck.errors import CouldNotRun
from opcheck.operators import catalog
from opcheck.verification.report import sentence

# backend, type: how many cases of every operator
AGREE = {
    ("torch:func", "float32"): 8,
    ("torch:func", "float64"): 8,
    ("torch:autocast", "bfloat16"): 12,
    ("torch:autocast", "float16"): 6,
    ("jax", "float32"): 2,
    ("jax", "float64"): 1,
    ("onnx", "float32"): 32,
    ("onnx", "float64"): 16,
    ("onnxruntime", "float32"): 32,
    ("onnxruntime", "float64"): 16,
    ("tinygrad", "float32"): 4,
    ("tinygrad", "float64"): 2,
}
EVERY = [op.name for op in catalog.every()]


def load(name):
    try:
        return backends.load(name)
    except CouldNotRun as error:
        pytest.skip(str(error))


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "dtype"), AGREE)
def test_every_operator_agrees_but_for_what_is_known(name, dtype, nightly):
    """By day one of any nine operators, another one of the next backend."""
    asked = EVERY if nightly else EVERY[list(AGREE).index((name, dtype)) % 9 :: 9]
    report = verify(asked, load(name), dtype=dtype, cases=AGREE[name, dtype], seed=3)
    assert report.agrees, f"{report.failures[0].trial.case.op}: {sentence(report.failures[0])}"
    assert len({op for op, *_ in report.rows}) + len(report.not_run) == len(asked)
    assert report.checked


def test_what_is_known_is_counted_and_fails_when_asked_to():
    counted, failed = (verify("log_softmax", load("onnx"), cases=60, seed=1, known=each) for each in (True, False))
    assert counted.agrees and counted.known_counts()["onnx-log-softmax-of-small-probabilities"] > 0
    found = failed.counterexample
    assert found is not None and found.got == float("-inf") and found.expected < -100


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
