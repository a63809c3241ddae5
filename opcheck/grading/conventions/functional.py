"""functional: called as torch.nn.functional is; with numpy arrays, gradients come from a second function.

    conv2d(x, weight, bias, stride=1, padding=0)                       -> y
    conv2d_backward(dy, x, weight, bias, stride=1, padding=0)          -> (dx, dweight, dbias)

The arrays come by position, parameters by torch's names and only where they are not the default. The backward function
gets the same arguments after the upstream gradient and returns the gradients in the order of the arrays. With
`arrays = "torch"` in the assignment the function gets tensors, and autograd gives the gradients.
"""

from typing import Any

from opcheck.backends.base import arguments
from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request
from opcheck.operators import catalog
from opcheck.sandbox import Call, Place, Set


def _arguments(r: Request) -> tuple[list[Any], dict[str, Any]]:
    return arguments(r.op, {name: r.array(name) for name in r.case.arrays}, r.case.params)


def call(r: Request) -> Plan:
    shapes = r.op.checked(r.case)[1]
    updated = r.op.updated(shapes)
    names = [name for name in shapes if name not in updated]
    readings = {name: Reading(f"out[{k}]" if len(names) > 1 else "out") for k, name in enumerate(names)}
    if r.arrays == "torch":
        steps, places = tensors.made(r)
        positional, keywords = arguments(r.op, places, r.case.params)
        return Plan([*steps, Call(r.forward, positional, keywords, keep="out")], readings)
    written = [name for name in updated if name in r.case.arrays]  # in place, and not returned
    given: list[Call | Set] = [Set(name, r.array(name)) for name in written]
    places = {name: Place(name) if name in written else r.array(name) for name in r.case.arrays}
    positional, keywords = arguments(r.op, places, r.case.params)
    readings |= {name: Reading(name) for name in written}
    return Plan([*given, Call(r.forward, positional, keywords, keep="out")], readings)


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.arrays == "torch":
        return tensors.differentiated(r, cotangent, {name: Place(name) for name in tensors.smooth(r)})
    positional, keywords = _arguments(r)
    given = [r.sent(each) for each in cotangent.values()]
    upstream = given[0] if len(given) == 1 else tuple(given)
    names = tensors.smooth(r)
    readings = {name: Reading(f"gradients[{k}]" if len(names) > 1 else "gradients") for k, name in enumerate(names)}
    return Plan([Call(r.backward, [upstream, *positional], keywords, keep="gradients")], readings)


def _entry(name: str) -> Entry:
    return Entry((name,), (f"{name}_backward", f"{name}_grad", f"{name}_vjp"))


CONVENTION = Convention(
    "functional",
    "as torch.nn.functional, with numpy arrays; NAME_backward(dy, *the same arguments) gives the gradients",
    {op.name: _entry(op.name) for op in catalog.every()},
    call,
    gradients,
    autograd=True,
    names=_entry,
)
