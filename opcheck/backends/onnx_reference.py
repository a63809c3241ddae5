"""ONNX operators: a model of one node, run by onnx's reference implementation. Forward only: ONNX has no gradients."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart, Outputs, Session, given
from opcheck.backends.function import numbers, numpy_dtype
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Params

OPSET = 20

# operator: ONNX's name, and the arguments that have a counterpart there
TAKES = {
    "linear": ("Gemm", {"input", "weight", "bias"}),
    "conv1d": ("Conv", {"input", "weight", "bias", "stride", "padding", "dilation", "groups"}),
    "conv2d": ("Conv", {"input", "weight", "bias", "stride", "padding", "dilation", "groups"}),
    "max_pool1d": ("MaxPool", {"input", "kernel_size", "stride", "padding", "dilation"}),
    "max_pool2d": ("MaxPool", {"input", "kernel_size", "stride", "padding", "dilation"}),
    "avg_pool1d": ("AveragePool", {"input", "kernel_size", "stride", "padding", "count_include_pad"}),
    "avg_pool2d": ("AveragePool", {"input", "kernel_size", "stride", "padding", "count_include_pad"}),
    "relu": ("Relu", {"input"}),
    "sigmoid": ("Sigmoid", {"input"}),
    "tanh": ("Tanh", {"input"}),
    "softmax": ("Softmax", {"input", "dim"}),
    "log_softmax": ("LogSoftmax", {"input", "dim"}),
    "nll_loss": ("NegativeLogLikelihoodLoss", {"input", "target", "weight", "ignore_index", "reduction"}),
    "cross_entropy": ("SoftmaxCrossEntropyLoss", {"input", "target", "weight", "ignore_index", "reduction"}),
}


class OnnxReference(Backend):
    """onnx.reference.ReferenceEvaluator."""

    name = "onnx"
    concurrent = False

    def __init__(self, device: str = "cpu") -> None:
        try:
            import onnx
        except ImportError:
            raise CouldNotRun(say("onnx is not installed: pip install 'opcheck[onnx]'")) from None
        self.onnx = onnx

    def version(self) -> str:
        return f"onnx {self.onnx.__version__}"

    def unavailable(self, op: Op, dtype: str) -> str:
        if dtype == "bfloat16":
            return say("ONNX has no bfloat16 for numpy arrays")
        return "" if op.name in TAKES else say("no counterpart in ONNX")

    def lacks(self, op: Op, case: Case) -> str:
        kind, takes = TAKES[op.name]
        wanted = [*case.arrays, *given(op, case.params)]
        missing = next((name for name in wanted if name not in takes), "")
        if not missing and kind in ("Conv", "MaxPool", "AveragePool"):
            dims = 1 if op.name.endswith("1d") else 2
            missing = say("unbatched input") if case.arrays["input"].ndim == dims + 1 else ""
        if not missing and case.params.get("padding") == "same" and set(_all(case.params.get("dilation", 1))) != {1}:
            missing = say("padding='same' with dilation")
        if not missing and kind == "Gemm" and (case.arrays["input"].ndim, case.arrays["weight"].ndim) != (2, 2):
            missing = say("inputs that are not matrices")
        if not missing and kind.endswith("Loss"):
            if case.arrays["input"].ndim < 2:
                missing = say("unbatched input")
            elif case.arrays["target"].dtype.kind == "f":
                missing = say("class probabilities")
        return missing or (say("arrays without elements") if _empty(case) else "")

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> "OnnxSession":
        return OnnxSession(self.model(op, case, dtype), self.runner, op, case, dtype)

    def runner(self, model: Any) -> Callable[[dict[str, Array]], list[Any]]:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return lambda feeds: list(evaluator.run(None, feeds))

    def model(self, op: Op, case: Case, dtype: str) -> Any:
        """A model of one node."""
        helper = self.onnx.helper
        p, shapes = op.checked(case)
        number = helper.np_dtype_to_tensor_dtype(numpy_dtype(dtype))
        whole = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64))
        names = [each.name for each in op.inputs if each.name in case.arrays]
        inputs = [
            helper.make_tensor_value_info(
                name, number if case.arrays[name].dtype.kind == "f" else whole, case.arrays[name].shape
            )
            for name in names
        ]
        outputs = [
            helper.make_tensor_value_info(name, number if op.output(name).differentiable else whole, shape)
            for name, shape in shapes.items()
        ]
        kernel = case.arrays["weight"].shape[2:] if op.name.startswith("conv") else ()
        node = helper.make_node(TAKES[op.name][0], names, list(shapes), **attributes(op, p, kernel))
        graph = helper.make_graph([node], op.name, inputs, outputs)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


class OnnxSession(Session):
    """One run of a model."""

    def __init__(self, model: Any, runner: Any, op: Op, case: Case, dtype: str) -> None:
        self.model, self.runner, self.op, self.case = model, runner, op, case
        self.dtypes: dict[str, str] = {}
        kind = numpy_dtype(dtype)
        self.arrays = {
            name: array.astype(kind) if array.dtype.kind == "f" else array for name, array in case.arrays.items()
        }

    def attempt(self) -> None:
        raise NoCounterpart(say("an ONNX model has fixed shapes"))

    def outputs(self) -> Outputs:
        found = self.runner(self.model)(self.arrays)
        names = list(self.op.checked(self.case)[1])
        self.dtypes = {name: str(np.asarray(each).dtype) for name, each in zip(names, found, strict=True)}
        return {name: numbers(each, name) for name, each in zip(names, found, strict=True)}


def attributes(op: Op, p: Params, kernel: tuple[int, ...]) -> Mapping[str, Any]:
    """torch's parameters as ONNX's attributes."""
    if op.name == "linear":
        return {"transB": 1}
    if op.name.startswith("conv"):
        window = {"strides": p.stride, "dilations": p.dilation, "group": p.groups, "kernel_shape": kernel}
        if isinstance(p.padding, str):
            return {**window, "auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}[p.padding]}
        return {**window, "pads": (*p.padding, *p.padding)}
    if op.name.startswith("max_pool"):
        return {"kernel_shape": p.kernel_size, "strides": p.stride, "pads": (*p.padding, *p.padding),
                "dilations": p.dilation}  # fmt: skip
    if op.name.startswith("avg_pool"):
        return {"kernel_shape": p.kernel_size, "strides": p.stride, "pads": (*p.padding, *p.padding),
                "count_include_pad": int(p.count_include_pad)}  # fmt: skip
    if op.name in ("softmax", "log_softmax"):
        return {"axis": p.dim}
    if op.name in ("nll_loss", "cross_entropy"):
        return {"reduction": p.reduction, "ignore_index": p.ignore_index}
    return {}


def _all(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _empty(case: Case) -> bool:
    return any(not array.size or not array.ndim for name, array in case.arrays.items())
