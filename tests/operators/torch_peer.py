"""The same case in torch: outputs, reverse mode, forward mode, in float64."""

import warnings
from collections.abc import Mapping
from typing import Any

from opcheck.backends.base import named_outputs
from opcheck.operators.spec import Array, Case, Op, widened
from tests.operators.support import differentiable


def torch_outputs(op: Op, case: Case) -> dict[str, Array]:
    """What torch computes for the case, in float64."""
    _, results = _run_torch(op, case)
    return {name: result.detach().numpy() for name, result in results.items()}


def torch_gradients(op: Op, case: Case, cotangents: Mapping[str, Array]) -> dict[str, Array]:
    """What torch.autograd gives each differentiable input for cotangents of some outputs."""
    import torch

    tensors, results = _run_torch(op, case)
    names = differentiable(op, case)
    gradients = torch.autograd.grad(
        [results[name] for name in cotangents],
        [tensors[name] for name in names],
        [torch.tensor(cotangent) for cotangent in cotangents.values()],
        allow_unused=True,
        materialize_grads=True,
    )
    return {name: gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}


def torch_tangents(op: Op, case: Case, tangents: Mapping[str, Array]) -> dict[str, Array]:
    """What torch's forward mode gives each differentiable output for tangents of some inputs."""
    import torch

    tensors = {name: torch.tensor(array) for name, array in widened(case.arrays).items()}

    def run(*moved: Any) -> dict[str, Any]:
        outputs = _call_torch(op, case, {**tensors, **dict(zip(tangents, moved, strict=True))})
        return {name: output for name, output in outputs.items() if op.output(name).differentiable}

    at = tuple(tensors[name] for name in tangents)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own use of torch.jit
        _, results = torch.func.jvp(run, at, tuple(map(torch.tensor, tangents.values())))
    return {name: result.numpy() for name, result in results.items()}


def _run_torch(op: Op, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch

    tensors = {name: torch.tensor(array) for name, array in widened(case.arrays).items()}
    for name in differentiable(op, case):
        tensors[name].requires_grad_()
    return tensors, _call_torch(op, case, tensors)


def _call_torch(op: Op, case: Case, tensors: Mapping[str, Any]) -> dict[str, Any]:
    if op.name == "group_norm" and "bias" in tensors and "weight" not in tensors:  # its backward pass raises (KNOWN.md)
        tensors = {**tensors, "weight": tensors["bias"].detach() * 0 + 1}
    import torch

    math = torch.nn.attention.SDPBackend.MATH  # the kernel of attention without known deviations
    with warnings.catch_warnings(), torch.nn.attention.sdpa_kernel(math):
        warnings.simplefilter("ignore")  # torch's advice on speed and style is not about numbers
        result = op.torch(torch, case.params, **tensors)
    return named_outputs(op, result, op.checked(case)[1], tensors)
