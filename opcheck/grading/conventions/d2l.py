"""d2l (Dive into Deep Learning): plain functions of torch's tensors, one image at a time; autograd gives gradients.

corr2d(X, K)               X (H, W), K (kH, kW)         corr2d_multi_in_out(X, K)   X (Cin, H, W), K (Cout, Cin, kH, kW)
pool2d(X, (2, 3), mode="max" or "avg"), stride 1        linreg(X, w, b)             w (In, Out)
softmax(X), relu(X)
"""

from typing import Any

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request, only
from opcheck.grading.conventions.layouts import SAME, TRANSPOSED, UNBATCHED, Layout
from opcheck.sandbox import Call, Place, Set


def call(r: Request) -> Plan:
    steps: list[Call | Set] = [
        Call("torch.tensor", (r.array(name, _layout(r, name)),), keep=name) for name in r.case.arrays
    ]
    steps += [Call(f"{name}.requires_grad_") for name in tensors.smooth(r)]
    args: list[Any] = [Place(name) for name in r.case.arrays]
    return Plan([*steps, Call(r.forward, args, keep="out")], {"output": Reading("out", _layout(r, "output"))})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    upstream = {name: _layout(r, name).give(each) for name, each in cotangent.items()}
    plan = tensors.differentiated(r, upstream, {name: Place(name) for name in tensors.smooth(r)})
    readings = {name: each._replace(layout=_layout(r, name)) for name, each in plan.readings.items()}
    return plan._replace(readings=readings)


def _layout(r: Request, name: str) -> Layout:
    if r.op.name == "linear":
        return TRANSPOSED if name == "weight" else SAME
    return UNBATCHED if r.op.name == "conv2d" and name != "weight" else SAME


_CONVOLUTION = {"stride": only(1), "padding": only(0), "dilation": only(1), "groups": only(1), "bias": only(False),
                "batch": only(1)}  # fmt: skip
CONVENTION = Convention(
    "d2l",
    "Dive into Deep Learning: plain functions of torch's tensors",
    {
        "conv2d": Entry(("corr2d_multi_in_out",), allows=_CONVOLUTION, usual={"batch": (1,)}),
        "linear": Entry(("linreg",), allows={"bias": only(True)}),
        "softmax": Entry(("softmax",), allows={"dim": only(1, -1)}),
        "relu": Entry(("relu",)),
    },
    call,
    gradients,
    arrays="torch",
    autograd=True,
)
