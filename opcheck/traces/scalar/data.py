"""A trace as JSON: every number with all its digits, every formula as text."""

import json
import math
from fractions import Fraction
from typing import Any

from opcheck.render.signs import Signs
from opcheck.traces.scalar.tables import shown
from opcheck.traces.scalar.trace import Trace

SCHEMA = "opcheck.trace/1"


def document(trace: Trace) -> str:
    """The lines with their values, the tangents in every tracked direction, the adjoints of every output."""
    lines, write = trace.lines, Signs().write
    tangents = trace.forward().columns if trace.tracked else {}
    several = len(trace.graph.outputs) > 1
    sweeps = [trace.adjoints(output=k) for k in range(len(trace.graph.outputs))] if trace.tracked else []
    nodes = []
    for id in shown(lines):
        node = trace.graph.nodes[id]
        adjoints = [number(sweep.column[id]) for sweep in sweeps]
        nodes.append(
            {
                "name": lines.names[id],
                "op": node.op,
                "label": node.label,
                "args": [lines.names[arg] or number(trace.values[arg]) for arg in node.args],
                "formula": write(lines.formula(id)),
                "value": number(trace.values[id]),
                "tangents": {name: number(column[id]) for name, column in tangents.items()},
                "adjoint": adjoints if several else adjoints[0] if adjoints else None,
            }
        )
    found = {
        "schema": SCHEMA,
        "kind": "numbers",
        "title": trace.title,
        "notes": list(trace.notes),
        "inputs": {name: number(trace.values[id]) for name, id in trace.inputs.items()},
        "tracked": list(trace.tracked),
        "outputs": [lines.names[id] or number(trace.values[id]) for id in trace.graph.outputs],
        "value": [number(trace.values[id]) for id in trace.graph.outputs],
        "nodes": nodes,
    }
    return json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False)


def number(x: Any) -> Any:
    """A number that JSON can hold: fractions, NaN and infinities as text. A derivative that no path leads to is 0."""
    if x is None:
        return 0.0
    if isinstance(x, Fraction):
        return int(x) if x.denominator == 1 else str(x)
    if isinstance(x, (int, float)):
        return x if math.isfinite(x) else str(x)
    return str(x)  # mpmath: all its digits
