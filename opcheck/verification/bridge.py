"""A numpy candidate with .vjp and .jvp as a torch function: autograd and forward mode call them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.backends.base import arguments
from opcheck.backends.tensors import require_torch
from opcheck.operators.spec import Op


def torch_form(op: Op, candidate: Any) -> Callable[..., Any]:
    """candidate(*arrays, **params) as f(*tensors, **params), with its own gradients."""
    bridge = Bridge(require_torch(), op, candidate)
    names = [each.name for each in op.inputs]

    def function(*tensors: Any, **options: Any) -> Any:
        given = dict(zip(names, tensors, strict=False))
        given |= {n: v for n, v in options.items() if n in names}
        params = {n: v for n, v in options.items() if n not in names}
        return bridge.function.apply(tuple(given), params, *given.values())

    function.__name__ = function.__qualname__ = getattr(candidate, "__name__", op.name)
    return function


class Bridge:
    """A numpy candidate behind an `autograd.Function`."""

    def __init__(self, torch: Any, op: Op, candidate: Any) -> None:
        self.torch, self.op, self.candidate = torch, op, candidate
        self.smooth = {each.name for each in op.inputs if each.differentiable}
        base: Any = torch.autograd.Function
        methods = {"forward": self.forward, "backward": self.backward, "jvp": self.jvp}
        self.function: Any = type("Bridge", (base,), {name: staticmethod(each) for name, each in methods.items()})

    def array(self, tensor: Any) -> Any:
        if tensor.dtype == self.torch.bfloat16:
            import ml_dtypes

            return tensor.detach().contiguous().view(self.torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.detach().numpy()  # shares memory and strides: mutants that write or misread show it

    def tensor(self, value: Any) -> Any:
        value = np.array(value, order="C")
        if value.dtype.name == "bfloat16":
            return self.torch.from_numpy(value.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(value)

    def _call(self, given: tuple[str, ...], tensors: Any, params: dict[str, Any]) -> Any:
        arrays = {n: self.array(t) for n, t in zip(given, tensors, strict=True)}
        return arguments(self.op, arrays, params)

    def forward(self, ctx: Any, given: tuple[str, ...], params: dict[str, Any], *tensors: Any) -> Any:
        ctx.given, ctx.params = given, params
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.shapes = None
        positional, keywords = self._call(given, tensors, params)
        result = self.candidate(*positional, **keywords)
        if isinstance(result, tuple):
            made = tuple(map(self.tensor, result))
            ctx.mark_non_differentiable(*[each for each in made if not each.is_floating_point()])
            return made
        return self.tensor(result)

    def backward(self, ctx: Any, *cotangents: Any) -> Any:
        smooth = [each for each in self.op.outputs if each.differentiable]
        by_name = {each.name: self.array(c) for each, c in zip(self.op.outputs, cotangents, strict=False)}
        positional, keywords = self._call(ctx.given, ctx.saved_tensors, ctx.params)
        found = self.candidate.vjp(by_name if len(smooth) > 1 else self.array(cotangents[0]), *positional, **keywords)
        gradients = [self.tensor(found[n]) if n in found and n in self.smooth else None for n in ctx.given]
        return (None, None, *gradients)

    def jvp(self, ctx: Any, _: Any, __: Any, *tangents: Any) -> Any:
        given = zip(ctx.given, tangents, strict=True)
        moved = {n: self.array(t) for n, t in given if t is not None and n in self.smooth}
        positional, keywords = self._call(ctx.given, ctx.saved_tensors, ctx.params)
        found = self.candidate.jvp(moved, *positional, **keywords)
        if isinstance(found, tuple):
            return tuple(map(self.tensor, found)) + (None,) * (len(self.op.outputs) - len(found))
        several = len(self.op.outputs) > 1 and ctx.params.get("return_indices")
        return (self.tensor(found), None) if several else self.tensor(found)
