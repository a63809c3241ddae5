"""torch as it is installed, one call at a time."""

from collections.abc import Mapping

from opcheck.backends.base import NoCounterpart, Outputs
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op


class ForwardOnly(TensorSession):
    """torch.optim: `.grad` carries no tangent, and at ties of amsgrad's maximum torch halves the gradient, which
    nobody documents; the step itself is what is checked."""

    def attempt(self) -> None:
        raise NoCounterpart(say("torch.optim creates its own state"))

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        raise NoCounterpart(say("torch.optim is checked forward only"))

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        raise NoCounterpart(say("torch.optim is checked forward only"))

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        raise NoCounterpart(say("torch.optim is checked forward only"))


class TorchEager(TensorBackend):
    """`torch.nn.functional` and `torch.optim`, by each operator's own `torch` counterpart."""

    name = "torch"

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        kind = TensorSession if op.torch_forward_mode else ForwardOnly
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
