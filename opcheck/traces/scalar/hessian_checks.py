"""Witnesses for a Hessian times a direction: its symmetry, Taylor's remainder of the gradient, sympy and torch."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from opcheck.language import say
from opcheck.traces.scalar.checks import agreement, fits, kinks, sympy_expression, sympy_numbers, torch_program
from opcheck.traces.scalar.trace import Trace
from opcheck.traces.witness import GRADIENT, Check, figure, no_torch, taylor
from opcheck.tracing import FLOATS, UNIT_ROUNDOFF, Graph, Tracer, bound, total
from opcheck.tracing.readings import read


def hessian_checks(trace: Trace, direction: Mapping[str, Any], everything: bool = False) -> list[Check]:
    """Symmetry and Taylor; with `everything`, sympy and torch."""
    v = {name: direction.get(name, 0) for name in trace.tracked}
    if not all(map(fits, trace.hessian_vector_product(v).values())):
        return [Check(say("A second derivative is not finite, so nothing can be checked against it."), None)]
    u = {name: (-1) ** k * (k + 2) for k, name in enumerate(trace.tracked)}  # any direction other than v
    found = [remainder(trace, u, v)]
    if len(trace.tracked) > 1:
        found.insert(0, symmetric(trace, u, v))
    return [*found, sympy_agrees(trace, v), torch_agrees(trace, v)] if everything else found


class Product(NamedTuple):
    """u·∇f and u·Hv as nodes of one recorded graph; None where they are structurally 0."""

    graph: Graph
    first: Tracer | None
    second: Tracer | None

    def number(self, node: Tracer | None, h: float = 0.0, along: Mapping[str, Any] | None = None) -> float:
        """The value of a node where the inputs are moved by h·along."""
        if node is None:
            return 0.0
        step = {} if along is None else along
        numbers = read(self.graph, FLOATS, lambda leaf: float(leaf.value) + h * float(step.get(leaf.label, 0.0)))
        return float(numbers[node.id])

    def rounding(self, node: Tracer | None) -> float:
        return 0.0 if node is None else bound(self.graph, node.id, "float64")


def recorded(trace: Trace, u: Mapping[str, Any], v: Mapping[str, Any]) -> Product:
    tape, found = trace.recorded(v)
    first = [u[name] * each.value for name, each in found.items() if each.value is not None]
    second = [u[name] * each.tangent for name, each in found.items() if each.tangent is not None]
    nodes = [total(terms) if terms else None for terms in (first, second)]
    return Product(tape.graph(), nodes[0], nodes[1])


def symmetric(trace: Trace, u: Mapping[str, Any], v: Mapping[str, Any]) -> Check:
    """u·Hv = v·Hu, within the rounding bounds of both."""
    one, other = recorded(trace, u, v), recorded(trace, v, u)
    a, b = one.number(one.second), other.number(other.second)
    room = one.rounding(one.second) + other.rounding(other.second)
    holds = abs(a - b) <= room
    template = {
        True: "symmetric: u·Hv = {a} and v·Hu = {b} (difference {error}, rounding allows {room})",
        False: "NOT symmetric: u·Hv = {a} and v·Hu = {b} (difference {error}, rounding allows {room})",
    }[holds]
    return Check(say(template, a=figure(a), b=figure(b), error=figure(abs(a - b)), room=figure(room)), holds)


def remainder(trace: Trace, u: Mapping[str, Any], v: Mapping[str, Any]) -> Check:
    """Taylor's remainder of the gradient along v, seen from u."""
    product = recorded(trace, u, v)
    slope = product.number(product.second)
    noise = product.rounding(product.first) + abs(slope) * UNIT_ROUNDOFF["float64"]

    def moved(h: float) -> float:
        return product.number(product.first, h, v)

    return taylor(moved, product.number(product.first), slope, noise, kinks(trace.graph), GRADIENT)


def sympy_agrees(trace: Trace, v: Mapping[str, Any]) -> Check:
    import sympy

    symbols = {name: sympy.Symbol(name, real=True) for name in trace.tracked}
    expression = sympy_expression(trace)
    along = sympy.Add(*(expression.diff(symbol) * sympy.Rational(str(v[name])) for name, symbol in symbols.items()))
    found = sympy_numbers(trace, {name: along.diff(symbol) for name, symbol in symbols.items()})
    if found is None:
        return Check(say("sympy gives no number for a second derivative here"), None)
    return compared(trace, v, "sympy", found)


def torch_agrees(trace: Trace, v: Mapping[str, Any]) -> Check:
    """torch.func.jvp of torch.func.grad over the same primitives, in float64."""
    if absent := no_torch():
        return absent
    import torch

    function, point = torch_program(torch, trace)
    tangents = tuple(torch.tensor(float(v.get(name, 0)), dtype=torch.float64) for name in trace.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.func imports what torch itself deprecates
        gradient = torch.func.grad(function, argnums=tuple(range(len(point))))
        _, product = torch.func.jvp(gradient, point, tangents)
    by_name = {name: float(each) for name, each in zip(trace.inputs, product, strict=True)}
    return compared(trace, v, "torch (func.jvp of func.grad)", by_name)


def compared(trace: Trace, v: Mapping[str, Any], witness: str, found: Mapping[str, Any]) -> Check:
    """Hv against a witness's, within twice the rounding bound of its own graph."""
    products = {name: recorded(trace, {each: int(each == name) for each in trace.tracked}, v) for name in trace.tracked}
    mine = {name: product.number(product.second) for name, product in products.items()}
    rooms = {name: 2 * product.rounding(product.second) for name, product in products.items()}
    return agreement(say("forward over reverse"), mine, rooms, witness, found, "(Hv)[{name}]")
