"""torch as it is installed, one call at a time."""

from collections.abc import Mapping

from opcheck.backends.base import NoCounterpart, Outputs
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.language import say
from opcheck.spec import Array, Case, Op


class WithoutForwardMode(TensorSession):
    """torch.optim reads `.grad`, which carries no tangent."""

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        raise NoCounterpart(say("no forward mode"))


class TorchEager(TensorBackend):
    """`torch.nn.functional` and `torch.optim`, by each operator's own `torch` counterpart."""

    name = "torch"

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        kind = TensorSession if op.torch_forward_mode else WithoutForwardMode
        return kind(
            self.torch,
            op,
            case,
            dtype,
            lambda tensors: op.torch(self.torch, case.params, **tensors),
            self.device,
            layout,
            gradients,
        )
