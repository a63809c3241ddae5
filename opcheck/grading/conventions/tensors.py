"""torch in the sandbox: arrays become tensors there, and autograd differentiates what the student's code computed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opcheck.grading.conventions.base import Cotangent, Plan, Reading, Request
from opcheck.sandbox import Call, Place, Set
from opcheck.sandbox.inside.wire import Value


def smooth(r: Request) -> list[str]:
    """The inputs of the case whose gradient a course asks for: real ones, and not the targets of a loss."""
    return [
        each.name
        for each in r.op.inputs
        if each.differentiable
        and each.name != "target"
        and each.name in r.case.arrays
        and r.case.arrays[each.name].dtype.kind == "f"  # a mask may be of True and False
    ]


def made(r: Request) -> tuple[list[Call | Set], dict[str, Any]]:
    """Steps that make a tensor of each array, and the places of these tensors."""
    steps: list[Call | Set] = [Call("torch.tensor", (r.array(name),), keep=name) for name in r.case.arrays]
    steps += [Call(f"{name}.requires_grad_") for name in smooth(r)]
    return steps, {name: Place(name) for name in r.case.arrays}


def differentiated(r: Request, cotangent: Cotangent, leaves: Mapping[str, Any]) -> Plan:
    """The gradients with respect to the leaves, for what is at "out"."""
    shapes = r.op.checked(r.case)[1]
    position = {name: k for k, name in enumerate(name for name in shapes if name not in r.op.updated(shapes))}
    several = len(position) > 1
    steps: list[Call | Set] = [
        Call("torch.tensor", (r.sent(array),), keep=f"upstream_{name}") for name, array in cotangent.items()
    ]
    outputs: list[Value] = [Place(f"out[{position[name]}]" if several else "out") for name in cotangent]
    upstream: list[Value] = [Place(f"upstream_{name}") for name in cotangent]
    steps.append(Call("torch.autograd.grad", (outputs, [*leaves.values()], upstream), keep="gradients"))
    return Plan(steps, {name: Reading(f"gradients[{k}]") for k, name in enumerate(leaves)})


def without_gradients(call: Call) -> list[Call]:
    """The call where torch keeps no gradients, as evaluation has it; whatever it raises, they are kept again."""
    return [
        Call("torch.no_grad", keep="no_grad"),
        Call("no_grad", (Place(call.function),), keep="evaluated"),
        replace(call, function="evaluated"),
    ]
