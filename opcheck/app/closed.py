"""Gradients as a textbook writes them, beside a trace: those of the operator that is traced, or of those it calls."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.explanation.calculation import Calculation
from opcheck.explanation.gradient import Sweep, closed_forms, upstream_gradient
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op
from opcheck.steps import Block, Prose, Step
from opcheck.traces.tensor.formulas import called, computes
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import call_of, is_vjp

MOST_CALLS = 12  # of operators of which that is told


def of_operator(op: Op, case: Case) -> list[Block]:
    """Those of an operator, for its default upstream gradient."""
    found = _proved(op, case, None)
    symbols = ", ".join(say("{symbol} is {name}", symbol=op.input(name).symbol, name=name) for name in case.arrays)
    return _told([(say("of {op}, where {symbols}", op=op.name, symbols=symbols), found)] if found else [])


def of_calls(trace: ArrayTrace, seed: float) -> list[Block]:
    """Those of the operators that a program of one number calls, with what arrives at each from behind."""
    if len(trace.outputs) != 1 or trace.nodes[trace.outputs[0]].value.size != 1 or not trace.tracked:
        return []
    adjoints = trace.adjoints(np.full(trace.value.shape, seed))
    return _told(list(_of_calls(trace, adjoints))[:MOST_CALLS])


def _of_calls(trace: ArrayTrace, adjoints: list[Any]) -> Iterator[tuple[str, list[Block]]]:
    for id in trace.names:
        node, arriving = trace.nodes[id], adjoints[id]
        call = call_of(node)
        if call is None or is_vjp(node, call) or arriving is None or isinstance(arriving, dict):
            continue
        arrays = dict(zip(call.names, (trace.nodes[arg].value for arg in node.args), strict=True))
        found = _proved(call.op, Case(call.op.name, arrays, dict(call.case.params)), np.asarray(arriving))
        if found:
            names = ", ".join(
                say("{symbol} is {name}", symbol=call.op.input(name).symbol, name=called(trace, arg).name)
                for name, arg in zip(call.names, node.args, strict=True)
                if arg in trace.names
            )
            line = f"{called(trace, id).name} = {computes(trace, id)}"
            yield say("of {line}, where {symbols}", line=line, symbols=names), found


def _proved(op: Op, case: Case, upstream: Array | None) -> list[Block]:
    """The formulas that are proved on the numbers of a call, in the order of its inputs."""
    if not op.closed:
        return []
    try:
        calculation = Calculation(op, case)
        if not calculation.cells or not calculation.is_small:
            return []
        g = upstream_gradient(calculation, upstream)
        found: Mapping[str, tuple[Prose, ...]] = closed_forms(calculation, g, Sweep(calculation, g, {}))
    except Refused:
        return []
    return [found[name][0] for name in case.arrays if name in found]


def _told(found: list[tuple[str, list[Block]]]) -> list[Block]:
    if not found:
        return []
    blocks = [each for line, formulas in found for each in (Prose(line, "note"), *formulas)]
    return [Step(say("gradients in closed form, each proved equal for these numbers"), tuple(blocks))]
