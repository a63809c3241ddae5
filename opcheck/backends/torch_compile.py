"""torch.compile of torch's own operators."""

from typing import Any

from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.spec import Case, Op


class TorchCompile(TensorBackend):
    """Each operator compiled with dynamic shapes, so that one compilation serves many cases."""

    name = "torch:compile"
    layouts: tuple[str, ...] = ("contiguous", "transposed")
    concurrent = False  # compilation holds one lock

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._compiled: dict[tuple[str, str], Any] = {}

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        key = (op.name, repr(sorted(case.params.items())))
        if key not in self._compiled:
            # a graph for each set of parameters and ranks: more than torch's limit of recompilations for one function
            self.torch._dynamo.config.cache_size_limit = 256
            self._compiled[key] = self.torch.compile(
                lambda tensors: op.torch(self.torch, case.params, **tensors), dynamic=True
            )
        compiled = self._compiled[key]
        return TensorSession(self.torch, op, case, dtype, compiled, self.device, layout, gradients)
