"""Formulas for a line of a tensor program, its tangent and its adjoints, in terms of other lines.

The formula of a tangent or of an adjoint is read off the rule that computes it: the rule runs on arrays that have names
(v̄₃, v₁) and records what it does with them. An operator of the catalogue is called as `opcheck.reference` has it:
`linear.vjp(v̄₃, v₁, v₂)["weight"]`.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.recorded import ITEM
from opcheck.programs.arrays import ArrayTape, TracedArray
from opcheck.programs.rule import Rule
from opcheck.steps import Apply, Expression, Number, Symbol
from opcheck.traces.scalar.lines import SUBSCRIPTS, TEXT
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import Writer, call_of, constant, is_vjp, jvp_text, vjp_text, write


def called(trace: ArrayTrace, id: int, *, adjoint: bool = False, tangent: bool = False) -> Symbol:
    """v₃, or v̄₃, or v̇₃."""
    return Symbol(trace.names[id].translate(SUBSCRIPTS), (), adjoint, tangent)


def computes(trace: ArrayTrace, id: int) -> str:
    """What a line is: its input's name, or its operation on other lines."""
    return write(Writer(trace.nodes, {line: called(trace, line) for line in trace.names}, Apply).operation(id))


def tangent(trace: ArrayTrace, id: int, tangents: Sequence[Any]) -> str:
    """The tangent of a line in terms of its arguments' tangents; `tangents` has the values of all tangents."""
    node = trace.nodes[id]
    if node.rule is None:
        return write(constant(tangents[id]))
    if node.rule is ITEM:
        (bundle,) = node.args
        text, outputs = tangent(trace, bundle, tangents), tangents[bundle]
        return text if len(outputs) == 1 else f"{text} → {node.params['name']}"
    moving = {
        place: called(trace, arg, tangent=True) for place, arg in enumerate(node.args) if tangents[arg] is not None
    }
    call = call_of(node)
    if call is not None:
        if is_vjp(node, call):
            return say("second derivative of {op}", op=call.op.name)
        args = [write(known(trace, arg)) for arg in node.args]
        return jvp_text(call, {call.names[place]: write(name) for place, name in moving.items()}, args)

    def run(rule: Rule, leaves: Leaves) -> list[TracedArray | None]:
        moved = [
            leaves.add(tangents[arg], moving[place]) if place in moving else None for place, arg in enumerate(node.args)
        ]
        return [rule.jvp(moved, leaves.out, leaves.args, **node.params)]

    (found,) = recorded(trace, id, run)
    return write(found)


def shares(trace: ArrayTrace, id: int, adjoints: Sequence[Any]) -> list[Expression]:
    """What a node's adjoint contributes to each argument; `adjoints` has the values of all adjoints."""
    node, call = trace.nodes[id], call_of(trace.nodes[id])
    if call is not None:
        if is_vjp(node, call):
            return [Symbol(say("second derivative of {op}", op=call.op.name))] * len(node.args)
        cotangents = {name: write(called(trace, line, adjoint=True)) for name, line in through(trace, id, adjoints)}
        text = vjp_text(call, cotangents, [write(known(trace, arg)) for arg in node.args])
        return [Symbol(f'{text}["{name}"]') for name in call.names]

    def run(rule: Rule, leaves: Leaves) -> Sequence[TracedArray | None]:
        g = leaves.add(adjoints[id], called(trace, id, adjoint=True))
        return rule.vjp(g, leaves.out, leaves.args, [True] * len(leaves.args), **node.params)

    return recorded(trace, id, run)


def through(trace: ArrayTrace, id: int, adjoints: Sequence[Any]) -> list[tuple[str, int]]:
    """The outputs of a node through which an adjoint reaches it: their names and their lines."""
    if id in trace.names:
        return [("", id)]
    return [
        (trace.nodes[line].params["name"], line)
        for line in trace.names
        if trace.nodes[line].rule is ITEM and trace.nodes[line].args == (id,) and adjoints[line] is not None
    ]


def known(trace: ArrayTrace, id: int) -> Expression:
    """How a formula refers to a node: by its name, or as the constant that it is."""
    return called(trace, id) if id in trace.names else constant(trace.nodes[id].value)


# --- a rule on arrays that have names -------------------------------------------------------------------------------


class Leaves:
    """The arrays a rule computes with: leaves on their own tape, each with a name."""

    def __init__(self, trace: ArrayTrace, id: int) -> None:
        self.tape, self.names = ArrayTape(), dict[int, Expression]()
        node = trace.nodes[id]
        self.args = [self.add(trace.nodes[arg].value, known(trace, arg)) for arg in node.args]
        self.out = self.add(node.value, called(trace, id))

    def add(self, value: Any, name: Expression) -> TracedArray:
        array = self.tape.constant(value)
        self.names[array.id] = name
        return array


def recorded(
    trace: ArrayTrace, id: int, run: Callable[[Rule, Leaves], Sequence[TracedArray | None]]
) -> list[Expression]:
    """The formulas of what a rule returns, put together as the scalar tables put theirs."""
    rule, leaves = trace.nodes[id].rule, Leaves(trace, id)
    assert rule is not None
    with np.errstate(all="ignore"):
        found = run(rule, leaves)
    writer = Writer(leaves.tape.nodes, leaves.names, lambda op, args: TEXT.functions[op](*args))
    return [Number(Fraction(0)) if each is None else writer.expression(each.id) for each in found]
