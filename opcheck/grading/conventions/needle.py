"""needle (CMU 10-414, deep learning systems): functions and modules of the course's own Tensor, whose autograd is the
students' too.

    y = relu(Tensor(x));  y.backward(Tensor(dy));  x.grad.numpy()
    layer = Linear(in_features, out_features)    layer.weight (In, Out), layer.bias (1, Out)
    loss = SoftmaxLoss().forward(logits, y)      LayerNorm1d(dim, eps)
"""

from collections.abc import Sequence
from typing import Any

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request, last_dimension, only
from opcheck.grading.conventions.layouts import ROW, SAME, TRANSPOSED, Layout
from opcheck.grading.conventions.sentences import IN_OUT
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place, Set

_CLASSES = {"linear": ("Linear",), "cross_entropy": ("SoftmaxLoss",), "layer_norm": ("LayerNorm1d",)}


def call(r: Request) -> Plan:
    tensor = f"{r.forward.partition('.')[0]}.Tensor"
    steps: list[Call | Set] = [Call(tensor, (r.array(name, _layout(r, name)),), keep=name) for name in r.case.arrays]
    if r.op.name not in _CLASSES:
        steps.append(Call(r.forward, [*map(Place, r.case.arrays)], keep="out"))
    else:
        steps.append(Call(r.forward, _constructor(r), keep="layer"))
        steps += [Set(f"layer.{name}", Place(name)) for name in _own(r)]
        steps.append(Call("layer.forward", [Place(name) for name in r.case.arrays if name not in _own(r)], keep="out"))
    return Plan([*steps, Call("out.numpy", keep="numbers")], {"output": Reading("numbers")})


def _constructor(r: Request) -> list[Any]:
    if r.op.name == "linear":
        return [*reversed(r.case.arrays["weight"].shape)]
    return [r.case.arrays["weight"].size, float(r.p.eps)] if r.op.name == "layer_norm" else []


def _own(r: Request) -> list[str]:
    """The arrays that belong to the layer."""
    return [name for name in ("weight", "bias") if name in r.case.arrays]


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    tensor = f"{r.forward.partition('.')[0]}.Tensor"
    steps: list[Call | Set] = [
        Call(tensor, (r.sent(cotangent["output"]),), keep="upstream"),
        Call("out.backward", (Place("upstream"),)),
    ]
    steps += [Call(f"{name}.grad.numpy", keep=f"d_{name}") for name in tensors.smooth(r)]
    return Plan(steps, {name: Reading(f"d_{name}", _layout(r, name)) for name in tensors.smooth(r)})


def _layout(r: Request, name: str) -> Layout:
    if r.op.name != "linear":
        return SAME
    return {"weight": TRANSPOSED, "bias": ROW}.get(name, SAME)


def fits(op: Op, found: Definition, beside: Sequence[Definition]) -> bool:
    """Where there is a Tensor beside it."""
    kind = "class" if op.name in _CLASSES else "function"
    return found.kind == kind and any(each.name == "Tensor" and each.module == found.module for each in beside)


CONVENTION = Convention(
    "needle",
    "CMU 10-414: functions and modules of needle's Tensor",
    {
        "relu": Entry(("relu",)),
        "tanh": Entry(("tanh",)),
        "matmul": Entry(("matmul",)),
        "linear": Entry(("Linear",), allows={"bias": only(True)}),
        "cross_entropy": Entry(
            ("SoftmaxLoss",),
            allows={"reduction": only("mean"), "weight": only(False), "label_smoothing": only(0.0),
                    "ignore_index": only(-100), "probabilities": only(False)},
        ),
        "layer_norm": Entry(("LayerNorm1d",), allows={"weight": only(True), "bias": only(True),
                                                     "normalized_shape": last_dimension},
                            usual={"weight": (True,), "bias": (True,)}),
    },
    call,
    gradients,
    autograd=True,
    sentences=IN_OUT,
    fits=fits,
)  # fmt: skip
