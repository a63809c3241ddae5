"""tinygrad on its default device, with gradients by Tensor.gradient."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.backends.base import Backend, NoCounterpart, Outputs, Session, given
from opcheck.backends.function import numpy_dtype
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op

# operator: the arguments that have a counterpart in tinygrad
TAKES = {
    "linear": {"input", "weight", "bias"},
    "conv1d": {"input", "weight", "bias", "stride", "dilation", "groups", "padding"},
    "conv2d": {"input", "weight", "bias", "stride", "dilation", "groups", "padding"},
    "max_pool2d": {"input", "kernel_size", "stride", "dilation", "padding"},
    "avg_pool2d": {"input", "kernel_size", "stride", "padding", "count_include_pad"},
    "relu": {"input"},
    "sigmoid": {"input"},
    "tanh": {"input"},
    "softmax": {"input", "dim"},
    "log_softmax": {"input", "dim"},
}


class Tinygrad(Backend):
    """tinygrad's Tensor methods."""

    name = "tinygrad"
    compiles = True
    concurrent = False

    def __init__(self, device: str = "cpu") -> None:
        try:
            import tinygrad
        except ImportError:
            raise CouldNotRun(say("tinygrad is not installed: pip install 'opcheck[tinygrad]'")) from None
        self.tinygrad = tinygrad
        try:
            tinygrad.Tensor([1.0]).numpy()
        except Exception as error:  # it finds no compiler, or no device
            raise CouldNotRun(say("tinygrad does not run here: {error}", error=error)) from None

    def version(self) -> str:
        from importlib import metadata

        return f"tinygrad {metadata.version('tinygrad')} on {self.tinygrad.Device.DEFAULT}"

    def unavailable(self, op: Op, dtype: str) -> str:
        if dtype == "bfloat16":
            return say("tinygrad has no bfloat16 for numpy arrays")
        return "" if op.name in TAKES else say("no counterpart in tinygrad")

    def lacks(self, op: Op, case: Case) -> str:
        wanted = [*case.arrays, *given(op, case.params)]
        missing = next((name for name in wanted if name not in TAKES[op.name]), "")
        if not missing and isinstance(case.params.get("padding"), str):
            missing = "padding"
        if not missing and op.name.startswith("conv") and case.arrays["input"].ndim != case.arrays["weight"].ndim:
            missing = say("unbatched input")
        if not missing and op.name == "linear" and case.arrays["weight"].ndim != 2:
            missing = say("inputs that are not matrices")
        empty = any(not array.size or not array.ndim for array in case.arrays.values())
        return missing or (say("arrays without elements") if empty else "")

    def open(
        self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True
    ) -> "TinygradSession":
        return TinygradSession(self.tinygrad.Tensor, op, case, dtype)


class TinygradSession(Session):
    def __init__(self, tensor: Any, op: Op, case: Case, dtype: str) -> None:
        self.op, self.case = op, case
        self.kind = numpy_dtype(dtype)
        self.tensor = tensor
        self.tensors = {name: self.make(array) for name, array in case.arrays.items()}
        self.dtypes: dict[str, str] = {}

    def make(self, array: Array) -> Any:
        return self.tensor(np.ascontiguousarray(array.astype(self.kind)))

    def _result(self) -> Any:
        p, _ = self.op.checked(self.case)
        x, name = self.tensors["input"], self.op.name
        if name == "linear":
            y = x.matmul(self.tensors["weight"].transpose())
            return y + self.tensors["bias"] if "bias" in self.tensors else y
        if name.startswith("conv"):
            return x.conv2d(
                self.tensors["weight"], self.tensors.get("bias"), groups=p.groups, stride=p.stride, dilation=p.dilation,
                padding=tuple(p.padding),
            )  # fmt: skip
        if name == "max_pool2d":
            return x.max_pool2d(tuple(p.kernel_size), tuple(p.stride), p.dilation, tuple(p.padding))
        if name == "avg_pool2d":
            return x.avg_pool2d(
                tuple(p.kernel_size), tuple(p.stride), 1, tuple(p.padding), count_include_pad=p.count_include_pad
            )
        return getattr(x, name)(axis=p.dim) if "dim" in p else getattr(x, name)()

    def attempt(self) -> None:
        raise NoCounterpart(say("tinygrad does not document what it refuses"))

    def outputs(self) -> Outputs:
        found = self._result().numpy()
        name = self.op.outputs[0].name
        self.dtypes = {name: str(found.dtype)}
        return {name: found.astype(np.float64)}

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        names = [each.name for each in self.op.inputs if each.differentiable and each.name in self.tensors]
        g = self.make(next(iter(cotangent.values())))
        gradients = self._result().gradient(*[self.tensors[name] for name in names], gradient=g)
        return {name: each.numpy().astype(np.float64) for name, each in zip(names, gradients, strict=True)}
