"""A numpy candidate with .vjp and .jvp as a torch function: autograd and forward mode call them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.backends.base import arguments
from opcheck.backends.tensors import require_torch
from opcheck.operators.spec import Op


def torch_form(op: Op, candidate: Any) -> Callable[..., Any]:
    """candidate(*arrays, **params) as f(*tensors, **params), with its own gradients."""
    torch = require_torch()
    names = [each.name for each in op.inputs]
    smooth = {each.name for each in op.inputs if each.differentiable}

    def array(tensor: Any) -> Any:
        if tensor.dtype in (torch.bfloat16,):
            import ml_dtypes

            return tensor.detach().contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.detach().numpy()  # shares memory and strides: mutants that write or misread show it

    def tensor(value: Any) -> Any:
        value = np.array(value, order="C")
        if value.dtype.name == "bfloat16":
            return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(value)

    base: Any = torch.autograd.Function

    class Bridge(base):  # type: ignore[misc]  # torch is imported here and nowhere else
        @staticmethod
        def forward(ctx: Any, given: tuple[str, ...], params: dict[str, Any], *tensors: Any) -> Any:
            ctx.given, ctx.params = given, params
            ctx.save_for_backward(*tensors)
            ctx.save_for_forward(*tensors)
            ctx.shapes = None
            result = candidate(*_call(given, tensors, params)[0], **_call(given, tensors, params)[1])
            ctx.drawn = {}
            if op.draws and op.draws not in given:
                case = op.bind(**{**dict(zip(given, map(array, tensors), strict=True)), **params})
                ctx.drawn = {op.draws: op.observed(op.checked(case)[0], array(tensors[0]), np.asarray(result))}
            ctx.results = len(result) if isinstance(result, tuple) else 1
            if isinstance(result, tuple):
                made = tuple(map(tensor, result))
                ctx.mark_non_differentiable(*[each for each in made if not each.is_floating_point()])
                return made
            return tensor(result)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            smooth_outputs = [each for each in op.outputs if each.differentiable]
            g = (
                array(cotangents[0])
                if len(smooth_outputs) == 1
                else {each.name: array(c) for each, c in zip(op.outputs, cotangents, strict=False)}
            )
            positional, keywords = _call(ctx.given, ctx.saved_tensors, ctx.params)
            found = candidate.vjp(g, *positional, **keywords, **ctx.drawn)
            gradients = [tensor(found[n]) if n in found and n in smooth else None for n in ctx.given]
            return (None, None, *gradients)

        @staticmethod
        def jvp(ctx: Any, _: Any, __: Any, *tangents: Any) -> Any:
            moved = {n: array(t) for n, t in zip(ctx.given, tangents, strict=True) if t is not None and n in smooth}
            positional, keywords = _call(ctx.given, ctx.saved_tensors, ctx.params)
            found = candidate.jvp(moved, *positional, **keywords, **ctx.drawn)
            tangents_out = tuple(map(tensor, found)) if isinstance(found, tuple) else (tensor(found),)
            return (*tangents_out, *[None] * (ctx.results - len(tangents_out))) if ctx.results > 1 else tangents_out[0]

    def _call(given: tuple[str, ...], tensors: Any, params: dict[str, Any]) -> Any:
        arrays = {n: array(t) for n, t in zip(given, tensors, strict=True)}
        return arguments(op, arrays, params)

    def function(*tensors: Any, **options: Any) -> Any:
        called = op.parted({**dict(zip(op.signature.parameters, tensors, strict=False)), **options})
        given = {n: v for n, v in called.items() if n in names and v is not None}
        params = {n: v for n, v in called.items() if n not in names}
        return Bridge.apply(tuple(given), params, *given.values())

    function.__name__ = function.__qualname__ = getattr(candidate, "__name__", op.name)
    return function
