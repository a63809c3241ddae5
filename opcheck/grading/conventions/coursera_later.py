"""The later assignments of DeepLearning.AI: the step of an LSTM, and optimisers of dicts of parameters.

a_next, c_next, yt_pred, cache = lstm_cell_forward(xt, a_prev, c_prev, {"Wf": ..., "bf": ..., "Wi": ..., ...})
gradients = lstm_cell_backward(da_next, dc_next, cache)       gradients["dxt"], ["da_prev"], ["dc_prev"], ["dWf"], ...
        examples are columns, and a gate's matrix is for a_prev above xt: Wf (n_a, n_a + n_x), bf (n_a, 1)
parameters = update_parameters_with_gd(parameters, grads, learning_rate)       {"W1": ..., "b1": ...}, {"dW1": ..., ...}
parameters, v = update_parameters_with_momentum(parameters, grads, v, beta, learning_rate)     v is a mean of gradients
parameters, v, s = update_parameters_with_adam(parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from opcheck.grading.conventions.base import Allowed, Cotangent, Entry, Plan, Reading, Request, only
from opcheck.grading.conventions.layouts import COLUMN, TRANSPOSED
from opcheck.operators.spec import Array, Case, Op
from opcheck.sandbox import Call, Place, Set
from opcheck.sandbox.inside.wire import Value

_GATES = ("Wi", "Wf", "Wc", "Wo")  # in torch's order, i f g o


def call(r: Request) -> Plan:
    return _lstm(r) if r.op.name == "lstm_cell" else _step(r)


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    hidden = r.case.arrays["h_0"].shape[1]
    upstream = [r.sent(cotangent[name], TRANSPOSED) for name in ("h_1", "c_1")]
    of_gates: dict[str, list[Value]] = {
        kind: [Place(f"gradients['d{kind}{gate[1]}']") for gate in _GATES] for kind in "Wb"
    }
    steps: list[Call | Set] = [
        Call(r.backward, [*upstream, Place("out[3]")], keep="gradients"),
        Call("numpy.concatenate", (of_gates["W"],), keep="dW"),
        Call("numpy.concatenate", (of_gates["b"],), keep="db"),
        Call("numpy.split", (Place("dW"), [hidden], 1), keep="parts"),
    ]
    return Plan(steps, {
        "input": Reading("gradients['dxt']", TRANSPOSED),
        "h_0": Reading("gradients['da_prev']", TRANSPOSED),
        "c_0": Reading("gradients['dc_prev']", TRANSPOSED),
        "w_hh": Reading("parts[0]"),
        "w_ih": Reading("parts[1]"),
        "b_ih": Reading("db", COLUMN),
    })  # fmt: skip


def _lstm(r: Request) -> Plan:
    hidden = r.case.arrays["h_0"].shape[1]
    both = np.hstack([r.case.arrays["w_hh"], r.case.arrays["w_ih"]])
    parameters = {gate: r.sent(part) for gate, part in zip(_GATES, _parts(both), strict=True)}
    biases = zip(_GATES, _parts(r.case.arrays["b_ih"]), strict=True)
    parameters |= {f"b{gate[1]}": r.sent(part, COLUMN) for gate, part in biases}
    parameters |= {"Wy": r.sent(np.zeros((2, hidden))), "by": r.sent(np.zeros((2, 1)))}  # of what it predicts
    args: list[Any] = [*(r.array(name, TRANSPOSED) for name in ("input", "h_0", "c_0")), parameters]
    steps = [Call(r.forward, args, keep="out")]
    return Plan(steps, {"h_1": Reading("out[0]", TRANSPOSED), "c_1": Reading("out[1]", TRANSPOSED)})


def _parts(a: Array) -> Sequence[Array]:
    return np.split(a, 4)


def _step(r: Request) -> Plan:
    """One step for a dict of one matrix and a bias of zeros."""
    zero = r.sent(np.zeros(1))
    steps: list[Call | Set] = [Set("parameters", {"W1": r.array("param"), "b1": zero}),
                               Set("grads", {"dW1": r.array("gradient"), "db1": zero})]  # fmt: skip
    args: list[Any] = [Place("parameters"), Place("grads")]
    several = r.op.name != "sgd" or bool(r.p.momentum)
    readings = {"param": Reading("out[0]['W1']" if several else "out['W1']")}
    for k, (name, short) in enumerate(_STATE[r.op.name].items(), start=1):
        if name in r.case.arrays:
            steps.append(Set(short, {"dW1": r.array(name), "db1": zero}))
            args.append(Place(short))
            readings[name] = Reading(f"out[{k}]['dW1']")
    rate = float(r.p.lr)
    if r.op.name == "sgd":
        options = {"beta": float(r.p.momentum)} if several else {}
        return Plan([*steps, Call(r.forward, args, {**options, "learning_rate": rate}, keep="out")], readings)
    beta1, beta2 = map(float, r.p.betas)
    options = {"learning_rate": rate, "beta1": beta1, "beta2": beta2, "epsilon": float(r.p.eps)}
    return Plan([*steps, Call(r.forward, [*args, int(r.p.step)], options, keep="out")], readings)


def _averaging(op: Op, case: Case) -> Case:
    """A case of momentum as the course has it: the velocity is a mean, in which the gradient counts 1 − beta."""
    return case._replace(params={**case.params, "dampening": case.params.get("momentum", 0.0)})


_STATE = {"sgd": {"momentum_buffer": "v"}, "adam": {"exp_avg": "v", "exp_avg_sq": "s"}}
_PLAIN: dict[str, Allowed] = {"weight_decay": lambda value: not value, "maximize": only(False)}
ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "lstm_cell": Entry(("lstm_cell_forward",), ("lstm_cell_backward",), {"b_ih": only(True), "b_hh": only(False)},
                       usual={"b_ih": (True,), "b_hh": (False,)}),
    "sgd": (
        Entry(("update_parameters_with_gd", "update_parameters"), in_place=True,
              allows={**_PLAIN, "momentum": lambda value: not value, "momentum_buffer": only(False)}),
        Entry(("update_parameters_with_momentum",), in_place=True, title="with momentum", prepared=_averaging,
              allows={**_PLAIN, "momentum": bool, "momentum_buffer": only(True), "nesterov": only(False)}),
    ),
    "adam": Entry(("update_parameters_with_adam",), in_place=True,
                  allows={**_PLAIN, "amsgrad": only(False), "exp_avg": only(True), "exp_avg_sq": only(True),
                          "max_exp_avg_sq": only(False)}),
}  # fmt: skip
