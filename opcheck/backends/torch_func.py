"""torch.func of torch's own operators: vmap over a batch of one, vjp and jvp as functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.backends.base import NoCounterpart, Outputs, named_outputs
from opcheck.backends.tensors import TensorBackend, TensorSession, to_numpy
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op


class TorchFunc(TensorBackend):
    """Outputs by `torch.func.vmap` over two copies, gradients by `torch.func.vjp`, tangents by `torch.func.jvp`."""

    name = "torch:func"
    layouts: tuple[str, ...] = ("contiguous", "transposed")

    def unavailable(self, op: Op, dtype: str) -> str:
        return "" if op.torch_forward_mode else say("torch.optim is not a function of tensors")

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> "FuncSession":
        return FuncSession(
            self.torch, op, case, dtype, lambda tensors: op.torch(self.torch, case.params, **tensors), self.device,
            layout, gradients,
        )  # fmt: skip


class FuncSession(TensorSession):
    """Functional transforms; each output is read from both copies of a vmapped batch."""

    def alias(self, names: Sequence[str]) -> None:
        raise NoCounterpart(say("each input is a tensor of its own in a transform"))

    def results(self) -> dict[str, Any]:
        if self._results is None:
            torch = self.torch
            twice = {name: torch.stack([tensor, tensor]) for name, tensor in self.tensors.items()}
            try:
                found = torch.func.vmap(self._named, randomness="error")(twice)
            except RuntimeError as error:
                if not any(words in str(error) for words in ("vmap", "Batching rule", "data-dependent")):
                    raise
                raise NoCounterpart(say("no batching rule in vmap")) from None
            self.dtypes = {name: str(each.dtype).removeprefix("torch.") for name, each in found.items()}
            # the second copy: whatever leaks from the first is seen
            self._results = {name: each[1] for name, each in found.items()}
        return self._results

    def _named(self, tensors: dict[str, Any]) -> dict[str, Any]:
        return named_outputs(self.op, self.call(dict(tensors)), self.shapes, tensors)

    def _smooth(self, result: Any) -> tuple[Any, ...]:
        named = named_outputs(self.op, result, self.shapes, self.tensors)
        return tuple(named[each.name] for each in self.op.outputs if each.differentiable and each.name in named)

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        names = list(self.leaves)

        def function(*leaves: Any) -> Any:
            return self._smooth(self.call({**self.tensors, **dict(zip(names, leaves, strict=True))}))

        _, pull = self.torch.func.vjp(function, *self.leaves.values())
        directions = tuple(
            self.tensor(cotangent[each.name], "contiguous") for each in self.op.outputs
            if each.differentiable and each.name in cotangent
        )  # fmt: skip
        return {name: to_numpy(self.torch, each) for name, each in zip(names, pull(directions), strict=True)}

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        names = list(tangents)

        def function(*leaves: Any) -> Any:
            return self._smooth(self.call({**self.tensors, **dict(zip(names, leaves, strict=True))}))

        primals = tuple(self.tensors[name] for name in names)
        try:
            _, found = self.torch.func.jvp(
                function, primals, tuple(self.tensor(tangents[name], "contiguous") for name in names)
            )
        except (NotImplementedError, RuntimeError) as error:
            if "forward" in str(error) and "AD" in str(error):
                raise NoCounterpart(say("no forward mode")) from None
            raise
        smooth = [each.name for each in self.op.outputs if each.differentiable and each.name in self.shapes]
        return {name: to_numpy(self.torch, each) for name, each in zip(smooth, found, strict=True)}

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        torch, names = self.torch, list(self.leaves)

        def first(*leaves: Any) -> Any:
            def function(*inner: Any) -> Any:
                return self._smooth(self.call({**self.tensors, **dict(zip(names, inner, strict=True))}))

            _, pull = torch.func.vjp(function, *leaves)
            gradients = pull(tuple(self.tensor(each, "contiguous") for each in cotangent.values()))
            return sum(
                (g * self.tensor(directions[name], "contiguous")).sum()
                for name, g in zip(names, gradients, strict=True)
            )

        found = torch.func.grad(first, argnums=tuple(range(len(names))))(*self.leaves.values())
        return {name: np.asarray(to_numpy(torch, each)) for name, each in zip(names, found, strict=True)}
