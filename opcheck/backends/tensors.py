"""A call of anything that takes and returns torch tensors: torch itself, a function, a module."""

import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.backends import destination, environment, guarded
from opcheck.backends import device as devices
from opcheck.backends.base import Backend, Malformed, NoCounterpart, Outputs, Session, named_outputs
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Shape

Call = Callable[[dict[str, Any]], Any]  # tensors by name -> whatever the implementation returns


NO_DERIVATIVE = re.compile(r"derivative for (\S+) is not implemented")  # what torch says of its own operations


class TensorBackend(Backend):
    """What all torch backends share: the device, the layouts, torch's switches."""

    layouts: tuple[str, ...] = ("contiguous", "transposed", "strided", "offset", "channels_last", "expanded")
    freezes = True

    @property
    def guards(self) -> tuple[str, ...]:  # type: ignore[override]
        return guarded.LAYOUTS if self.device == "cpu" else ()

    def modes(self) -> Mapping[str, Callable[[], AbstractContextManager[Any]]]:
        return {
            say("in inference mode"): self.torch.inference_mode,
            say("after gradients were switched off"): self.torch.no_grad,
        }

    def __init__(self, device: str = "cpu") -> None:
        self.torch = require_torch()
        self.device = devices.checked(self.torch, device)

    def version(self) -> str:
        return devices.described(self.torch, self.device)

    def settings(self) -> dict[str, Any]:
        if self.device == "cpu":
            return {"threads": self.torch.get_num_threads()}
        return devices.switches(self.torch)

    @property
    def has_tensor_cores(self) -> bool:  # type: ignore[override]
        return self.device != "cpu"

    def lower(self, dtype: str, convolves: bool) -> frozenset[str]:
        usual = super().lower(dtype, convolves)
        return usual if self.device == "cpu" else devices.lower(self.torch, usual, convolves)

    def in_thread(self) -> Callable[[], None]:
        count = self.torch.get_num_threads()  # torch keeps this per thread
        return lambda: self.torch.set_num_threads(count)

    def library(self, op: Op, case: Case, dtype: str) -> frozenset[str]:
        """The operations of torch that run in a call and in that of torch's own function of that name; of a spec from
        outside all of them."""
        if self.compiles:  # what is called under a mode is never compiled again
            return frozenset()
        seen = operations(self.torch, self.open(op, case, dtype, gradients=False).outputs)
        return frozenset(seen & self._wanted(op, case) if op.elsewhere else seen)

    def _wanted(self, op: Op, case: Case) -> set[str]:
        """The operations of torch's own function."""
        given = {name: self.torch.from_numpy(np.array(array)) for name, array in case.arrays.items()}
        return operations(self.torch, lambda: op.torch(self.torch, case.params, **given))

    def kin(self, op: Op, case: Case, dtype: str) -> str:
        """torch, if the call runs each operation that torch's own function of that name runs."""
        if not op.elsewhere or self.compiles:
            return ""
        wanted = self._wanted(op, case)
        return "torch" if wanted and wanted <= self.library(op, case, dtype) else ""

    def is_lost(self) -> bool:
        return devices.is_lost(self.torch, self.device)


def operations(torch: Any, call: Callable[[], Any]) -> set[str]:
    """The operations of torch that run in a call, but for those that only make or move tensors."""
    seen: set[str] = set()
    base: Any = torch.utils._python_dispatch.TorchDispatchMode

    class Noting(base):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if str(function.overloadpacket) not in MOVES:
                seen.add(str(function.overloadpacket))
            return function(*args, **(kwargs or {}))

    with suppress(Exception), warnings.catch_warnings(), Noting():
        warnings.simplefilter("ignore")
        call()
    return seen


MOVES = {f"aten.{name}" for name in (
    "empty", "empty_like", "zeros", "zeros_like", "ones", "full", "detach", "clone", "copy_", "_to_copy", "view", "t",
    "reshape", "_unsafe_view", "expand", "permute", "transpose", "unsqueeze", "squeeze", "slice", "select",
    "as_strided", "alias", "contiguous", "lift_fresh", "_local_scalar_dense", "unbind",
)}  # fmt: skip


def require_torch() -> Any:
    """torch, or CouldNotRun with the command that installs it."""
    try:
        import torch
    except ImportError:
        raise CouldNotRun(say("torch is not installed: pip install 'opcheck[torch]'")) from None
    return torch


class TensorSession(Session):
    """`call(tensors)` on the tensors of one case; gradients by autograd, tangents by forward mode."""

    adds_up = True
    keeps_graph = True  # whether the graph of one call can be traversed twice
    call_into: Callable[[dict[str, Any], Any], Any] | None = None  # the same call, which is given out=

    def __init__(
        self,
        torch: Any,
        op: Op,
        case: Case,
        dtype: str,
        call: Call,
        device: str = "cpu",
        layout: str = "contiguous",
        gradients: bool = True,
    ) -> None:
        self.torch, self.op, self.case, self.device, self.layout = torch, op, case, device, layout
        self.call = environment.calling()(call)
        self.dtype = getattr(torch, dtype)
        self.records = gradients
        self.dtypes: dict[str, str] = {}
        self.tensors = {name: self.tensor(array, self._layout_of(name)) for name, array in case.arrays.items()}
        self.leaves = {
            each.name: self.tensors[each.name]
            for each in op.inputs
            if gradients
            and each.differentiable
            and each.name in self.tensors
            and self.tensors[each.name].is_floating_point()
        }
        self._results: dict[str, Any] | None = None

    def _layout_of(self, name: str) -> str:
        """Arrays that are written in place must not share one memory location."""
        written = any(each.updates and each.name == name for each in self.op.outputs)
        return "contiguous" if written and self.layout == "expanded" else self.layout

    def tensor(self, array: Array, layout: str | None = None) -> Any:
        tensor = self.torch.from_numpy(np.array(array, order="C"))  # a copy: the candidate may write into it
        if array.dtype.kind == "f":
            tensor = tensor.to(self.dtype)
        tensor = tensor.to(self.device)
        return laid_out(self.torch, tensor, layout or self.layout)

    def renewed(self, arrays: Mapping[str, Array]) -> Outputs:
        with self.torch.no_grad():
            for name, array in arrays.items():
                self.tensors[name].copy_(self.tensor(array, "contiguous"))
        self._results = None
        return self.outputs()

    def alias(self, names: Sequence[str]) -> None:
        for name in names:
            self.tensors[name] = self.tensors[names[0]]
            if name in self.leaves:
                self.leaves[name] = self.tensors[name]

    @property
    def takes_out(self) -> bool:  # type: ignore[override]
        return self.call_into is not None and len(self.shapes) == 1

    def into(self, name: str = "") -> Outputs:
        if self.call_into is None or len(self.shapes) != 1:
            raise NoCounterpart(say("no argument out"))
        (output, shape), zoned = next(iter(self.shapes.items())), destination.ZonedTensors(self.torch, self.device)
        out = self.tensors[name] if name else zoned.tensor(shape, self.dtype)
        with self.torch.no_grad(), environment.calling():
            self.call_into(dict(self.tensors), out)
        zoned.check()
        return {output: to_numpy(self.torch, out)}

    def results(self) -> dict[str, Any]:
        """The tensors that the call returned, by output name, with their graph."""
        if self._results is None:
            for leaf in self.leaves.values():
                leaf.requires_grad_(True)
            with self.torch.set_grad_enabled(self.records):
                results = named_outputs(self.op, self.call(dict(self.tensors)), self.shapes, self.tensors)
            for name, each in results.items():
                if not isinstance(each, self.torch.Tensor):
                    raise Malformed(say("{name} is not a tensor but {type}", name=name, type=type(each).__name__))
            self.dtypes = {name: str(each.dtype).removeprefix("torch.") for name, each in results.items()}
            self._results = results
        return self._results

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        return self.op.checked(self.case)[1]

    def attempt(self) -> None:
        self.call(dict(self.tensors))
        if self.device != "cpu":  # a kernel may still be running after the call; its errors belong to this call
            self.torch.cuda.synchronize(self.device)

    def outputs(self) -> Outputs:
        return {name: to_numpy(self.torch, each) for name, each in self.results().items()}

    def freeze(self, names: Collection[str]) -> None:
        self.leaves = {name: leaf for name, leaf in self.leaves.items() if name not in names}

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        """The cotangent has the memory layout of the inputs, as what comes from the next layer would."""
        results = self.results()
        used = [name for name in cotangent if name in results and results[name].requires_grad]
        if not used or not self.leaves:
            raise NoCounterpart(say("the output is not connected to its inputs (no autograd)"))
        given = [self.tensor(cotangent[name]).to(results[name].dtype) for name in used]
        before = [each.clone() for each in given]
        with environment.calling():
            gradients = self.torch.autograd.grad(
                [results[name] for name in used],
                list(self.leaves.values()),
                given,
                retain_graph=self.keeps_graph,
                allow_unused=True,
            )
        self.changed_cotangent = not all(map(self.torch.equal, given, before))
        return {
            name: np.zeros(leaf.shape) if gradient is None else to_numpy(self.torch, gradient)
            for (name, leaf), gradient in zip(self.leaves.items(), gradients, strict=True)
        }

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        forward = self.torch.autograd.forward_ad
        with forward.dual_level():
            inputs = {name: tensor.detach() for name, tensor in self.tensors.items()}
            for name, tangent in tangents.items():
                inputs[name] = forward.make_dual(inputs[name], self.tensor(tangent, "contiguous"))
            try:
                results = named_outputs(self.op, self.call(inputs), self.shapes, inputs)
            except (NotImplementedError, RuntimeError) as error:
                if "forward" in str(error) and ("AD" in str(error) or "jvp" in str(error)):
                    raise NoCounterpart(say("no forward mode")) from None
                raise
            found, connected = {}, False
            for output in self.op.outputs:
                if output.differentiable and output.name in results:
                    primal, tangent = forward.unpack_dual(results[output.name])
                    connected |= tangent is not None
                    found[output.name] = (
                        np.zeros(tuple(primal.shape)) if tangent is None else to_numpy(self.torch, tangent)
                    )
        if not connected and self.records and not any(each.requires_grad for each in self.results().values()):
            raise NoCounterpart(say("the output is not connected to its inputs (no autograd)"))
        return found

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        torch, results = self.torch, self.results()
        names = [name for name in cotangent if name in results and results[name].requires_grad]
        leaves = list(self.leaves.values())
        # a gradient that is a function of the cotangent, and of no input, would be taken for twice differentiable
        given = [self.tensor(cotangent[name], "contiguous").requires_grad_() for name in names]
        first = torch.autograd.grad(
            [results[name] for name in names], leaves, given, create_graph=True, allow_unused=True
        )
        pairs = [
            (gradient * self.tensor(directions[name], "contiguous")).sum()
            for name, gradient in zip(self.leaves, first, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not pairs:
            raise NoCounterpart(say("the gradient is not connected to the inputs (once differentiable)"))
        try:  # through the whole graph: autograd.grad would pass by a node that says that it goes no further
            torch.autograd.backward(sum(pairs))
        except RuntimeError as error:
            if "once_differentiable" in str(error):
                raise NoCounterpart(say("the gradient is marked as once differentiable")) from None
            if lacking := NO_DERIVATIVE.search(str(error)):
                raise NoCounterpart(say("torch has no derivative for {name}", name=lacking[1])) from None
            raise
        second = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return {
            name: np.zeros(leaf.shape) if each is None else to_numpy(torch, each)
            for (name, leaf), each in zip(self.leaves.items(), second, strict=True)
        }

    @property
    def changed(self) -> tuple[str, ...]:  # type: ignore[override]
        now = {name: to_numpy(self.torch, tensor) for name, tensor in self.tensors.items()}
        return tuple(
            name
            for name, array in self.case.arrays.items()
            if name not in self.op.updated(self.shapes)
            and not np.array_equal(now[name], array, equal_nan=array.dtype.kind == "f")
        )

    def shares_memory(self) -> tuple[str, ...]:
        taken = {tensor.untyped_storage().data_ptr() for tensor in self.tensors.values() if tensor.numel()}
        return tuple(
            name
            for name, each in self.results().items()
            if name not in self.op.updated(self.shapes) and each.numel() and each.untyped_storage().data_ptr() in taken
        )


def to_numpy(torch: Any, tensor: Any) -> Array:
    """A tensor as float64, or int64 for whole numbers."""
    tensor = tensor.detach()
    kind = torch.float64 if tensor.is_floating_point() else torch.int64
    array: Array = tensor.to("cpu", kind).numpy()
    return array


def laid_out(torch: Any, tensor: Any, layout: str) -> Any:
    """The same numbers in another memory layout."""
    if layout == "transposed" and tensor.ndim > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided" and tensor.ndim:
        return tensor.repeat_interleave(2, dim=-1)[..., ::2]
    if layout in guarded.LAYOUTS:
        if not tensor.numel():
            return tensor
        as_bytes = tensor.contiguous().flatten().view(torch.uint8).numpy()
        return torch.from_numpy(guarded.guarded(as_bytes, layout)).view(tensor.dtype).view(tensor.shape)
    if layout == "offset":
        room = torch.empty(tensor.numel() + 3, dtype=tensor.dtype, device=tensor.device)
        room[3:] = tensor.reshape(-1)
        return room[3:].view(tensor.shape)
    if layout == "channels_last" and tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "expanded" and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
        return tensor.flatten()[0].expand(tensor.shape)  # as the gradient of a sum comes
    if layout == "expanded" and tensor.ndim and tensor.shape[0] == 1:
        return tensor[0].expand(1, *tensor.shape[1:])
    return tensor
