"""A tensor program as JSON."""

import json
from typing import Any

import numpy as np

from opcheck.autodiff.scalar.data import SCHEMA
from opcheck.autodiff.tensor.tables import computes, lines_of
from opcheck.autodiff.tensor.trace import ArrayTrace

MOST = 1000  # numbers of an array that are written out


def document(trace: ArrayTrace) -> str:
    """Everything as JSON; arrays of more than MOST numbers by shape and norm only."""
    scalar = len(trace.outputs) == 1 and trace.nodes[trace.outputs[0]].value.size == 1
    adjoints = trace.adjoints() if scalar and trace.tracked else [None] * len(trace.nodes)
    nodes = []
    for id, name in trace.names.items():
        node = trace.nodes[id]
        kind = "input" if node.rule is None else node.rule.name
        nodes.append({"name": name, "op": kind, "label": node.label, "formula": computes(trace, id),
                      "args": [trace.names[each] for arg in node.args for each in lines_of(trace, arg)],
                      "value": array(node.value), "adjoint": array(adjoints[id])})  # fmt: skip
    found = {"schema": SCHEMA, "kind": "arrays", "title": trace.title, "inputs": list(trace.inputs),
             "tracked": list(trace.tracked), "outputs": [trace.names.get(id, "") for id in trace.outputs],
             "nodes": nodes}  # fmt: skip
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
