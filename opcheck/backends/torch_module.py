"""A torch.nn.Module class with torch's constructor arguments and parameter names, such as your own Conv2d."""

import inspect
from typing import Any

from opcheck.backends.base import given
from opcheck.backends.function import described
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.spec import Case, Op


class TorchModule(TensorBackend):
    """The module is built for each case's sizes; its parameters are replaced by the case's arrays."""

    def __init__(self, candidate: Any, device: str = "cpu", name: str = "") -> None:
        super().__init__(device)
        if not inspect.isclass(candidate):
            raise Refused(
                say("a module instance has its sizes already, and cases have others: give its class"),
                got=described(candidate),
                fix=say("opcheck.audit(module, *inputs) checks an instance as it stands"),
            )
        self.candidate = candidate
        self.name = name or described(candidate)
        self.accepted = inspect.signature(candidate).parameters

    def lacks(self, op: Op, case: Case) -> str:
        needed = [
            *given(op, case.params),
            *(each.name for each in op.inputs if each.optional and each.name in case.arrays),
        ]
        missing = next((name for name in needed if name not in self.accepted), "")
        if not missing and op.name == "linear" and case.arrays["weight"].ndim == 1:
            missing = say("a vector for weight")  # torch.nn.Linear has matrices
        return missing

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        module: Any = self.candidate(**self._constructor(op, case))
        module = module.to(self.device)  # it may have buffers of its own
        owned = {name for name, _ in module.named_parameters()} & set(case.arrays)

        def call(tensors: dict[str, Any]) -> Any:
            weights = {name: tensors[name] for name in owned}
            for name, tensor in tensors.items():
                if name not in owned and name in self.accepted:
                    setattr(module, name, tensor)  # class weights are buffers
            inputs = tuple(t for n, t in tensors.items() if n not in owned and n not in self.accepted)
            return self.torch.func.functional_call(module, weights, inputs)

        return TensorSession(self.torch, op, case, dtype, call, self.device, layout, gradients)

    def _constructor(self, op: Op, case: Case) -> dict[str, Any]:
        """torch.nn's constructor arguments for the sizes of this case."""
        options = dict(case.params)
        weight = case.arrays.get("weight")
        if weight is not None and op.name == "linear":
            options |= {"in_features": weight.shape[1], "out_features": weight.shape[0]}
        elif weight is not None and op.name.startswith("conv"):
            options |= {
                "in_channels": weight.shape[1] * int(case.params.get("groups", 1)),
                "out_channels": weight.shape[0],
                "kernel_size": tuple(weight.shape[2:]),
            }
        if "bias" in self.accepted:
            options["bias"] = "bias" in case.arrays
        return {name: value for name, value in options.items() if name in self.accepted}
