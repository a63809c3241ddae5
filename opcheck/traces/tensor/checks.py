"""Witnesses for the gradients of a tensor program: the other mode, Taylor's remainder, and torch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.recorded import Call
from opcheck.programs.arrays import ArrayNode
from opcheck.programs.movement import filled
from opcheck.programs.rules import RULES
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.witness import GRADIENT, Check, figure, no_torch, taylor

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
    """The number of digits to which two sums agree, relative to the total size of their terms."""
    if not np.isfinite(a - b):  # two infinities, or NaN, which any check of numbers shows by itself
        return 16 if a == b or (a != a and b != b) else 0
    return 16 if a == b else min(16, max(0, int(-np.log10(abs(a - b) / max(size, 1e-300)))))


def alike(head: str, a: float, b: float, size: float) -> Check:
    n = digits_alike(a, b, size)
    text = say("{head}: {a} and {b} agree to {n} of 16 digits", head=head, a=figure(a), b=figure(b), n=n)
    return Check(text, None if np.isnan(a - b) else n >= 8)  # half of the digits: a wrong derivative shares none or one


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
    scale = length(direction)
    slope = inner(gradient, direction) / scale
    here = float(trace.value.sum())
    noise = 2.0**-53 * len(trace.nodes) * (abs(here) + abs(slope))

    def at(h: float) -> float:
        return float(moved(trace, {name: h / scale * v for name, v in direction.items()}).value.sum())

    found = taylor(at, here, slope, noise, has_kinks=True)
    return found._replace(holds=found.holds or None)


def inner(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    return float(sum((a[name] * b[name]).sum() for name in a))


def length(direction: Mapping[str, Any]) -> float:
    """The Euclidean norm of a direction, and at least 1."""
    return max(1.0, float(np.sqrt(sum((each * each).sum() for each in direction.values()))))


def moved(trace: ArrayTrace, steps: Mapping[str, Any]) -> ArrayTrace:
    """The same program with its inputs moved by these steps."""
    nodes: list[ArrayNode] = []
    with np.errstate(all="ignore"):
        for node in trace.nodes:
            if node.rule is None:
                value = node.value + steps[node.label] if node.label in steps else node.value
            else:
                value = node.rule.forward(*(nodes[arg].value for arg in node.args), **node.params)
            nodes.append(node._replace(value=value))
    return ArrayTrace(tuple(nodes), list(trace.outputs), trace.title, trace.tracked)


# --- second derivatives ---------------------------------------------------------------------------------------------


def hessian_checks(trace: ArrayTrace, direction: Mapping[str, Any], everything: bool = False) -> list[Check]:
    """Symmetry and Taylor against a random direction u; with `everything`, torch."""
    v = {name: direction.get(name, np.zeros(trace.read(trace.inputs[name]).shape)) for name in trace.tracked}
    product = trace.hessian_vector_product(v)
    if not all(np.isfinite(each).all() for each in product.values()):
        return [Check(say("A second derivative is not finite, so nothing can be checked against it."), None)]
    rng = np.random.default_rng(SEED)
    u = {name: rng.choice([-1.0, 1.0], size=each.shape) for name, each in product.items()}
    found = [symmetric(trace, u, v, product), bending(trace, u, v, product)]
    return [*found, torch_hessian_agrees(trace, v, product)] if everything else found


def symmetric(trace: ArrayTrace, u: dict[str, Any], v: dict[str, Any], product: dict[str, Any]) -> Check:
    """u·Hv against v·Hu."""
    other = trace.hessian_vector_product(u)
    size = sum(float(np.abs(u[name] * product[name]).sum() + np.abs(v[name] * other[name]).sum()) for name in u)
    return alike(say("symmetric, for a random u of ±1: u·Hv and v·Hu"), inner(u, product), inner(v, other), size)


def bending(trace: ArrayTrace, u: dict[str, Any], v: dict[str, Any], product: dict[str, Any]) -> Check:
    """Taylor's remainder of the gradient along v, seen from u."""
    scale, gradient = length(v), trace.gradient()
    slope = inner(u, product) / scale
    noise = 2.0**-53 * len(trace.nodes) * (sum(float(np.abs(each).sum()) for each in gradient.values()) + abs(slope))

    def at(h: float) -> float:
        return inner(u, moved(trace, {name: h / scale * each for name, each in v.items()}).gradient())

    found = taylor(at, inner(u, gradient), slope, noise, has_kinks=True, remainder=GRADIENT)
    return found._replace(holds=found.holds or None)


# --- torch ----------------------------------------------------------------------------------------------------------


def torch_functions(torch: Any) -> dict[str, Callable[..., Any]]:
    """Each rule of `rules.RULES` in torch."""
    return {**_pointwise(torch), **_along_axes(torch), **_moving(torch)}


def _pointwise(torch: Any) -> dict[str, Callable[..., Any]]:
    names = {"sum": "add", "mul": "mul", "div": "div", "sub": "sub", "neg": "neg", "power": "pow"}
    same = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "erf",
            "abs", "matmul", "sign", "floor", "ceil", "logical_and", "logical_or", "logical_not",
            "logaddexp", "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh")  # fmt: skip
    functions = {key: getattr(torch, name) for key, name in (names | {name: name for name in same}).items()}
    return functions | {
        "max": lambda a, b: torch.stack(torch.broadcast_tensors(a, b)).max(dim=0).values,
        "min": lambda a, b: torch.stack(torch.broadcast_tensors(a, b)).min(dim=0).values,
        "where": lambda condition, a, b: torch.where(condition.bool(), a, b),
        "clip": lambda x, low, high: torch.clamp(x, low, high),
        "erf_slope": lambda x: 2 / np.sqrt(np.pi) * torch.exp(-x * x),
        "less": torch.lt, "greater": torch.gt, "less_equal": torch.le, "greater_equal": torch.ge,
        "equal": torch.eq, "not_equal": torch.ne, "einsum": lambda *args, spec: torch.einsum(spec, *args),
        "detach": lambda x: x.detach(), "formed": lambda x: x,
        "astype": lambda x, dtype: x.detach().to(getattr(torch, dtype)),
        "with_slope": lambda y, x, slope: y + slope.detach() * (x - x.detach()),
        "shifted": lambda moved, t, distance, n: moved,
    }  # fmt: skip


def _along_axes(torch: Any) -> dict[str, Callable[..., Any]]:
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

    def product(x: Any, axis: Any, keepdims: bool) -> Any:
        axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        for k in sorted((k % x.ndim for k in axes), reverse=True):
            x = torch.prod(x, dim=k, keepdim=keepdims)
        return x

    def first(name: str) -> Callable[..., Any]:
        return lambda x, axis: torch.tensor(RULES[name].forward(x.detach().numpy(), axis))

    return {
        "cumsum": lambda x, axis: torch.cumsum(x, dim=axis), "prod": product,
        "sort": lambda x, axis: torch.sort(x, dim=axis, stable=True).values,
        "argsort": lambda x, axis: torch.argsort(x, dim=axis, stable=True),
        "argmax": lambda x, axis: torch.tensor(np.argmax(x.detach().numpy(), axis=axis)),
        "argmin": lambda x, axis: torch.tensor(np.argmin(x.detach().numpy(), axis=axis)),
        "first_largest": first("first_largest"), "first_smallest": first("first_smallest"),
        "log_sum_exp": lambda x, axis: torch.logsumexp(x, dim=axis, keepdim=True),
        "softmax_along": lambda x, axis: torch.softmax(x, dim=axis),
        "total": reduced("sum"), "mean": reduced("mean"), "streamed_mean": reduced("mean"),
        "largest": lambda x, axis, keepdims: flat(x, axis, keepdims, "max"),
        "smallest": lambda x, axis, keepdims: flat(x, axis, keepdims, "min"),
    }  # fmt: skip


def _moving(torch: Any) -> dict[str, Callable[..., Any]]:
    def places(index: Any, shape: Any) -> Any:  # torch has no negative steps
        return torch.tensor(np.ascontiguousarray(np.arange(int(np.prod(shape))).reshape(shape)[index]))

    def index_of(index: Any, chosen: Any) -> Any:
        return filled(index, [each.detach().numpy() for each in chosen])

    def put(g: Any, *chosen: Any, index: Any, shape: Any) -> Any:
        place = places(index_of(index, chosen), shape).reshape(-1)
        return torch.zeros(int(np.prod(shape)), dtype=g.dtype).index_add(0, place, g.reshape(-1)).reshape(shape)

    return {
        "reshape": lambda x, shape: x.reshape(shape),
        "transpose": lambda x, axes: x.permute(axes),
        "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
        "getitem": lambda x, *chosen, index: x.reshape(-1)[places(index_of(index, chosen), tuple(x.shape))],
        "put": put,
        "assigned": lambda *chosen, **how: torch.tensor(
            RULES["assigned"].forward(*[each.numpy() for each in chosen], **how)
        ),
        "concatenate": lambda *parts, axis: torch.cat(parts, dim=axis),
        "item": lambda outputs, name: outputs[name],
    }


def torch_program(trace: ArrayTrace) -> tuple[Any, dict[str, Any]]:
    """The output of the same program in torch, operator by operator, and its tracked inputs as leaves; raises KeyError
    for a recorded VJP."""
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
    return values[trace.outputs[0]].sum(), leaves


def torch_gradient(trace: ArrayTrace, direction: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """torch.autograd.grad of the same program; with a direction, that of gradient·direction: the Hessian times it."""
    import torch

    out, leaves = torch_program(trace)

    def gradients(of: Any, **options: Any) -> dict[str, Any]:
        if not of.requires_grad:
            return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
        found = torch.autograd.grad(of, list(leaves.values()), materialize_grads=True, **options)
        return dict(zip(leaves, found, strict=True))

    if direction is not None:
        first = gradients(out, create_graph=True)
        out = sum((first[name] * torch.tensor(each)).sum() for name, each in direction.items())
    return {name: each.detach().numpy() for name, each in gradients(out).items()}


def torch_agrees(trace: ArrayTrace, gradient: dict[str, Any]) -> Check:
    return against_torch(trace, gradient, "torch.autograd.grad")


def torch_hessian_agrees(trace: ArrayTrace, v: dict[str, Any], product: dict[str, Any]) -> Check:
    return against_torch(trace, product, say("torch.autograd.grad, twice"), v)


def against_torch(
    trace: ArrayTrace, mine: dict[str, Any], witness: str, direction: dict[str, Any] | None = None
) -> Check:
    if absent := no_torch():
        return absent
    try:
        found = torch_gradient(trace, direction)
    except KeyError:
        return Check(say("torch was not asked: the program contains its own reverse sweep"), None)
    errors = {name: float(np.abs(each - found[name]).max(initial=0.0)) for name, each in mine.items()}
    sizes = {name: float(np.abs(each).max(initial=0.0)) for name, each in mine.items()}
    worst = max(errors, key=lambda name: errors[name] / max(sizes[name], 1e-300))
    n = digits_alike(errors[worst], 0.0, sizes[worst])
    text = say("{witness}: every array agrees to {n} or more of 16 digits (off by {e} at most, in {name})",
               witness=witness, n=n, e=figure(errors[worst]), name=worst)  # fmt: skip
    return Check(text, n >= 8)
