"""torch as it is installed, one call at a time."""

from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.spec import Case, Op


class TorchEager(TensorBackend):
    """`torch.nn.functional` and `torch.optim`, by each operator's own `torch` counterpart."""

    name = "torch"

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        return TensorSession(
            self.torch,
            op,
            case,
            dtype,
            lambda tensors: op.torch(self.torch, case.params, **tensors),
            self.device,
            layout,
            gradients,
        )
