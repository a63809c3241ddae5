"""cs336 (Stanford, language models from scratch): the adapters that the course's tests call, with torch's tensors.

    run_linear(d_in, d_out, weights, in_features)          run_embedding(vocab_size, d_model, weights, token_ids)
    run_rmsnorm(d_model, eps, weights, in_features)        run_silu(in_features)
    run_softmax(in_features, dim)                          run_cross_entropy(inputs, targets)
    get_adamw_cls()(params, lr, weight_decay, betas, eps)  one step, from the beginning

Weights are copied into a layer, so gradients are asked by what flows through: autograd gives them.
"""

from typing import Any

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Convention, Cotangent, Entry, Plan, Reading, Request, last_dimension, only
from opcheck.grading.conventions.optimisers import ANY_ORDER
from opcheck.sandbox import Call, Place, Set


def call(r: Request) -> Plan:
    if "lr" in r.p:
        return _step(r)
    steps, places = tensors.made(r)
    return Plan([*steps, Call(r.forward, _arguments(r, places), keep="out")], {"output": Reading("out")})


def _arguments(r: Request, places: dict[str, Any]) -> list[Any]:
    shapes = {name: array.shape for name, array in r.case.arrays.items()}
    match r.op.name:
        case "linear":
            return [*reversed(shapes["weight"]), places["weight"], places["input"]]
        case "embedding":
            return [*shapes["weight"], places["weight"], places["input"]]
        case "rms_norm":
            return [shapes["weight"][0], float(r.p.eps), places["weight"], places["input"]]
        case "softmax":
            return [places["input"], r.p.dim]
    return [*places.values()]


def _step(r: Request) -> Plan:
    gradient = r.op.inputs[1].name
    options = {"lr": float(r.p.lr), "betas": r.p.betas, "eps": float(r.p.eps), "weight_decay": float(r.p.weight_decay)}
    steps: list[Call | Set] = [
        Call("torch.tensor", (r.array("param"),), keep="start"),
        Call("torch.nn.Parameter", (Place("start"),), keep="param"),
        Call("torch.tensor", (r.array(gradient),), keep="gradient"),
        Set("param.grad", Place("gradient")),
        Call(r.forward, keep="optimizer_class"),
        Call("optimizer_class", ([Place("param")],), options, keep="optimizer"),
        Call("optimizer.step"),
    ]
    return Plan(steps, {"param": Reading("param")})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    leaves = {name: Place(name) for name in tensors.smooth(r) if name == "input"}
    if not leaves:
        return Plan([], {})
    return tensors.differentiated(r, cotangent, leaves)


_NEW = {**ANY_ORDER, "step": only(1), "exp_avg": only(False), "exp_avg_sq": only(False), "max_exp_avg_sq": only(False),
        "maximize": only(False), "amsgrad": only(False)}  # fmt: skip
CONVENTION = Convention(
    "cs336",
    "Stanford CS336: the adapters of its tests, with torch's tensors",
    {
        "linear": Entry(("run_linear",), allows={"bias": only(False)}),
        "embedding": Entry(("run_embedding",), allows={"padding_idx": only(None)}),
        "rms_norm": Entry(("run_rmsnorm",), allows={"weight": only(True), "eps": lambda value: value is not None,
                                  "normalized_shape": last_dimension},
                          usual={"weight": (True,), "eps": (1e-5,)}),
        "silu": Entry(("run_silu",)),
        "softmax": Entry(("run_softmax",)),
        "cross_entropy": Entry(
            ("run_cross_entropy",),
            allows={"reduction": only("mean"), "weight": only(False), "label_smoothing": only(0.0),
                    "ignore_index": only(-100), "probabilities": only(False)},
        ),
        "adamw": Entry(("get_adamw_cls",), allows=_NEW, in_place=True),
    },
    call,
    gradients,
    arrays="torch",
    autograd=True,
)  # fmt: skip
