"""torch under autocast: what a model computes in mixed precision.

Under autocast torch decides the type of each operator: bfloat16 (float16 on CUDA) for products, float32 for what needs
it. What is checked is the answer against the lower type, from inputs that both types have.
"""

from typing import Any

from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.language import say
from opcheck.operators.spec import Case, Op


class TorchAutocast(TensorBackend):
    """float32 tensors of numbers that bfloat16 has, computed under `torch.autocast`."""

    name = "torch:autocast"
    layouts: tuple[str, ...] = ("contiguous", "transposed")

    def unavailable(self, op: Op, dtype: str) -> str:
        if dtype not in ("bfloat16", "float16"):
            return say("autocast computes in bfloat16 or float16: --dtype bfloat16")
        return "" if op.torch_forward_mode else say("optimisers do not run under autocast")

    def open(
        self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True
    ) -> "AutocastSession":
        torch = self.torch

        def call(tensors: dict[str, Any]) -> Any:
            with torch.autocast(self.device.split(":")[0], dtype=getattr(torch, dtype)):
                return op.torch(torch, case.params, **tensors)

        session = AutocastSession(torch, op, case, "float32", call, self.device, layout, gradients)
        session.declared = dtype
        return session


class AutocastSession(TensorSession):
    """Outputs in whatever type autocast chose: it counts as the declared one, which it must be no worse than."""

    declared: str

    def results(self) -> dict[str, Any]:
        found = super().results()
        self.dtypes = {
            name: self.declared if each in ("float32", self.declared) else each for name, each in self.dtypes.items()
        }
        return found
