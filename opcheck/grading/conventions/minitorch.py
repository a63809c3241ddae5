"""minitorch (Cornell Tech): functions of one number, and Functions of its Tensor with forward(ctx, ...) and backward.

relu(x), relu_back(x, d), sigmoid(x)                  of Python's numbers, in operators.py
Sigmoid.apply(t), ReLU.apply(t)                       y.backward(minitorch.tensor(d));  t.grad
"""

from collections.abc import Sequence

from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request, method
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place, Set


def call(r: Request) -> Plan:
    x = r.array("input")
    if _is_function(r):
        steps: list[Call | Set] = [
            Call("minitorch.tensor", (x.tolist(),), keep="input"),
            Call("input.requires_grad_", (True,)),
            Call(f"{r.forward}.apply", (Place("input"),), keep="out"),
        ]
        return Plan([*steps, Call("out.to_numpy", keep="numbers")], {"output": Reading("numbers")})
    return Plan(
        [*_each(r.forward, "each"), Call("each", (x,), keep="out")],
        {"output": Reading("out")},
    )


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    upstream = r.sent(cotangent["output"])
    if _is_function(r):
        steps: list[Call | Set] = [
            Call("minitorch.tensor", (upstream.tolist(),), keep="upstream"),
            Call("out.backward", (Place("upstream"),)),
            Call("input.grad.to_numpy", keep="gradient"),
        ]
        return Plan(steps, {"input": Reading("gradient")})
    steps = [*_each(r.backward, "each_back"), Call("each_back", (r.array("input"), upstream), keep="gradient")]
    return Plan(steps, {"input": Reading("gradient")})


def _each(function: str, keep: str) -> list[Call | Set]:
    """A function of numbers as one of arrays."""
    return [Call("numpy.vectorize", (Place(function),), {"otypes": ["float64"]}, keep=keep)]


def _is_function(r: Request) -> bool:
    return r.found is not None and r.found.kind == "class"


def fits(op: Op, found: Definition, beside: Sequence[Definition]) -> bool:
    forward = method(found, "forward")
    if found.kind == "class":
        return forward is not None and [each.name for each in forward.parameters[:1]] == ["ctx"]
    return found.kind == "function" and sum(not each.has_default for each in found.parameters) == 1


CONVENTION = Convention(
    "minitorch",
    "Cornell's minitorch: functions of numbers, and Functions with a context",
    {
        "relu": (Entry(("relu",), ("relu_back",)), Entry(("ReLU",))),
        "sigmoid": (Entry(("sigmoid",), ("sigmoid_back",)), Entry(("Sigmoid",))),
    },
    call,
    gradients,
    fits=fits,
)
