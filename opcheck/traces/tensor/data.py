"""A tensor program as JSON."""

import json
from typing import Any

import numpy as np

from opcheck.traces.scalar.data import SCHEMA
from opcheck.traces.tensor import tables
from opcheck.traces.tensor.formulas import computes, tangent
from opcheck.traces.tensor.trace import ArrayTrace

MOST = 1000  # numbers of an array that are written out


def document(trace: ArrayTrace) -> str:
    """Everything as JSON; arrays of more than MOST numbers by shape and norm only.

    Of a program that returns one number also both sweeps: "tangent" where every tracked input moves by 1, "adjoint"
    from a seed of 1, and under "reverse" each contribution of that sweep, with what is there after it.
    """
    swept = len(trace.outputs) == 1 and trace.nodes[trace.outputs[0]].value.size == 1 and bool(trace.tracked)
    nothing = [None] * len(trace.nodes)
    tangents = tables.tangents_of_ones(trace) if swept else nothing
    shares, adjoints = tables.contributions(trace) if swept else ([], nothing)
    nodes = []
    for id, name in trace.names.items():
        node, moves = trace.nodes[id], tangents[id] is not None
        kind = "input" if node.rule is None else node.rule.name
        nodes.append({"name": name, "op": kind, "label": node.label, "formula": computes(trace, id),
                      "args": [trace.names[each] for arg in node.args for each in tables.lines_of(trace, arg)],
                      "value": array(node.value),
                      "tangent_formula": tangent(trace, id, tangents) if moves else None,
                      "tangent": array(tangents[id]), "adjoint": array(adjoints[id])})  # fmt: skip
    formula = tables.adjoint_formulas(trace, adjoints)
    reverse = [{"from": [trace.names[line] for line in tables.origins(trace, each, adjoints)],
                "to": trace.names[each.to], "formula": formula(each), "value": array(each.total)}
               for each in shares]  # fmt: skip
    found = {"schema": SCHEMA, "kind": "arrays", "title": trace.title, "inputs": list(trace.inputs),
             "tracked": list(trace.tracked), "outputs": [trace.names.get(id, "") for id in trace.outputs],
             "nodes": nodes, "reverse": reverse}  # fmt: skip
    return json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False)


def array(value: Any) -> Any:
    if value is None:
        return None
    exact = np.asarray(value)
    spelled = {"shape": list(exact.shape), "norm": finite(float(np.linalg.norm(exact.reshape(-1) * 1.0)))}
    return spelled if exact.size > MOST else {**spelled, "values": nested(exact.tolist())}


def nested(x: Any) -> Any:
    return [nested(each) for each in x] if isinstance(x, list) else finite(x)


def finite(x: Any) -> Any:
    return x if isinstance(x, (bool, int)) or np.isfinite(x) else str(x)
