"""onnxruntime on the CPU: the same models of one node as `onnx`."""

from collections.abc import Callable
from typing import Any

from opcheck.backends.onnx_reference import OnnxReference
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Op

DOUBLES = {"linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "max_pool1d", "max_pool2d"}


class OnnxRuntime(OnnxReference):
    """onnxruntime.InferenceSession with the CPU provider."""

    name = "onnxruntime"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        try:
            import onnxruntime
        except ImportError:
            raise CouldNotRun(say("onnxruntime is not installed: pip install 'opcheck[onnxruntime]'")) from None
        onnxruntime.set_default_logger_severity(4)
        self.runtime = onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = self.options.inter_op_num_threads = 1

    def version(self) -> str:
        return f"onnxruntime {self.runtime.__version__}"

    def unavailable(self, op: Op, dtype: str) -> str:
        if dtype == "float16" or (dtype == "float64" and op.name not in DOUBLES):
            return say("onnxruntime has no CPU kernel of {op} in {dtype}", op=op.name, dtype=dtype)
        return super().unavailable(op, dtype)

    def runner(self, model: Any) -> Callable[[dict[str, Array]], list[Any]]:
        session = self.runtime.InferenceSession(
            model.SerializeToString(), self.options, providers=["CPUExecutionProvider"]
        )
        return lambda feeds: list(session.run(None, feeds))
