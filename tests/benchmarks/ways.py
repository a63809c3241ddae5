"""How others test an operator: their samples, and whether they refuse a function on one of them (for `peers`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from opcheck.backends.base import given
from opcheck.operators.choosers import RandomChooser
from opcheck.operators.spec import Op
from opcheck.verification.bridge import torch_form
from opcheck.verification.mutation.mutants import Reference

Function = Callable[..., Any]


class Sample(NamedTuple):
    """One call: tensors by name, and parameters as a caller writes them."""

    tensors: dict[str, Any]
    params: dict[str, Any]


class Peer(NamedTuple):
    """A way of testing: its name, where its samples are from, and whether it refuses a function on one of them."""

    name: str
    samples: Callable[[Op, int], list[Sample]]
    refuses: Callable[[Op, Function, Sample], bool]
    is_slow: bool = False  # it calls the function for each number of a sample


# --- samples ----------------------------------------------------------------------------------------------------------


def opinfo(op: Op, dtype: Any) -> list[Sample]:
    """OpInfo's samples of an operator that are calls of ours (not those with dtype= or out=)."""
    from torch.testing._internal.common_methods_invocations import op_db

    info = next((each for each in op_db if each.name in (op.name, f"nn.functional.{op.name}")), None)
    samples = []
    for each in info.sample_inputs("cpu", dtype, requires_grad=False) if info else ():
        try:
            bound = op.signature.bind(each.input, *each.args, **each.kwargs).arguments
        except TypeError:
            continue
        tensors = {name: value for name, value in bound.items() if isinstance(value, torch.Tensor)}
        params = {name: value for name, value in bound.items() if name not in tensors and value is not None}
        inputs = {each.name for each in op.inputs}
        if set(tensors) <= inputs and not set(params) & inputs:
            samples.append(Sample(tensors, params))
    right = torch_form(op, Reference(op))
    return [each for each in samples if answers(op, right, each)]


def spread(dtype: Any) -> Callable[[Op, int], list[Sample]]:
    """At most so many of them, evenly from the whole list."""

    def chosen(op: Op, most: int) -> list[Sample]:
        samples = opinfo(op, dtype)
        return [samples[k * len(samples) // most] for k in range(most)] if len(samples) > most else samples

    return chosen


def five_random(op: Op, most: int) -> list[Sample]:
    samples = []
    for seed in range(5):
        case = op.sample(RandomChooser(seed))
        tensors = {
            name: torch.from_numpy(np.array(array)).to(torch.float32 if array.dtype.kind == "f" else torch.int64)
            for name, array in case.arrays.items()
        }
        samples.append(Sample(tensors, dict(case.params)))
    return samples


def smallest(samples: list[Sample], most: int) -> list[Sample]:
    """At most so many, those of the fewest numbers."""
    return sorted(samples, key=lambda each: sum(tensor.numel() for tensor in each.tensors.values()))[:most]


def answers(op: Op, function: Function, sample: Sample) -> bool:
    try:
        function(**sample.tensors, **given(op, sample.params))
    except Exception:  # whatever it raises, this sample is none of its calls
        return False
    return True


# --- ways of testing --------------------------------------------------------------------------------------------------


def of_torch(op: Op) -> Function:
    names = {each.name for each in op.inputs}
    return lambda **call: op.torch(
        torch, {n: v for n, v in call.items() if n not in names}, **{n: v for n, v in call.items() if n in names}
    )


def outputs_and_gradients(op: Op, function: Function, sample: Sample, ones: bool) -> list[Any]:
    """What a test compares: every output, and the gradients for a random cotangent or for one of ones."""
    tensors = {name: tensor.detach().clone() for name, tensor in sample.tensors.items()}
    leaves = [
        tensors[each.name].requires_grad_()
        for each in op.inputs
        if each.differentiable and each.name in tensors and tensors[each.name].is_floating_point()
    ]
    found = function(**tensors, **given(op, sample.params))
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    smooth = [each for each in results if each.is_floating_point() and each.requires_grad]
    generator = torch.Generator().manual_seed(0)
    cotangents = [
        torch.ones_like(each) if ones else torch.randn(each.shape, generator=generator, dtype=each.dtype)
        for each in smooth
    ]
    gradients = torch.autograd.grad(smooth, leaves, cotangents, allow_unused=True) if smooth and leaves else ()
    zero = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=False)]
    return [each.detach() for each in results] + zero


def refused_by_assert_close(op: Op, function: Function, sample: Sample) -> bool:
    right = outputs_and_gradients(op, of_torch(op), sample, ones=False)
    try:
        torch.testing.assert_close(outputs_and_gradients(op, function, sample, ones=False), right, equal_nan=True)
    except Exception:  # whatever a wrong implementation raises, it is refused
        return True
    return False


def refused_by_allclose(op: Op, function: Function, sample: Sample) -> bool:
    right = outputs_and_gradients(op, of_torch(op), sample, ones=True)
    try:
        got = outputs_and_gradients(op, function, sample, ones=True)
        return not all(torch.allclose(a.to(b.dtype), b, rtol=1e-2, atol=1e-2) for a, b in zip(got, right, strict=True))
    except Exception:  # whatever a wrong implementation raises, it is refused
        return True


def refused_by_gradcheck(fast: bool) -> Callable[[Op, Function, Sample], bool]:
    def refused(op: Op, function: Function, sample: Sample) -> bool:
        names = [
            each.name
            for each in op.inputs
            if each.differentiable and each.name in sample.tensors and sample.tensors[each.name].is_floating_point()
        ]
        fixed = {name: tensor for name, tensor in sample.tensors.items() if name not in names}

        def called(*leaves: Any) -> Any:
            found = function(**dict(zip(names, leaves, strict=True)), **fixed, **given(op, sample.params))
            return found[0] if isinstance(found, (tuple, list)) else found

        leaves = [sample.tensors[name].detach().clone().requires_grad_() for name in names]
        try:
            return not torch.autograd.gradcheck(called, leaves, fast_mode=fast, raise_exception=False)
        except Exception:  # whatever a wrong implementation raises, it is refused
            return True

    return refused


PEERS = (
    Peer("assert_close, OpInfo samples", spread(torch.float32), refused_by_assert_close),
    Peer("allclose 1e-2, five inputs", five_random, refused_by_allclose),
    Peer("gradcheck, slow", spread(torch.float64), refused_by_gradcheck(False), is_slow=True),
    Peer("gradcheck, fast", spread(torch.float64), refused_by_gradcheck(True), is_slow=True),
)
