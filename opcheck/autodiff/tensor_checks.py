"""Witnesses for the gradients of a tensor program: the other mode, Taylor's remainder, and torch."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.autodiff.operators import Call
from opcheck.autodiff.taylor import Check, figure, taylor
from opcheck.autodiff.tensors import ArrayTrace
from opcheck.language import say

SEED = 20240229


def checks(trace: ArrayTrace, everything: bool = False) -> list[Check]:
    """Both modes and Taylor along a random direction; with `everything`, torch."""
    gradient = trace.gradient()
    if not all(np.isfinite(each).all() for each in gradient.values()):
        return [Check(say("A gradient is not finite, so nothing can be checked against it."), None)]
    rng = np.random.default_rng(SEED)
    direction = {name: rng.choice([-1.0, 1.0], size=each.shape) for name, each in gradient.items()}
    found = [both_modes(trace, gradient, direction), remainder(trace, gradient, direction)]
    return [*found, torch_agrees(trace, gradient)] if everything else found


def digits_alike(a: float, b: float, size: float) -> int:
    """To how many digits two numbers agree that are sums of terms of that total size."""
    return 16 if a == b else min(16, max(0, int(-np.log10(abs(a - b) / max(size, 1e-300)))))


def alike(head: str, a: float, b: float, size: float) -> Check:
    n = digits_alike(a, b, size)
    text = say("{head}: {a} and {b} agree to {n} of 16 digits", head=head, a=figure(a), b=figure(b), n=n)
    return Check(text, n >= 8)  # half of the digits: a wrong derivative shares none or one


def both_modes(trace: ArrayTrace, gradient: dict[str, Any], direction: dict[str, Any]) -> Check:
    """⟨∇f, v⟩ by reverse mode against Jv by forward mode."""
    terms = [gradient[name] * direction[name] for name in gradient]
    size = sum(float(np.abs(each).sum()) for each in terms)
    head = say("both modes, along a random direction of ±1")
    return alike(head, float(sum(each.sum() for each in terms)), float(np.sum(trace.jvp(direction))), size)


def remainder(trace: ArrayTrace, gradient: dict[str, Any], direction: dict[str, Any]) -> Check:
    """Taylor's remainder along the direction, over the square root of its length.

    There is no bound on the rounding of a whole program; a failure is therefore told and counts as not asked.
    """
    scale = max(1.0, float(np.sqrt(sum(each.size for each in direction.values()))))
    slope = float(sum((gradient[name] * direction[name]).sum() for name in gradient)) / scale
    here = float(trace.value.sum())
    noise = 2.0**-53 * len(trace.nodes) * (abs(here) + abs(slope))

    def moved(h: float) -> float:
        return replay(trace, {name: h / scale * v for name, v in direction.items()})

    found = taylor(moved, here, slope, noise, has_kinks=True)
    return found._replace(holds=found.holds or None)


def replay(trace: ArrayTrace, moved: dict[str, Any]) -> float:
    """The output for inputs that are moved."""
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for node in trace.nodes:
            if node.rule is None:
                values.append(node.value + moved[node.label] if node.label in moved else node.value)
            else:
                values.append(node.rule.forward(*(values[arg] for arg in node.args), **node.params))
    return float(values[trace.outputs[0]].sum())


# --- torch ----------------------------------------------------------------------------------------------------------


def torch_functions(torch: Any) -> dict[str, Callable[..., Any]]:
    """Each rule of `rules.RULES` in torch."""
    names = {"sum": "add", "mul": "mul", "div": "div", "sub": "sub", "neg": "neg", "power": "pow"}
    same = ("exp", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "abs", "matmul")
    functions = {key: getattr(torch, name) for key, name in (names | {name: name for name in same}).items()}

    def flat(x: Any, axis: Any, keepdims: bool, method: str) -> Any:
        if axis is None:
            result = getattr(x.reshape(-1), method)(0).values
            return result.reshape([1] * x.ndim) if keepdims else result
        return getattr(x, method)(dim=axis, keepdim=keepdims).values

    def reduced(method: str) -> Callable[..., Any]:
        def function(x: Any, axis: Any, keepdims: bool) -> Any:
            axes = tuple(range(x.ndim)) if axis is None else axis
            return getattr(torch, method)(x, dim=axes, keepdim=keepdims) if x.ndim else x

        return function

    def places(index: Any, shape: Any) -> Any:  # torch has no negative steps
        return torch.tensor(np.ascontiguousarray(np.arange(int(np.prod(shape))).reshape(shape)[index]))

    def put(g: Any, index: Any, shape: Any) -> Any:
        place = places(index, shape).reshape(-1)
        return torch.zeros(int(np.prod(shape)), dtype=g.dtype).index_add(0, place, g.reshape(-1)).reshape(shape)

    return functions | {
        "max": lambda a, b: torch.stack(torch.broadcast_tensors(a, b)).max(dim=0).values,
        "min": lambda a, b: torch.stack(torch.broadcast_tensors(a, b)).min(dim=0).values,
        "where": lambda condition, a, b: torch.where(condition.bool(), a, b),
        "clip": lambda x, low, high: torch.clamp(x, low, high),
        "less": torch.lt, "greater": torch.gt, "less_equal": torch.le, "greater_equal": torch.ge,
        "detach": lambda x: x.detach(),
        "total": reduced("sum"),
        "mean": reduced("mean"),
        "largest": lambda x, axis, keepdims: flat(x, axis, keepdims, "max"),
        "smallest": lambda x, axis, keepdims: flat(x, axis, keepdims, "min"),
        "reshape": lambda x, shape: x.reshape(shape),
        "transpose": lambda x, axes: x.permute(axes),
        "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
        "getitem": lambda x, index: x.reshape(-1)[places(index, tuple(x.shape))],
        "put": put,
        "concatenate": lambda *parts, axis: torch.cat(parts, dim=axis),
        "item": lambda outputs, name: outputs[name],
    }  # fmt: skip


def torch_gradient(trace: ArrayTrace) -> dict[str, Any]:
    """torch.autograd.grad of the same program, operator by operator; raises KeyError for a recorded VJP."""
    import torch

    functions = torch_functions(torch)
    leaves = {}
    values: list[Any] = []
    for node in trace.nodes:
        if node.rule is None:
            tensor = torch.tensor(node.value)
            if node.label in trace.tracked:
                leaves[node.label] = tensor.requires_grad_()
            values.append(tensor)
            continue
        args = [values[arg] for arg in node.args]
        call = getattr(node.rule.forward, "__self__", None)
        if isinstance(call, Call) and node.rule.name == call.op.name:
            result = call.op.torch(torch, call.case.params, **call.arrays(args))
            named = call.op.by_name(result, call.outputs)
            several = isinstance(node.value, dict)
            values.append(dict(zip(call.outputs, result, strict=True)) if several and isinstance(result, tuple)
                          else named if several else result)  # fmt: skip
        else:
            values.append(functions[node.rule.name](*args, **node.params))
    out = values[trace.outputs[0]].sum()
    wanted = list(leaves.values())
    found = torch.autograd.grad(out, wanted, allow_unused=True) if out.requires_grad else [None] * len(wanted)
    pairs = zip(leaves.items(), found, strict=True)
    return {name: np.zeros(leaf.shape) if g is None else g.numpy() for (name, leaf), g in pairs}


def torch_agrees(trace: ArrayTrace, gradient: dict[str, Any]) -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check(say("torch is not installed, so it was not asked (pip install 'opcheck[torch]')"), None)
    try:
        found = torch_gradient(trace)
    except KeyError:
        return Check(say("torch was not asked: the program contains a reverse sweep of its own"), None)
    errors = {name: float(np.abs(each - found[name]).max(initial=0.0)) for name, each in gradient.items()}
    sizes = {name: float(np.abs(each).max(initial=0.0)) for name, each in gradient.items()}
    worst = max(errors, key=lambda name: errors[name] / max(sizes[name], 1e-300))
    n = digits_alike(errors[worst], 0.0, sizes[worst])
    text = say("torch.autograd.grad: every gradient agrees to {n} or more of 16 digits (off by {e} at most, in {name})",
               n=n, e=figure(errors[worst]), name=worst)  # fmt: skip
    return Check(text, n >= 8)
