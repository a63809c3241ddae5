"""onnx's ReferenceEvaluator, where it has the operator."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.benchmarks.measure import Run
from tests.benchmarks.workloads import Workload

OPSET = 21


def evaluator(work: Workload) -> Run | None:
    """A call of the same operator there, or None."""
    node = _node(work)
    if node is None:
        return None
    kinds = {"f": TensorProto.DOUBLE, "i": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(name, kinds[array.dtype.kind], array.shape) for name, array in work.arrays.items()
    ]
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    graph = helper.make_graph([node], work.op, inputs, [output])
    model = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))
    arrays = {name: np.ascontiguousarray(array) for name, array in work.arrays.items()}
    return lambda: model.run(None, arrays)


def _node(work: Workload) -> Any:
    names, p = list(work.arrays), work.params
    dims = work.arrays[names[0]].ndim - 2

    def each(value: Any) -> list[int]:
        return [value] * dims if isinstance(value, int) else list(value)

    def make(kind: str, **attributes: Any) -> Any:
        return helper.make_node(kind, names, ["y"], **attributes)

    pads = each(p.get("padding", 0)) * 2
    if work.op in ("conv1d", "conv2d"):
        return make("Conv", strides=each(p.get("stride", 1)), pads=pads, group=p.get("groups", 1))
    if work.op in ("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"):
        shape = {"kernel_shape": each(p["kernel_size"]), "strides": each(p.get("stride", p["kernel_size"]))}
        if work.op.startswith("max"):
            return make("MaxPool", pads=pads, **shape)
        return make("AveragePool", pads=pads, count_include_pad=1, **shape)
    if work.op == "linear":
        return make("Gemm", transB=1)
    if work.op in ("softmax", "log_softmax"):
        return make("Softmax" if work.op == "softmax" else "LogSoftmax", axis=p["dim"])
    if work.op in ("nll_loss", "cross_entropy"):
        return make("NegativeLogLikelihoodLoss" if work.op == "nll_loss" else "SoftmaxCrossEntropyLoss")
    return make(work.op.capitalize()) if work.op in ("relu", "sigmoid", "tanh") else None
